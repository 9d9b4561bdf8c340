"""`gt-trace view --follow`: the picture is drawn again when something happens, until the session ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from view_kit import OTHER, RUN, Book, a_day

from tests.conftest import clean_environ
from tests.processes import wait_until

VIEW = f"{sys.executable} -m gastown_tracing.cli view {RUN}"


@pytest.fixture
def start(
    env: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], Path]]]:
    """Return a function that follows a run in a process of its own, into a file."""
    running = []

    def follow(*options: str) -> tuple[subprocess.Popen[bytes], Path]:
        output = tmp_path / "output"
        command = [sys.executable, "-m", "gastown_tracing.cli", "view", RUN, "--follow", *options]
        with output.open("wb") as file:
            running.append(subprocess.Popen(command, env=env, stdout=file, stderr=subprocess.PIPE))
        return running[-1], output

    yield follow
    for process in running:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_each_change_is_printed_and_the_end_ends_it(
    journal_root: Path, start: Callable[..., tuple[subprocess.Popen[bytes], Path]]
) -> None:
    """No terminal: a picture a change, a form feed between two, exit code 0 when the session has ended."""
    book = Book(journal_root)
    process, output = start()
    wait_until(lambda: "gt.session" in output.read_text(), "the first picture")
    book.span("exec", 1, 2, attributes={"name": "make"})
    wait_until(lambda: "make" in output.read_text(), "a picture with the new span")
    book.marker("exec", 3, live=True)
    wait_until(lambda: "1 in progress" in output.read_text(), "a picture with the call in progress")
    book.close(10)
    assert process.wait(30) == 0
    pictures = output.read_text().split("\f\n")
    assert len(pictures) >= 3
    assert "ended: done" in pictures[-1]
    assert "ended: done" not in pictures[-2]


def test_ctrl_c_ends_it_quietly(
    journal_root: Path, start: Callable[..., tuple[subprocess.Popen[bytes], Path]]
) -> None:
    """SIGINT: exit code 130, nothing on stderr."""
    Book(journal_root)
    process, output = start()
    wait_until(lambda: "gt.session" in output.read_text(), "the first picture")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_an_ended_session_is_shown_once(
    journal_root: Path, start: Callable[..., tuple[subprocess.Popen[bytes], Path]]
) -> None:
    """There is nothing to follow: one picture, exit code 0."""
    Book(journal_root).close(5)
    process, output = start()
    assert process.wait(30) == 0
    assert "\f" not in output.read_text()


class Pane:
    """A tmux pane of a given width in which one command runs."""

    def __init__(self, socket: str, width: int, command: str) -> None:
        self._base = ["tmux", "-S", socket, "-f", "/dev/null"]
        self._run("new-session", "-d", "-x", str(width), "-y", "40", f'{command}; echo "[$?]"; exec sleep 60')

    def _run(self, *words: str) -> str:
        env = {**clean_environ(), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        return subprocess.run(
            [*self._base, "-u", *words], env=env, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    def text(self) -> str:
        """Return what the pane shows, without spaces at the ends of lines."""
        return "\n".join(
            line.rstrip() for line in self._run("capture-pane", "-p", "-S", "-").splitlines()
        ).rstrip("\n")

    def keys(self, *keys: str) -> None:
        """Type into the pane."""
        self._run("send-keys", *keys)


@pytest.mark.parametrize("width", [80, 160])
def test_a_real_terminal_shows_what_the_golden_file_has(
    journal_root: Path, tmux_socket: str, width: int
) -> None:
    """In tmux, 80 and 160 columns wide, every line stands as drawn: none wraps, none shifts."""
    book = a_day(journal_root)
    pane = Pane(
        tmux_socket,
        width,
        f"{VIEW} --journal {book.journal.root}",
    )
    wait_until(lambda: "[0]" in pane.text(), "the view in the pane")
    golden = (Path(__file__).parent / "golden" / f"day-{width}-utf8.txt").read_text()
    assert pane.text() == golden.rstrip("\n") + "\n[0]"


def test_following_on_a_terminal_draws_in_place_and_restores_it(journal_root: Path, tmux_socket: str) -> None:
    """The picture grows in place; Ctrl-C leaves the last one on the usual screen."""
    book = Book(journal_root)
    pane = Pane(
        tmux_socket,
        80,
        f"echo before; {VIEW} --follow --journal {book.journal.root}",
    )
    wait_until(lambda: "gt.session" in pane.text(), "the first picture")
    assert "before" not in pane.text()
    book.span("exec", 1, 2, attributes={"name": "make"})
    wait_until(lambda: "make" in pane.text(), "the new span")
    assert pane.text().count("gt.session") == 1
    pane.keys("C-c")
    wait_until(lambda: "[130]" in pane.text(), "the end")
    assert pane.text().startswith("before\n")
    assert pane.text().count("gt.session") == 1


def test_with_links_a_trace_that_comes_later_joins_the_picture(
    journal_root: Path, start: Callable[..., tuple[subprocess.Popen[bytes], Path]]
) -> None:
    """A session that comes later is drawn once it links to this one; when all have ended that is it."""
    book = Book(journal_root)
    mail = book.span("mail", 1, 2, attributes={"operation": "send"})
    process, output = start("--follow-links")
    wait_until(lambda: "no linked trace" in output.read_text(), "the first picture")
    other = Book(journal_root, OTHER, {"session": "hq-mayor"})
    other.number_from(OTHER)
    other.span("mail", 5, 6, attributes={"operation": "read"}, link=(RUN, mail))
    wait_until(lambda: "⇠ A1 mail send" in output.read_text(), "a picture with the other end")
    book.close(10)
    wait_until(lambda: "ended: done" in output.read_text(), "a picture of what has ended")
    assert process.poll() is None
    other.close(20)
    assert process.wait(30) == 0
    assert output.read_text().split("\f\n")[-1].count("ended: done") == 2
