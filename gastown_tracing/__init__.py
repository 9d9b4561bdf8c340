"""gastown-tracing: every agent session of a Gas Town as one distributed trace.

The public names are loaded when they are first used, so that a shim pays for none of them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing._version import VERSION as __version__  # noqa: N811 # the name that packages give it
    from gastown_tracing.context import (
        carry_context,
        child_env,
        current_run_id,
        is_active,
        set_process_env,
        with_run_id,
    )
    from gastown_tracing.setup import Provider, init
    from gastown_tracing.spans import bd_call, done, mail, nudge, prime, run_bd, sling, traced
    from gastown_tracing.tracing.calls import Call
    from gastown_tracing.tracing.sessions import Session, end_session, session, start_session

__all__ = (
    "Call",
    "Provider",
    "Session",
    "__version__",
    "bd_call",
    "carry_context",
    "child_env",
    "current_run_id",
    "done",
    "end_session",
    "init",
    "is_active",
    "mail",
    "nudge",
    "prime",
    "run_bd",
    "session",
    "set_process_env",
    "sling",
    "start_session",
    "traced",
    "with_run_id",
)

#: Which module of this package has which public names.
_HOMES = {
    "tracing.calls": ("Call",),
    "context": (
        "carry_context",
        "child_env",
        "current_run_id",
        "is_active",
        "set_process_env",
        "with_run_id",
    ),
    "tracing.sessions": ("Session", "end_session", "session", "start_session"),
    "setup": ("Provider", "init"),
    "spans": ("bd_call", "done", "mail", "nudge", "prime", "run_bd", "sling", "traced"),
}


if not TYPE_CHECKING:  # to a type checker a module with __getattr__ has every attribute

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from gastown_tracing._version import VERSION  # as all here: loaded when used

            return VERSION
        for module, names in _HOMES.items():
            if name in names:
                home = __import__(f"{__name__}.{module}", fromlist=names)
                found = globals()[name] = getattr(home, name)
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
