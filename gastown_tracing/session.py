"""The life of a session's run: made, started, handed to its session, closed once.

Whoever spawns an agent uses these in this order: `create_run`, then the spawn with `session_env`,
`write_pane`, `record_start`; `close` when it ends, or `reap` for those that ended unseen.
"""

from gastown_tracing.sessions.ending import close
from gastown_tracing.sessions.liveness import Inspector, Liveness
from gastown_tracing.sessions.processes import describe
from gastown_tracing.sessions.reaping import Found, reap
from gastown_tracing.sessions.run import RunHandle, create_run, record_start, session_env, write_pane

__all__ = [
    "Found",
    "Inspector",
    "Liveness",
    "RunHandle",
    "close",
    "create_run",
    "describe",
    "reap",
    "record_start",
    "session_env",
    "write_pane",
]
