"""Claude Code's settings, as text: our hooks beside those of others, and without ours again.

Every other byte stays as it is: the order, the way it is indented, what we know nothing about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from gastown_tracing.hooks.located import Located, locate

#: The hooks that are installed (Claude Code, "Hooks reference").
EVENTS = (
    *("SessionStart", "SessionEnd", "UserPromptSubmit", "PreToolUse", "PostToolUse"),
    *("Stop", "Notification"),
)
#: What a command of ours has in it, wherever and by whichever installation it was put there.
OURS = "/gastown-tracing/hooks/claude"
#: Seconds after which Claude Code gives a hook up. Ours never takes one.
TIMEOUT = 5

_HOOKS = "hooks"


class Unusable(ValueError):  # noqa: N818  # it says what is the case
    """The settings cannot be changed; the text says why, without the file's name."""


def read(text: str) -> Located:
    """Return the settings in a text. Raises Unusable where Claude Code would not take them either."""
    try:
        found = locate(text)
    except ValueError as error:
        raise Unusable(f"no JSON: {error}") from error
    except RecursionError as error:
        raise Unusable("nested too deeply") from error
    if text[found.start] != "{":
        raise Unusable("no JSON object")
    hooks = found.member(_HOOKS)
    if hooks is not None:
        if text[hooks.start] != "{":
            raise Unusable('"hooks" is no object')
        for (name, _), groups in zip(hooks.keys, hooks.items, strict=True):
            if text[groups.start] != "[":
                raise Unusable(f'"hooks" has a {json.dumps(name)} that is no array')
    return found


def commands(text: str, event: str) -> Iterator[tuple[str, str]]:
    """Yield (matcher, command) of each hook of an event, others' included. Raises Unusable."""
    for group in _groups(text, event):
        matcher = group.member("matcher")
        for hook in _hooks(group):
            yield str(matcher.value or "") if matcher else "", _command(hook)


def disabled(text: str) -> bool:
    """Say whether the settings switch every hook off. Raises Unusable."""
    found = read(_something(text)).member("disableAllHooks")
    return found is not None and found.value is True


def installed(text: str) -> dict[str, list[str]]:
    """Return our commands by event, those that are there. Raises Unusable."""
    found = {event: [command for _, command in commands(text, event) if OURS in command] for event in EVENTS}
    return {event: ours for event, ours in found.items() if ours}


def added(text: str, command: Callable[[str], str]) -> str:
    """Return the settings with our hooks; `command` gives an event's command. Raises Unusable.

    Ours come last. Where they are there already, and right, nothing changes.
    """
    if installed(text) == {event: [command(event)] for event in EVENTS}:
        return text
    text = removed(_something(text))
    for event in EVENTS:
        hook = {"type": "command", "command": command(event), "timeout": TIMEOUT}
        text = _with_group(text, event, {"hooks": [hook]})
    return text


def removed(text: str) -> str:
    """Return the settings without our hooks, and without what is empty then. Raises Unusable."""
    while (cut := _next_cut(text)) is not None:
        text = text[: cut[0]] + text[cut[1] :]
    return text


def _something(text: str) -> str:
    """Return a text that has settings: an empty file has none, and is nobody's mistake."""
    return text if text.strip() else "{}\n"


def _groups(text: str, event: str) -> list[Located]:
    hooks = read(_something(text)).member(_HOOKS)
    groups = hooks.member(event) if hooks else None
    return groups.items if groups else []


def _hooks(group: Located) -> list[Located]:
    hooks = group.member(_HOOKS)
    return hooks.items if hooks is not None and not hooks.keys else []


def _command(hook: Located) -> str:
    command = hook.member("command") if hook.keys else None
    return command.value if command is not None and isinstance(command.value, str) else ""


def _next_cut(text: str) -> tuple[int, int] | None:
    """Return from where to where a hook of ours stands, with all that holds nothing else; None for none."""
    top = read(text)
    hooks = top.member(_HOOKS)
    for groups in hooks.items if hooks else ():
        for group in groups.items:
            inner = group.member(_HOOKS)
            for hook in _hooks(group):
                if hooks and inner and OURS in _command(hook):
                    return _outermost([(top, hooks), (hooks, groups), (groups, group), (inner, hook)])
    return None


def _outermost(path: list[tuple[Located, Located]]) -> tuple[int, int]:
    """Return the cut that takes out the last of a path, and what around it would be empty then."""
    holder, item = path.pop()
    while path and len(holder.items) == 1:
        holder, item = path.pop()
    index = holder.items.index(item)
    if index:
        return holder.items[index - 1].end, item.end
    if len(holder.items) > 1:
        return holder.begin(0), holder.begin(1)
    return holder.start + 1, holder.end - 1


def _with_group(text: str, event: str, group: dict[str, Any]) -> str:
    top = read(text)
    hooks = top.member(_HOOKS)
    if hooks is None:
        return _append(text, top, {event: [group]}, _HOOKS)
    groups = hooks.member(event)
    if groups is None:
        return _append(text, hooks, [group], event)
    return _append(text, groups, group)


def _append(text: str, holder: Located, value: object, key: str = "") -> str:
    """Return the text with one more item at a holder's end, in the way that the text is written."""
    unit, newline = _style(text)
    line = re.match(r"[ \t]*", text[text.rfind("\n", 0, holder.start) + 1 :])
    outer = newline + (line[0] if line else "") if newline else ""
    before = outer + unit if newline else ""
    if holder.items:
        last = holder.begin(len(holder.items) - 1)
        blanks = text[len(text[:last].rstrip()) : last]
        before, outer = (blanks if "\n" in blanks or not newline else before), ""
        position, rest, comma = holder.items[-1].end, holder.items[-1].end, ","
    else:
        position, rest, comma = holder.start + 1, holder.end - 1, ""
    shown = json.dumps(
        value,
        indent=unit if newline else None,
        ensure_ascii=False,
        separators=(",", ": " if newline else ":"),
    )
    shown = shown.replace("\n", newline + before.rpartition("\n")[2]) if newline else shown
    label = json.dumps(key) + (": " if newline else ":") if key else ""
    return text[:position] + comma + before + label + shown + outer + text[rest:]


def _style(text: str) -> tuple[str, str]:
    """Return by what the text is indented, and how its lines end; "" where all of it is one line."""
    newline = "\r\n" if "\r\n" in text else "\n"
    first = re.search(r'\{\r?\n([ \t]+)"', text)
    if first:
        return first[1], newline
    return "  ", newline if not read(text).items or "\n" in text.strip() else ""
