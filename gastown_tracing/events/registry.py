"""Every event and common attribute of the data model, once.

Constants, validation, the reference in docs/ and the tests derive from these tables: adding an event is
adding one entry. Names and meanings are the data model's.
"""

from gastown_tracing.events.commands import AGES, COMMANDS, EXIT_CODE, RIG, adds, counts, measures
from gastown_tracing.events.panes import PANES, SESSION
from gastown_tracing.events.schema import (
    COUNTER,
    DEVELOPMENT,
    FLAG,
    FLOAT,
    INTEGER,
    INTERNAL,
    Attribute,
    Event,
    Metric,
)
from gastown_tracing.events.town import TOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass


# What stands on every record, where it is known.
COMMON = (
    Attribute("run.id", "The run, which is its trace ID: 32 hex digits.", index=True),
    Attribute("instance", "The town: `hostname:basename(town_root)`.", index=True),
    Attribute("town_root", "The town's directory.", index=True),
    Attribute("agent_type", "The kind of agent: `claudecode`, others as they are called.", index=True),
    Attribute("role", "What the agent does in the town.", index=True),
    Attribute("agent_name", "The agent's name; its role, where there is one of a kind."),
    Attribute("session_id", "The session's name in tmux.", index=True),
    Attribute("rig", "The rig; empty for an agent of the town.", index=True),
    Attribute("work_rig", "The rig of the work in force."),
    Attribute("work_bead", "The bead of the work in force.", index=True),
    Attribute("work_mol", "The molecule of the work in force, by its bead."),
    Attribute("work_build", "The build of the work in force."),
)
#: What stands on the record of an event that can fail.
OUTCOME = (
    Attribute("status", "How it ended.", values=("ok", "error")),
    Attribute("error", "Why it failed; empty where it did not."),
)

#: Where an agent was allocated says nothing about whose work it does.
_WORKS_RIG = Attribute("rig", "The work's rig, else the agent's.", default=("work_rig", "rig"), index=True)
_ROLE = Attribute("role", "The agent's role.", index=True)
_SESSION_ID = Attribute("session_id", "The session's name in tmux.", required=True, index=True)
#: Beside run.id, so that records that gt writes itself can be joined.
_RUN_UUID = Attribute("run.uuid", "The run's id with dashes, as gt writes it.", default=("run.id",))
_NATIVE = Attribute("native_session_id", "The agent program's own id of its session.")
_BEAD = Attribute("bead_id", "The bead.")
_WORKED_ON = (
    Attribute("work_rig", "The rig of the work.", empty=True),
    Attribute("work_bead", "The bead of the work; empty for none.", index=True, empty=True),
    Attribute("work_mol", "The molecule of the work, by its bead.", empty=True),
    Attribute("work_build", "The build of the work.", empty=True),
)
_HOOK_MODE = Attribute("hook_mode", "Whether a hook primed, not the agent itself.", FLAG)
_FORMULA = Attribute("formula_name", "The formula.", required=True)
_FORMULA_LABEL = {"formula": "formula_name"}
_MAIL_BODY, _AGENT_OUTPUT = "GT_LOG_MAIL_BODY", "GT_LOG_AGENT_OUTPUT"
_TOKENS = ("input", "output", "cache_read", "cache_creation")


def _tokens(kind: str) -> Attribute:
    return Attribute(f"{kind}_tokens", f"Tokens of the kind {kind.replace('_', ' ')}.", INTEGER)


_SESSIONS = (
    Event(
        "agent.instantiate",
        "An agent's process was started in a session.",
        (
            Attribute("instance", "The town: `hostname:basename(town_root)`.", index=True),
            Attribute("town_root", "The town's directory.", index=True),
            Attribute("agent_type", "The kind of agent.", index=True),
            _ROLE,
            Attribute("agent_name", "The agent's name."),
            Attribute("session_id", "The session's name in tmux.", index=True),
            RIG,
            Attribute("issue_id", "The bead that it was started for."),
            Attribute("git_branch", "The branch of its working directory."),
            Attribute("git_commit", "The commit of its working directory."),
            _RUN_UUID,
        ),
        metrics=(
            counts("gastown.agent.instantiations.total", "Agents started.", ("agent_type", "role", "rig")),
        ),
        outcome=False,
    ),
    Event(
        "session.start",
        "An agent's session began.",
        (_SESSION_ID, _ROLE, _RUN_UUID),
        kind=INTERNAL,
        metrics=(counts("gastown.session.starts.total", "Sessions begun.", ("role",)),),
    ),
    Event(
        "session.stop",
        "An agent's session ended.",
        (
            _SESSION_ID,
            _ROLE,
            Attribute("reason", "Why it ended: `done`, `stopped`, `exited`, `lost`, …"),
            Attribute("duration_ms", "How long the session lasted, in milliseconds.", FLOAT),
            EXIT_CODE,
        ),
        kind=INTERNAL,
        metrics=(counts("gastown.session.stops.total", "Sessions ended."),),
    ),
    Event(
        "session.stalled",
        "A session has recorded nothing for long.",
        (
            _SESSION_ID,
            Attribute("idle_ms", "Time since its last record, in milliseconds.", FLOAT),
            Attribute("work_bead", "The bead that it works on.", index=True),
        ),
        metrics=(counts("gastown.session.stalls.total", "Sessions that stalled.", ("role", "rig")),),
        outcome=False,
        stability=DEVELOPMENT,
    ),
    Event(
        "crew.session",
        "A crew member's session came to a new phase.",
        (
            Attribute("crew", "The crew member.", required=True),
            RIG,
            Attribute("phase", "The phase.", required=True, values=("start", "push", "done", "idle")),
        ),
        metrics=(counts("gastown.crew.sessions.total", "Phases of crew sessions.", ("phase",)),),
        outcome=False,
        stability=DEVELOPMENT,
    ),
)

