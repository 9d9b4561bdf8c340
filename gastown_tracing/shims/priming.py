"""What a prime does beside its record: find out what is worked on, and tell the run and its session.

The work is what the prime is given, else GT_WORK_* that nobody of us has set, else the bead on the agent's
hook: as commands put it there (`journal.hooks`), else as bd says. bd is asked here and nowhere else: where
nobody primes, records carry no work, and no other command runs bd.

Who waits for a prime waits for the line in work.jsonl, which the next command's record needs, and so for bd
where bd has to be asked: beside a command that primes it is asked while that runs. tmux, whose panes to come
get GT_WORK_*, nobody waits for there.
"""

import time

from gastown_tracing.beads import MISLEADING, listed, parse, rig_of
from gastown_tracing.journal.hooks import hooked
from gastown_tracing.journal.layout import PaneRegistry, load_json, read_text
from gastown_tracing.shims.asking import Asked, ask, tell
from gastown_tracing.shims.lines.saying import molecule
from gastown_tracing.shims.plan import describe
from gastown_tracing.shims.real import real
from propagation.run import parse_run_id
from propagation.tmux import list_panes, parse_tmux_variable, set_environment
from propagation.work import ATTRIBUTES, WorkContext, format_line, has_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gastown_tracing.events.schema import Value
    from gastown_tracing.shims.entry import Entry
    from gastown_tracing.shims.plan import Plan

    Note = Callable[[str], None]

#: Seconds that bd and tmux have for an answer; who primes waits for it.
BD_SECONDS, TMUX_SECONDS = 5.0, 2.0


class Prime:
    """A prime and its work. `given` is the work that it names, None for none.

    `ahead` asks bd at once, if it will have to be asked at all: for a command that primes, and runs now.
    """

    __slots__ = ("_asked", "_given", "_note", "_plan")

    def __init__(self, given: WorkContext | None, plan: "Plan", note: "Note", *, ahead: bool = False) -> None:
        self._given, self._plan, self._note = given, plan, note
        self._asked: Asked | None = None
        if ahead and self._known() is None:
            self._asked = _ask_bd(self._env, note)

    def record(self, entry: "Entry", *, wait: bool = True) -> None:
        """Write the finished records of a prime that succeeded, and make its work known to run and session.

        Where nobody knows the work, the one in force stays. Without `wait` nobody hears whether tmux took it.
        Raises OSError; then nobody has been told.
        """
        work = self._known()
        if work is None:
            work = self._from_bd()
        self.drop()
        if work is not None:
            entry.works_on(work)
        told = work if self._plan.resolution.run_id else None  # outside a run there is nobody to tell
        line = format_line(time.time_ns(), told, "prime").encode() if told is not None else b""
        entry.write(*entry.lines(), work=line)
        if told is not None:
            _tell_tmux(entry.directory, told, self._plan, self._note, wait=wait)

    def drop(self) -> None:
        """Ask nobody any more."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.drop()

    @property
    def _env(self) -> "Mapping[str, str]":
        return self._plan.telemetry.config.env

    def _known(self) -> WorkContext | None:
        """Return the work that this prime sets, as far as nobody has to be asked. Never raises.

        False: there is none. None: bd has to be asked.
        """
        if self._given is not None:
            return self._with_rig(self._given)
        named = WorkContext.from_env(self._env)
        whole = self._with_rig(named)
        noted = self._plan.noted
        # We write GT_WORK_* into the session, and its later panes have it: what we said is not gt's.
        if named and not has_line(noted, named) and not has_line(noted, whole):
            return whole
        bead, mol = self._on_hook() or ("", "")
        return self._hung(bead, mol) if bead else None

    def _on_hook(self) -> tuple[str, str] | None:
        return hooked(self._plan.telemetry.journal, self._env.get("BD_ACTOR", ""))

    def _from_bd(self) -> WorkContext | None:
        """Return the work on the hook of BD_ACTOR as bd says, None where nobody knows.

        A hook that commands have emptied is empty, unless bd has something on it.
        """
        asked, self._asked = self._asked or _ask_bd(self._env, self._note), None
        beads = _listed(asked, self._note) if asked is not None else None
        if beads is None:
            return WorkContext() if self._on_hook() == ("", "") else None
        if not beads:
            return WorkContext()
        return self._hung(str(beads[0]["id"]), molecule(beads[0].get("description")))

    def _hung(self, bead: str, mol: str) -> WorkContext:
        """Return the work on a hooked bead; its rig is the bead's own, where the town says which that is."""
        rig = rig_of(bead, self._plan.telemetry.town_root)
        return WorkContext(rig or self._env.get("GT_RIG", ""), bead, mol)

    def _with_rig(self, work: WorkContext) -> WorkContext:
        """Return the work with the agent's rig, where a bead is named without one."""
        if not work.bead or work.rig:
            return work
        return WorkContext(self._env.get("GT_RIG", ""), work.bead, work.mol, work.build)


