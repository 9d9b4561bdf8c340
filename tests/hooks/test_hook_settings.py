"""Our hooks in settings of every kind: what else is there stays, to the byte, and comes back when they go."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.hooks import settings
from gastown_tracing.hooks.launcher import command
from gastown_tracing.hooks.settings import EVENTS

#: What gt writes for its agents, shortened.
GT = {
    "skipDangerousModePermissionPrompt": True,
    "hooks": {
        "PreToolUse": [
            {"matcher": "Bash(sudo *)", "hooks": [{"type": "command", "command": "gt tap guard"}]},
        ],
        "SessionStart": [
            {"matcher": "", "hooks": [{"type": "command", "command": "/go/bin/gt prime --hook && gt mail"}]}
        ],
        "PreCompact": [{"matcher": "", "hooks": [{"type": "command", "command": "gt prime --hook"}]}],
    },
}


def ours(event: str) -> str:
    """Return our command for an event."""
    return command("/home/o'p/.local/share/gastown-tracing/hooks/claude", event)


def added(text: str) -> str:
    """Return settings with our hooks."""
    return settings.added(text, ours)


_text = st.text(max_size=8)
_hook = st.fixed_dictionaries({"type": st.just("command"), "command": _text})
_group = st.fixed_dictionaries({"hooks": st.lists(_hook, max_size=2)}, optional={"matcher": _text})
_hooks = st.dictionaries(st.sampled_from([*EVENTS, "PreCompact"]), st.lists(_group, min_size=1, max_size=3))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_others = st.dictionaries(_text.filter(lambda name: name != "hooks"), _json, max_size=4)
_settings = st.builds(
    lambda before, hooks, after: {**before, **({"hooks": hooks} if hooks else {}), **after},
    _others, _hooks, _others,
)  # fmt: skip


def _dump(indent: int | str | None, *, ascii_only: bool, newline: str) -> Callable[[Any], str]:
    def dump(value: Any) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only).replace("\n", newline) + newline

    return dump


_STYLES = (
    _dump(2, ascii_only=False, newline="\n"),
    _dump(4, ascii_only=True, newline="\n"),
    _dump("\t", ascii_only=False, newline="\r\n"),
    _dump(None, ascii_only=True, newline="\n"),
    _dump(0, ascii_only=True, newline="\n"),
)


@given(_settings, st.sampled_from(_STYLES))
def test_what_comes_in_goes_out(value: dict[str, Any], dump: Callable[[Any], str]) -> None:
    """Added and removed again, settings of any content and style are what they were, to the byte."""
    text = dump(value)
    assert settings.removed(added(text)) == text


@given(_settings, st.sampled_from(_STYLES))
def test_ours_come_last_and_nothing_else_changes(value: dict[str, Any], dump: Callable[[Any], str]) -> None:
    """With ours, settings hold what they held, in its order, and each event one hook of ours at its end."""
    found = json.loads(added(dump(value)))
    for event in EVENTS:
        last = found["hooks"][event].pop()
        assert last == {"hooks": [{"type": "command", "command": ours(event), "timeout": settings.TIMEOUT}]}
        if not found["hooks"][event]:
            del found["hooks"][event]
    if not found["hooks"]:
        del found["hooks"]
    assert json.dumps(found) == json.dumps(value)


@given(_settings, st.sampled_from(_STYLES))
def test_twice_is_once(value: dict[str, Any], dump: Callable[[Any], str]) -> None:
    """Adding what is there changes nothing; another installation's hooks are replaced."""
    text = added(dump(value))
    assert added(text) == text
    elsewhere = settings.added(dump(value), lambda event: command("/x/gastown-tracing/hooks/claude", event))
    assert added(elsewhere) == text


@given(_settings)
def test_claude_codes_own_style_is_kept(value: dict[str, Any]) -> None:
    """Settings as Claude Code writes them, two blanks a level, are so with our hooks, too."""
    text = added(json.dumps(value, indent=2, ensure_ascii=False))
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False)


@given(st.text(max_size=40))
def test_any_text_is_settings_or_unusable(text: str) -> None:
    """Whatever a file holds, it is changed to settings with our hooks, or refused."""
    try:
        found = settings.installed(added(text))
    except settings.Unusable:
        with pytest.raises(settings.Unusable):
            settings.installed(text)
    else:
        assert set(found) == set(EVENTS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1,}', "no JSON: "),
        ("// mine\n{}", "no JSON: "),
        ('{"a": NaN}', "no JSON: "),
        ("[]", "no JSON object"),
        ('{"hooks": []}', '"hooks" is no object'),
        ('{"hooks": {"Stop": {}}}', '"hooks" has a "Stop" that is no array'),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_changed_is_said(text: str, why: str) -> None:
    """Settings that Claude Code would not take either are refused with a reason."""
    with pytest.raises(settings.Unusable, match=why):
        added(text)


def test_a_hook_in_somebody_elses_group_is_taken_out_alone() -> None:
    """Where somebody has put our hook beside one of his in one group, his stays."""
    group = {"hooks": [{"type": "command", "command": "mine"}, {"type": "command", "command": ours("Stop")}]}
    text = json.dumps({"hooks": {"Stop": [group]}}, indent=2)
    left = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]}}
    assert settings.removed(text) == json.dumps(left, indent=2)


def test_hooks_of_gt_stay_where_they_are() -> None:
    """gt's own hooks come first, in their order, and its file is the same again without ours."""
    text = json.dumps(GT, indent=2) + "\n"
    found = list(settings.commands(added(text), "SessionStart"))
    assert [one for _, one in found] == ["/go/bin/gt prime --hook && gt mail", ours("SessionStart")]
    assert settings.removed(added(text)) == text
