"""Which run a tmux target belongs to: by the registry alone where that is enough, else tmux is asked."""

import posix
import time

from gastown_tracing.journal.layout import PaneRegistry, load_json, path_exists, read_text
from gastown_tracing.sessions.documents import pane_of
from gastown_tracing.shims.plan import debug
from gastown_tracing.shims.tmux.line import target as parse_target
from propagation.run import parse_run_id
from propagation.tmux import parse_tmux_variable
from propagation.traceparent import SpanContext, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.shims.asking import Asked
    from gastown_tracing.shims.plan import Plan
    from gastown_tracing.shims.tmux.line import Line

#: Who speaks in debug notes.
PROGRAM = "tmux"

#: Seconds that a tmux server has for an answer; who waits for tmux waits for this.
SECONDS = 2.0

#: What is asked of a pane, in the words of tmux's FORMATS; a session's name has no `:`, a path may.
_ASKED = ("#{pid}", "#{session_id}", "#{pane_id}", "#{pane_pid}", "#{?pane_pipe,1,0}", "#{session_name}:")
PANE = " ".join(_ASKED) + "#{socket_path}"


class Tmux:
    """The real tmux and the server that a line means: whom we ask ourselves.

    `file` is the program, `env` the environment that it is called with.
    """

    __slots__ = ("_ahead", "env", "file", "server", "socket")

    def __init__(self, file: str, line: "Line", env: "Mapping[str, str]") -> None:
        self.file = file
        self.server = list(line.server)
        self.env = env
        self.socket = line.socket(env, posix.getuid())
        self._ahead: Asked | None = None

    def ask(self, *words: str) -> tuple[int, str]:
        """Return the exit code of a tmux command and what it printed. Raises OSError. Starts no server."""
        code, said = self._asked(*words).answer()
        return code, said.decode("utf-8", "replace")

    def _asked(self, *words: str) -> "Asked":
        from gastown_tracing.shims.asking import Asked  # most targets are known without

        return Asked([self.file, "-u", *self.server, *words], SECONDS)

    def look_ahead(self) -> "Asked":
        """Ask already what `environment` will return: tmux answers while we load modules. Raises OSError."""
        if self._ahead is None:
            self._ahead = self._asked("show-environment", "-g")
        return self._ahead

    def forget(self) -> None:
        """Drop what has been asked ahead, where nobody wants to know it any more."""
        if self._ahead is not None:
            self._ahead.drop()
            self._ahead = None

    def environment(self) -> "dict[str, str] | None":
        """Return what the server hands to every session, None where there is no server. Raises OSError."""
        code, said = self.look_ahead().answer()
        self._ahead = None
        lines = said.decode("utf-8", "replace").splitlines()
        pairs = [line.partition("=") for line in lines if not line.startswith("-")]
        return None if code else {name: value for name, equals, value in pairs if equals}

    def pane(self, target: str) -> "dict[str, str] | None":
        """Return the pane that a target means now, None where there is none. Raises OSError.

        It has server_pid, session_id, pane, pane_pid, piped (`1`: its output goes to a program), session and
        socket.
        """
        words = ["-t", target] if target else []
        code, said = self.ask("display-message", "-p", *words, PANE)
        names = ("server_pid", "session_id", "pane", "pane_pid", "piped", "rest")
        fields = said.rstrip("\n").split(" ", len(names) - 1)
        if code or len(fields) < len(names) or fields[2][:1] != "%":
            return None
        found = dict(zip(names, fields, strict=True))
        found["session"], _, found["socket"] = found.pop("rest").partition(":")
        return found


class Call:
    """One call of the tmux shim: the plan (settings, and our own place in a trace), tmux, and when it began.

    `cause` is the span that we were called in, None where there is none. `made`: the line itself has begun a
    run, of which its later commands may be.
    """

    __slots__ = ("cause", "journal", "made", "plan", "start_ns", "tmux")

    def __init__(self, plan: "Plan", tmux: Tmux) -> None:
        place = plan.resolution
        self.plan = plan
        self.tmux = tmux
        self.journal = plan.telemetry.journal
        self.made = False
        self.start_ns = time.time_ns()
        self.cause = SpanContext(place.trace_id, place.parent_id, place.flags) if place.parent_id else None

    @property
    def actor(self) -> str:
        """Return who calls, "" where nobody says."""
        env = self.plan.telemetry.config.env
        return env.get("BD_ACTOR") or env.get("GT_ROLE") or ""

    def note(self, text: str) -> None:
        """Say something where GT_OTEL_DEBUG asks for it."""
        debug(PROGRAM, text, self.plan.telemetry)

    def find(self, target: str) -> "Place | None":
        """Return the run that a target belongs to, None where it is none's. Raises OSError."""
        return find(self.journal, self.tmux, target)


def links_to(cause: "SpanContext | None", run_id: str) -> "list[tuple[str, str, str, dict[str, object]]]":
    """Return the span links to what led to something in a run: none within one trace."""
    if cause is None or cause.trace_id == run_id:
        return []
    return [(cause.trace_id, cause.span_id, "", {})]


