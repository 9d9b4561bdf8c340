"""What commands say of hooks is put together to what hangs on an agent's hook."""

from __future__ import annotations

from pathlib import Path

import pytest

from gastown_tracing.journal import hooks, index
from gastown_tracing.journal.layout import Journal, create

TRACE, SPAN, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "1111111111111111"
RUST, NUX = "demo/polecats/rust", "demo/polecats/nux"


@pytest.fixture
def journal(journal_root: Path) -> Journal:
    """Return a journal."""
    return create(str(journal_root))


def say(journal: Journal, span_id: str = SPAN, **said: str) -> None:
    """Let a command say this."""
    hooks.take(journal, said, TRACE, span_id)


def test_a_sling_puts_bead_and_molecule_on_the_hook(journal: Journal) -> None:
    """Bonded, hooked, described: as gt does it. What hooked it is the cause, not what came after."""
    say(journal, OTHER, bead="de-1", mol="de-wisp-1")
    assert hooks.hooked(journal, RUST) is None
    say(journal, bead="de-1", actor=RUST)
    say(journal, OTHER, bead="de-1", mol="de-wisp-1")
    assert hooks.hooked(journal, RUST) == ("de-1", "de-wisp-1")
    assert hooks.cause(journal, RUST) == (TRACE, SPAN)


def test_a_molecule_can_come_late(journal: Journal) -> None:
    """It is the hooked bead's all the same, and what put that there stays."""
    say(journal, bead="de-1", actor=RUST)
    assert hooks.hooked(journal, RUST) == ("de-1", "")
    say(journal, OTHER, bead="de-1", mol="de-wisp-2")
    assert hooks.hooked(journal, RUST) == ("de-1", "de-wisp-2")
    assert hooks.cause(journal, RUST) == (TRACE, SPAN)


def test_what_is_closed_hangs_nowhere(journal: Journal) -> None:
    """Nobody says whose hook it was: the bead knows. Another bead's end changes nothing."""
    say(journal, bead="de-1", actor=RUST)
    say(journal, bead="de-2", actor="")
    assert hooks.hooked(journal, RUST) == ("de-1", "")
    say(journal, bead="de-1", actor="")
    assert hooks.hooked(journal, RUST) == ("", "")
    assert hooks.cause(journal, RUST) is None


def test_a_bead_hangs_on_one_hook_and_a_hook_holds_the_last(journal: Journal) -> None:
    """Given to another agent it leaves the first; an older one that is closed then takes nothing away."""
    say(journal, bead="de-1", actor=RUST, mol="m")
    say(journal, bead="de-1", actor=NUX)
    assert (hooks.hooked(journal, RUST), hooks.hooked(journal, NUX)) == (("", ""), ("de-1", "m"))
    say(journal, bead="de-2", actor=NUX)
    say(journal, bead="de-1", actor="")
    say(journal, bead="de-1", mol="n")
    assert hooks.hooked(journal, NUX) == ("de-2", "")


@pytest.mark.parametrize("fields", [{}, {"bead": "a\nb"}, {"mol": "m"}])
def test_an_entry_that_is_none_says_nothing(journal: Journal, fields: dict[str, str]) -> None:
    """What cannot be a bead is unknown, and not an empty hook."""
    say(journal, mol="m")
    index.note(journal, index.HOOKS, RUST, fields)
    assert hooks.hooked(journal, RUST) is None
    assert hooks.hooked(journal, "") is None
