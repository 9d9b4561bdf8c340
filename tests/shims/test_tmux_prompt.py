"""What gt types into an agent's pane is a prompt: text, Escape and Enter are one, and none is lost."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from tmux_kit import CAUSE, OTHER, RUN, TRACEPARENT, Town, identity

from gastown_tracing.config import Config
from gastown_tracing.shims.tmux import prompt as tmux_prompt


def send(town: Town, *keys: str, target: str = "de-rust", **more: str) -> None:
    """Send keys as gt does."""
    done = town.tmux("send-keys", "-t", target, *keys, more={**TRACEPARENT, **more})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def waiting(town: Town) -> list[Path]:
    """Return the files of texts that wait for Enter."""
    return list(Path(town.journal.panes_dir).glob(f"{tmux_prompt.PREFIX}*"))


def sweep(town: Town) -> int:
    """Do what the relay does with what has waited too long."""
    problems: list[OSError] = []
    swept = tmux_prompt.sweep(town.journal, Config({}), problems, patience=0)
    assert problems == []
    return swept


def test_text_escape_and_enter_are_one_prompt(town: Town) -> None:
    """It belongs to the target's run, links to the span that sent it, and says how long gt paused."""
    send(town, "-l", "Work is slung: grüße")
    send(town, "Escape")
    send(town, "Enter")
    (span,) = town.spans("prompt.send")
    assert span.parent_id == RUN[16:]
    assert [(link[0], link[1]) for link in span.links] == [CAUSE]
    assert (span.attributes["session"], span.attributes["keys_len"]) == ("de-rust", 20)
    assert (span.attributes["status"], span.attributes["role"]) == ("ok", "polecat")
    assert abs(float(str(span.attributes["debounce_ms"])) - (span.end_ns - span.start_ns) / 1e6) < 1e-3
    assert "keys" not in span.attributes
    (log,) = town.logs("prompt.send")
    assert (log.trace_id, log.span_id) == (RUN, span.span_id)
    assert waiting(town) == []


def test_chunks_of_one_text_are_added_up(town: Town) -> None:
    """gt sends a long text in pieces of 512 bytes; what they say only where that is wanted, and cut."""
    for chunk in ("a" * 512, "b" * 512, "c" * 3):
        send(town, "-l", chunk, GT_LOG_PROMPT_KEYS="true")
    send(town, "Enter")
    (span,) = town.spans("prompt.send")
    assert span.attributes["keys_len"] == 1027
    assert str(span.attributes["keys"]).startswith("a" * 256 + "…")


def test_all_in_one_command(town: Town) -> None:
    """Words that are no keys are text."""
    send(town, "hello", "Space", "you", "Enter")
    (span,) = town.spans("prompt.send")
    assert (span.attributes["keys_len"], span.attributes["debounce_ms"]) == (9, 0.0)


@pytest.mark.parametrize("target", ["de-rust:0.0", "=de-rust:", "de-rust:^", "%0", "de-ru"])
def test_whatever_names_the_pane(town: Town, target: str) -> None:
    """Text for the session, Enter for the pane: they are one pane's."""
    send(town, "-l", "hello")
    send(town, "Enter", target=target)
    assert len(town.spans("prompt.send")) == 1


def test_keys_alone_are_no_prompt(town: Town) -> None:
    """Dialogs are answered, menus left, an Enter sent again: nobody was told anything."""
    send(town, "Down")
    send(town, "Enter")
    send(town, "C-u")
    assert town.spans("prompt.send") == []
    assert waiting(town) == []


def test_two_prompts_at_once_do_not_mix(town: Town) -> None:
    """Each pane has its own text, whoever sends at the same instant."""
    town.spawn("other", {**identity("other", str(town.root), ""), "GT_RUN": OTHER})

    def prompt(target: str, text: str) -> None:
        send(town, "-l", text, target=target)
        send(town, "-l", text, target=target)
        send(town, "Enter", target=target)

    texts = {"de-rust": "abc", "other": "defgh"}
    senders = [threading.Thread(target=prompt, args=args) for args in texts.items()]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    lengths = [town.spans("prompt.send", run)[0].attributes["keys_len"] for run in (RUN, OTHER)]
    assert lengths == [6, 10]


