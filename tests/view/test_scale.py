"""A journal of thousands of runs, and runs of hundreds of megabytes: what is read of them, what is said."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from view_kit import OTHER, RUN, Book

from gastown_tracing.cli import view
from gastown_tracing.journal.layout import Journal
from gastown_tracing.sessions import liveness
from gastown_tracing.view import follow, neighbours
from gastown_tracing.view.load import load

_listeners: list[list[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        for listener in _listeners:
            listener.append(str(arguments[0]))


@pytest.fixture(scope="module", autouse=True)
def _heard() -> None:
    """Hear of every file this process opens, however it does."""
    sys.addaudithook(_hear)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The paths opened since the test began."""
    _listeners.append([])
    yield _listeners[0]
    _listeners.clear()


def other(root: Path, number: int) -> Path:
    """Make another run of one span and return its file of spans."""
    run = f"{number + 1:032x}"
    place = root / "runs" / run
    place.mkdir()
    (place / "run.json").write_text(f'{{"session":"other-{number}"}}')
    (place / "traces.jsonl").write_text(Book.line(LINES, "exec", 1, 2, "", trace_id=run) + "\n")
    return place / "traces.jsonl"


class _Lines(Book):
    """Lines of a book that is nowhere."""

    def __init__(self) -> None:
        self.run, self._number = "", 0


LINES = _Lines()


def reading(trace_id: str, *, caused_by: tuple[str, str], name: str = "mail") -> str:
    """Return the line of a span in another run that names its cause."""
    return LINES.line(name, 5, 6, "", trace_id=trace_id, link=caused_by) + "\n"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a look search a tenth of a megabyte at most, in small blocks."""
    monkeypatch.setattr(neighbours, "SEARCHED", 100_000)
    monkeypatch.setattr(neighbours, "BLOCK", 16_384)
    return 100_000


def test_a_run_too_big_to_search_hides_no_other(tmp_path: Path, small: int) -> None:
    """An effect in a small run is found beside a newer big one, and the footer says what was not searched."""
    book = Book(tmp_path / "j")
    mail = book.span("mail", 1, 2)
    with other(tmp_path / "j", 1).open("a") as file:
        file.write(reading(f"{2:032x}", caused_by=(RUN, mail)))
    big = Book(tmp_path / "j", OTHER, {"session": "big"}, start=100)
    (big.directory / "traces.jsonl").write_text((big.line("exec", 1, 2, "") + "\n") * (small // 100))
    text = book.draw(160)
    assert "⇢ caused mail in run 00000000 · other-1" in text
    assert "Causes and effects were not looked for in 0.3 MB of run 1b4e28ba." in text


def test_a_big_run_is_searched_to_its_end_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in a file an effect stands, across the edges of blocks too, it is found once."""
    monkeypatch.setattr(neighbours, "BLOCK", 2_000)
    book = Book(tmp_path / "j")
    mail = book.span("mail", 1, 2)
    for number in range(1, 40):
        with other(tmp_path / "j", number).open("a") as file:
            file.write((LINES.line("exec", 1, 2, "", trace_id=f"{number + 1:032x}") + "\n") * number)
            file.write(reading(f"{number + 1:032x}", caused_by=(RUN, mail)))
            file.write("x" * 5_000 + "\n" + "no end")
    found = load(book.journal, RUN).effects[mail]
    assert sorted(link.run for link in found) == sorted(f"other-{number}" for number in range(1, 40))


