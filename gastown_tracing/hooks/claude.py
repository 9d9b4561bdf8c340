"""What a hook of Claude Code's records. It gets a JSON object on its standard input ("Hooks reference").

| hook               | what is recorded                                                                   |
|--------------------|------------------------------------------------------------------------------------|
| SessionStart       | which run the session and its transcript belong to; `prime`, where gt's own hook   |
|                    | primes past the shims                                                              |
| SessionEnd         | that it ended, and why                                                             |
| UserPromptSubmit   | agent.state_change to `working`                                                    |
| PreToolUse,        | the same, where it was not working: it waited, or something went on after its end  |
| PostToolUse        |                                                                                    |
| Notification       | agent.state_change to `waiting` (for a permission, an answer), or to `idle`        |
| Stop               | agent.state_change to `idle`                                                       |

With GT_LOG_AGENT_OUTPUT agent.event too: the prompt, a tool's use and its result, the answer. What is said of
a state twice is recorded once. Nothing is printed, and no failure is anybody's but ours.
"""

import posix
import time

from gastown_tracing.hooks import agents
from gastown_tracing.hooks.agent import Agent, above
from gastown_tracing.journal.hooks import hooked
from gastown_tracing.journal.index import AGENTS, look
from gastown_tracing.journal.layout import load_json
from gastown_tracing.shims import child
from gastown_tracing.shims.plan import decode, make
from gastown_tracing.shims.waking import wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Mapping
    from typing import NoReturn

    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.shims.entry import Entry
    from gastown_tracing.shims.plan import Plan
else:
    import _signal  # the C half of signal

PROGRAM = "gt-trace hook"
#: Seconds after which a hook ends, whatever holds it up: a disk, an input that never ends. Claude Code gives
#: the hooks of a session's end 1.5.
LONGEST = 1.0
#: Bytes of input that are looked at; a tool's result can be any size.
INPUT_LIMIT = 1 << 24

WORKING, WAITING, IDLE = "working", "waiting", "idle"
#: The notifications that say what an agent does.
NOTIFIED = {
    "permission_prompt": WAITING,
    "worker_permission_prompt": WAITING,
    "elicitation_dialog": WAITING,
    "elicitation_complete": WORKING,
    "idle_prompt": IDLE,
}
GATE = "GT_LOG_AGENT_OUTPUT"


def run(event: str) -> "NoReturn":
    """Record what a hook tells, and exit with 0."""
    try:
        _signal.setitimer(_signal.ITIMER_REAL, LONGEST)
        _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        _run(event)
    except BaseException:  # noqa: S110  # there is nobody to tell
        pass
    posix._exit(0)


class _Hook:
    """One call of a hook: which, what it was told, for which run, in which journal."""

    __slots__ = ("agent", "event", "input", "journal", "plan", "run_id", "session", "transcript")

    def __init__(self, event: str, told: "Mapping[str, object]", plan: "Plan", agent: Agent) -> None:
        self.event = event
        self.input = told
        self.plan = plan
        self.agent = agent
        self.journal: Journal = plan.telemetry.journal
        self.run_id = plan.resolution.run_id or ""
        session = told.get("session_id")
        self.session = str(session) if agents.is_session(session) else ""
        self.transcript = self.said("transcript_path")

    def said(self, name: str) -> str:
        """Return a text of the input, "" where there is none."""
        found = self.input.get(name)
        return found if isinstance(found, str) else ""


def _run(event: str) -> None:
    told = load_json(_input())
    if not isinstance(told, dict) or event not in _HOOKS:
        return
    plan = make(decode(child.environment()), PROGRAM)
    if plan is None or not plan.telemetry.journal.is_on():
        return
    if not plan.resolution.run_id and not plan.telemetry.town_root:
        return
    agent = above()
    if agent.env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    hook = _Hook(event, told, plan, agent)
    _HOOKS[event](hook)
    wake(plan.telemetry, PROGRAM)


def _input() -> str:
    chunks, size = [], 0
    while size < INPUT_LIMIT and (chunk := posix.read(0, 1 << 16)):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks).decode("utf-8", "replace")


def _session_start(hook: _Hook) -> None:
    from gastown_tracing.hooks import primes  # once a session

    source = hook.said("source") or hook.event
    primed = primes.past_shims(source, hook.agent.words, hook.plan.telemetry.config.env)
    if hook.run_id and hook.session:
        _begins(hook, source, primed="true" if primed else "")
    if primed:
        _prime(hook)


def _begins(hook: _Hook, source: str, primed: str = "") -> None:
    outer = hook.agent.env.get("CLAUDE_CODE_SESSION_ID", "")
    of_outer = look(hook.journal, AGENTS, outer) if outer != hook.session else None
    known = {
        "transcript": hook.transcript,
        "source": source,
        "pid": str(hook.agent.pid or ""),
        "primed": primed,
        "within": outer if (of_outer or {}).get("run_id") == hook.run_id else "",
    }
    agents.begins(hook.journal, hook.run_id, hook.session, known)


