"""Output that a shim reads is what it would have been: pipes are teed, files read back, the rest let be."""

from __future__ import annotations

import hashlib
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell_kit import RUN
from shim_kit import SAYS, Ahead, Shims

from gastown_tracing.shims import outputs
from gastown_tracing.shims.lines.seen import BD, SLING, Seen
from tests.processes import wait_until

CREATE = ["bd", "create", "x", "--json"]
BEAD = 'echo "{\\"id\\": \\"de-7\\"}"'
PIPE = subprocess.PIPE
ORDER = ["out1", "err1", "out2", "err2", "out3", "err3"]


SHOW = ["bd", "show", "de-7", "--json"]


class Read:
    """A command whose pipes are teed: by Python before it starts, or by the shell that starts it ahead."""

    def __init__(self, shims: Shims, words: list[str]) -> None:
        self.shims, self.words = shims, words

    def start(self, says: str, **streams: object) -> subprocess.Popen[bytes]:
        """Start it; both its outputs are pipes unless said otherwise."""
        how = {"cwd": self.shims.town, "stdout": PIPE, "stderr": PIPE, **streams}
        return subprocess.Popen(self.words, env=self.shims.session(says), **how)  # type: ignore[call-overload,no-any-return]  # in how


@pytest.fixture(params=["by Python", "ahead"])
def read(request: pytest.FixtureRequest, shims: Shims, tmp_path: Path) -> Iterator[Read]:
    """Return a command whose pipes are teed, in both ways."""
    if request.param == "by Python":
        yield Read(shims, CREATE)
        return
    ahead = Ahead(shims, tmp_path / "ahead")
    shims.run(*SHOW)
    yield Read(shims, SHOW)
    assert ahead.times > 0


def made(shims: Shims) -> list[object]:
    """Return the ids of the beads that bd.call's records name, in their order."""
    return [log.attributes.get("bead_id") for log in shims.written()[1] if log.event_name == "bd.call"]


@pytest.mark.parametrize("how", [">", ">>", "1<>"])
def test_a_file_is_read_back(how: str, shims: Shims, tmp_path: Path) -> None:
    """What the command wrote behind what was there, and nothing that others wrote before or after."""
    file = tmp_path / "file"
    file.write_text('{"id": "de-1"}\n' if how != "1<>" else "")
    script = f'{{ echo before; "$@"; echo after; }} {how} "{file}"'
    shims.run_as(["sh", "-c", script, "sh", *CREATE], shims.session(BEAD))
    assert file.read_text().endswith('before\n{"id": "de-7"}\nafter\n')
    assert made(shims) == ["de-7"]


def test_one_file_for_both_streams_is_in_its_order(shims: Shims, tmp_path: Path) -> None:
    """`>file 2>&1` comes out as it was written; nothing is known of stderr alone."""
    file = tmp_path / "file"
    says = "for i in 1 2 3; do echo out$i; echo err$i >&2; done"
    env = shims.session(says, GT_LOG_BD_OUTPUT="true")
    shims.run_as(["sh", "-c", f'"$@" >"{file}" 2>&1', "sh", "bd", "list"], env)
    assert file.read_text().split() == ORDER
    said = shims.logs()["bd.call"].attributes
    assert "stderr" not in said
    assert str(said["stdout"]).split()[0] == "out1"


def test_one_pipe_for_both_streams_is_left_alone(shims: Shims) -> None:
    """A tee would change the order: the command has its caller's own pipe, and nothing is read."""
    says = "readlink /proc/self/fd/1; for i in 1 2 3; do echo out$i; echo err$i >&2; done"
    reader, writer = os.pipe()
    name = os.readlink(f"/proc/self/fd/{writer}")
    shims.run_as(CREATE, shims.session(says), capture_output=False, stdout=writer, stderr=writer)
    os.close(writer)
    assert os.read(reader, 65536).decode().split() == [name, *ORDER]
    os.close(reader)
    assert made(shims) == [None]


def test_a_terminal_is_left_alone(shims: Shims) -> None:
    """The command sees the terminal itself."""
    leader, follower = pty.openpty()
    says = "[ -t 1 ] && [ -t 2 ] && echo terminal"
    env = shims.session(says, GT_LOG_BD_OUTPUT="true")
    shims.run_as(CREATE, env, capture_output=False, stdout=follower, stderr=follower)
    assert os.read(leader, 100) == b"terminal\r\n"
    os.close(follower)
    os.close(leader)
    assert "stdout" not in shims.logs()["bd.call"].attributes


