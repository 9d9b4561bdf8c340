"""Which span made a bead is found again, whatever the bead is called, and not for ever."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.journal.index import bead_span, forget, note_bead
from gastown_tracing.journal.layout import Journal, create
from tests.api.programs import ROOT_ID, RUN_ID, loose_spans, python
from tests.conftest import ROOT

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HOSTILE = ["../../on", "/etc/passwd", "a/b", ".", "..", "a\0b", "a\nb", "é😀", "%2e%2e", "-rf", "x" * 5000]


@pytest.fixture
def journal(journal_root: Path) -> Journal:
    """Return a journal."""
    return create(str(journal_root))


def files(journal: Journal) -> list[Path]:
    return sorted((Path(journal.root) / "index" / "beads").iterdir())


def test_the_span_that_made_a_bead_is_found(journal: Journal) -> None:
    note_bead(journal, "de-1", TRACE, "ab" * 8)
    note_bead(journal, "de-1", TRACE, SPAN)
    assert bead_span(journal, "de-1") == (TRACE, SPAN)
    assert bead_span(journal, "de-2") is None
    (file,) = files(journal)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("bead_id", HOSTILE)
def test_no_name_leaves_the_directory(journal: Journal, bead_id: str) -> None:
    before = sorted(path for path in Path(journal.root).rglob("*") if "index" not in path.parts)
    note_bead(journal, bead_id, TRACE, SPAN)
    assert bead_span(journal, bead_id) == (TRACE, SPAN)
    assert sorted(path for path in Path(journal.root).rglob("*") if "index" not in path.parts) == before
    assert len(files(journal)) == 1


@given(st.text(), st.text())
def test_one_bead_is_never_taken_for_another(
    tmp_path_factory: pytest.TempPathFactory, one: str, other: str
) -> None:
    journal = create(str(tmp_path_factory.mktemp("journal") / "journal"))
    note_bead(journal, one, TRACE, SPAN)
    assert bead_span(journal, other) == ((TRACE, SPAN) if one == other and one else None)


def test_long_names_with_the_same_beginning_are_told_apart(journal: Journal) -> None:
    """They share a file, and who wrote last is known."""
    note_bead(journal, "x" * 300 + "1", TRACE, SPAN)
    note_bead(journal, "x" * 300 + "2", TRACE, SPAN)
    assert bead_span(journal, "x" * 300 + "1") is None
    assert bead_span(journal, "x" * 300 + "2") == (TRACE, SPAN)


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", '{"key":"de-1"}']
    + [
        f'{{"key":"de-1","trace_id":"{ids[0]}","span_id":"{ids[1]}"}}'
        for ids in (("x", SPAN), (TRACE, "0" * 16))
    ],
)
def test_a_damaged_entry_is_unknown(journal: Journal, text: str) -> None:
    note_bead(journal, "de-1", TRACE, SPAN)
    files(journal)[0].write_text(text)
    assert bead_span(journal, "de-1") is None


def test_a_journal_that_is_gone_stays_gone(journal_root: Path) -> None:
    """What cannot be noted raises OSError; what cannot be read is unknown."""
    journal = Journal(str(journal_root))
    with pytest.raises(OSError, match="No such file"):
        note_bead(journal, "de-1", TRACE, SPAN)
    assert not journal_root.exists()
    assert bead_span(journal, "de-1") is None
    assert forget(journal) == 0


def test_a_deleted_index_is_made_again(journal: Journal) -> None:
    os.rmdir(f"{journal.root}/index")
    note_bead(journal, "de-1", TRACE, SPAN)
    assert bead_span(journal, "de-1") == (TRACE, SPAN)


def test_old_entries_can_be_forgotten(journal: Journal) -> None:
    for name in ("old", "new"):
        note_bead(journal, name, TRACE, SPAN)
    month_ago = time.time() - 31 * 86_400
    os.utime(next(path for path in files(journal) if path.name == "old"), (month_ago, month_ago))
    assert forget(journal) == 1
    assert bead_span(journal, "old") is None
    assert bead_span(journal, "new") == (TRACE, SPAN)


def test_a_shim_that_notes_a_bead_loads_nothing_heavy(journal: Journal) -> None:
    """Only built-in modules, because a shim runs thousands of times a day."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules)\n"
        "from gastown_tracing.journal.index import bead_span, note_bead\n"
        "from gastown_tracing.journal.layout import Journal\n"
        f"journal = Journal({journal.root!r}); note_bead(journal, 'de-1', {TRACE!r}, {SPAN!r})\n"
        "print(*sorted(name for name in set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name for name in done.stdout.split() if not name.startswith(("gastown_tracing", "propagation"))}
    assert loaded <= {"posix", "time", "errno", "_json"}
    assert bead_span(journal, "de-1") == (TRACE, SPAN)


PROGRAM = """
    import gastown_tracing as gt
    provider = gt.init()
    with gt.sling(bead="de-1", target="demo"):
        gt.record("bead.create", bead_id="de-1")
    gt.record("bead.create", bead_id="de-2")
    with gt.with_run_id("3f2504e0-4f89-41d3-9a0c-0305e82c3301"):
        gt.record("bead.create", bead_id="de-3")
    assert provider.shutdown() and provider.errors == [], provider.errors
"""


def test_a_python_program_that_makes_a_bead_is_known(journal: Journal, env: dict[str, str]) -> None:
    """By the span in which it did, else by the run's root; where there is neither, nobody is."""
    python(PROGRAM, env)
    (span,) = [span for span in loose_spans(Path(journal.root)) if span.name == "sling"]
    assert bead_span(journal, "de-1") == (span.trace_id, span.span_id)
    assert bead_span(journal, "de-2") is None
    assert bead_span(journal, "de-3") == (RUN_ID, ROOT_ID)