_AGENTS = (
    Event(
        "prime",
        "An agent was told what to work on.",
        (_ROLE, _HOOK_MODE, *_WORKED_ON),
        kind=INTERNAL,
        metrics=(counts("gastown.prime.total", "Primes.", ("role", "hook_mode")),),
    ),
    Event(
        "prime.context",
        "What a prime rendered for the agent.",
        (
            _ROLE,
            _HOOK_MODE,
            Attribute("formula", "The rendered text.", gate="GT_LOG_PRIME_CONTEXT"),
        ),
        outcome=False,
    ),
    *PANES.values(),
    Event(
        "agent.event",
        "One step of an agent's conversation.",
        (
            SESSION,
            _NATIVE,
            Attribute("agent_type", "The kind of agent.", index=True),
            Attribute(
                "event_type",
                "What it is.",
                required=True,
                values=("text", "tool_use", "tool_result", "thinking"),
                index=True,
            ),
            Attribute("role", "Who speaks.", values=("assistant", "user"), index=True),
            Attribute(
                "content",
                "What is said; of a tool's use `NAME: INPUT-JSON`.",
                limit=512,
                limit_setting="GT_LOG_AGENT_CONTENT_LIMIT",
                gate=_AGENT_OUTPUT,
            ),
        ),
        metrics=(counts("gastown.agent.events.total", "Steps of conversations.", ("event_type", "role")),),
        outcome=False,
        gate=_AGENT_OUTPUT,
    ),
    Event(
        "agent.usage",
        "What one message of a model used.",
        (
            SESSION,
            _NATIVE,
            Attribute("model", "The model."),
            Attribute("message_id", "The message's id at the model's provider."),
            *[_tokens(kind) for kind in _TOKENS],
            Attribute("cost_usd", "What it cost, in US dollars.", FLOAT),
            _WORKS_RIG,
        ),
        metrics=(
            Metric(
                "gastown.agent.events.total",
                COUNTER,
                "Steps of conversations.",
                fixed={"event_type": "usage"},
                status=True,
            ),
            *[
                adds(
                    "gastown.agent.tokens.total",
                    "Tokens used.",
                    f"{kind}_tokens",
                    ("model", "role", "rig"),
                    fixed={"type": kind},
                )
                for kind in _TOKENS
            ],
            adds("gastown.agent.cost.total", "US dollars spent.", "cost_usd", ("model", "role", "rig")),
        ),
        outcome=False,
    ),
    Event(
        "agent.state_change",
        "An agent changed its state.",
        (
            Attribute("agent_id", "The agent, by its bead.", required=True),
            Attribute("new_state", "The state.", required=True),
            Attribute("hook_bead", "The bead on its hook."),
            Attribute("has_hook_bead", "Whether there is one.", FLAG),
        ),
        metrics=(counts("gastown.agent.state_changes.total", "Changes of state.", ("new_state",)),),
    ),
    Event(
        "retry.alert",
        "An agent tries again and again.",
        (
            Attribute("agent_name", "The agent.", required=True),
            Attribute("runs", "How many runs.", INTEGER),
            Attribute("calls", "How many calls.", INTEGER),
            Attribute("error_rate", "The share of calls that failed, 0 to 1.", FLOAT),
            Attribute("threshold", "The rate above which it is told.", FLOAT),
        ),
        metrics=(counts("gastown.retry.alerts.total", "Alerts.", ("role",)),),
        outcome=False,
        stability=DEVELOPMENT,
    ),
)