def test_a_text_that_is_never_sent_off_is_recorded_with_the_next(town: Town) -> None:
    """After an Escape another text is another prompt; that the first had no Enter is on record."""
    send(town, "-l", "first")
    send(town, "Escape")
    send(town, "-l", "second one")
    send(town, "Enter")
    first, second = town.spans("prompt.send")
    assert (first.attributes["keys_len"], first.attributes["submitted"]) == (5, False)
    assert (second.attributes["keys_len"], "submitted" in second.attributes) == (10, False)
    assert "debounce_ms" not in first.attributes


def test_a_text_that_waits_too_long_is_swept_up_once(town: Town) -> None:
    """Nobody loses it, nobody records it twice."""
    send(town, "-l", "left alone")
    assert town.spans("prompt.send") == []
    assert (sweep(town), sweep(town)) == (1, 0)
    assert [span.attributes["keys_len"] for span in town.spans("prompt.send")] == [10]
    assert waiting(town) == []


def test_who_dies_while_he_records_leaves_one_record(town: Town) -> None:
    """What was recorded, but not forgotten, is not recorded again; what was not, is."""
    send(town, "-l", "hello")
    (file,) = waiting(town)
    text = file.read_text()
    send(town, "Enter")
    file.write_text(text + '{"what":"recorded"}\n')  # its writer died before it could be removed
    assert sweep(town) == 1
    assert len(town.spans("prompt.send")) == 1
    file.write_text(text.replace('"span_id":"', '"span_id":"0') + '{"what":"recorded"}\n')
    sweep(town)
    assert len(town.spans("prompt.send")) == 1
    other = text[: text.index('"span_id":"') + 11] + "f" * 16 + '"}\n{"what":"recorded"}\n'
    file.write_text(other)
    sweep(town)
    assert len(town.spans("prompt.send")) == 2


def test_what_tmux_does_not_send_is_an_error(town: Town) -> None:
    """The session has no such pane: gt sees what tmux says, and the prompt has failed."""
    done = town.tmux("send-keys", "-t", "de-rust:0.7", "-l", "hello")
    assert (done.returncode, done.stderr) == (1, "can't find pane: 7\n")
    (span,) = town.spans("prompt.send")
    assert (span.attributes["status"], span.attributes["error"]) == ("error", "exit code 1")
    assert span.attributes["keys_len"] == 5
    assert waiting(town) == []


def test_outside_any_run_nothing_is_recorded(town: Town) -> None:
    """A session of the user's own, on the same server."""
    town.tmux("new-session", "-d", "-s", "mine", "cat", env=town.plain)
    send(town, "-l", "hello", target="mine")
    send(town, "Enter", target="mine")
    assert town.spans("prompt.send") == []
    assert waiting(town) == []


def test_a_session_that_was_made_again_unseen_is_nobodys(town: Town) -> None:
    """The registry knows its name, but another process is in its pane."""
    town.asked("kill-session", "-t", "=de-rust")
    town.tmux("new-session", "-d", "-s", "de-rust", "cat", env=town.plain)
    send(town, "-l", "hello")
    send(town, "Enter")
    assert town.spans("prompt.send") == []


def test_a_server_with_the_id_of_the_one_before_has_other_panes(town: Town) -> None:
    """In a container the ids come again: an open run of the server before is not in this one's pane."""
    pane = {**town.pane(), "server_start": "1"}
    Path(town.journal.run_dir(RUN), "pane.json").write_text(json.dumps(pane))
    for target in ("%0", "de-rust"):
        send(town, "hello", "Enter", target=target)
    assert town.spans("prompt.send") == []
    assert waiting(town) == []


def test_it_carries_the_work_of_its_target(town: Town) -> None:
    """The work that was in force when the text was sent."""
    for name, value in (("GT_WORK_RIG", "demo"), ("GT_WORK_BEAD", "de-1")):
        assert town.tmux("set-environment", "-t", "de-rust", name, value).returncode == 0
    before = time.time_ns()
    send(town, "hello", "Enter")
    (span,) = town.spans("prompt.send")
    assert span.start_ns > before
    assert (span.attributes["work_rig"], span.attributes["work_bead"]) == ("demo", "de-1")
