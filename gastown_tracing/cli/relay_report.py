"""What `gt-trace relay status` says: pure functions of what the relay says of itself and of its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gastown_tracing import config
from gastown_tracing.relay.advice import advice
from gastown_tracing.relay.losses import METRICS, Loss
from gastown_tracing.relay.status import STALE, age
from gastown_tracing.view import text
from gastown_tracing.view.theme import Style

Facts = Mapping[str, Any]

_VARIABLES = {"traces": config.TRACES_URL, "logs": config.LOGS_URL, "metrics": config.METRICS_URL}
#: What is counted as sent, and over which time.
_SENT = {
    "traces": "spans sent in the journal's life",
    "logs": "records sent in the journal's life",
    "metrics": "points sent since it began",
}
_RETENTION, _CAP = "GT_OTEL_RETENTION_BYTES", "GT_OTEL_HARD_CAP_BYTES"
_HEADERS = f"{config.EXPORTER_PREFIX}HEADERS"
_RESEND = "`gt-trace relay resend` sends them again once the endpoint takes them"

#: Cells of the names of the rows, and at least as many of what they say.
_NAMES, _ROOM = 10, 20
#: Seconds without an answer after which there is advice.
_LONG = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """A relay's status as the files have it: `found` of status.json, the settings, and what was lost.

    `dead` are the dead letters by signal.
    """

    found: Facts
    settings: config.Config = field(default_factory=lambda: config.Config({}))
    lost: Loss | None = None
    dead: Mapping[str, Loss] = field(default_factory=dict)

    def troubles(self) -> list[str]:
        """Return what is not well with a relay that runs, a line each."""
        return [said for _, said in self._troubles()]

    def lines(self, who: str, log: str, style: Style, on_demand: str = "") -> Iterator[str]:
        """Yield how a relay that runs is, for a person; `who` is its process, `log` its log file.

        `on_demand` says why commands start none, "" where they do.
        """
        for name, words in self._rows(who, log, on_demand):
            yield from row(name, words, style)

    def losses(self) -> Iterator[tuple[str, str]]:
        """Yield what never arrived, each with the name of its row."""
        if self.lost is not None:
            yield "lost", f"{_lost(self.lost)}{_until(self.lost)}"
        for signal, loss in self.dead.items():
            yield "refused", f"{_refused(signal, loss)}{_until(loss)}; {_hint(signal)}"

    # -- what is not well

    def _troubles(self) -> Iterator[tuple[str, str]]:
        """Yield each trouble with the name of the row that says it anyhow, "" for none."""
        found = self.found
        if not found:
            yield "", "it has not said yet how it is"
            return
        for problem in found.get("problems") or ():
            yield self._row_of(str(problem)), str(problem)
        if age(found) > STALE:
            yield "", f"it has not said how it is for {_ago(age(found))}"
        for name, worker in self._workers().items():
            if worker.get("state") not in ("ok", "off", "starting"):
                yield name, f"{name}: {worker.get('state')}"
        receiver = found.get("receiver") or {}
        if receiver.get("state") in ("waiting", "crashed", "unknown"):
            yield "receiver", f"receiver: {_error(receiver) or receiver['state']}"
        if (found.get("keeper") or {}).get("problem"):
            yield "", str(found["keeper"]["problem"])
        if self.lost is not None and self.lost.fresh:
            yield "lost", _lost(self.lost)
        for signal, loss in self.dead.items():
            if loss.fresh:
                yield "refused", _refused(signal, loss)
        if found.get("errors"):
            yield "", f"{text.counted(found['errors'], 'error')} of its own: see the log"

    def _row_of(self, problem: str) -> str:
        """Return the row that shows a problem of the settings, "" for none."""
        for name, worker in self._workers().items():
            if worker.get("state") == "off" and problem.startswith(_VARIABLES.get(name, "\0")):
                return name
            if problem == _error(worker):
                return name
            if problem.startswith(_HEADERS) and _is_denied(worker):
                return name
        return ""

    def _workers(self) -> Mapping[str, Facts]:
        return self.found.get("workers") or {}

    # -- the rows

    def _rows(self, who: str, log: str, on_demand: str) -> Iterator[tuple[str, str]]:
        found = self.found
        state, version = found.get("state", "starting"), found.get("version", "?")
        yield "relay", f"{state} · {who} · {version} · up {_seconds(found.get('uptime_s'))}"
        if on_demand:
            yield "", f"starting on demand is switched off: {on_demand}"
        yield "journal", self._journal()
        for name, worker in self._workers().items():
            yield from self._worker(name, worker)
        yield from _receiver(found.get("receiver") or {})
        yield from _keeper(found.get("keeper") or {})
        yield from self.losses()
        yield "log", log
        for where, trouble in self._troubles():
            if not where:
                yield "problem", trouble

    def _journal(self) -> str:
        keeper = self.found.get("keeper") or {}
        size, limit, cap = keeper.get("journal_bytes"), self._limit(_RETENTION), self._limit(_CAP)
        parts = [str(self.found.get("journal", "?"))]
        if isinstance(size, int):
            share = f" of {text.size(limit)} ({100 * size // limit} %)" if limit else ""
            measured = keeper.get("journal_measured")
            parts.append(f"{text.size(size)}{share}{f', measured {measured}' if measured else ''}")
            parts += [f"unsent records go at {text.size(cap)}"] if cap else []
        if self.found.get("on") is False:
            parts.append("switched off: what is there is still sent")
        return " · ".join(parts)

    def _limit(self, name: str) -> int:
        return self.settings.limit(name, int(config.DEFAULTS[name]))

    def _worker(self, name: str, worker: Facts) -> Iterator[tuple[str, str]]:
        state, variable = worker.get("state"), _VARIABLES.get(name, "")
        if state == "off":
            yield name, f"off · {self._why_off(name, variable)}"
            return
        yield name, " · ".join([str(state), *_endpoint(worker), *_counts(name, worker)])
        if state == "failing":
            since = worker.get("last_success")
            yield "", f"last success {since}" if since else "no success since it began"
        if state != "ok":
            yield from _last_error(worker, variable)
        if _is_denied(worker):
            yield from (("", problem) for problem in self._problems(_HEADERS))
        yield from _waiting(worker)

    def _why_off(self, name: str, variable: str) -> str:
        wrong = next(self._problems(variable), "")
        if wrong or not variable:
            return wrong or "no endpoint"
        if self.settings.set(variable).strip().lower() == config.NO_ENDPOINT:
            return f"on purpose: {variable} is `{config.NO_ENDPOINT}`"
        return f"no endpoint: `gt-trace env --{name}-url URL` sets one"

    def _problems(self, setting: str) -> Iterator[str]:
        problems = map(str, self.found.get("problems") or ())
        return (problem for problem in problems if setting and problem.startswith(setting))


def row(name: str, words: str, style: Style) -> Iterator[str]:
    """Yield a row: its name, and words that hang below each other within the style's width.

    They may hold what others wrote: nothing in them may move the cursor.
    """
    for line in text.folded(text.clean(words, ascii_only=style.ascii), max(style.width - _NAMES, _ROOM)):
        yield f"{name:<{_NAMES}}{line}".rstrip()
        name = ""


def _endpoint(worker: Facts) -> list[str]:
    if not worker.get("endpoint"):
        return []
    protocol = worker.get("protocol")
    return [f"{worker['endpoint']}{f' ({protocol})' if protocol else ''}"]


def _counts(name: str, worker: Facts) -> list[str]:
    lag, pending = worker.get("lag_ms"), worker.get("pending_bytes")
    parts = [f"lag {text.duration(int(lag * 1e6))}"] if isinstance(lag, (int, float)) else []
    if pending:
        parts.append(f"{text.size(pending)} pending")
    if worker.get("sent") is not None:
        parts.append(f"{worker['sent']} {_SENT.get(name, 'sent')}")
    if worker.get("rate_per_s"):
        parts.append(f"{worker['rate_per_s']:.0f}/s now")
    for key, words in (
        ("dead_letters", "refused and set aside"),
        ("rejected", "rejected"),
        ("skipped_lines", "damaged lines skipped"),
    ):
        if worker.get(key):
            parts.append(f"{worker[key]} {words}")
    return parts


def _is_denied(worker: Facts) -> bool:
    """Say whether an endpoint does not know who sends."""
    return worker.get("state") == "failing" and _HEADERS in advice(_error(worker), "")


def _waiting(worker: Facts) -> Iterator[tuple[str, str]]:
    since = worker.get("waiting_since")
    if not since:
        return
    yield "", f"waiting for an answer since {since}"
    try:
        waits = datetime.now().astimezone() - datetime.fromisoformat(str(since))
    except (ValueError, TypeError):
        return
    if waits.total_seconds() > _LONG:
        yield "", "it takes connections and does not answer: look at the backend's own log"


def _last_error(worker: Facts, variable: str) -> Iterator[tuple[str, str]]:
    said = worker.get("last_error") or worker.get("last_crash")
    if not isinstance(said, Mapping):
        return
    message = str(said.get("message", ""))
    yield "", f"last error {said.get('time', '')}: {message}"
    hint = advice(message, variable)
    if hint:
        yield "", hint
    if worker.get("retry_in_s"):
        yield "", f"tried again in {_seconds(worker['retry_in_s'])}"


def _receiver(receiver: Facts) -> Iterator[tuple[str, str]]:
    if not receiver:
        return
    parts = [
        str(receiver.get("state", "?")),
        str(receiver.get("endpoint") or ""),
        f"{text.counted(int(receiver.get('requests') or 0), 'request')} taken",
    ]
    refused = sum((receiver.get("refused") or {}).values())
    parts += [f"{refused} refused"] if refused else []
    yield "receiver", " · ".join(filter(None, parts))
    if receiver.get("state") != "listening":
        error = _error(receiver)
        if error:
            yield "", f"last error {receiver['last_error'].get('time', '')}: {error}"
        if "in use" in error:
            yield "", f"end the program that has it, or remove {config.RECEIVER} from config.json"


def _keeper(keeper: Facts) -> Iterator[tuple[str, str]]:
    if not keeper:
        return
    parts = [f"{keeper.get('live_sessions', 0)} live"]
    for key, words in (
        ("found_sessions", "found in tmux"),
        ("closed_sessions", "closed"),
        ("moved", "moved to closed/"),
        ("removed_runs", "removed"),
    ):
        if keeper.get(key):
            parts.append(f"{keeper[key]} {words}")
    yield "sessions", " · ".join(parts)


def _lost(loss: Loss) -> str:
    when = f", the last at {loss.last}" if loss.last else ""
    said = f"{text.counted(loss.records, 'record')} given up unsent{when}"
    return f"{said}: the journal was at its hard cap, {_CAP}"


def _refused(signal: str, loss: Loss) -> str:
    when = f", the last at {loss.last}" if loss.last else ""
    return f"{text.counted(loss.records, 'dead letter')} of {signal}{when}"


def _hint(signal: str) -> str:
    if signal == METRICS:
        return "points of a metric that was refused; it is tried again in an hour"
    return f"relay/dead-letters/reasons.jsonl says why; {_RESEND}"


def _until(loss: Loss) -> str:
    """Return whether a loss is a problem or, a day later, a fact."""
    return " (a problem for 24 h)" if loss.fresh else " (more than 24 h ago)"


def _error(found: Facts) -> str:
    said = found.get("last_error")
    return str(said.get("message", "")) if isinstance(said, Mapping) else ""


def _seconds(value: object) -> str:
    return text.duration(int(value * 1e9)) if isinstance(value, (int, float)) else "?"


def _ago(seconds: float) -> str:
    return "some time" if seconds == float("inf") else text.duration(int(seconds * 1e9))


def ended(found: Facts) -> str:
    """Return, in words, what is known of the relay that was there last, "" for nothing."""
    when = found.get("time")
    if not when:
        return ""
    try:
        local = datetime.fromisoformat(str(when)).astimezone().isoformat(sep=" ", timespec="seconds")
    except ValueError:
        return ""
    if found.get("state") == "stopped":
        return f"ended {local}"
    return f"was killed, or went down with the machine, and was last seen {local}"
