"""What a span is called on screen: from name and attributes to a title, a detail and an outcome in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gastown_tracing.identity import SERVICE_NAME

if TYPE_CHECKING:
    from gastown_tracing.journal.otlp import Span

Attributes = Mapping[str, object]

#: What stands for text that nobody has opted into recording.
_WITHHELD = re.compile(r"‹\d+ bytes›")

#: The label of a bead that asks for a merge.
MERGE_REQUEST = "gt:merge-request"

#: Colour families of span names; what is not listed goes by the part before the first dot, then `other`.
FAMILIES = {
    "bd": "bd",
    "mol": "bd",
    "bead": "bd",
    "formula": "bd",
    "convoy": "bd",
    "git": "git",
    "gt": "gt",
    "prime": "gt",
    "done": "gt",
    "session": "session",
    "gt.session": "session",
    "mail": "mail",
    "sling": "mail",
    "nudge": "mail",
    "prompt": "mail",
    "agent": "agent",
    "execute_tool": "agent",
    "claude_code": "agent",
    "chat": "agent",
    "invoke_agent": "agent",
}


def text(value: object) -> str:
    """Return an attribute's value as text: JSON's own words for booleans, nothing for None."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    return "" if value is None else str(value)


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)


def _bd(get: Callable[[str], str]) -> tuple[str, str]:
    subcommand = get("subcommand")
    arguments = get("args").removeprefix(subcommand).strip()
    made = get("bead_id") if subcommand == "create" else ""
    return _joined("bd", subcommand), _joined("" if made in arguments.split() else made, arguments)


def _git(get: Callable[[str], str]) -> tuple[str, str]:
    return _joined("git", get("operation")), get("branch")


def _gt(get: Callable[[str], str]) -> tuple[str, str]:
    return _joined("gt", get("command")), get("args")


def _exec(get: Callable[[str], str]) -> tuple[str, str]:
    return get("name") or "exec", get("args")


def _mail(get: Callable[[str], str]) -> tuple[str, str]:
    operation = get("operation")
    sender, receiver = get("msg.from"), get("msg.to")
    who = f"→ {receiver}" if operation == "send" and receiver else f"from {sender}" if sender else ""
    return _joined("mail", operation, who), get("msg.subject") or get("msg.id")


def _sling(get: Callable[[str], str]) -> tuple[str, str]:
    target = get("target")
    return _joined("sling", get("bead"), f"→ {target}" if target else ""), ""


def _towards(get: Callable[[str], str]) -> tuple[str, str]:
    target = get("target") or get("session")
    return f"→ {target}" if target else "", ""


def _first(*names: str) -> Callable[[Callable[[str], str]], tuple[str, str]]:
    def titled(get: Callable[[str], str]) -> tuple[str, str]:
        return next((value for value in map(get, names) if value), ""), ""

    return titled


def _done(get: Callable[[str], str]) -> tuple[str, str]:
    """Return how the work ended; one that failed has ended none."""
    failed = get("status") == "error" or get("gastown.interrupted") == "true"
    return "" if failed else get("exit_type"), ""


#: Names whose whole title is made from attributes.
_TITLES = {
    "bd.call": _bd,
    "git.operation": _git,
    "gt.command": _gt,
    "exec": _exec,
    "mail": _mail,
    "sling": _sling,
}

#: Names that keep their name and gain what tells one from the other.
_SUFFIXES = {
    "nudge": _towards,
    "prompt.send": _towards,
    "prime": _first("work_bead"),
    "done": _done,
    "session.stop": _first("reason"),
    "polecat.spawn": _first("name"),
    "polecat.remove": _first("name"),
    "formula.instantiate": _first("formula_name"),
    "convoy.create": _first("bead_id"),
    "mol.cook": _first("formula_name"),
    "mol.wisp": _first("formula_name"),
    "mol.squash": _first("mol_id"),
    "mol.burn": _first("mol_id"),
    "refinery.dispatch": _first("bead_id"),
    "gt.session": _first("session_id", "session.id"),
    "claude_code.tool": _first("tool_name", "gen_ai.tool.name"),
    "claude_code.tool.execution": _first("tool_name", "gen_ai.tool.name"),
    "claude_code.llm_request": _first("model", "gen_ai.request.model"),
}


