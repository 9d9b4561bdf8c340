"""What a prime does beside its record: find out what is worked on, and tell the run and its session.

The hooked bead is looked up here and nowhere else: where nobody sets GT_WORK_* and nobody primes, records
carry no work, and no other command runs bd.
"""

import time

from gastown_tracing.beads import MISLEADING, listed, parse
from gastown_tracing.journal.layout import PaneRegistry, load_json, read_text
from gastown_tracing.shims.asking import ask
from gastown_tracing.shims.plan import describe
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
#: What a bead's description calls its molecule, in gt's three spellings.
MOLECULE = ("attached_molecule", "attached-molecule", "attachedmolecule")


def record(entry: "Entry", given: WorkContext | None, plan: "Plan", note: "Note") -> None:
    """Write the finished records of a prime that succeeded, and make its work known to run and session.

    `given` is the work that it names, None for none. Where nobody knows the work, the one in force stays.
    Raises OSError; then nobody has been told.
    """
    work = _found(given, plan, note)
    if work is not None:
        entry.works_on(work)
    told = work if plan.resolution.run_id else None  # outside a run there is nobody to tell
    line = format_line(time.time_ns(), told, "prime").encode() if told is not None else b""
    entry.write(*entry.lines(), work=line)
    if told is not None:
        _tell_tmux(entry.directory, told, plan, note)


def work_given(said: "Mapping[str, Value]", own: "Mapping[str, Value]") -> WorkContext | None:
    """Return the work that a prime is given, None where it is given none.

    `said` is what the user said, where an empty value says that there is none; `own` what is recorded of it.
    """
    if not any(name in said for name in ATTRIBUTES):
        return None
    return WorkContext.from_attributes(own)


def _found(given: WorkContext | None, plan: "Plan", note: "Note") -> WorkContext | None:
    """Return the work that a prime sets: what it is given, else GT_WORK_*, else the hooked bead.

    False: there is none. None: nobody knows. Never raises.
    """
    env = plan.telemetry.config.env
    if given is not None:
        return _with_rig(given, env)
    named = WorkContext.from_env(env)
    whole = _with_rig(named, env)
    # We write GT_WORK_* into the session, and its later panes have it: what we said ourselves is not gt's.
    if named and not has_line(plan.noted, named) and not has_line(plan.noted, whole):
        return whole
    return _hooked(env, note)


def _with_rig(work: WorkContext, env: "Mapping[str, str]") -> WorkContext:
    """Return the work with the agent's rig, where a bead is named without one."""
    if not work.bead or work.rig:
        return work
    return WorkContext(env.get("GT_RIG", ""), work.bead, work.mol, work.build)


def _hooked(env: "Mapping[str, str]", note: "Note") -> WorkContext | None:
    """Return the work on the hook of BD_ACTOR; None where bd does not say."""
    actor = env.get("BD_ACTOR")
    if not actor:
        note("what is worked on is unknown: nothing is given, and no other GT_WORK_BEAD or BD_ACTOR is set")
        return None
    words = ["bd", "list", "--json", "--status=hooked", f"--assignee={actor}", "--limit=0", "--flat"]
    try:
        code, said = ask(words, BD_SECONDS, MISLEADING)
    except Exception as error:  # bd is not there, or cannot be run
        note(f"what is worked on is unknown: bd: {describe(error)}")
        return None
    beads = None if code else _beads(said)
    bead_id = str(beads[0]["id"]) if beads else ""
    if beads is None or not bead_id.isprintable():
        note(f"what is worked on is unknown: bd ended with {code} and no list of beads")
        return None
    if not beads:
        return WorkContext()
    return WorkContext(env.get("GT_RIG", ""), bead_id, _molecule(beads[0].get("description")))


def _beads(said: bytes) -> "list[dict[str, object]] | None":
    try:
        return listed(parse(said.decode("utf-8", "replace")))
    except ValueError:
        return None


def _molecule(description: object) -> str:
    """Return the molecule that is attached to a bead, by a line of its description; "" for none."""
    found = ""
    for line in description.split("\n") if isinstance(description, str) else ():
        key, colon, value = line.partition(":")
        if colon and value.strip() and key.strip().lower() in MOLECULE:
            found = value.strip()
    return found if found.isprintable() else ""


def _tell_tmux(directory: str, work: WorkContext, plan: "Plan", note: "Note") -> None:
    """Give the work to the session's future panes, as GT_WORK_*; what is unset they do not get. Never raises.

    The session is that of the run's pane.json, else of the process's own pane.
    """
    try:
        pane = read_text(f"{directory}/pane.json")
        place = _own_pane(plan) if pane is None else _pane_of(pane)
        if place is None:
            return
        variables = {name: value or None for name, value in work.to_env().items()}
        code, _ = ask(set_environment(*place, variables), TMUX_SECONDS)
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
    _, said = ask(list_panes(socket, "#{pid}"), TMUX_SECONDS)
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