class Place:
    """A run that a target belongs to: its ids, its directory, its run.json, and the session's name.

    `pane` tells its panes apart: "" for the session's own. `found` is what tmux said, where it was asked.
    """

    __slots__ = ("directory", "found", "info", "pane", "run_id", "session")

    def __init__(self, directory: str, info: "dict[str, object]", session: str, pane: str = "") -> None:
        self.directory = directory
        self.info = info
        self.run_id = str(info["trace_id"])
        self.session = session
        self.pane = pane
        self.found: dict[str, str] | None = None


def find(journal: "Journal", tmux: Tmux, target: str) -> Place | None:
    """Return the run that a target belongs to, None where it is none's. Raises OSError.

    tmux is asked only where the registry does not know the session by its name, or where what it knows is
    no longer so.
    """
    name, pane = parse_target(target) if target else ("", "")
    if name:
        entry = _entry(PaneRegistry(journal).session_text(name))
        place = _place(journal, entry, name, pane)
        if place is not None and same_file(entry["socket"], tmux.socket) and _stands(place):
            return place
    if not any(entry[:2] != "s-" and entry[:2] != "k-" for entry in _names(journal)):
        return None  # no run of this journal is in any pane
    if not target and (own := _own(journal, tmux)) is not None:
        return own
    return asked(journal, tmux, target)


def asked(journal: "Journal", tmux: Tmux, target: str) -> Place | None:
    """Return the run that a target belongs to, as tmux says now. Raises OSError."""
    found = tmux.pane(target)
    if found is None:
        return None
    place = _in_pane(journal, found["socket"], found["server_pid"], found["pane"], found["session"])
    if place is None:  # another pane of a session of ours
        place = _of_session(journal, found)
    if place is not None:
        place.found = found
        own = pane_of(place.directory).get("pane")
        place.pane = "" if own in (None, "", found["pane"]) else found["pane"]
    return place


def _of_session(journal: "Journal", found: "Mapping[str, str]") -> Place | None:
    entry = _entry(PaneRegistry(journal).session_text(found["session"]))
    place = _place(journal, entry, found["session"])
    if place is None:
        return None
    pane = pane_of(place.directory)
    same = all(pane.get(key) == found[key] for key in ("server_pid", "session_id"))
    return place if same and _is_its_server(place, found["server_pid"]) else None


def _own(journal: "Journal", tmux: Tmux) -> Place | None:
    """Return the run of the pane that this process is in, where no server is named."""
    inside = parse_tmux_variable(tmux.env.get("TMUX"))
    if tmux.server or inside is None:
        return None
    return _in_pane(journal, inside[0], inside[1], tmux.env.get("TMUX_PANE", ""), "")


def _in_pane(journal: "Journal", socket: str, server_pid: str, pane: str, session: str) -> Place | None:
    """Return the open run that the registry knows by a pane."""
    run_id = PaneRegistry(journal).run_for_pane(socket, server_pid, pane)
    place = _place(journal, {"run_id": run_id or ""}, session)
    return place if place is not None and _is_its_server(place, server_pid) else None


def _is_its_server(place: Place, server_pid: str) -> bool:
    """Return whether a server is the one that a run's pane is known to be of.

    After a boot, or in a container, another can have the same id; it hands out the same panes.
    """
    started = pane_of(place.directory).get("server_start")
    return not started or started == start_of(server_pid)


def _names(journal: "Journal") -> "Sequence[str]":
    try:
        return posix.listdir(journal.panes_dir)
    except OSError:
        return ()


def _entry(text: str | None) -> dict[str, str]:
    found = load_json(text or "")
    known = found if isinstance(found, dict) else {}
    return {key: str(known.get(key) or "") for key in ("run_id", "socket", "session")}


def _place(journal: "Journal", entry: "Mapping[str, str]", session: str, pane: str = "") -> Place | None:
    """Return the open run that an entry of the registry names; one that is closed lives nowhere."""
    run_id = parse_run_id(entry.get("run_id"))
    directory = journal.run_dir(run_id) if run_id else ""
    if not run_id or path_exists(directory + "/close.json"):
        return None
    info = load_json(read_text(directory + "/run.json") or "")
    if not isinstance(info, dict) or info.get("trace_id") != run_id or "root_span_id" not in info:
        return None
    return Place(directory, info, session or str(info.get("session") or ""), pane)


def place_of(journal: "Journal", run_id: str) -> Place | None:
    """Return a run by its id, open or closed; None where there is none."""
    for directory in journal.find_run(run_id) if is_id(run_id, 32) else ():
        info = load_json(read_text(directory + "/run.json") or "")
        if isinstance(info, dict) and "root_span_id" in info and info.get("trace_id") == run_id:
            return Place(journal.run_dir(run_id), info, str(info.get("session") or ""))
    return None


def _stands(place: Place) -> bool:
    """Return whether a run's pane still has the process that the registry knows it by."""
    pane = pane_of(place.directory)
    return all(
        started and started == start_of(pane.get(pid, ""))
        for pid, started in (("server_pid", pane.get("server_start")), ("pane_pid", pane.get("pane_start")))
    )


def start_of(pid: str) -> str:
    """Return when a process started, as pane.json has it: field 22 of proc_pid_stat(5); "" for none."""
    stat = read_text(f"/proc/{pid}/stat") if pid.isdecimal() else None
    fields = (stat or "").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def same_file(one: str, other: str) -> bool:
    """Return whether two paths are one file, whatever symbolic links are on the way."""
    if one == other:
        return bool(one)
    try:
        first, second = posix.stat(one), posix.stat(other)
    except OSError:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