def test_a_hundred_megabytes(shims: Shims) -> None:
    """All of it arrives, byte for byte; what is recorded is cut."""
    size = 100 << 20
    says = f"head -c {size} /dev/zero | tr '\\0' x"
    env = shims.session(says, GT_LOG_BD_OUTPUT="true")
    with subprocess.Popen(["bd", "list"], env=env, cwd=shims.town, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        digest = hashlib.sha256()
        count = 0
        while chunk := process.stdout.read(1 << 20):
            digest.update(chunk)
            count += len(chunk)
    assert (process.wait(30), count) == (0, size)
    assert digest.hexdigest() == hashlib.sha256(b"x" * size).hexdigest()
    assert 2048 < len(str(shims.logs()["bd.call"].attributes["stdout"])) < 2200


def test_any_bytes(shims: Shims, tmp_path: Path) -> None:
    """Both streams arrive as they were written, whatever they are, and what is recorded is text."""
    out, err = tmp_path / "out", tmp_path / "err"
    out.write_bytes(os.urandom(300_000))
    err.write_bytes(os.urandom(300_000))
    done = shims.run("bd", "list", says=f"cat '{err}' >&2 & cat '{out}'; wait", GT_LOG_BD_OUTPUT="true")
    assert (done.stdout, done.stderr) == (out.read_bytes(), err.read_bytes())
    assert isinstance(shims.logs()["bd.call"].attributes["stderr"], str)


def test_a_reader_that_goes_away_ends_the_command(read: Read) -> None:
    """`… | head -1` ends the command with SIGPIPE, as without us."""
    with read.start("exec yes") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == -signal.SIGPIPE
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_reader_that_has_gone_is_told_at_the_next_write(read: Read, tmp_path: Path) -> None:
    """The very first write behind a reader's end gets the SIGPIPE: no byte is taken that nobody reads."""
    go = tmp_path / "go"
    says = f"echo one; while [ ! -e '{go}' ]; do sleep 0.01; done; echo two; echo three >'{go}'"
    with read.start(says) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        time.sleep(0.2)  # nothing tells when the pump has heard of it
        go.write_text("")
        assert process.wait(30) == -signal.SIGPIPE
    assert go.read_text() == ""


def test_a_slow_reader_holds_the_command_back(read: Read) -> None:
    """Nobody buffers more than two pipes hold."""
    says = "head -c 1000000 /dev/zero; echo done >&2"
    with read.start(says) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        taken = process.stdout.read(500_000)
        assert process.stderr.read() is None
        assert len(taken + process.stdout.read()) == 1_000_000
        assert process.wait(30) == 0


def test_an_output_that_never_waits(read: Read) -> None:
    """O_NONBLOCK is the caller's: a full pipe loses no byte."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    says = "head -c 500000 /dev/zero"
    with read.start(says, stdout=writer) as process:
        os.close(writer)
        size = 0
        while chunk := os.read(reader, 1 << 16):
            size += len(chunk)
            time.sleep(0.001)  # slower than the command
        assert (process.wait(30), size) == (0, 500_000)
    os.close(reader)


def test_a_stream_socket_is_teed_and_messages_are_not(shims: Shims) -> None:
    """What has borders between its messages keeps them."""
    for kind, known in ((socket.SOCK_STREAM, "de-7"), (socket.SOCK_DGRAM, None)):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        says = 'echo "{"; echo "\\"id\\": \\"de-7\\"}"'
        shims.run_as(CREATE, shims.session(says), capture_output=False, stdout=theirs.fileno(), stderr=PIPE)
        theirs.close()
        first = ours.recv(100)
        assert (first == b"{\n") is (kind == socket.SOCK_DGRAM) or kind == socket.SOCK_STREAM
        assert made(shims)[-1] == known
        ours.close()


def test_a_child_that_keeps_the_pipe_is_heard_to_its_end(read: Read, tmp_path: Path) -> None:
    """The shim ends when the command does; its reader hears what comes later, and then the end of it."""
    go = tmp_path / "go"
    says = f"{BEAD}; (while [ ! -e '{go}' ]; do sleep 0.01; done; echo late; echo later >&2) &"
    with read.start(says) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.wait(30) == 0
        assert made(read.shims)[-1] == "de-7"
        go.write_text("")
        assert process.stdout.read() == b'{"id": "de-7"}\nlate\n'
        assert process.stderr.read() == b"later\n"


def test_who_waits_for_the_end_of_output_waits_for_the_command_alone(read: Read) -> None:
    """A command that closes its streams lets go of them although it goes on."""
    says = "echo out; exec >&- 2>&-; exec sleep 300"
    with read.start(says) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"out\n"
        assert process.poll() is None
        process.kill()


def test_killed_with_9_what_was_said_arrives(read: Read) -> None:
    """A caller with a deadline kills and reads to the end: it gets what had been written, and the end."""
    says = "head -c 50000 /dev/zero; echo up >&2; exec sleep 300"
    with read.start(says) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"up\n"
        process.kill()
        assert len(process.stdout.read()) == 50_000


def test_nobody_is_left_behind(read: Read) -> None:
    """When the command has ended no process of ours runs on."""
    for _ in range(5):
        read.shims.run(*read.words, says=BEAD)
    wait_until(lambda: not of_journal(read.shims), "no process of a shim is left")


def of_journal(shims: Shims) -> list[str]:
    """Return the processes whose environment names the test's journal."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(shims.journal.root).encode() in (place / "environ").read_bytes():
                found.append(place.name)
        except OSError:
            continue
    return found


def test_a_daemons_output_is_not_read(shims: Shims) -> None:
    """What starts a process that outlives it has its caller's own pipe."""
    says = "readlink /proc/self/fd/1"
    done = shims.run("bd", "dolt", "start", says=says, GT_LOG_BD_OUTPUT="true")
    assert done.stdout.startswith(b"pipe:")
    assert "stdout" not in shims.logs()["bd.call"].attributes


def test_output_is_recorded_with_its_opt_in_alone(shims: Shims) -> None:
    """Of every bd command then, stdout and stderr, each to its limit."""
    says = "head -c 5000 /dev/zero | tr '\\0' o; head -c 5000 /dev/zero | tr '\\0' e >&2"
    shims.run("bd", "list", says=says)
    shims.run("bd", "list", says=says, GT_LOG_BD_OUTPUT="true")
    shims.run("bd", "list", says=says, GT_LOG_BD_OUTPUT="true", GT_LOG_BD_CONTENT_LIMIT="0")
    closed, opened, whole = [log.attributes for log in shims.written()[1]]
    assert not {"stdout", "stderr"} & closed.keys()
    assert (str(opened["stdout"]).count("o"), str(opened["stderr"]).partition("…")[0]) == (2048, "e" * 1024)
    assert (whole["stdout"], whole["stderr"]) == ("o" * 5000, "e" * 5000)


@pytest.mark.parametrize(
    ("command", "says", "failed"),
    [
        ("bd show x --json", "echo no such bead >&2", True),
        ("bd show x --json", "echo warning: old >&2; echo '  Fix: it' >&2", False),
        ("bd show x --json", "echo odd >&2; echo '[]'", False),
        ("bd show x --json", "true", False),
        ("bd show x", "echo no such bead >&2", False),
        ("bd create x -q", "echo odd >&2", False),
    ],
)
def test_bds_own_failure(command: str, says: str, failed: bool, shims: Shims) -> None:
    """Exit code 0, nothing on stdout and text on stderr is an error, where both were read."""
    assert shims.run(*command.split(), says=says).returncode == 0
    span, log = shims.span(), shims.logs()["bd.call"]
    assert (span.status_code == 2, log.attributes["status"] == "error") == (failed, failed)
    assert log.attributes["exit_code"] == 0
    assert span.attributes.get("error.type") == ("no_output" if failed else None)
    assert "such" not in str(log.attributes["error"])


def test_bds_own_failure_needs_both_streams(shims: Shims) -> None:
    """With stdout thrown away nobody knows whether there was any: the exit code alone decides."""
    env = shims.session("echo no such bead >&2")
    shims.run_as(
        ["bd", "show", "x", "--json"], env, capture_output=False, stdout=subprocess.DEVNULL, stderr=PIPE
    )
    assert shims.span().status_code == 0


@pytest.mark.parametrize("closing", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed(closing: str, shims: Shims, tmp_path: Path) -> None:
    """A stream that the caller closed is closed for the command; what is left is read where that is safe."""
    file = tmp_path / "seen"
    says = f"for f in 0 1 2; do [ -e /proc/self/fd/$f ] && open=$open$f; done; echo $open >'{file}'"
    seen = []
    for program in (["bd", *CREATE[1:]], ["sh", "-c", says]):
        script = f'exec "$@" {closing}'
        env = shims.session(says, GT_LOG_BD_OUTPUT="true")
        shims.run_as(["sh", "-c", script, "sh", *program], env)
        seen.append(file.read_text())
    assert seen[0] == seen[1]


SLUNG = """\
🎯 Slinging de-1tr to demo/polecats/rust...
→ Created convoy 🚚 hq-cv-trf2a
✓ Formula wisp created: de-wisp-bjtd
"""


@pytest.mark.parametrize(
    ("seen", "stdout", "made", "attributes"),
    [
        (Seen("bead.create", reads=BD, makes=[("beads", "")]), '{"id": "de-1"}', ["de-1"], "de-1"),
        (Seen("bead.create", reads=BD, makes=[("beads", "")]), '[{"id": "de-1"}]', ["de-1"], "de-1"),
        (
            Seen("bead.create", reads=BD, makes=[("beads", "")]),
            '{"schema_version": 1, "data": {"id": "de-1"}}',
            ["de-1"],
            "de-1",
        ),
        (
            Seen("bead.create", reads=BD, makes=[("beads", "")]),
            "✓ Created issue: de-1 — A\n",
            ["de-1"],
            "de-1",
        ),
        (Seen("bead.create", reads=BD, makes=[("beads", "")]), "de-1\n", ["de-1"], "de-1"),
        (Seen("bead.create", reads=BD, makes=[("beads", "")]), "Error: no — such\n", [], None),
        (Seen("bead.create", reads=BD, makes=[("beads", "")]), '{"id": "de-1"', [], None),
        (Seen("bd.call", reads=BD), '[{"id": "de-1"}, {"id": "de-2"}]', [], "de-1, de-2"),
    ],
)
def test_ids_in_what_bd_says(seen: Seen, stdout: str, made: list[str], attributes: str | None) -> None:
    """JSON bare or in its envelope, an object or an array, a sentence or an id alone; else nothing."""
    found = outputs.read(seen, stdout.encode())
    assert found.made == made
    assert found.attributes.get("bd.call", {}).get("bead_id") == attributes


def test_what_a_wisp_and_a_sling_say() -> None:
    """The wisp's root; a sling's polecat, convoy and wisp."""
    wisp = outputs.read(Seen("mol.wisp", reads=BD), b'{"new_epic_id": "de-wisp-1"}')
    assert wisp.attributes == {"mol.wisp": {"wisp_root_id": "de-wisp-1"}}
    slung = outputs.read(Seen("sling", reads=SLING), SLUNG.encode()).attributes["sling"]
    assert slung == {"polecat": "demo/polecats/rust", "convoy": "hq-cv-trf2a", "wisp": "de-wisp-bjtd"}


@given(st.binary(max_size=200), st.sampled_from([BD, SLING]), st.booleans())
def test_no_output_breaks_anything(data: bytes, reads: str, makes: bool) -> None:
    """Whatever is printed, what is read of it are words that can be ids."""
    for event in ("mol.wisp", "sling", "mail", "bd.call"):
        found = outputs.read(Seen(event, reads=reads, makes=[("beads", "")] if makes else ()), data)
        ids = [*found.made, *[text for said in found.attributes.values() for text in said.values()]]
        assert all(text and text.isprintable() for text in ids)


def test_the_span_of_a_sling_says_what_came_of_it(shims: Shims) -> None:
    """Its polecat, its convoy and its wisp stand on span and record."""
    says = f"cat <<'E'\n{SLUNG}E"
    shims.run("gt", "sling", "de-1tr", "demo", says=says)
    span = shims.span()
    assert (span.name, span.trace_id, span.attributes["bead"]) == ("sling", RUN, "de-1tr")
    assert span.attributes["convoy"] == shims.logs()["sling"].attributes["convoy"] == "hq-cv-trf2a"


def test_a_command_that_is_not_there(shims: Shims) -> None:
    """Where the real program is missing the tee leaves nothing behind, and it is 127."""
    words = [sys.executable, "-c", "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])", *CREATE]
    folder = str(shims.folder / "bd")
    done = shims.run_as(words, {**shims.session(), "PATH": f"{folder}:/usr/bin:/bin", SAYS: ""})
    assert (done.returncode, done.stdout) == (127, b"")