def record(entry: "Entry", given: WorkContext | None, plan: "Plan", note: "Note") -> None:
    """Write the finished records of a prime that succeeded, and make its work known to run and session.

    `given` is the work that it names, None for none. Raises OSError; then nobody has been told.
    """
    Prime(given, plan, note).record(entry)


def work_given(said: "Mapping[str, Value]", own: "Mapping[str, Value]") -> WorkContext | None:
    """Return the work that a prime is given, None where it is given none.

    `said` is what the user said, where an empty value says that there is none; `own` what is recorded of it.
    """
    if not any(name in said for name in ATTRIBUTES):
        return None
    return WorkContext.from_attributes(own)


def _ask_bd(env: "Mapping[str, str]", note: "Note") -> Asked | None:
    """Ask bd for what hangs on the hook of BD_ACTOR; None where it cannot be asked. Never raises."""
    actor = env.get("BD_ACTOR")
    if not actor:
        note("what is worked on is unknown: nothing is given, and no other GT_WORK_BEAD or BD_ACTOR is set")
        return None
    words = ["list", "--json", "--status=hooked", f"--assignee={actor}", "--limit=0", "--flat"]
    try:
        return Asked([_real("bd", env), *words], BD_SECONDS, MISLEADING)
    except Exception as error:  # bd is not there, or cannot be run
        note(f"what is worked on is unknown: bd: {describe(error)}")
        return None


def _listed(asked: Asked, note: "Note") -> "list[dict[str, object]] | None":
    """Return the beads of bd's answer, None where it is none. Never raises."""
    try:
        code, said = asked.answer()
        beads = None if code else listed(parse(said.decode("utf-8", "replace")))
    except ValueError:
        beads = None
    except Exception as error:  # somebody else has reaped it, say
        note(f"what is worked on is unknown: bd: {describe(error)}")
        return None
    if beads is None or (beads and not str(beads[0]["id"]).isprintable()):
        note(f"what is worked on is unknown: bd ended with {code} and no list of beads")
        return None
    return beads


def _real(program: str, env: "Mapping[str, str]") -> str:
    path = env.get("PATH")
    return real(program, None if path is None else path.encode("utf-8", "surrogateescape"))


def _tell_tmux(directory: str, work: WorkContext, plan: "Plan", note: "Note", *, wait: bool) -> None:
    """Give the work to the session's future panes, as GT_WORK_*; what is unset they do not get. Never raises.

    The session is that of the run's pane.json, else of the process's own pane. `wait` for tmux to have done
    it.
    """
    try:
        pane = read_text(f"{directory}/pane.json")
        place = _own_pane(plan) if pane is None else _pane_of(pane)
        if place is None:
            return
        variables = {name: value or None for name, value in work.to_env().items()}
        program, *words = set_environment(*place, variables)
        program = _real(program, plan.telemetry.config.env)
        if not wait:
            tell([program, *words])
            return
        code, _ = ask([program, *words], TMUX_SECONDS)
        if code:
            note(f"tmux does not know the work: tmux ended with {code}")
    except Exception as error:  # the prime is recorded all the same
        note(f"tmux does not know the work: {describe(error)}")


def _own_pane(plan: "Plan") -> tuple[str, str] | None:
    """Return (socket, pane) of the pane that this process is in, None where it is not the run's.

    TMUX and TMUX_PANE are inherited: only the registry says whose a pane is, and only while the server is
    there that TMUX names.
    """
    env = plan.telemetry.config.env
    server, pane = parse_tmux_variable(env.get("TMUX")), env.get("TMUX_PANE", "")
    if server is None or pane[:1] != "%":
        return None
    socket, server_pid, _ = server
    lives_there = parse_run_id(PaneRegistry(plan.telemetry.journal).run_for_pane(socket, server_pid, pane))
    if lives_there != plan.resolution.run_id:
        return None
    program, *words = list_panes(socket, "#{pid}")
    _, said = ask([_real(program, env), *words], TMUX_SECONDS)
    return (socket, pane) if said.split()[:1] == [server_pid.encode()] else None


def _pane_of(text: str) -> tuple[str, str] | None:
    """Return (socket, pane) of a run's pane.json, while the tmux server is there that made it.

    A server that has been started again hands out the same ids.
    """
    found = load_json(text)
    if not isinstance(found, dict):
        return None
    socket, pane, server, start = [
        str(found.get(key, "")) for key in ("socket", "pane", "server_pid", "server_start")
    ]
    stat = read_text(f"/proc/{server}/stat") if server.isdecimal() else None
    fields = (stat or "").rpartition(")")[2].split()
    alive = len(fields) > 19 and fields[19] == start and fields[0] not in "ZX"
    return (socket, pane) if alive and socket and pane[:1] == "%" else None
