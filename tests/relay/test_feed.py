"""What a worker reads of a journal: every whole line once, in order, wherever it stopped."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.journal.otlp import LINE_LIMIT
from gastown_tracing.relay import feed as feeds
from gastown_tracing.relay.feed import Feed
from gastown_tracing.relay.sources import QUIET, RARELY, Sources

RUN = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return create(str(tmp_path / "journal"))


def append(journal: Journal, place: str, data: bytes, name: str = "traces.jsonl") -> None:
    directory = Path(journal.root, place)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / name, "ab") as file:
        file.write(data)


def fed(journal: Journal, offsets: object = None) -> tuple[Sources, Feed]:
    sources = Sources(journal)
    feed = Feed(journal, lambda _, name: name in ("traces.jsonl", "close.json"), offsets)  # type: ignore[arg-type]
    sources.add(feed)
    return sources, feed


def everything(feed: Feed, limit: int = 1 << 21) -> bytes:
    found = b""
    while pieces := feed.take(limit):
        found += b"".join(piece.data for piece in pieces)
        feed.took(pieces)
    return found


@given(
    chunks=st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"\n")), max_size=20),
    limit=st.integers(1, 60),
)
def test_every_whole_line_comes_once_however_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], limit: int
) -> None:
    journal = create(str(tmp_path_factory.mktemp("feed") / "journal"))
    sources, feed = fed(journal)
    found = b""
    for number, chunk in enumerate(chunks):
        append(journal, f"runs/{RUN}", chunk)
        sources.scan(number * 1.0)
        found += everything(feed, limit)
    written = b"".join(chunks)
    assert found == written[: written.rfind(b"\n") + 1]
    assert feed.pending().bytes == 0


def test_a_restart_goes_on_where_the_checkpoint_says(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"one\ntwo\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    assert everything(feed) == b"one\ntwo\n"
    append(journal, f"runs/{RUN}", b"three\n")
    sources, feed = fed(journal, feed.offsets())
    sources.scan(0.0)
    assert everything(feed) == b"three\n"


def test_what_was_given_back_comes_again(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"one\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    pieces = feed.take(100)
    assert feed.take(100) == []
    feed.give_back(pieces)
    assert feed.take(100) == pieces


def test_another_file_of_the_same_name_is_read_from_its_start(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"a long line that was there before\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    everything(feed)
    os.unlink(f"{journal.root}/runs/{RUN}/traces.jsonl")
    append(journal, f"runs/{RUN}", b"new\n")
    sources.scan(1.0)
    assert everything(feed) == b"new\n"


def test_a_line_without_an_end_waits_for_it_and_keeps_nobody_waiting(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"one\ntorn")
    sources, feed = fed(journal)
    sources.scan(0.0)
    assert everything(feed) == b"one\n"
    assert feed.done_with(f"runs/{RUN}")
    append(journal, f"runs/{RUN}", b" and whole\n")
    sources.scan(1.0)
    assert not feed.done_with(f"runs/{RUN}")
    assert everything(feed) == b"torn and whole\n"


def test_one_busy_file_leaves_room_for_the_others(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"x" * 999 + b"\n" * 2 + b"".join(b"y" * 999 + b"\n" for _ in range(2000)))
    append(journal, "loose/2026-01-01T00", b"another\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    assert {piece.file for piece in feed.take(1 << 21)} == {
        f"runs/{RUN}/traces.jsonl",
        "loose/2026-01-01T00/traces.jsonl",
    }


def test_a_line_longer_than_any_may_be_is_skipped_and_counted(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"z" * (LINE_LIMIT + 10) + b"\nafter\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    assert everything(feed) == b"z" * 10 + b"\nafter\n"
    assert feed.skipped == 1


def test_a_run_that_moves_is_read_on_under_its_new_name(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"one\n")
    append(journal, f"runs/{RUN}", b"root\n", "close.json")
    sources, feed = fed(journal)
    sources.scan(0.0)
    everything(feed)
    new = f"closed/2026-01-01/{RUN}"
    os.makedirs(f"{journal.root}/closed/2026-01-01")
    os.rename(f"{journal.root}/runs/{RUN}", f"{journal.root}/{new}")
    sources.moved(f"runs/{RUN}", new, 1.0)
    append(journal, new, b"late\n")
    append(journal, f"runs/{RUN}", b"later\n")
    sources.scan(2.0)
    assert everything(feed) == b"late\nlater\n"
    assert set(feed.offsets()) == {
        f"{new}/traces.jsonl",
        f"{new}/close.json",
        f"runs/{RUN}/traces.jsonl",
    }
    sources.forget(new)
    assert set(feed.offsets()) == {f"runs/{RUN}/traces.jsonl"}


def test_a_purged_run_is_forgotten(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"one\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    os.unlink(f"{journal.root}/runs/{RUN}/traces.jsonl")
    os.rmdir(f"{journal.root}/runs/{RUN}")
    sources.scan(1.0)
    assert feed.pending().bytes == 0
    assert feed.take(100) == []


def test_a_closed_and_quiet_run_is_looked_at_rarely(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"one\n")
    append(journal, f"runs/{RUN}", b"root\n", "close.json")
    sources, feed = fed(journal)
    sources.scan(0.0)
    everything(feed)
    sources.scan(QUIET)
    append(journal, f"runs/{RUN}", b"late\n")
    assert not sources.scan(QUIET + 1.0)
    assert sources.scan(QUIET * 2)
    assert everything(feed) == b"late\n"


def test_waiting_ends_when_a_file_grows(journal: Journal) -> None:
    sources, feed = fed(journal)
    sources.scan(0.0)
    assert feed.take(100) == []
    assert not feed.wait(0.0)
    append(journal, f"runs/{RUN}", b"one\n")
    sources.scan(1.0)
    assert feed.wait(0.0)


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing for a moment."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_what_cannot_be_read_is_not_done_with(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many open files, a disk that fails: the lines wait, and are tried again."""
    append(journal, f"runs/{RUN}", b"one\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    monkeypatch.setattr(feeds, "_AGAIN", 3600.0)
    with no_descriptors():
        assert feed.take(100) == []
    assert feed.take(100) == [], "not at once"
    assert not feed.done_with(f"runs/{RUN}")
    assert feed.pending().bytes == 4
    feed._failed_until = 0.0
    assert everything(feed) == b"one\n"
    assert feed.done_with(f"runs/{RUN}")


def test_a_journal_that_cannot_be_listed_is_listed_again(journal: Journal) -> None:
    append(journal, f"runs/{RUN}", b"one\n")
    os.utime(f"{journal.root}/runs", (1, 1))  # nothing has come or gone there for long
    sources, feed = fed(journal)
    with no_descriptors():
        sources.scan(0.0)
    assert sources.places() == []
    sources.scan(1.0)
    assert everything(feed) == b"one\n"


def test_what_is_under_way_is_not_taken_for_another_file_of_its_name(journal: Journal) -> None:
    """A file goes, another comes in its place, while a batch is sent: none of the new one is skipped."""
    append(journal, f"runs/{RUN}", b"one\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    pieces = feed.take(100)
    os.unlink(f"{journal.root}/runs/{RUN}/traces.jsonl")
    place = sources.place(f"runs/{RUN}")
    assert place is not None
    sources.emptied(place)
    append(journal, f"runs/{RUN}", b"two\nthree\n")
    sources.scan(1.0)
    feed.took(pieces)
    assert everything(feed) == b"two\nthree\n"


def test_what_is_under_way_counts_under_its_new_name(journal: Journal) -> None:
    """A run is moved while a batch of it is sent: it does not come again, and its old name is forgotten."""
    append(journal, f"runs/{RUN}", b"one\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    pieces = feed.take(100)
    moved = f"closed/2026-01-01/{RUN}"
    os.makedirs(f"{journal.root}/closed/2026-01-01")
    os.rename(f"{journal.root}/runs/{RUN}", f"{journal.root}/{moved}")
    sources.moved(f"runs/{RUN}", moved, 1.0)
    feed.took(pieces)
    assert everything(feed) == b""
    assert list(feed.offsets()) == [f"{moved}/traces.jsonl"]
    assert list(feed._places) == [moved]


def test_gigabytes_of_what_is_no_line_are_passed_over(journal: Journal) -> None:
    """A file that a crash left full of zeros costs no more than the reading of it."""
    append(journal, f"runs/{RUN}", b"")
    os.truncate(f"{journal.root}/runs/{RUN}/traces.jsonl", 1500 * LINE_LIMIT)
    append(journal, f"runs/{RUN}", b"\none\n")
    sources, feed = fed(journal)
    sources.scan(0.0)
    assert everything(feed) == b"\none\n"
    assert feed.skipped == 1500


def test_what_has_been_quiet_for_long_is_looked_at_rarely_from_the_beginning(journal: Journal) -> None:
    """A relay that begins where thousands of runs wait looks at each once, not all the time for a minute."""
    for name in ("traces.jsonl", "close.json"):
        append(journal, f"runs/{RUN}", b"one\n", name)
        os.utime(f"{journal.root}/runs/{RUN}/{name}", (1, 1))
    sources, _ = fed(journal)
    sources.scan(0.0)
    (place,) = sources.places()
    assert not place.due(1.0)
    append(journal, f"runs/{RUN}", b"two\n")
    sources.scan(RARELY)
    assert place.due(RARELY + 1)


def test_what_no_checkpoint_has_is_not_done_with(journal: Journal) -> None:
    """On a full disk a worker that adds up would miss, after a kill, what has been moved meanwhile."""
    append(journal, f"runs/{RUN}", b"one\n")
    sources, feed = fed(journal)
    feed.kept({})
    sources.scan(0.0)
    everything(feed)
    assert not feed.done_with(f"runs/{RUN}")
    feed.kept(feed.offsets())
    assert feed.done_with(f"runs/{RUN}")
    append(journal, f"runs/{RUN}", b"torn")
    sources.scan(1.0)
    everything(feed)
    assert feed.done_with(f"runs/{RUN}")
