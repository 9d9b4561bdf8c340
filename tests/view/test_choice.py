"""What `ls` and `stats` choose alike: sessions, and with --loose what was recorded outside any."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from view_kit import Book, at

from gastown_tracing.view import text

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def chosen(journal_root: Path, gt_trace: Run) -> Callable[..., tuple[set[str], int]]:
    """Return a function: which commands outside sessions `ls` lists, how many spans `stats` counts."""
    book = Book(journal_root, run="")
    for trace, start in (("a" * 32, 1), ("a" * 32, 100), ("b" * 32, 1)):
        named = {"name": f"make-{trace[0]}"}
        book.append("traces.jsonl", book.line("exec", start, start + 1, "", trace_id=trace, attributes=named))

    def ask(*options: str) -> tuple[set[str], int]:
        rows = json.loads(gt_trace("ls", "--loose", "--json", *options).stdout)
        operations = json.loads(gt_trace("stats", "--loose", "--json", *options).stdout)
        return {row["session"] for row in rows}, sum(one["count"] for one in operations)

    return ask


def test_without_a_choice_everything_is_there(chosen: Callable[..., tuple[set[str], int]]) -> None:
    """Both commands, all three spans."""
    assert chosen() == ({"make-a", "make-b"}, 3)


@pytest.mark.parametrize("option", ["--agent", "--rig", "--bead"])
def test_what_has_no_session_has_no_agent_rig_or_bead(
    chosen: Callable[..., tuple[set[str], int]], option: str
) -> None:
    """Asked for one of these, both leave out what was recorded outside any session."""
    assert chosen(option, "toast") == (set(), 0)


def test_since_chooses_whole_traces(chosen: Callable[..., tuple[set[str], int]]) -> None:
    """A trace that was active since then is listed, and all its spans are counted."""
    since = text.moment(at(50)).isoformat()
    assert chosen("--since", since) == ({"make-a"}, 2)
