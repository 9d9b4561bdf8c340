"""The relay, as its lock, its status.json and its log tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.relay import lock, losses, starting, status
from gastown_tracing.relay.advice import advice
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.logfile import tail
from gastown_tracing.relay.settings import URLS, Settings
from gastown_tracing.view.text import counted, duration, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gastown_tracing.config import Telemetry
    from gastown_tracing.doctor.check import Check, Checks
    from gastown_tracing.relay.losses import Loss

#: Milliseconds that what was recorded may wait for its backend before it is worth a word.
_LATE_MS = 30_000

#: How many lines of the log are shown, and the last one of a relay that was not killed.
_LINES, _ENDED = 3, "the relay has ended"

_START = starting.START


def relay(telemetry: Telemetry) -> Checks:
    """Yield whether a relay runs, and how its parts are."""
    journal = telemetry.journal
    if not journal.exists():
        yield skipped("process", "no journal, so no relay")
        return
    files = Files(journal)
    found = status.read(files)
    try:
        holder = lock.holder(files.lock)
    except OSError as error:
        yield problem("process", f"{files.lock}: {error.strerror}", "give it back to the journal's owner")
        return
    if holder is None:
        yield _absent(telemetry, found, files)
        yield from _losses(found, files)
        yield from _tail(files)
        return
    off = starting.switched_off(telemetry.config)
    yield ok("process", f"runs: {holder}{f'; commands start none: {off}' if off else ''}")
    if status.age(found) > status.STALE:
        said = "status.json is missing or old: it hangs, or cannot write"
        yield problem("status", said, f"look into {files.log}; then `gt-trace relay stop` and {_START}")
        yield from _losses(found, files)
        yield from _tail(files)
        return
    yield _state(found)
    known = Settings.read(journal).problems
    checks = [_worker(name, worker, known) for name, worker in _workers(found)]
    yield from checks
    yield from _losses(found, files)
    yield from _keeper(found)
    if any(check.state == "problem" for check in checks):
        yield from _tail(files)


def _absent(telemetry: Telemetry, found: Mapping[str, Any], files: Files) -> Check:
    """Return why there is none, what waits for one, and what starts it."""
    settings = Settings.read(telemetry.journal)
    sends = any(settings.endpoint(signal) for signal in URLS)
    waiting = sum(_number(worker, "pending_bytes") for _, worker in _workers(found)) if sends else 0
    outlook = starting.outlook(telemetry.journal, telemetry.config, files)
    said = f"none runs{_end(found, files)}"
    if waiting:
        return problem("process", f"{said}, and {size(waiting)} wait to be sent", outlook)
    if starting.switched_off(telemetry.config):
        return skipped("process", f"{said}; {outlook}")
    if sends:
        return warning("process", f"{said}: nothing is sent before one is started", outlook)
    return skipped("process", f"{said}; there are no endpoints; {outlook}")


def _end(found: Mapping[str, Any], files: Files) -> str:
    """Return how the last one ended, "" where there was none."""
    if not found:
        return ""
    if found.get("state") == "stopped":
        return ": the last one was told to end"
    last = tail(files.log, 1)
    if last and last[0].endswith(_ENDED):
        return ": its log says why the last one ended"
    return ": the last one was killed, or the machine went down: its log has no end"


def _state(found: Mapping[str, Any]) -> Check:
    said = f"{found.get('state', 'unknown')} since {found.get('started', 'an unknown time')}"
    memory = found.get("rss_bytes")
    if isinstance(memory, int):
        said += f", {size(memory)} of memory"
    errors = found.get("errors")
    if isinstance(errors, int) and errors:
        return warning(
            "status",
            f"{said}, {counted(errors, 'error')} of its own",
            f"report this as a bug, with {found.get('log')}",
        )
    return ok("status", said)


def _workers(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parts = found.get("workers")
    for name, worker in (parts if isinstance(parts, dict) else {}).items():
        if isinstance(worker, dict):
            yield str(name), worker


def _worker(name: str, worker: Mapping[str, Any], known: Sequence[str]) -> Check:
    """Return how one part is: what it has sent, what waits, and what went wrong last.

    `known` is what the checks of the settings say of them.
    """
    state = str(worker.get("state", "unknown"))
    lag, waiting = _number(worker, "lag_ms"), _number(worker, "pending_bytes")
    said = state
    if isinstance(worker.get("sent"), int):
        said += f", {worker['sent']} sent"
    if waiting:
        said += f", {size(waiting)} wait" + (f", since {duration(lag * 1_000_000)}" if lag else "")
    if worker.get("waiting_since"):
        said += f", waiting for an answer since {worker['waiting_since']}"
    if state in ("ok", "off", "starting", "running"):
        if lag > _LATE_MS:
            return warning(name, said, "wait, or look whether the backend keeps up")
        return ok(name, said)
    error = worker.get("last_error")
    message = str(error.get("message", "") if isinstance(error, dict) else error or "")
    if message in known:
        return skipped(name, f"{said}: {URLS.get(name, 'a setting')} cannot be used, as the settings say")
    if message:
        said += f": {message}"
    what = advice(message, URLS.get(name, "")) or "put right what it says"
    return problem(name, said, f"{what}; nothing is lost, it tries again")


def _losses(found: Mapping[str, Any], files: Files) -> Checks:
    """Yield what never reached a backend, and when: a problem for a day, then a fact."""
    lost = losses.given_up(files, found)
    if lost is not None:
        said = f"{_when(lost, 'record')} given up unsent: the journal had reached GT_OTEL_HARD_CAP_BYTES"
        yield _fresh("lost", lost, said, "put the endpoint right, or raise the cap in config.json")
    else:
        yield ok("lost", "nothing was given up unsent")
    for signal, loss in losses.dead_letters(files, found).items():
        metrics = signal == losses.METRICS
        said = f"{_when(loss, 'point' if metrics else 'record')} refused by the backend"
        remedy = "tried again in an hour" if metrics else "`gt-trace relay resend` sends them again"
        where = f"{files.log if metrics else f'{files.dead_letters}/reasons.jsonl'} says why"
        yield _fresh(f"refused {signal}", loss, said, f"{where}; {remedy}")
    rejected = sum(_number(worker, "rejected") for _, worker in _workers(found))
    if rejected:
        said = f"{counted(rejected, 'record')} of requests that backends took otherwise"
        yield warning("rejected", said, f"{files.dead_letters}/reasons.jsonl and {files.log} say why")


def _when(loss: Loss, noun: str) -> str:
    return counted(loss.records, noun) + (f", the last at {loss.last}," if loss.last else "")


def _fresh(name: str, loss: Loss, said: str, remedy: str) -> Check:
    if loss.fresh:
        return problem(name, said, f"{remedy}; in 24 h this is no problem any more, but a fact")
    return ok(name, said)


def _keeper(found: Mapping[str, Any]) -> Checks:
    """Yield why the journal is not kept in order."""
    keeper = found.get("keeper")
    if not isinstance(keeper, dict):
        return
    if keeper.get("problem"):
        yield warning("keeping", str(keeper["problem"]), "put it right: closed runs stay where they are")


def _number(worker: Mapping[str, Any], key: str) -> int:
    found = worker.get(key)
    return int(found) if isinstance(found, (int, float)) and 0 <= found < 2**63 else 0


def _tail(files: Files) -> Checks:
    """Yield the last lines of the log."""
    yield from (skipped("log", line) for line in tail(files.log, _LINES))
