"""The steps of `real_town_expected`, played in a real town: what each said, and what it brought to light."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from tests.peers.real_town import RIG, Done, RealTown
from tests.peers.real_town_expected import OP, POLECAT, REFINERY, STEPS, WITNESS
from tests.processes import wait_until

#: What each step brings to light, for those that come after it.
NAMED = ("bead", "mol", "question", "answer", "branch", "mr", "patrol")


@dataclass
class Played:
    """How each step went, when it began and ended (Unix time in ns), and what the names stand for."""

    done: dict[str, Done] = field(default_factory=dict)
    times: dict[str, tuple[int, int]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    states: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """Put what the names in braces stand for in their place."""
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text


def play(town: RealTown) -> Played:
    """Play every step, one after another."""
    played = Played()
    for step in STEPS:
        _name(town, played, step.command)
        command = played.fill(step.command)
        began = time.time_ns()
        if step.by == OP:
            at = RIG if command.startswith("bd ") else ""
            done = town.run("bash", "-c", command, at=at)
        else:
            town.started(step.by)
            done = town.agent(step.by, command)
        played.times[step.name] = (began, time.time_ns())
        played.done[step.name] = done
        if step.name == "create":
            played.names["bead"] = done.json()["id"]
        if step.name == "patrol":
            (hooked,) = _beads(town, "--status=hooked", f"--assignee={REFINERY}", at="")
            played.names["patrol"] = hooked["id"]
        if step.name == "sling":
            for actor in (WITNESS, REFINERY, POLECAT):
                town.started(actor)
    for name in ("bead", "mr"):
        (bead,) = town.aside("bd", "show", played.names[name], "--json", at=RIG).json()
        played.states[name] = tuple(
            re.sub(r"(\w+)-wisp-\w+", r"\1-wisp", str(bead.get(key, "")))
            for key in ("status", "assignee", "close_reason", "issue_type")
        )
    return played


def _name(town: RealTown, played: Played, command: str) -> None:
    """Find out what the names in a command stand for."""
    for name in NAMED:
        if f"{{{name}}}" not in command or name in played.names:
            continue
        if name == "question":
            played.names[name] = _mail(town, WITNESS, "Question")
        elif name == "answer":
            played.names[name] = _mail(town, POLECAT, "Re: Question")
        else:
            (request,) = _beads(town, "--status=open", "--label=gt:merge-request", at=RIG)
            played.names["mr"] = request["id"]
            played.names["branch"] = str(re.search(r"^branch: (.*)$", request["description"], re.M)[1])  # type: ignore[index]
    if "mol" not in played.names and "bead" in played.names:
        (bead,) = town.aside("bd", "show", played.names["bead"], "--json", at=RIG).json()
        if found := re.search(r"^attached_molecule: (.*)$", bead.get("description", ""), re.M):
            played.names["mol"] = found[1]


def _mail(town: RealTown, actor: str, subject: str) -> str:
    def inbox() -> list[dict[str, str]]:
        found = town.aside("gt", "mail", "inbox", actor, "--json").json() or []
        return [mail for mail in found if mail["subject"] == subject]

    wait_until(inbox, f"{actor} has mail: {subject}", 60)
    return inbox()[0]["id"]


def _beads(town: RealTown, *options: str, at: str) -> list[dict[str, str]]:
    return list(town.aside("bd", "list", "--json", "--limit=0", "--flat", *options, at=at).json())
