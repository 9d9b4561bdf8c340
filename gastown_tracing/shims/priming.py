"""What `gt-trace prime` does beside its record: find out what is worked on, and tell the run and its session.

The hooked bead is looked up here and nowhere else: where nobody sets GT_WORK_* and nobody primes, records
carry no work, and no other command runs bd.
"""

import posix
import time

from gastown_tracing.journal.layout import load_json, read_text
from gastown_tracing.journal.writer import append
from gastown_tracing.shims import child
from gastown_tracing.shims.plan import describe, encode
from propagation.tmux import parse_tmux_variable, set_environment
from propagation.work import WorkContext, format_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Mapping

    from gastown_tracing.events.schema import Value
    from gastown_tracing.shims.entry import Entry
    from gastown_tracing.shims.plan import Plan

    Note = Callable[[str], None]
else:
    import _signal  # the C half of signal

#: Seconds that bd and tmux have for an answer; who primes waits for it.
BD_SECONDS, TMUX_SECONDS = 5.0, 2.0
#: Bytes of an answer of bd that are read.
ANSWER_LIMIT = 1 << 22
#: What a bead's description calls its molecule, in gt's three spellings.
MOLECULE = ("attached_molecule", "attached-molecule", "attachedmolecule")

_WORK = ("work_rig", "work_bead", "work_mol", "work_build")
_PAUSE = 0.002


def work_of(own: "dict[str, Value]", env: "Mapping[str, str]", note: "Note") -> WorkContext:
    """Return the work that a prime sets: what it is given, else GT_WORK_*, else the hooked bead.

    What it is given is taken out of `own`; an empty value says that there is none. False: nobody knows, or
    there is none. Never raises.
    """
    given = work_given(own)
    for name in _WORK:
        own.pop(name, None)
    return given if given is not None else WorkContext.from_env(env) or _hooked(env, note)


def write(entry: "Entry", work: WorkContext, plan: "Plan", note: "Note") -> None:
    """Make the work known to the run and to its session in tmux, and write the prime's records.

    Raises OSError.
    """
    try:
        entry.make_journal()
        if plan.resolution.run_id:
            note_work(entry.directory, work)
        entry.write(*entry.lines())
    finally:
        _tell_tmux(entry.directory, work, plan.telemetry.config.env, note)


def note_work(directory: str, work: WorkContext) -> None:
    """Append the work to the work.jsonl of a run's directory: it is in force from now on. Raises OSError."""
    append(directory, "work", format_line(time.time_ns(), work, "prime").encode())


def work_given(own: "Mapping[str, Value]") -> WorkContext | None:
    """Return the work that the attributes of a prime name, None where they name none."""
    if not any(name in own for name in _WORK):
        return None
    return WorkContext(*[str(own.get(name) or "") for name in _WORK])


def _tell_tmux(directory: str, work: WorkContext, env: "Mapping[str, str]", note: "Note") -> None:
    """Give the work to the session's future panes, as GT_WORK_*; what is unset they do not get. Never raises.

    The session is that of the process's own pane, else of the run's pane.json.
    """
    try:
        place = _own_pane(env) or _pane_of(directory)
        if place is None:
            return
        variables = {name: value or None for name, value in work.to_env().items()}
        code, _ = ask(set_environment(*place, variables), TMUX_SECONDS)
        if code:
            note(f"tmux does not know the work: tmux ended with {code}")
    except Exception as error:  # the prime is recorded all the same
        note(f"tmux does not know the work: {describe(error)}")


def ask(argv: list[str], seconds: float) -> tuple[int, bytes]:
    """Return the exit code of a command and what it printed. Raises OSError where it cannot be run.

    One that takes longer than `seconds` is killed, and its exit code is 124. It has our environment, reads
    nothing, and what it says on stderr is lost.
    """
    environ = child.environment()
    words = [encode(word) for word in argv]
    file = child.find(words[0], environ.get(b"PATH"))
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # ignored, its exit code would be lost
    _hold_descriptors()
    reader, writer = posix.pipe()
    streams = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        (posix.POSIX_SPAWN_DUP2, writer, 1),
        (posix.POSIX_SPAWN_OPEN, 2, "/dev/null", posix.O_WRONLY, 0),
    ]
    try:
        pid = posix.posix_spawn(file, words, environ, file_actions=streams, setsigdef=child.IGNORED_BY_PYTHON)
    finally:
        posix.close(writer)
    posix.set_blocking(reader, False)
    try:
        return _answer(pid, reader, time.monotonic() + seconds)
    finally:
        posix.close(reader)