def title(name: str, attributes: Attributes) -> tuple[str, str]:
    """Return (title, detail) of a span: `("bd list", "--status=open")`. Like siblings share a title."""

    def get(key: str) -> str:
        value = attributes.get(key)
        return value if isinstance(value, str) else text(value)

    if (whole := _TITLES.get(name)) is not None:
        return whole(get)
    if (suffix := _SUFFIXES.get(name)) is not None:
        return _joined(name, suffix(get)[0]), ""
    return name or "(no name)", ""


def far(name: str, attributes: Attributes) -> str:
    """Return what a span is called where a link names it: its title and, for bd, the bead it is about."""
    said, detail = title(name, attributes)
    if name != "bd.call":
        return said
    if MERGE_REQUEST in detail:
        made = text(attributes.get("bead_id"))
        return f"{said} of merge request {made}" if made else f"{said} of a merge request"
    bead = detail.partition(" ")[0]
    return said if bead.startswith(("-", "‹")) else _joined(said, bead)


def operation(name: str, attributes: Attributes) -> str:
    """Return what statistics count a span as: its name and, for bd.call, the subcommand."""
    return (
        _joined(name or "(no name)", text(attributes.get("subcommand")))
        if name == "bd.call"
        else name or "(no name)"
    )


def family(name: str) -> str:
    """Return the colour family of a span's name."""
    found = FAMILIES.get(name)
    if found is None:
        found = FAMILIES.get(name.partition(" ")[0]) or FAMILIES.get(name.partition(".")[0], "other")
    return found


def process(attributes: Attributes, resource: Attributes) -> str:
    """Return the process that did it as `executable[pid]`: that of the span, else the one that recorded it.

    Of a child whose process id nobody knows the executable alone, and of what another program exported
    without saying which process it was, its service.
    """
    source = attributes if "process.executable.name" in attributes else resource
    pid, executable = text(source.get("process.pid")), text(source.get("process.executable.name"))
    service = text(resource.get("service.name"))
    if pid:
        return f"{executable or service}[{pid}]"
    return executable or (service if service != SERVICE_NAME else "")


def interrupted(span: Span) -> bool:
    """Say whether a span was ended by others, after its process had died."""
    return span.attributes.get("gastown.interrupted") is True


def end_known(span: Span) -> bool:
    """Say whether a span's end is its end.

    It is not where it is the last sign of life of what was found dead later, or where nobody saw more than
    the beginning.
    """
    if interrupted(span) or span.attributes.get("gastown.duration.known") is False:
        return False
    known = span.attributes.get("gastown.end_time.known")
    if not isinstance(known, bool):
        known = span.attributes.get("reason") != "lost"
    return known or bool(span.parent_id)  # what is under a lost session ended when it says


def failed(span: Span) -> bool:
    """Say whether a span failed: its status is an error, or it was interrupted."""
    return span.status_code == 2 or interrupted(span)


def failure(span: Span) -> str:
    """Return why a span failed, in words; empty where it did not."""
    if not failed(span):
        return ""
    attributes = span.attributes
    told = (span.status_message, text(attributes.get("error")))
    message = next((said for said in told if said and not _WITHHELD.fullmatch(said)), "")
    if interrupted(span) and "interrupted" not in message:
        message = f"interrupted: {message}" if message else "interrupted"
    code = text(attributes.get("process.exit.code", attributes.get("exit_code")))
    said = f"exit {code}" if code and code != "0" else ""
    if said and code not in message.replace(":", " ").split():
        return f"{said}: {message}" if message else said
    return message or text(attributes.get("error.type")) or "failed"
