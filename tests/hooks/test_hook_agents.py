"""Which session an agent had: from its hooks, or from its first command, to the root span and the lists."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gastown_tracing.hooks import agents
from gastown_tracing.journal import index
from gastown_tracing.journal.layout import Journal, create
from tests.processes import wait_until
from tests.session.session_kit import Sessions

Run = Callable[..., subprocess.CompletedProcess[str]]
ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture
def journal(journal_root: Path) -> Journal:
    """Return a journal."""
    return create(str(journal_root))


def last(journal: Journal, run_id: str) -> tuple[str, str]:
    """Return a run's last session and transcript."""
    return agents.last_session(journal.find_run(run_id))


def test_the_last_session_counts(journal: Journal) -> None:
    """/clear begins another session; one that is resumed is the last again, with its transcript."""
    assert last(journal, ONE) == ("", "")
    agents.begins(journal, ONE, "a", {"transcript": "/t/a", "source": "startup"})
    agents.ends(journal, ONE, "a", "clear")
    agents.begins(journal, ONE, "b", {"transcript": "/t/b", "source": "clear"})
    assert last(journal, ONE) == ("b", "/t/b")
    agents.begins(journal, ONE, "a", {"source": "resume"})
    assert last(journal, ONE) == ("a", "/t/a")


def test_two_agents_in_one_directory_are_told_apart(journal: Journal) -> None:
    """Each run has its own session, and each session its run."""
    agents.begins(journal, ONE, "a", {"transcript": "/t/a"})
    agents.begins(journal, TWO, "b", {"transcript": "/t/b"})
    assert [last(journal, run) for run in (ONE, TWO)] == [("a", "/t/a"), ("b", "/t/b")]
    found = [index.look(journal, index.AGENTS, session) or {} for session in "ab"]
    assert [entry["run_id"] for entry in found] == [ONE, TWO]


@pytest.mark.parametrize("line", ["", "no JSON\n", "[]\n", '{"session_id": 1}\n', '{"session_id": "x"'])
def test_damaged_lines_are_passed_over(journal: Journal, line: str) -> None:
    """What is no line of ours, or has no end yet, counts for nothing."""
    agents.begins(journal, ONE, "a", {"transcript": "/t/a"})
    with open(f"{journal.run_dir(ONE)}/agents.jsonl", "a") as file:
        file.write(line)
    assert last(journal, ONE) == ("a", "/t/a")


def test_the_first_command_notes_what_no_hook_did(gt_trace: Run, env: dict[str, str], tmp_path: Path) -> None:
    """Without hooks the first command of a session says which it is, and finds its transcript."""
    transcript = tmp_path / "home/.claude/projects/-town-x/s-1.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text("")
    journal = Journal(env["GT_OTEL_JOURNAL"])
    inside = {**env, "GT_RUN": ONE, "CLAUDE_CODE_SESSION_ID": "s-1", "HOME": str(tmp_path / "home")}
    for _ in range(2):
        assert gt_trace("exec", "--", "true", env=inside).returncode == 0
    (line,) = Path(journal.run_dir(ONE), "agents.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert (found["session_id"], found["transcript"], found["source"]) == ("s-1", str(transcript), "exec")
    assert gt_trace("exec", "--", "true", env={**inside, "CLAUDE_CODE_SESSION_ID": "a/b"}).returncode == 0
    assert gt_trace("exec", "--", "true", env={**inside, "GT_RUN": ""}).returncode == 0
    assert last(journal, ONE) == ("s-1", str(transcript))


def test_the_root_and_the_list_say_which_session_it_was(
    gt_trace: Run, env: dict[str, str], tmux_socket: str, journal_root: Path
) -> None:
    """gen_ai.conversation.id stands on the root span at its end; `ls --json` shows it before, too."""
    sessions = Sessions(gt_trace, env, tmux_socket, Journal(str(journal_root)))
    run_id = sessions.start()

    def listed() -> tuple[str, str]:
        (row,) = json.loads(gt_trace("ls", "--json").stdout)
        return row["native_session_id"], row["transcript"]

    assert listed() == ("", "")
    agents.begins(sessions.journal, run_id, "a", {"transcript": "/t/a"})
    agents.begins(sessions.journal, run_id, "b", {"transcript": "/t/b"})
    assert listed() == ("b", "/t/b")
    assert sessions("stop", run_id).returncode == 0
    wait_until(lambda: sessions.data(run_id).run.closed, "the run is closed")
    root = sessions.data(run_id).run.root
    assert root is not None
    assert root.attributes["gen_ai.conversation.id"] == "b"
    assert listed() == ("b", "/t/b")
    assert '"gen_ai.conversation.id"' in gt_trace("view", run_id, "--json").stdout