def test_later_looks_search_what_the_first_left(tmp_path: Path, small: int) -> None:
    """Whoever follows sees the rest of a big run sooner or later; then nothing is left to say."""
    book = Book(tmp_path / "j")
    mail = book.span("mail", 1, 2)
    big = Book(tmp_path / "j", OTHER, start=100)
    line = big.line("exec", 1, 2, "") + "\n"
    big.append(
        "traces.jsonl", line * (3 * small // len(line)) + reading(OTHER, caused_by=(RUN, mail)).rstrip()
    )
    around = neighbours.Neighbours(book.journal, RUN)
    sources = [load(book.journal, RUN, around=around) for _ in range(4)]
    found = [bool(source.effects) for source in sources]
    assert found == [False, False, True, True]
    assert [not source.notes for source in sources] == found


def test_a_cause_is_named_wherever_its_run_lies(tmp_path: Path) -> None:
    """A run that comes late, is closed and moved is looked for again; once named, its span stays named."""
    book = Book(tmp_path / "j")
    book.span("mail", 1, 2, link=(OTHER, "c" * 16))
    around = neighbours.Neighbours(book.journal, RUN)
    assert load(book.journal, RUN, around=around).names == {}
    cause = Book(tmp_path / "j", OTHER, {"session": "hq-mayor"})
    assert load(book.journal, RUN, around=around).names == {(OTHER, "c" * 16): ("", "hq-mayor")}
    cause.append("traces.jsonl", cause.line("sling", 0, 1, "", span_id="c" * 16))
    (tmp_path / "j/closed/2026-11-18").mkdir(parents=True)
    cause.directory.rename(tmp_path / "j/closed/2026-11-18" / OTHER)
    for _ in range(2):
        names = load(book.journal, RUN, around=around).names
        assert names == {(OTHER, "c" * 16): ("sling", "hq-mayor")}


def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    """A pipe in the place of another run's spans: nobody waits for its writer."""
    book = Book(tmp_path / "j")
    other(tmp_path / "j", 1).unlink()
    os.mkfifo(tmp_path / "j/runs" / f"{2:032x}" / "traces.jsonl")
    assert load(book.journal, RUN).effects == {}


def test_effects_stay_once_when_their_run_moves(tmp_path: Path) -> None:
    """A run that is closed while it is looked at does not bring its effects twice."""
    book = Book(tmp_path / "j")
    mail = book.span("mail", 1, 2)
    effect = Book(tmp_path / "j", OTHER)
    effect.append("traces.jsonl", reading(OTHER, caused_by=(RUN, mail)).rstrip())
    around = neighbours.Neighbours(book.journal, RUN)
    assert len(load(book.journal, RUN, around=around).effects[mail]) == 1
    (tmp_path / "j/closed/2026-11-18").mkdir(parents=True)
    effect.directory.rename(tmp_path / "j/closed/2026-11-18" / OTHER)
    effect.directory.mkdir()
    assert len(load(book.journal, RUN, around=around).effects[mail]) == 1


def test_following_reads_only_what_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Beside 2,000 other runs a redraw opens the run's own files, and of the others the one that grew."""
    root = tmp_path / "j"
    book = Book(root)
    files = [other(root, number) for number in range(2_000)]
    inspectors: list[liveness.Inspector] = []
    counts: list[int] = []

    class Counted(liveness.Inspector):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            inspectors.append(self)

    def redraws(picture: Callable[[], object], stamp: Callable[[], object], _canvas: object) -> None:
        for number in range(6):
            mail = book.span("mail", number, number + 1)
            with files[number].open("a") as file:
                file.write(reading(f"{number + 1:032x}", caused_by=(RUN, mail)))
            del opened[:]
            stamp()
            text, _ = picture()  # type: ignore[misc]
            counts.append(len([path for path in opened if path.startswith(str(root))]))
            assert f"other-{number}" in text

    monkeypatch.setattr(follow, "follow", redraws)
    monkeypatch.setattr(liveness, "Inspector", Counted)
    monkeypatch.setattr(view, "ASKED_AGAIN", 1_000.0)
    before = signal.getsignal(signal.SIGTERM)
    try:
        view.command.main([RUN, "--follow", "--all", "--journal", str(root)], standalone_mode=False)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert counts[0] >= 2_000, "the first look searches every run"
    assert max(counts[1:]) < 30, counts
    assert len(inspectors) == 1
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("cost", "drawn"), [(0.001, 50), (0.05, 50), (0.09, 50), (0.2, 25), (1.0, 5)])
def test_redraws_keep_their_pace(monkeypatch: pytest.MonkeyPatch, cost: float, drawn: int) -> None:
    """Something happens all the time for ten seconds: five pictures a second, a slow one half of the time."""
    clock = [0.0]
    pictures: list[float] = []

    def picture() -> tuple[str, bool]:
        clock[0] += cost
        pictures.append(clock[0])
        return "", clock[0] < 10

    def pause(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(follow.time, "monotonic", lambda: clock[0])
    follow.follow(picture, lambda: clock[0], follow.Printer(lambda _: None), pause)
    assert abs(len(pictures) - drawn) <= 1


def test_an_inspector_is_asked_again_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a tmux server said is not believed for ever: --follow must see a session die."""
    from gastown_tracing.cli import reading as cli

    made: list[object] = []

    class Fake:
        def __init__(self, *_: object) -> None:
            made.append(self)

        def look(self, *_: object) -> liveness.Liveness:
            return liveness.Liveness("live", "")

    monkeypatch.setattr(liveness, "Inspector", Fake)
    run = load_run(Book(tmp_path / "j").journal)
    kept, renewed = cli.looker(), cli.looker(0)
    assert [kept(run), kept(run), len(made)] == ["live", "live", 1]
    assert [renewed(run), renewed(run), len(made)] == ["live", "live", 3]


def load_run(journal: Journal):  # type: ignore[no-untyped-def]
    """Return the run of a journal."""
    from gastown_tracing.journal.reader import list_runs

    return list_runs(journal)[0]
