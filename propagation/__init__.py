"""What crosses a process boundary in environment variables: trace context, baggage, run, work, resource.

Standard library only, and little of it. Nothing is loaded before it is used: `propagation.resolve` loads what
it needs and no more.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from propagation import baggage, environ, resource, rules, run, scan, tmux, traceparent, work
    from propagation.environ import Carrier, child_env, read, without_context
    from propagation.rules import Resolution, resolve
    from propagation.traceparent import PropagationError, SpanContext
    from propagation.work import WorkContext

__all__ = [
    "Carrier",
    "PropagationError",
    "Resolution",
    "SpanContext",
    "WorkContext",
    "baggage",
    "child_env",
    "environ",
    "read",
    "resolve",
    "resource",
    "rules",
    "run",
    "scan",
    "tmux",
    "traceparent",
    "without_context",
    "work",
]

#: The module of each name that is not a module itself.
_HOMES = {
    "Carrier": "environ",
    "PropagationError": "traceparent",
    "Resolution": "rules",
    "SpanContext": "traceparent",
    "WorkContext": "work",
    "child_env": "environ",
    "read": "environ",
    "resolve": "rules",
    "without_context": "environ",
}


def __getattr__(name: str) -> object:
    """Load the module that has `name` (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, name)
    module = getattr(__import__(f"{__name__}.{home}"), home)
    found: object = getattr(module, name) if name in _HOMES else module
    globals()[name] = found
    return found
