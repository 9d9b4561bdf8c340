"""What gt itself exports of an event: dropped where a shim has recorded it, else given our names.

gt 1.0 writes the event's name into the body, its run with dashes, its role as in GT_ROLE, and nothing of who
recorded it but the resource (its recorder.go). Its metrics add up wrongly, each process being a series of its
own; ours are derived from the log records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gastown_tracing.config import Config
from gastown_tracing.events.registry import COMMON, EVENTS
from gastown_tracing.events.values import filled, recordable
from gastown_tracing.identity import AGENT_TYPES, parse_role
from gastown_tracing.journal.layout import Journal, load_json, read_text
from gastown_tracing.journal.otlp import SEVERITY_ERROR, SEVERITY_INFO, cut_text
from gastown_tracing.masking import mask
from gastown_tracing.relay.receiver.attributes import plain, texts, wrap
from gastown_tracing.relay.receiver.content import GT_LOGS, GT_METRICS
from gastown_tracing.relay.receiver.rerooting import named_run
from gastown_tracing.relay.receiver.rules import BD
from gastown_tracing.relay.receiver.transcode import Json
from propagation.run import parse_run_id
from propagation.traceparent import is_id

if TYPE_CHECKING:
    from gastown_tracing.events.schema import Event, Value

#: Which program's shim records what gt does, so that gt's own record would be a second one. gt runs the other
#: programs by way of PATH, where their shims stand, however it was called itself.
SHIMMED = {
    **dict.fromkeys(("done", "mail", "mol.burn", "mol.squash", "nudge", "polecat.remove", "prime"), "gt"),
    "sling": "gt",
    **dict.fromkeys(("agent.state_change", "bd.call", "bead.create", "convoy.create", "mol.cook"), "bd"),
    **dict.fromkeys(("mol.wisp", "polecat.spawn"), "bd"),
    **dict.fromkeys(("agent.instantiate", "pane.output", "pane.read", "prompt.send"), "tmux"),
    **dict.fromkeys(("session.start", "session.stop"), "tmux"),
}
#: The operations on mail that are a bd command: what gt calls `bd.list`, and sending, which is `bd create`.
_OF_BD = ("bd.", "send")
#: What a resource says about who recorded, and what a record calls it.
_IDENTITY = {"gt.session": "session_id", "gt.agent": "agent_name", "gt.rig": "rig"}
_WORK = {"gt.work_rig": "work_rig", "gt.work_bead": "work_bead", "gt.work_mol": "work_mol"}
_COMMON = frozenset(attribute.name for attribute in COMMON)
#: Bytes of an error.
_ERROR_LIMIT = 1024


def is_gt(scope: Json) -> bool:
    """Say whether a scope is that of gt's log records."""
    return scope.get("name") == GT_LOGS


def event_name(record: Json) -> str:
    """Return the name of the event that a record of gt is about, "" for none."""
    body = record.get("body", {}).get("stringValue", "")
    return str(record.get("eventName") or body)


class Watched:
    """What is recorded of a run's commands beside what they export themselves.

    `shims` are the programs of which its session finds a shim first on PATH, none where nobody knows;
    `hooked` says whether a hook of ours has recorded what gt's own hook primed.
    """

    def __init__(self, journal: Journal, run_id: str) -> None:
        directories = journal.find_run(run_id) if run_id else []
        info = load_json(next(filter(None, (read_text(f"{d}/run.json") for d in directories)), ""))
        shims = info.get("shims") if isinstance(info, dict) else None
        self.shims = frozenset(map(str, shims)) if isinstance(shims, list) else frozenset()
        begun = [load_json(line) for d in directories for line in _lines(f"{d}/agents.jsonl")]
        self.hooked = any(isinstance(line, dict) and line.get("primed") for line in begun)


def _lines(path: str) -> list[str]:
    return (read_text(path) or "").splitlines()


def recorded_by_us(record: Json, resource: Mapping[str, str], watched_of: Callable[[str], Watched]) -> bool:
    """Say whether a shim, or a hook of ours, has recorded this event as well.

    gt.span_id stands on a resource only where gt's shim, or bd's, handed it to its own child. Claude Code
    takes the resource away from what its hooks run: the run then stands on the record alone.
    """
    name, shimmed = event_name(record), is_id(resource.get("gt.span_id"), 16)
    said = {pair["key"]: plain(pair["value"]) for pair in record.get("attributes", ()) if "value" in pair}
    watched = watched_of(parse_run_id(str(said.get("run.id", ""))) or named_run(resource) or "")
    by = SHIMMED.get(name)
    if name == "mail" and str(said.get("operation", "")).startswith(_OF_BD):
        by = "bd"
    if by == "gt":
        return shimmed or (name == "prime" and watched.hooked and said.get("hook_mode") is True)
    return by is not None and (by in watched.shims if watched.shims else shimmed)