def _answer(pid: int, reader: int, deadline: float) -> tuple[int, bytes]:
    said = b""
    while True:
        reaped, status = posix.waitpid(pid, posix.WNOHANG)
        said += _read(reader)  # after that: what it has written it has written
        if reaped:
            return posix.waitstatus_to_exitcode(status), said
        if time.monotonic() > deadline or len(said) > ANSWER_LIMIT:
            posix.kill(pid, _signal.SIGKILL)
            posix.waitpid(pid, 0)
            return 124, b""
        time.sleep(_PAUSE)


def _read(reader: int) -> bytes:
    said = b""
    try:
        while len(said) <= ANSWER_LIMIT and (chunk := posix.read(reader, 65536)):
            said += chunk
    except BlockingIOError:
        return said
    return said


def _hold_descriptors() -> None:
    """Open the standard streams that are closed, so that a pipe does not get one's number."""
    while (descriptor := posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)) <= 2:
        continue
    posix.close(descriptor)


def _hooked(env: "Mapping[str, str]", note: "Note") -> WorkContext:
    """Return the work on the hook of BD_ACTOR; an empty one where that is not known for sure."""
    actor = env.get("BD_ACTOR")
    if not actor:
        note("what is worked on is unknown: nothing is given, and neither GT_WORK_BEAD nor BD_ACTOR is set")
        return WorkContext()
    words = ["bd", "list", "--json", "--status=hooked", f"--assignee={actor}", "--limit=0", "--flat"]
    try:
        code, said = ask(words, BD_SECONDS)
    except Exception as error:  # bd is not there, or cannot be run
        note(f"what is worked on is unknown: bd: {describe(error)}")
        return WorkContext()
    beads = None if code else _beads(said.decode("utf-8", "replace"))
    if beads is None:
        note(f"what is worked on is unknown: bd ended with {code} and no list of beads")
    for bead in beads or ():
        bead_id = bead.get("id") if isinstance(bead, dict) else None
        if isinstance(bead_id, str) and bead_id and bead_id.isprintable():
            return WorkContext(env.get("GT_RIG", ""), bead_id, _molecule(bead.get("description")))
    return WorkContext()


def _beads(text: str) -> "list[dict[str, object]] | None":
    """Return the beads of an answer of bd, bare or in its envelope; None where it is neither."""
    found = load_json(text)
    if isinstance(found, dict) and "schema_version" in found:
        found = found.get("data")
    return found if isinstance(found, list) else None


def _molecule(description: object) -> str:
    """Return the molecule that is attached to a bead, by a line of its description; "" for none."""
    found = ""
    for line in description.split("\n") if isinstance(description, str) else ():
        key, colon, value = line.partition(":")
        if colon and value.strip() and key.strip().lower() in MOLECULE:
            found = value.strip()
    return found if found.isprintable() else ""


def _own_pane(env: "Mapping[str, str]") -> tuple[str, str] | None:
    """Return (socket, pane) of the tmux pane that this process is in."""
    server, pane = parse_tmux_variable(env.get("TMUX")), env.get("TMUX_PANE", "")
    return (server[0], pane) if server and pane[:1] == "%" else None


def _pane_of(directory: str) -> tuple[str, str] | None:
    """Return (socket, pane) of a run's pane.json, while the tmux server is there that made it.

    A server that has been started again hands out the same ids.
    """
    found = load_json(read_text(f"{directory}/pane.json") or "")
    if not isinstance(found, dict):
        return None
    socket, pane, server, start = [
        str(found.get(key, "")) for key in ("socket", "pane", "server_pid", "server_start")
    ]
    stat = read_text(f"/proc/{server}/stat") if server.isdecimal() else None
    fields = (stat or "").rpartition(")")[2].split()
    alive = len(fields) > 19 and fields[19] == start and fields[0] not in "ZX"
    return (socket, pane) if alive and socket and pane[:1] == "%" else None