_WORK = (
    Event(
        "mail",
        "An operation on mail.",
        (
            Attribute("operation", "What was done: send, read, list, archive, …", required=True),
            Attribute("msg.id", "The message."),
            Attribute("msg.from", "Who wrote it.", index=True),
            Attribute("msg.to", "Whom it is for; several are one text.", index=True, several=True),
            Attribute("msg.subject", "Its subject."),
            Attribute("msg.thread_id", "Its thread.", index=True),
            Attribute("msg.priority", "Its priority."),
            Attribute("msg.type", "Its type: notification, reply, task, …"),
            Attribute("msg.body", "Its text.", gate=_MAIL_BODY, limit=256),
        ),
        kind=INTERNAL,
        metrics=(counts("gastown.mail.operations.total", "Operations on mail.", ("operation",)),),
        positional=("operation",),
    ),
    Event(
        "sling",
        "Work was handed to an agent.",
        (
            Attribute("bead", "The bead, or formula, that is handed on.", required=True),
            Attribute("target", "Whom it is handed to."),
        ),
        kind=INTERNAL,
        metrics=(counts("gastown.sling.dispatches.total", "Work handed on."),),
        positional=("bead", "target"),
    ),
    Event(
        "nudge",
        "An agent was pushed to go on.",
        (Attribute("target", "The agent.", required=True),),
        kind=INTERNAL,
        metrics=(counts("gastown.nudge.total", "Nudges."),),
        positional=("target",),
    ),
    Event(
        "done",
        "An agent ended its work.",
        (
            Attribute(
                "exit_type",
                "How it ended.",
                required=True,
                values=("COMPLETED", "ESCALATED", "DEFERRED"),
            ),
            _WORKS_RIG,
            Attribute("bead_id", "The bead of the work.", default=("work_bead",)),
            Attribute("time_to_complete_ms", "How long the work took, in milliseconds.", FLOAT),
            Attribute("work_type", "The type of its bead, or its formula."),
        ),
        kind=INTERNAL,
        metrics=(
            counts("gastown.done.total", "Work ended.", ("exit_type",)),
            measures(
                "gastown.work.completion_ms",
                "How long work took.",
                "time_to_complete_ms",
                ("role", "rig", "exit_type", "work_type"),
                AGES,
            ),
        ),
        positional=("exit_type",),
    ),
    Event(
        "polecat.spawn",
        "A polecat was made.",
        (Attribute("name", "The polecat.", required=True), RIG),
        kind=INTERNAL,
        metrics=(counts("gastown.polecat.spawns.total", "Polecats made.", ("rig",)),),
    ),
    Event(
        "polecat.remove",
        "A polecat was removed.",
        (Attribute("name", "The polecat.", required=True), RIG),
        kind=INTERNAL,
        metrics=(counts("gastown.polecat.removes.total", "Polecats removed.", ("rig",)),),
    ),
    Event(
        "daemon.restart",
        "The daemon started an agent again.",
        (Attribute("agent_type", "The kind of agent.", required=True, index=True),),
        metrics=(counts("gastown.daemon.agent_restarts.total", "Agents restarted.", ("agent_type",)),),
        outcome=False,
    ),
)

_BEADS = (
    Event(
        "formula.instantiate",
        "A formula was instantiated for a bead.",
        (_FORMULA, _BEAD),
        kind=INTERNAL,
        metrics=(counts("gastown.formula.instantiations.total", "Formulas instantiated.", _FORMULA_LABEL),),
    ),
    Event(
        "convoy.create",
        "A convoy was made.",
        (_BEAD,),
        kind=INTERNAL,
        metrics=(counts("gastown.convoy.creates.total", "Convoys made."),),
    ),
    Event(
        "mol.cook",
        "A formula was compiled.",
        (_FORMULA,),
        kind=INTERNAL,
        metrics=(counts("gastown.mol.cooks.total", "Formulas compiled.", _FORMULA_LABEL),),
    ),
    Event(
        "mol.wisp",
        "A molecule was made as a wisp.",
        (_FORMULA, Attribute("wisp_root_id", "The wisp's root bead."), _BEAD),
        kind=INTERNAL,
        metrics=(counts("gastown.mol.wisps.total", "Wisps made.", _FORMULA_LABEL),),
    ),
    Event(
        "mol.squash",
        "A molecule was folded into a digest.",
        (
            Attribute("mol_id", "The molecule.", required=True),
            Attribute("done_steps", "How many of its steps were done.", INTEGER),
            Attribute("total_steps", "How many steps it had.", INTEGER),
            Attribute("digest_created", "Whether there is a digest.", FLAG),
        ),
        kind=INTERNAL,
        metrics=(counts("gastown.mol.squashes.total", "Molecules squashed."),),
    ),
    Event(
        "mol.burn",
        "A molecule was thrown away.",
        (
            Attribute("mol_id", "The molecule.", required=True),
            Attribute("children_closed", "How many of its steps were closed.", INTEGER),
        ),
        kind=INTERNAL,
        metrics=(counts("gastown.mol.burns.total", "Molecules burned."),),
    ),
    Event(
        "bead.create",
        "A bead was made.",
        (
            Attribute("bead_id", "The bead.", required=True),
            Attribute("parent_id", "Its parent."),
            Attribute("mol_source", "The formula that it came from."),
        ),
        metrics=(counts("gastown.bead.creates.total", "Beads made.", ("mol_source",)),),
        outcome=False,
    ),
)


#: Every event by its name.
EVENTS = {event.name: event for event in (*_SESSIONS, *_AGENTS, *_WORK, *COMMANDS.values(), *_BEADS, *TOWN)}