def is_derived(metric: str, scope: Json) -> bool:
    """Say whether a metric is one of gt's that we derive from log records."""
    name = str(scope.get("name", ""))
    ours = name.partition(".")[0] == "gastown_tracing"
    return name.startswith(GT_METRICS) or (metric.startswith("gastown.") and not ours)


def closed_gate(name: str, settings: Config) -> bool:
    """Say whether an event is recorded only with a gate that is closed."""
    event = EVENTS.get(name)
    return event is not None and bool(event.gate) and not settings.flag(event.gate)


def names_run(record: Json) -> bool:
    """Say whether a record names its run as ours do."""
    found = texts(record).get("run.id", "")
    return bool(found) and parse_run_id(found) == found


def normalised(record: Json, resource: Mapping[str, str], settings: Config) -> bool:
    """Give a record of gt the data model's names, values and gates; False for an event that it has not."""
    event = EVENTS.get(event_name(record))
    if event is None:
        return False
    given = {
        pair["key"]: plain(pair["value"])
        for pair in record.get("attributes", ())
        if "key" in pair and "value" in pair
    }
    common = _common(given, resource)
    own = recordable(
        event, {key: value for key, value in given.items() if key in event.by_key}, settings, _forget
    )
    _translate(own)
    outcome = _outcome(event, given, settings)
    whole = {**common, **filled(event, own, common), **outcome}
    kept = {key: value for key, value in given.items() if key == "log.record.uid" and isinstance(value, str)}
    failed = outcome.get("status") == "error"
    # gt does not say when it happened, but when it said so, which is then.
    if not int(record.get("timeUnixNano", 0)) and "observedTimeUnixNano" in record:
        record["timeUnixNano"] = record["observedTimeUnixNano"]
    record["eventName"] = event.name
    record["body"] = {"stringValue": event.name}
    record["severityNumber"] = SEVERITY_ERROR if failed else SEVERITY_INFO
    record["severityText"] = "ERROR" if failed else "INFO"
    record["attributes"] = [{"key": key, "value": wrap(value)} for key, value in {**whole, **kept}.items()]
    return True


def _common(given: Mapping[str, object], resource: Mapping[str, str]) -> dict[str, Value]:
    """Return the run, and who acts in it on what: what the record says, else what its resource does."""
    said: dict[str, Value] = {
        key: value for key, value in given.items() if key in _COMMON and isinstance(value, str) and value
    }
    run = parse_run_id(str(said.pop("run.id", "")))
    acting = named_run(resource)
    found: dict[str, Value] = {"run.id": run or acting} if run or acting else {}
    if (
        not run or run == acting
    ):  # what somebody else's process does for a run says nothing about who that run is
        found.update(_acting(resource))
    _translate(said)
    return {**found, **said}


def _acting(resource: Mapping[str, str]) -> dict[str, Value]:
    role, rig, name = parse_role(resource.get("gt.role", ""))
    parsed = {"role": role, "rig": rig, "agent_name": name}
    given = {ours: resource.get(theirs, "") for theirs, ours in {**_IDENTITY, **_WORK}.items()}
    return {key: value for key, value in {**parsed, **_present(given)}.items() if value}


def _present(found: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in found.items() if value}


def _translate(found: dict[str, Value]) -> None:
    """Put our words in place of gt's: `demo/polecats/rust` is a polecat, `claude` is Claude Code."""
    if "role" in found:
        role = str(found["role"])
        found["role"] = parse_role(role)[0] or role
    if "agent_type" in found:
        agent = str(found["agent_type"])
        found["agent_type"] = AGENT_TYPES.get(agent, agent)


def _outcome(event: Event, given: Mapping[str, object], settings: Config) -> dict[str, Value]:
    """Return how the event ended. gt's errors hold command lines and what programs print."""
    if not event.outcome:
        return {}
    error = str(given.get("error") or "")
    failed = bool(error) or given.get("status") == "error"
    if error:
        error = cut_text(error, _ERROR_LIMIT) if settings.flag(BD) else mask(error)
    return {"status": "error" if failed else "ok", "error": error}


def _forget(_: str) -> None:
    """Say nothing of a value that is of another type than ours: it is left out."""
