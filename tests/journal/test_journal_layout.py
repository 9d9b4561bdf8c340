"""Where a journal's files are, who makes them, with which modes."""

from __future__ import annotations

import enum
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from journal_kit import NOBODY, TRACE, at_once, needs_root

from gastown_tracing.journal import layout
from gastown_tracing.journal.layout import Journal

ROOT = Path(layout.__file__).parents[2]


def test_a_new_journal_is_on_and_ours(journal: Journal) -> None:
    assert (journal.exists(), journal.is_on(), journal.owned()) == (True, True, True)
    assert Path(journal.version_path).read_text() == "1\n"
    assert json.loads(Path(journal.config_path).read_text()) == {}


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_directories_are_0700_and_files_0600_whatever_the_umask(journal_root: Path, umask: int) -> None:
    def make(_: int) -> None:
        os.umask(umask)
        journal = layout.create(str(journal_root), {"GT_OTEL_TRACES_URL": "http://localhost"})
        layout.PaneRegistry(journal).register(TRACE, session="s", server_pid="1", pane="%1")

    at_once(1, make)
    for directory, _, files in os.walk(journal_root):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        for name in files:
            assert stat.S_IMODE(os.stat(Path(directory, name)).st_mode) == 0o600
    assert {"VERSION", "config.json", "on"} <= set(os.listdir(journal_root))


def test_the_switch_is_never_made_again(journal: Journal) -> None:
    os.unlink(journal.on_path)
    assert not layout.create(journal.root, {"late": "x"}).is_on()
    assert os.listdir(journal.root + "/runs") == []
    assert json.loads(Path(journal.config_path).read_text()) == {}


def test_of_many_that_create_one_makes_it_and_all_find_it_on(journal_root: Path) -> None:
    def make(number: int) -> tuple[bool, str]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                journal = layout.create(str(journal_root), {"maker": str(number)})
            except BlockingIOError:  # this machine has so much to do that making it takes 50 ms
                continue
            return journal.is_on(), layout.read_text(journal.config_path) or ""
        raise TimeoutError("nobody finishes")

    results = at_once(8, make)
    assert {on for on, _ in results} == {True}
    assert len({config for _, config in results}) == 1


