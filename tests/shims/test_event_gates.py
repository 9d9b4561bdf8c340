"""What is content comes in with its opt-in alone, as much of it as its limit allows: by `gt-trace event`."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell_kit import SESSION, Shell

from gastown_tracing.events.registry import EVENTS
from gastown_tracing.events.schema import Attribute, Event
from gastown_tracing.journal.layout import create

GATED = [(event, attribute) for event in EVENTS.values() for attribute in event.attributes if attribute.gate]
LIMITED = [
    (event, attribute) for event in EVENTS.values() for attribute in event.attributes if attribute.limit
]
CANARY = "CANARY"


def name_of(part: Event | Attribute) -> str:
    return part.name


def words(event: Event, *more: str) -> list[str]:
    """Return the words that record an event with what it cannot do without."""
    given = {word.partition("=")[0] for word in more}
    needed = [
        f"{attribute.name}={(attribute.values or ('x',))[0]}"
        for attribute in event.attributes
        if attribute.required and attribute.name not in given
    ]
    return ["event", event.name, *needed, *more]


def kept(shell: Shell, event: Event, attribute: Attribute, text: str, **settings: str) -> object:
    """Record an event with this text; return what is recorded of it, None for no record."""
    gates = {name: "true" for name in (event.gate, attribute.gate) if name}
    shell(*words(event, f"{attribute.name}={text}"), **{**gates, **settings})
    spans, logs = shell.written()
    if not logs:
        return None
    found = logs[-1].attributes.get(attribute.name)
    assert [span.attributes.get(attribute.name) for span in spans[-1:]] == ([found] if event.is_span else [])
    return found


@pytest.mark.parametrize(("event", "attribute"), GATED, ids=name_of)
@pytest.mark.parametrize("setting", ["", "false", "0", "yes", "true", "1", "TRUE"])
def test_content_needs_its_opt_in(event: Event, attribute: Attribute, setting: str, shell: Shell) -> None:
    """Only `true` and `1` let it in; without them it stands in no file of the journal."""
    found = kept(shell, event, attribute, CANARY, **{attribute.gate: setting})
    wanted = setting.lower() in ("true", "1")
    assert found == (CANARY if wanted else None)
    files = [path.read_text() for path in Path(shell.journal.root).rglob("*") if path.is_file()]
    assert any(CANARY in text for text in files) is wanted


@pytest.mark.parametrize("event", [event for event in EVENTS.values() if event.gate], ids=name_of)
def test_an_event_that_is_all_content_needs_its_opt_in(event: Event, shell: Shell) -> None:
    """Without it nothing is recorded, the exit code is 0, and a debug note says which setting it is."""
    shell(*words(event))
    assert not Path(shell.journal.root).exists()
    done = shell.outside(*words(event), **SESSION, GT_OTEL_DEBUG="1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"gt-trace event: not recorded: {event.gate} is not on\n"
    shell(*words(event), **{event.gate: "true"})
    assert [log.event_name for log in shell.written()[1]] == [event.name]


def test_an_opt_in_may_stand_in_the_journals_settings(shell: Shell) -> None:
    """config.json opts in where the environment says nothing, and the environment opts out again."""
    create(shell.journal.root, {"GT_LOG_MAIL_BODY": "true"})
    for setting in ("", "false"):
        shell("mail", "send", f"body={CANARY}", GT_LOG_MAIL_BODY=setting)
    assert [log.attributes.get("msg.body") for log in shell.written()[1]] == [CANARY, None]


def test_the_arguments_of_bd_are_masked_without_the_opt_in(shell: Shell) -> None:
    """Values become their length, subcommand and flags stay; with the opt-in all is there."""
    line = f"args=create {CANARY} --description={CANARY} --json"
    for setting in ("", "true"):
        shell("event", "bd.call", line, GT_LOG_BD_OUTPUT=setting)
    masked, whole = [log.attributes for log in shell.written()[1]]
    assert masked["args"] == "create ‹6 bytes› --description=‹6 bytes› --json"
    assert whole["args"] == line.partition("=")[2]
    assert masked["subcommand"] == whole["subcommand"] == "create"


def test_a_repository_loses_its_credentials(shell: Shell) -> None:
    """User, password and query of a URL are in no record, whatever is opted in to."""
    url = f"https://me:{CANARY}@example.com/town.git?token={CANARY}"
    shell("event", "git.operation", "operation=clone", f"repo={url}", GT_LOG_BD_OUTPUT="true")
    assert shell.written()[1][0].attributes["repo"] == "https://example.com/town.git"


def test_what_a_pane_showed_is_inert(shell: Shell) -> None:
    """Escape sequences are gone before the text is measured and recorded."""
    text = "content=\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n"
    shell("event", "pane.output", "session=s", text, GT_LOG_PANE_OUTPUT="true")
    assert shell.written()[1][0].attributes["content"] == "red\n"


@pytest.mark.parametrize(("event", "attribute"), LIMITED, ids=name_of)
def test_a_text_is_cut_between_characters_and_says_what_was_cut(
    event: Event, attribute: Attribute, shell: Shell
) -> None:
    """At its limit in bytes: of characters of three bytes the last that is whole is kept."""
    limit = attribute.limit
    assert kept(shell, event, attribute, "x" * limit) == "x" * limit
    fitting = limit // 3
    found = str(kept(shell, event, attribute, "€" * (fitting + 5)))
    assert found == "€" * fitting + "…‹cut 15 bytes›"
    if attribute.limit_setting:
        found = str(kept(shell, event, attribute, "x€€€", **{attribute.limit_setting: "6"}))
        assert found == "x€…‹cut 6 bytes›"


@pytest.mark.parametrize(
    ("event", "attribute"), [row for row in LIMITED if row[1].limit_setting], ids=name_of
)
def test_no_limit_is_the_whole_text(event: Event, attribute: Attribute, shell: Shell) -> None:
    """A limit of 0 keeps what one argument can hold; nonsense leaves the limit as it is."""
    whole = "é" * 60_000
    assert kept(shell, event, attribute, whole, **{attribute.limit_setting: "0"}) == whole
    for nonsense in ("-1", "many"):
        found = str(kept(shell, event, attribute, whole, **{attribute.limit_setting: nonsense}))
        assert found.partition("…")[0] == "é" * (attribute.limit // 2)


def test_what_is_no_content_is_short(shell: Shell) -> None:
    """Any other text is cut at 4096 bytes, an attribute of one's own and an error too."""
    long = "é" * 4096
    shell("nudge", long, "--attr", f"mine={long}", "--error", long)
    (span,), (log,) = shell.written()
    cut = "é" * 2048 + "…‹cut 4096 bytes›"
    for name in ("target", "mine", "error"):
        assert span.attributes[name] == log.attributes[name] == cut
    assert span.status_message == cut