def _prime(hook: _Hook) -> None:
    """Record the prime of gt's own hook, which runs beside us, in a process that nobody waits for.

    What is worked on may have to be asked of bd.
    """
    start_ns = time.time_ns()
    if posix.fork():
        return
    _signal.setitimer(_signal.ITIMER_REAL, 0)
    posix.setsid()
    null = posix.open("/dev/null", posix.O_RDWR)
    for descriptor in (0, 1, 2):  # who started the hook waits for the end of these
        posix.dup2(null, descriptor)
    from gastown_tracing.shims.priming import Prime

    entry = _entry(hook, "prime", {"hook_mode": True}, start_ns)
    if entry.span is not None:  # how long gt's own takes nobody sees
        entry.span.attributes["gastown.duration.known"] = False
    entry.finish(start_ns)
    Prime(None, hook.plan, _forget).record(entry)
    wake(hook.plan.telemetry, PROGRAM)
    posix._exit(0)


def _session_end(hook: _Hook) -> None:
    if hook.run_id and hook.session:
        agents.ends(hook.journal, hook.run_id, hook.session, hook.said("reason"))


def _prompt(hook: _Hook) -> None:
    _becomes(hook, WORKING)
    _says(hook, "text", "user", hook.said("prompt"))


def _tool(hook: _Hook) -> None:
    _becomes(hook, WORKING)
    if not hook.plan.telemetry.config.flag(GATE):
        return
    import json  # for who has opted in

    if hook.event == "PreToolUse":
        use = json.dumps(hook.input.get("tool_input"), ensure_ascii=False)
        _says(hook, "tool_use", "assistant", f"{hook.said('tool_name')}: {use}")
        return
    result = hook.input.get("tool_response")
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    _says(hook, "tool_result", "user", text)


def _stop(hook: _Hook) -> None:
    _says(hook, "text", "assistant", hook.said("last_assistant_message"))
    _becomes(hook, IDLE)


def _notification(hook: _Hook) -> None:
    state = NOTIFIED.get(hook.said("notification_type"))
    if state:
        _becomes(hook, state)


def _becomes(hook: _Hook, state: str) -> None:
    """Record that the agent is in a state now, unless it was before."""
    if not hook.run_id or not hook.session:
        return
    known = look(hook.journal, AGENTS, hook.session) or {}
    if known.get("run_id") != hook.run_id:
        _begins(hook, hook.event)
        known = {}
    if known.get("state") == state:
        return
    env = hook.plan.telemetry.config.env
    actor = env.get("BD_ACTOR") or env.get("GT_ROLE", "")
    if actor:
        own: dict[str, object] = {"agent_id": actor, "new_state": state}
        on_hook = hooked(hook.journal, actor)
        if on_hook is not None:
            own.update({"hook_bead": on_hook[0], "has_hook_bead": bool(on_hook[0])})
        _record(hook, "agent.state_change", own)
    agents.remember(hook.journal, hook.run_id, hook.session, hook.transcript, state)


def _says(hook: _Hook, what: str, role: str, content: str) -> None:
    """Record a step of the conversation, where that is opted into."""
    if content and hook.plan.telemetry.config.flag(GATE):
        env = hook.plan.telemetry.config.env
        own = {"event_type": what, "role": role, "content": content, "native_session_id": hook.session}
        _record(hook, "agent.event", {**own, "session": env.get("GT_SESSION", "")})


def _record(hook: _Hook, event: str, own: "Mapping[str, object]") -> None:
    now = time.time_ns()
    entry = _entry(hook, event, own, now)
    entry.finish(now)
    entry.write(*entry.lines())


def _entry(hook: _Hook, event: str, own: "Mapping[str, object]", start_ns: int) -> "Entry":
    from gastown_tracing.events.registry import EVENTS  # few hooks record an event
    from gastown_tracing.events.values import recordable
    from gastown_tracing.shims.entry import Entry
    from propagation.run import new_span_id

    found = recordable(EVENTS[event], own, hook.plan.telemetry.config, _forget)
    known = {name: value for name, value in found.items() if value != ""}
    return Entry(EVENTS[event], known, hook.plan, start_ns=start_ns, span_id=new_span_id())


def _forget(_: str) -> None:
    """Say nothing: whatever a hook prints is part of the conversation."""


_HOOKS = {
    "SessionStart": _session_start,
    "SessionEnd": _session_end,
    "UserPromptSubmit": _prompt,
    "PreToolUse": _tool,
    "PostToolUse": _tool,
    "Stop": _stop,
    "Notification": _notification,
}
