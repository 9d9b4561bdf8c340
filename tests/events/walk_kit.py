"""A walk through the registry: every event, once that it succeeds and once that it fails, by a real process.

What has to arrive follows from the registry by rules that stand here, and not by the recorder's code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import (
    CLIENT,
    FLAG,
    FLOAT,
    INTEGER,
    WORDS,
    Attribute,
    Event,
    Metric,
)
from tests.conftest import clean_environ
from tests.processes import CHILDREN

RUN_UUID, RUN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e04f8941d39a0c0305e82c3301"
#: The span that the process is started in.
CALLER = "c0ffee0000000001"
ERROR = "it bröke"

POLECAT = {
    "GT_ROLE": "demo/polecats/rust",
    "GT_RIG": "demo",
    "GT_AGENT": "claude",
    "GT_SESSION": "gt-demo-rust",
    "BD_ACTOR": "demo/polecats/rust",
    "GT_WORK_RIG": "beads",
    "GT_WORK_BEAD": "be-1tr",
    "GT_WORK_MOL": "be-mol-7",
    "GT_WORK_BUILD": "41",
}
MAYOR = {"GT_ROLE": "mayor", "GT_SESSION": "hq-mayor", "BD_ACTOR": "mayor"}
#: What stands on every record of theirs beside run, instance and town.
IDENTITIES = {
    "polecat": {
        "agent_type": "claudecode",
        "role": "polecat",
        "agent_name": "rust",
        "session_id": "gt-demo-rust",
        "rig": "demo",
        "work_rig": "beads",
        "work_bead": "be-1tr",
        "work_mol": "be-mol-7",
        "work_build": "41",
    },
    "mayor": {"role": "mayor", "agent_name": "mayor", "session_id": "hq-mayor", "rig": ""},
}
RESOURCES = {
    "polecat": {
        "gt.run_id": RUN,
        "gt.session": "gt-demo-rust",
        "gt.role": "demo/polecats/rust",
        "gt.rig": "demo",
        "gt.actor": "demo/polecats/rust",
        "gt.work_bead": "be-1tr",
    },
    "mayor": {"gt.run_id": RUN, "gt.session": "hq-mayor", "gt.role": "mayor", "gt.actor": "mayor"},
}
GATES = (
    "GT_LOG_AGENT_OUTPUT",
    "GT_LOG_BD_OUTPUT",
    "GT_LOG_PANE_OUTPUT",
    "GT_LOG_MAIL_BODY",
    "GT_LOG_PROMPT_KEYS",
    "GT_LOG_PRIME_CONTEXT",
)

#: What is told of some attributes, and what arrives of it without and with the gates.
SPECIAL: dict[tuple[str, str], tuple[object, str, str]] = {
    ("bd.call", "args"): (["create", "secret"], "create ‹6 bytes›", "create secret"),
    ("mail", "msg.to"): (["demo/witness", "mayor/"], "demo/witness, mayor/", "demo/witness, mayor/"),
    ("pane.output", "content"): ("\x1b[31mred\x1b[0m\n", "", "red\n"),
    ("git.operation", "repo"): (
        "https://me:word@example.com/town.git?key=1",
        *["https://example.com/town.git"] * 2,
    ),
    ("git.operation", "operation"): ("push",) * 3,
    ("bd.call", "subcommand"): ("create",) * 3,
    ("gt.command", "command"): ("mail send to somebody", *["mail send"] * 2),
    ("exec", "name"): ("make test", *["make"] * 2),
    **{("prime", name): (IDENTITIES["polecat"][name],) * 3 for name in ("work_rig", "work_bead", "work_mol")},
}
#: Where nobody says whose work or bead it is, these say it: the first that is known.
STAND_INS = {
    ("done", "rig"): ("work_rig", "rig"),
    ("done", "bead_id"): ("work_bead",),
    ("agent.usage", "rig"): ("work_rig", "rig"),
}
RUN_NAMED = ("agent.instantiate", "session.start")
PROGRAMS = {"bd.call": "bd", "git.operation": "git"}
MAIL = {"send": "producer", "read": "consumer"}
MESSAGING = {
    "messaging.operation.name": "operation",
    "messaging.destination.name": "msg.to",
    "messaging.message.id": "msg.id",
    "messaging.message.conversation_id": "msg.thread_id",
}


@dataclass(frozen=True)
class Walk:
    """One process that records every event. `gated`: with every opt-in. `sparse`: only what must be told."""

    name: str
    how: str = "record"
    who: str = "polecat"
    gated: bool = False
    sparse: bool = False
    inside: bool = False

    def __str__(self) -> str:
        return self.name

    def env(self, town: Path) -> dict[str, str]:
        """Return the environment of the process but for where its records go."""
        session = POLECAT if self.who == "polecat" else MAYOR
        return {
            **clean_environ(),
            **session,
            **(dict.fromkeys(GATES, "true") if self.gated else {}),
            "GT_ROOT": str(town),
            "GT_RUN": RUN_UUID,
            "TRACEPARENT": f"00-{RUN}-{CALLER}-01",
        }

    def common(self, town: Path) -> dict[str, object]:
        """Return what stands on every record."""
        place = {"run.id": RUN, "instance": f"{os.uname().nodename}:{town.name}", "town_root": str(town)}
        return {**place, **IDENTITIES[self.who]}

    def tellings(self) -> list[Telling]:
        """Return what is told. A prime that succeeds comes last, because it changes the work in force."""
        found = [Telling(self, event, failed) for event in EVENTS.values() for failed in outcomes(event)]
        return sorted(found, key=lambda telling: telling.event.name == "prime" and not telling.failed)

    def run(self, town: Path, endpoints: Mapping[str, str], *more: dict[str, object]) -> None:
        """Run the process to its end: it must be silent, and all must have been sent."""
        town.mkdir(exist_ok=True)
        lines = [*[telling.line() for telling in self.tellings()], *more]
        command = [sys.executable, str(CHILDREN / "events.py"), *(["inside"] if self.inside else [])]
        done = subprocess.run(
            command,
            env={**self.env(town), "HOME": str(town), **endpoints},
            input="".join([json.dumps(line) + "\n" for line in lines]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert json.loads(done.stdout) == {"sent": True, "errors": []}, done.stdout


def outcomes(event: Event) -> tuple[bool, ...]:
    """Return how an event is told to have ended: False for success, True for failure."""
    return (False, True) if event.outcome else (False,)


@dataclass(frozen=True)
class Telling:
    """One event that is told, and what has to arrive of it."""

    walk: Walk
    event: Event
    failed: bool

    @property
    def told(self) -> list[Attribute]:
        """The attributes that are told."""
        return [found for found in self.event.attributes if found.required or not self.walk.sparse]

    def given(self, attribute: Attribute) -> object:
        """Return what is told of an attribute."""
        number = self.event.attributes.index(attribute)
        special = SPECIAL.get((self.event.name, attribute.name))
        if special:
            return special[0]
        if attribute.values:
            return attribute.values[-1 if self.failed else 0]
        if attribute.name == "operation":
            return "read" if self.failed else "send"
        if attribute.name == "run.uuid":
            return RUN_UUID
        if attribute.name == "exit_code":
            return 3 if self.failed else 0
        by_type: dict[str, object] = {
            INTEGER: 3 + number + 100 * self.failed,
            FLOAT: 700_000.5 if self.failed else 40 + number,
            FLAG: not self.failed,
        }
        return by_type.get(attribute.type, f"{attribute.name} é")

    def line(self) -> dict[str, object]:
        """Return it as the process is told."""
        typed = self.walk.how == "typed" or self.walk.sparse
        told = {(found.parameter if typed else found.name): self.given(found) for found in self.told}
        error = {"error": ERROR} if self.failed else {}
        return {"how": self.walk.how, "name": self.event.name, "told": {**told, **error}}

    def words(self) -> list[str]:
        """Return it as a user of `gt-trace event` types it."""
        pairs = [f"{found.name}={as_typed(found, self.given(found))}" for found in self.told]
        return [*(["--error", ERROR] if self.failed else []), self.event.name, *pairs]

    def own(self) -> dict[str, object]:
        """Return what arrives of the event's own attributes."""
        found: dict[str, object] = {}
        for attribute in self.told:
            if attribute.gate and not self.walk.gated:
                continue
            special = SPECIAL.get((self.event.name, attribute.name))
            value = special[1 + self.walk.gated] if special else self.given(attribute)
            found[attribute.name] = float(value) if attribute.type == FLOAT else value  # type: ignore[arg-type]
        return found

    def arrives(self) -> bool:
        """Return whether anything of it may be recorded."""
        return self.walk.gated or not self.event.gate

    def log_attributes(self, common: Mapping[str, object]) -> dict[str, object]:
        """Return the attributes of its log record but for `log.record.uid`."""
        own = self.own()
        if self.event.name == "prime" and "work_bead" in own:  # which says what is worked on, and no build
            common = {name: value for name, value in common.items() if name != "work_build"}
        if self.event.name in RUN_NAMED:
            own.setdefault("run.uuid", RUN_UUID)
        for (event, name), others in STAND_INS.items():
            known = [common[other] for other in others if common.get(other)]
            if event == self.event.name and known:
                own.setdefault(name, known[0])
        if self.event.outcome:
            own.update(status="error" if self.failed else "ok", error=self.error())
        return {**common, **own}

    def error(self) -> str:
        """Return why it failed."""
        return ERROR if self.failed else ""

    def span_name(self) -> str:
        return str(self.own()["name"]) if self.event.name == "exec" else self.event.name

    def span_kind(self) -> str:
        return MAIL[str(self.own()["operation"])] if self.event.name == "mail" else self.event.kind

    def span_attributes(self, common: Mapping[str, object]) -> dict[str, object]:
        """Return the attributes of its span: those of its log record, and OpenTelemetry's names."""
        found = self.log_attributes(common)
        own = self.own()
        if self.event.kind == CLIENT:
            found["process.executable.name"] = PROGRAMS[self.event.name]
            if "exit_code" in own:
                found["process.exit.code"] = own["exit_code"]
        if self.failed and ("exit_code" in own or self.event.kind == CLIENT):
            found["error.type"] = str(own.get("exit_code", "_OTHER"))
        if self.event.name == "mail":
            found["messaging.system"] = "gastown"
            found.update({theirs: own[ours] for theirs, ours in MESSAGING.items() if ours in own})
        return found

    def lasted_ns(self) -> int | None:
        """Return how long its span lasted, None for unknown; the end of a session lasts less than that."""
        told = self.event.name != "session.stop" and self.walk.how != "around"
        duration = self.own().get("duration_ms") if told else None
        return None if duration is None else round(float(duration) * 1e6)  # type: ignore[arg-type]

    def measured(self, common: Mapping[str, object]) -> list[tuple[Metric, dict[str, str], float]]:
        """Return what is measured of it: metric, labels, value."""
        whole = {"status": "ok", **self.log_attributes(common)}
        found = []
        for metric in self.event.metrics if self.arrives() else ():
            labels = dict(metric.fixed)
            for label, name in metric.labels.items():
                value = whole.get(name, "")
                if value != "":
                    labels[label] = str(value).lower() if isinstance(value, bool) else str(value)
            if not metric.value:
                found.append((metric, labels, 1.0))
            elif metric.value in whole:
                found.append((metric, labels, float(whole[metric.value])))  # type: ignore[arg-type]
        return found


def as_typed(attribute: Attribute, value: object) -> str:
    """Return a value as a user types it."""
    if isinstance(value, list):
        return (" " if attribute.type == WORDS else ", ").join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
