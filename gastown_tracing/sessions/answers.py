"""What a tmux server takes, and what it says of itself, its sessions and their panes in one answer.

A shim asks, so only what every interpreter has built in is used.
"""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    #: Runs tmux with these words for the server that is meant; returns its exit code, stdout and stderr.
    Run = Callable[[list[str]], tuple[int, str, str]]

#: tmux refuses a command line of about 16,300 bytes; we stop well before.
ARGUMENT_LIMIT = 15_000

#: Seconds that a tmux server has to learn how a command ended.
SETTLING_SECONDS = 0.5

#: A line a pane: what it is, whether its command has ended and how (tmux keeps it with remain-on-exit),
#: whether a hook is told of that, and its process. What an older tmux does not know is empty.
_PANES = (
    *("pane", "#{session_id}", "#{pane_id}", "#{?pane_dead,1,0}"),
    *("#{pane_dead_status}", "#{pane_dead_signal}", "#{pane_dead_time}"),
    *("#{?pane-died[0],1,0}", "#{pane_pid}"),
)

#: What a session says of itself by its environment, or by the server's.
VARIABLES = ("GT_RUN", "GT_ROOT", "GT_OTEL_JOURNAL")

#: Some lines a session, each with at most one text that may hold anything, at its end.
_SESSIONS = (
    "name #{session_id} #{session_created} #{session_name}",
    "path #{session_id} #{session_path}",
    *(f"{name} #{{session_id}} #{{{name}}}" for name in VARIABLES),
)

#: What is asked. -u: else tmux replaces what is no ASCII, where the locale says nothing of UTF-8.
_QUESTION = (
    *("-u", "display-message", "-p", "#{pid}", ";", "list-sessions", "-F", "\n".join(_SESSIONS)),
    *(";", "list-panes", "-a", "-F", " ".join(_PANES)),
)

#: What tmux says on stderr when no server listens at a socket.
_NO_SERVER = ("no server running", "No such file or directory", "Connection refused")


class Pane:
    """A pane: its id, whether its command has ended, and what tmux knows of that.

    `status` is the exit code, `signal` the signal's number, `time` seconds since the Unix epoch; None where
    tmux does not say. `hooked`: a hook of the operator's is told, and may start the command again. `pid` is
    the process that it was made with, or respawned with last, "" for none.
    """

    __slots__ = ("dead", "hooked", "id", "pid", "signal", "status", "time")

    def __init__(self, fields: "Sequence[str]") -> None:
        """Take the fields of a line of _PANES behind the session's id."""
        self.id, dead, status, killer, ended, hooked, self.pid = fields
        self.dead = dead == "1"
        self.status = _number(status)
        self.signal = _number(killer)
        self.time = _number(ended)
        self.hooked = hooked == "1"

    @property
    def settling(self) -> bool:
        """Return whether the command's end is all that tmux knows."""
        return self.dead and self.status is None and self.signal is None and self.time is None


class Session:
    """A session as tmux knows it: when it was created (seconds since the Unix epoch), and where.

    `variables` are those of VARIABLES that its panes get from tmux, "" for what is not set.
    """

    __slots__ = ("created", "id", "name", "path", "variables")

    def __init__(self, session_id: str, name: str, created: int) -> None:
        self.id = session_id
        self.name = name
        self.created = created
        self.path = ""
        self.variables: dict[str, str] = {}


class Answer:
    """What a tmux server said; or why it said nothing.

    Its process id, its sessions' ids by name, the panes and what else is known by the session's id.
    """

    __slots__ = ("known", "panes", "refusal", "server_pid", "sessions")

    def __init__(
        self,
        server_pid: str = "",
        known: "Mapping[str, Session] | None" = None,
        panes: "Mapping[str, Sequence[Pane]] | None" = None,
        refusal: str = "",
    ) -> None:
        self.server_pid = server_pid
        self.sessions = None if known is None else {session.name: session.id for session in known.values()}
        self.panes: Mapping[str, Sequence[Pane]] = panes or {}
        self.known: Mapping[str, Session] = known or {}
        self.refusal = refusal

    @property
    def absent(self) -> bool:
        """Return whether it is certain that no server listens there."""
        return any(text in self.refusal for text in _NO_SERVER)


def ask(run: "Run") -> Answer:
    """Ask a tmux server for its process id and its sessions. Starts none.

    tmux sees a pane's terminal closed before it learns how the command ended: it is asked again until it
    knows. An old one never does for a command that died of a signal.
    """
    deadline = time.monotonic() + SETTLING_SECONDS
    answer = _read(*run(list(_QUESTION)))
    while any(pane.settling for panes in answer.panes.values() for pane in panes):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
        answer = _read(*run(list(_QUESTION)))
    return answer


def _read(code: int, said: str, complaint: str) -> Answer:
    server_pid, *lines = said.splitlines() or [""]
    known = _sessions(lines)
    if not server_pid.isdecimal() or (code and known):  # without a session it has no panes to list
        return Answer(refusal=complaint.strip() or "it says nothing")
    return Answer(server_pid, known, _panes(lines))


def _sessions(lines: "Sequence[str]") -> dict[str, Session]:
    found: dict[str, Session] = {}
    for line in lines:
        what, session_id, text = (*line.split(" ", 2), "", "")[:3]
        if what == "name" and session_id not in found:
            created, _, name = text.partition(" ")
            found[session_id] = Session(session_id, name, _number(created) or 0)
        elif what == "path" and session_id in found:
            found[session_id].path = text
        elif what in VARIABLES and session_id in found:
            found[session_id].variables[what] = text
    return found


def _panes(lines: "Sequence[str]") -> dict[str, list[Pane]]:
    found: dict[str, list[Pane]] = {}
    for line in lines:
        fields = line.split(" ")
        if fields[0] != "pane" or len(fields) != len(_PANES):
            continue  # a session's, or what follows a line feed in somebody's variable
        found.setdefault(fields[1], []).append(Pane(fields[2:]))
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