@pytest.fixture
def creating(journal_root: Path) -> Iterator[int]:
    """Return a descriptor of the lock that another process holds which makes this journal."""
    journal_root.mkdir()
    descriptor = os.open(journal_root, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_who_comes_while_another_creates_waits_and_takes_what_that_one_made(
    journal_root: Path, creating: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the operator switches the new journal off before the second one gets its turn."""

    def finish(seconds: float) -> None:
        assert 0 < seconds <= 0.05
        (journal_root / "VERSION").write_text("1\n")
        fcntl.flock(creating, fcntl.LOCK_UN)

    monkeypatch.setattr("time.sleep", finish)
    assert not layout.create(str(journal_root)).is_on()
    assert os.listdir(journal_root) == ["VERSION"]


def test_who_creates_and_never_finishes_holds_nobody(
    journal_root: Path, creating: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process may have the lock for ever; a command that is traced cannot wait for it."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(OSError, match="another process is still making the journal"):
        layout.create(str(journal_root))
    assert 0.02 <= sum(slept) <= 0.06
    assert os.listdir(journal_root) == []


def test_who_creates_alone_waits_for_nothing(journal_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("slept"))
    assert layout.create(str(journal_root)).is_on()


def test_an_empty_directory_is_no_journal_yet_and_keeps_its_mode(journal_root: Path) -> None:
    """It may be anybody's mount point; what the journal holds is the owner's alone all the same."""
    journal_root.mkdir()
    journal_root.chmod(0o755)
    assert not Journal(str(journal_root)).exists()
    assert layout.create(str(journal_root)).is_on()
    assert stat.S_IMODE(journal_root.stat().st_mode) == 0o755
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in journal_root.iterdir()}
    assert modes == {True: 0o700, False: 0o600}


@pytest.mark.parametrize("name", ["notes.txt", "config.json", "on", "only", ".git", "runs.old"])
def test_a_directory_of_something_else_is_refused_and_left_as_it_is(journal_root: Path, name: str) -> None:
    """As root, a journal in /tmp would close it to everybody."""
    journal_root.mkdir()
    journal_root.chmod(0o755)
    (journal_root / name).write_text("theirs")
    with pytest.raises(OSError, match="holds other files and is no journal"):
        layout.create(str(journal_root))
    assert os.listdir(journal_root) == [name]
    assert (journal_root / name).read_text() == "theirs"
    assert stat.S_IMODE(journal_root.stat().st_mode) == 0o755


@pytest.mark.parametrize("made", range(10))
def test_a_journal_that_was_begun_is_finished(journal_root: Path, made: int) -> None:
    """Whoever made it died in between: after so many of its entries, the next one under a temporary name."""
    journal_root.mkdir()
    for name in layout.DIRECTORIES[:made]:
        (journal_root / name).mkdir()
    for name in ("config.json", "on", "VERSION.12-ab")[: max(0, made - len(layout.DIRECTORIES))]:
        (journal_root / name).write_text("")
    assert layout.create(str(journal_root), {"a": "b"}).is_on()
    assert json.loads((journal_root / "config.json").read_text()) == {"a": "b"}


def test_a_journal_where_no_directory_is_cannot_be_made(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a directory"):
        layout.create(str(tmp_path / "pipe"))


@needs_root
def test_another_users_directory_is_left_alone() -> None:
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # noqa: S103 - so that the other user gets as far as the journal
        ours, theirs = place + "/ours", place + "/theirs"
        layout.create(ours)
        os.mkdir(theirs)
        os.chown(theirs, NOBODY, NOBODY)

        def try_to_create(_: int) -> str:
            assert not Journal(ours).owned()
            try:
                layout.create(ours)
            except OSError as error:
                return error.strerror or ""
            return "created"

        assert "another user" in at_once(1, try_to_create, user=NOBODY)[0]
        with pytest.raises(OSError, match="another user"):
            layout.create(theirs)
        assert os.listdir(theirs) == []


def test_a_config_is_replaced_whole_and_hostile_values_come_back(journal: Journal) -> None:
    settings = {'a"\\\n\x00é': "v\u2028\U0001f600", "b": ""}
    journal.write_config(settings)
    assert json.loads(Path(journal.config_path).read_text()) == settings
    assert layout.load_json(layout.read_text(journal.config_path) or "") == settings
    assert os.listdir(journal.root).count("config.json") == 1
    assert not [name for name in os.listdir(journal.root) if name.startswith("config.json.")]


def test_directories_of_a_run_are_found_open_first_then_by_date(journal: Journal) -> None:
    assert journal.find_run(TRACE) == []
    for place in ("closed/2026-11-02", "closed/2026-11-20", "runs"):
        os.makedirs(f"{journal.root}/{place}/{TRACE}")
    assert [path.removeprefix(journal.root) for path in journal.find_run(TRACE)] == [
        f"/runs/{TRACE}",
        f"/closed/2026-11-20/{TRACE}",
        f"/closed/2026-11-02/{TRACE}",
    ]


def test_loose_records_have_a_directory_each_utc_hour() -> None:
    assert Journal("/j").loose_dir(1_795_219_200_000_000_000) == "/j/loose/2026-11-21T00"
    assert Journal("/j").loose_dir(0) == "/j/loose/1970-01-01T00"


@pytest.mark.parametrize(
    ("env", "town", "expected"),
    [
        ({"HOME": "/h"}, "", "/h/.local/state/gastown-tracing/default"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s/"}, "", "/s/gastown-tracing/default"),
        ({"HOME": "/h", "XDG_STATE_HOME": "relative"}, "", "/h/.local/state/gastown-tracing/default"),
        # printf %s /home/me/town | sha256sum
        ({"XDG_STATE_HOME": "/s"}, "/home/me/town", "/s/gastown-tracing/town-15f4a001"),
    ],
)
def test_the_default_journal_is_named_after_the_town(env: dict[str, str], town: str, expected: str) -> None:
    assert layout.default_root(env, town) == expected


def test_without_home_the_users_entry_decides() -> None:
    assert layout.default_root({}, "").endswith("/.local/state/gastown-tracing/default")


def test_the_town_is_gt_root_or_the_nearest_one_above(tmp_path: Path) -> None:
    town = tmp_path / "town"
    deep = town / "rig" / "crew"
    deep.mkdir(parents=True)
    assert layout.find_town_root({}, str(deep)) == ""
    (town / "mayor").mkdir()
    (town / "mayor" / "town.json").write_text("{}")
    assert layout.find_town_root({}, str(deep)) == str(town)
    assert layout.find_town_root({}, str(town) + "/") == str(town)
    assert layout.find_town_root({"GT_ROOT": "/other/"}, str(deep)) == "/other"
    assert layout.find_town_root({"GT_ROOT": "relative"}, str(deep)) == str(town)
    assert layout.find_town_root({}, "/") == ""


def test_the_registry_knows_panes_of_one_server_and_sessions_of_one_town(journal: Journal) -> None:
    registry = layout.PaneRegistry(journal)
    where = {"socket": "/tmp/s", "server_pid": "12", "pane": "%3"}
    begun(journal, TRACE)
    registry.register(TRACE, **where, session="gt-../x", town_root="/town")
    assert registry.run_for_pane("/tmp/s", "12", "%3") == TRACE
    assert registry.run_for_pane("/tmp/other", "12", "%3") is None
    assert registry.run_for_pane("/tmp/s", "13", "%3") is None
    assert registry.run_for_session("gt-../x", "/town") == TRACE
    assert registry.run_for_session("gt-../x", "/other") is None
    begun(journal, "5" * 32)
    registry.register("5" * 32, session="gt-../x", town_root="/town")
    assert registry.run_for_session("gt-../x", "/town") == "5" * 32
    assert sorted(os.listdir(journal.panes_dir)) == ["12.3", "s-gt-%2e%2e%2fx"]


def test_a_sessions_name_means_no_run_that_is_over(journal: Journal) -> None:
    """The next session of that name is another: neither closed nor moved away is it found."""
    registry = layout.PaneRegistry(journal)
    directory = begun(journal, TRACE)
    registry.register(TRACE, session="de-rust", town_root="/town")
    (directory / "close.json").touch()
    assert registry.run_for_session("de-rust", "/town") is None
    shutil.rmtree(directory)
    assert registry.run_for_session("de-rust", "/town") is None


def begun(journal: Journal, run_id: str) -> Path:
    """Make the directory of a run that is open; return it."""
    directory = Path(journal.run_dir(run_id))
    directory.mkdir(parents=True)
    (directory / "run.json").touch()
    return directory


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_name_leads_out_of_the_registry(name: str) -> None:
    registry = layout.PaneRegistry(Journal("/nowhere"))
    assert registry.run_for_session(name, name) is None
    assert registry.run_for_pane(name, name, name) is None
    assert "/" not in layout.file_name(name)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(json_values)
def test_json_without_the_json_module_reads_the_same(value: Any) -> None:
    assert layout.load_json(f" {json.dumps(value)}\n") == value


@settings(deadline=None)
@given(st.text())
@example('{"a":')
@example("[" * 100_000)
@example('"\\ud8')
@example("1 2")
def test_broken_json_is_none_and_never_raises(text: str) -> None:
    try:
        wanted = json.loads(text.strip(), strict=False)
    except (ValueError, RecursionError):
        wanted = None
    assert repr(layout.load_json(text)) == repr(wanted)  # as text, where NaN equals itself


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_a_quoted_string_is_json(text: str) -> None:
    assert json.loads(layout.quote_json(text)) == text


class Level(str, enum.Enum):  # noqa: UP042 - what many programs have, and whose format differs
    """An enumeration of texts, one hostile."""

    HIGH = 'a"b'
    LOW = "plain"

    def __format__(self, spec: str) -> str:
        return '","injected":"'

    def isprintable(self) -> bool:
        return True

    def translate(self, table: object) -> str:
        return f"translated by {table!r}"


@pytest.mark.parametrize("text", Level)
def test_a_quoted_string_is_its_characters_whatever_its_class_says(text: Level) -> None:
    assert json.loads(layout.quote_json(text)) == text.value


BARE = """
import sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
from gastown_tracing.journal import layout, otlp, writer
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("gastown_tracing")))
print(layout.load_json('{"a": [1, "x"]}'))
print(layout.default_root({"HOME": "/h"}, "/home/me/town"))
print(*(name for name in ("os", "re", "json", "typing", "hashlib") if name in sys.modules))
for text in ('{"a"', "", "[1]x"):  # from 3.12 on the scanner imports json to say what is wrong
    print(layout.load_json(text))
"""


def test_the_writing_side_loads_next_to_nothing() -> None:
    """In a shim's bare interpreter: not for writing, nor for reading JSON, nor for the journal's name."""
    command = [sys.executable, "-I", "-S", "-E", "-c", BARE, str(ROOT)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert set(lines[0].split()) <= {"errno", "fcntl"}
    assert lines[1] == "{'a': [1, 'x']}"
    assert lines[2] == "/h/.local/state/gastown-tracing/town-15f4a001"
    assert lines[3] == ""
    assert lines[4:7] == ["None", "None", "None"]
