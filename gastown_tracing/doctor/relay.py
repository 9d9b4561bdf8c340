"""The relay, as its lock, its status.json and its log tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gastown_tracing import config
from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.journal.layout import open_regular
from gastown_tracing.relay import lock, status
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.settings import URLS, Settings
from gastown_tracing.view.text import counted, duration, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gastown_tracing.config import Telemetry
    from gastown_tracing.doctor.check import Check, Checks

#: Milliseconds that what was recorded may wait for its backend before it is worth a word.
_LATE_MS = 30_000

#: How much of the log's end is looked at, and how many of its lines are shown.
_TAIL, _LINES = 4096, 3

_START = "`gt-trace relay start`"


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
        yield _absent(telemetry, found)
        yield from _tail(files)
        return
    yield ok("process", f"runs: {holder}")
    if status.age(found) > status.STALE:
        said = "status.json is missing or old: it hangs, or cannot write"
        yield problem("status", said, f"look into {files.log}; then `gt-trace relay stop` and {_START}")
        yield from _tail(files)
        return
    yield _state(found)
    workers = list(_workers(found))
    checks = [_worker(name, worker) for name, worker in workers]
    yield from checks
    yield from _left_out(workers, files)
    yield from _keeper(found)
    if any(check.state == "problem" for check in checks):
        yield from _tail(files)


def _absent(telemetry: Telemetry, found: Mapping[str, Any]) -> Check:
    settings = Settings.read(telemetry.journal)
    waiting = sum(_number(worker, "pending_bytes") for _, worker in _workers(found))
    if telemetry.config.env.get(config.RELAY) and not telemetry.config.flag(config.RELAY):
        return ok("process", f"none, as {config.RELAY} wants it; {_START} starts one all the same")
    if waiting and any(settings.endpoint(signal) for signal in URLS):
        return problem(
            "process",
            f"none runs, and {size(waiting)} wait to be sent",
            f"{_START}; its log says why it ended",
        )
    if any(settings.endpoint(signal) for signal in URLS):
        return warning("process", "none runs: nothing is sent before the next command starts one", _START)
    return ok("process", "none runs; there are no endpoints, and the next command starts one")


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


def _worker(name: str, worker: Mapping[str, Any]) -> Check:
    """Return how one part is: what it has sent, what waits, and what went wrong last."""
    state = str(worker.get("state", "unknown"))
    lag, waiting = _number(worker, "lag_ms"), _number(worker, "pending_bytes")
    said = state
    if isinstance(worker.get("sent"), int):
        said += f", {worker['sent']} sent"
    if waiting:
        said += f", {size(waiting)} wait" + (f", since {duration(lag * 1_000_000)}" if lag else "")
    if state in ("ok", "off", "starting", "running"):
        if lag > _LATE_MS:
            return warning(name, said, "wait, or look whether the backend keeps up")
        return ok(name, said)
    error = worker.get("last_error")
    message = error.get("message", "") if isinstance(error, dict) else error
    if message:
        said += f": {message}"
    return problem(name, said, "nothing is lost, it tries again: put right what it says; its log is below")


def _left_out(workers: list[tuple[str, Mapping[str, Any]]], files: Files) -> Checks:
    """Yield what backends refused for good."""
    dead = sum(_number(worker, "dead_letters") for _, worker in workers)
    rejected = sum(_number(worker, "rejected") for _, worker in workers)
    if dead or rejected:
        said = f"{counted(dead, 'record')} set aside, {rejected} more that backends took and rejected"
        yield warning("refused", said, f"{files.dead_letters}/reasons.jsonl and {files.log} say why")
    else:
        yield ok("refused", "nothing was refused by a backend")


def _keeper(found: Mapping[str, Any]) -> Checks:
    """Yield what was given up for want of room, and why the journal is not kept in order."""
    keeper = found.get("keeper")
    if not isinstance(keeper, dict):
        return
    if lost := _number(keeper, "lost_records"):
        said = f"{counted(lost, 'record')} given up unsent: the journal had reached GT_OTEL_HARD_CAP_BYTES"
        yield problem("lost", said, "put the endpoint right, or raise the cap in config.json")
    if keeper.get("problem"):
        yield warning("keeping", str(keeper["problem"]), "put it right: closed runs stay where they are")


def _number(worker: Mapping[str, Any], key: str) -> int:
    found = worker.get(key)
    return int(found) if isinstance(found, (int, float)) and 0 <= found < 2**63 else 0


def _tail(files: Files) -> Checks:
    """Yield the last lines of the log."""
    try:
        with open(files.log, "rb", opener=open_regular) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read(_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines[-_LINES:]:
        yield skipped("log", line)
