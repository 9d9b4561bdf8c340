"""A command that is run as an event: what stands on the event, and what on its span alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from shell_kit import RUN, SESSION, Shell

from gastown_tracing.events.registry import EVENTS

#: What each event needs that no command line tells.
NEEDED = {"exit_type": "COMPLETED", "operation": "send"}
SPANS = [event for event in EVENTS.values() if event.is_span]


def given(name: str) -> list[str]:
    """Return the options that give an event all that it needs."""
    pairs = []
    for attribute in EVENTS[name].attributes:
        if attribute.required:
            value = NEEDED.get(attribute.name) or (attribute.values or ("7",))[0]
            pairs += ["--attr", f"{attribute.name}={value}"]
    return ["--event", name, *pairs]


@pytest.mark.parametrize("name", [event.name for event in SPANS])
def test_an_event_has_the_results_that_are_its_own(name: str, shell: Shell) -> None:
    """The exit code and how long it took stand on it where it has them, else on the span by other names."""
    event = EVENTS[name]
    done = shell.outside("exec", *given(name), "--", "sh", "-c", "exit 3", **SESSION)
    assert (done.returncode, done.stderr) == (3, "")
    ((span,), (log,)) = shell.written()
    assert span.attributes["process.exit.code"] == 3
    for record in (span, log):
        assert record.attributes.get("exit_code") == (3 if "exit_code" in event.by_key else None)
        assert ("duration_ms" in record.attributes) is (event.elapsed == "duration_ms")
    assert "process.exit.code" not in log.attributes
    if event.outcome:
        assert (log.attributes["status"], log.severity_number, span.status_code) == ("error", 17, 2)
        assert (log.attributes["error"], span.attributes["error.type"]) == ("exit code 3", "3")
    else:  # it cannot fail, whatever its command did
        assert (log.severity_number, log.severity_text, span.status_code) == (9, "INFO", 0)
        assert {"status", "error", "error.type"}.isdisjoint({*log.attributes, *span.attributes})


def test_a_time_that_is_given_is_not_replaced(shell: Shell) -> None:
    """How long a session lasted is not how long the command took that stopped it."""
    elapsed = [
        event for event in SPANS if event.elapsed and not event.name.startswith(("bd.", "git.", "gt."))
    ]
    for event in elapsed:
        shell("exec", *given(event.name), "--attr", "duration_ms=60000", "--", "true")
    spans, logs = shell.written()
    assert len(spans) == len(elapsed) > 0
    assert {record.attributes["duration_ms"] for record in (*spans, *logs)} == {60000.0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--event mail --attr operation=send --attr operation=read", "operation is given twice"),
        ("--event mail --attr msg.to=a --attr msg_to=b", "msg.to is given twice"),
        ("--attr mine=1 --attr mine=2", "'mine' is given twice"),
        (f"--event {'e' * 200}", f"unknown event '{'e' * 80}'…; one of: "),
        (f"--{'o' * 200}", f"unknown option '--{'o' * 78}'…; usage: "),
        (f"--attr {'a' * 200}", f"--attr wants KEY=VALUE, not '{'a' * 80}'…\n"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_nothing_runs(
    options: str, said: str, shell: Shell, tmp_path: Path
) -> None:
    """Exit code 2, and of what was typed the line repeats 80 characters at most."""
    done = shell.outside("exec", *options.split(), "--", "touch", str(tmp_path / "ran"), **SESSION)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"gt-trace exec: {said}")
    assert not (tmp_path / "ran").exists()


def test_what_an_event_needs_and_does_not_have_is_a_debug_note(shell: Shell) -> None:
    """The command runs and is recorded; who looks for the reason finds it."""
    words = ["exec", "--event", "mail", "--", "true"]
    assert shell(*words).stderr == ""
    done = shell.outside(*words, **SESSION, GT_OTEL_DEBUG="1")
    assert (done.returncode, done.stderr) == (0, "gt-trace exec: mail: operation is missing\n")
    assert [span.name for span in shell.written()[0]] == ["mail", "mail"]


def test_bytes_that_are_no_utf_8_are_the_same_mark_everywhere(shell: Shell) -> None:
    """In an event's value, in an attribute of a command, and in a command line."""
    odd = os.fsdecode(b"a\xff\xe9b")
    shell("nudge", odd)
    shell("exec", "--event", "nudge", "--attr", f"target={odd}", "--attr", f"mine={odd}", "--", "true")
    shell("exec", "--", "sh", "-c", ":", odd)
    shell("exec", "--name", odd, "--", "true")
    first, second, _, named = shell.written()[0]
    assert first.attributes["target"] == second.attributes["target"] == "a\ufffd\ufffdb"
    assert second.attributes["mine"] == named.name == "a\ufffd\ufffdb"


@pytest.mark.parametrize("command", ["exec -- true", "nudge x"])
def test_a_relative_journal_in_a_directory_that_is_gone(command: str, shell: Shell, tmp_path: Path) -> None:
    """Nothing is written, below `/` neither; the command runs."""
    gone = tmp_path / "gone"
    gone.mkdir()
    name = f"journal-of-{RUN}"
    words = ["sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh", "gt-trace", *command.split()]
    done = shell.run_as(words, GT_OTEL_JOURNAL=name, GT_OTEL_DEBUG="1", **SESSION)
    assert done.returncode == 0
    assert "not recorded: " in done.stderr
    assert not Path("/", name).exists()
