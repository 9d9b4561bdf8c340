"""What `gt-trace relay status` says: pure functions of what the relay says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from gastown_tracing.config import LOGS_URL, METRICS_URL, TRACES_URL
from gastown_tracing.relay.status import STALE, age
from gastown_tracing.view import text

Facts = Mapping[str, Any]

_OPTIONS = {
    "traces": ("--traces-url", TRACES_URL),
    "logs": ("--logs-url", LOGS_URL),
    "metrics": ("--metrics-url", METRICS_URL),
}

#: What to do about an error, by what stands in it; the first that fits.
_ADVICE = (
    (("401", "403"), "check OTEL_EXPORTER_OTLP_HEADERS in config.json"),
    (("404", "405", "web page", "moved to"), "check the path of {variable} in config.json"),
    (("429",), "the backend takes less than there is; it is tried again"),
    (("certificate", "ssl", "tls"), "check OTEL_EXPORTER_OTLP_CERTIFICATE in config.json"),
    (("refused", "errno 111"), "nothing listens there: start the backend, or set {variable} in config.json"),
    (("resolve", "resolution", "not known", "unreachable"), "check the host of {variable} in config.json"),
    (("no answer", "timed out"), "the backend does not answer in time: look at its own log"),
    (("500", "502", "503", "504"), "the backend is not well: look at its own log"),
)
#: Ports and paths are no status.
_URL = re.compile(r"https?://\S+")


def troubles(found: Facts) -> list[str]:
    """Return what is not well with a relay that runs, a line each."""
    lines = [str(problem) for problem in found.get("problems") or ()]
    if not found:
        return ["it has not said yet how it is"]
    if age(found) > STALE:
        lines.append(f"it has not said how it is for {_ago(age(found))}")
    for name, worker in (found.get("workers") or {}).items():
        if worker.get("state") not in ("ok", "off", "starting"):
            lines.append(f"{name}: {worker.get('state')}")
    receiver = found.get("receiver") or {}
    if receiver.get("state") in ("waiting", "crashed", "unknown"):
        lines.append(f"receiver: {_error(receiver) or receiver['state']}")
    keeper = found.get("keeper") or {}
    if keeper.get("problem"):
        lines.append(str(keeper["problem"]))
    if keeper.get("lost_records"):
        lines.append(
            f"{text.counted(keeper['lost_records'], 'record')} went unsent: the journal was at its hard cap"
        )
    if found.get("errors"):
        lines.append(f"{text.counted(found['errors'], 'error')} of its own: see the log")
    return lines


def lines(found: Facts, who: str, log: str) -> Iterator[str]:
    """Yield how a relay that runs is, for a person; `who` is its process, `log` its log file."""
    state = found.get("state", "starting")
    yield _row(
        "relay", f"{state} · {who} · {found.get('version', '?')} · up {_seconds(found.get('uptime_s'))}"
    )
    yield _row("journal", _journal(found))
    for name, worker in (found.get("workers") or {}).items():
        yield from _worker(name, worker)
    yield from _receiver(found.get("receiver") or {})
    yield from _keeper(found.get("keeper") or {})
    yield _row("log", log)
    for trouble in troubles(found):
        yield _row("problem", text.clean(trouble))


def _row(name: str, words: str) -> str:
    return f"{name:<10}{words}".rstrip()


def _journal(found: Facts) -> str:
    size = (found.get("keeper") or {}).get("journal_bytes")
    parts = [str(found.get("journal", "?")), *([text.size(size)] if isinstance(size, int) else ())]
    if found.get("on") is False:
        parts.append("switched off: what is there is still sent")
    return " · ".join(text.clean(part) for part in parts)


def _worker(name: str, worker: Facts) -> Iterator[str]:
    state = worker.get("state")
    option, variable = _OPTIONS.get(name, ("", ""))
    if state == "off":
        hint = f": `gt-trace env {option} URL` sets one" if option else ""
        yield _row(name, f"off        no endpoint{hint}")
        return
    facts = [*_endpoint(worker), *_counts(worker)]
    yield _row(name, text.clean(f"{state:<11}" + " · ".join(facts)))
    if state != "ok":
        since = worker.get("last_success")
        if state == "failing":
            yield _row("", f"           {f'last success {since}' if since else 'no success since it began'}")
        yield from _last_error(worker, variable)


def _endpoint(worker: Facts) -> list[str]:
    parts = []
    if worker.get("endpoint"):
        protocol = worker.get("protocol")
        parts.append(f"{worker['endpoint']}" + (f" ({protocol})" if protocol else ""))
    return parts


def _counts(worker: Facts) -> list[str]:
    lag, pending = worker.get("lag_ms"), worker.get("pending_bytes")
    parts = [f"lag {text.duration(int(lag * 1e6))}"] if isinstance(lag, (int, float)) else []
    if pending:
        parts.append(f"{text.size(pending)} pending")
    if worker.get("sent") is not None:
        parts.append(f"{worker['sent']} sent")
    if worker.get("rate_per_s"):
        parts.append(f"{worker['rate_per_s']:.0f}/s")
    for key, words in (
        ("dead_letters", "dead letters"),
        ("rejected", "rejected"),
        ("skipped_lines", "skipped"),
    ):
        if worker.get(key):
            parts.append(f"{worker[key]} {words}")
    return parts


def _last_error(worker: Facts, variable: str) -> Iterator[str]:
    said = worker.get("last_error") or worker.get("last_crash")
    if not isinstance(said, Mapping):
        return
    message = str(said.get("message", ""))
    yield _row("", text.clean(f"           last error {said.get('time', '')}: {message}"))
    lower = _URL.sub("", message).lower()
    for signs, advice in _ADVICE:
        if any(sign in lower for sign in signs):
            yield _row("", f"           {advice.format(variable=variable)}")
            break
    if worker.get("retry_in_s"):
        yield _row("", f"           tried again in {_seconds(worker['retry_in_s'])}")


def _receiver(receiver: Facts) -> Iterator[str]:
    if not receiver:
        return
    parts = [str(receiver.get("endpoint") or ""), text.counted(int(receiver.get("requests") or 0), "request")]
    refused = sum((receiver.get("refused") or {}).values())
    parts += [f"{refused} refused"] if refused else []
    yield _row("receiver", text.clean(f"{receiver.get('state', '?'):<11}" + " · ".join(filter(None, parts))))
    if receiver.get("state") != "listening":
        yield from _last_error(receiver, "GT_OTEL_RECEIVER")


def _keeper(keeper: Facts) -> Iterator[str]:
    if not keeper:
        return
    parts = [f"{keeper.get('live_sessions', 0)} live"]
    for key, words in (
        ("closed_sessions", "closed"),
        ("moved", "moved to closed/"),
        ("removed_runs", "removed"),
    ):
        if keeper.get(key):
            parts.append(f"{keeper[key]} {words}")
    yield _row("sessions", " · ".join(parts))


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
    return f"ended {local}" if found.get("state") == "stopped" else f"was last seen {local}"
