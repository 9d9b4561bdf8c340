"""What a command line is seen to be: the answer of `classify`, which the rest of a shim works by."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gastown_tracing.events.schema import Value

#: How a command's output is read (`outputs`): not at all, as bd's, as that of `gt sling`.
UNREAD, BD, SLING = "", "bd", "sling"


class Seen:
    """One command line as the event that it is.

    `event` is the name of its most specific event and `attributes` what its arguments say of that. Where that
    is no span (bead.create, agent.state_change, crew.session), the span is that of the program's own event,
    bd.call or gt.command, and both have a record. `reads` is how its output is read, one of UNREAD, BD and
    SLING. `causes` are (kind, key) of the journal's index: what is noted there is what led to this command,
    and becomes span links. `makes` says what its span is noted as once it has succeeded, (kind, key) too; an
    empty key is the id that its output names. `daemon`: it starts a process that outlives it, which must have
    no session's context.

    `hook` is what it says of an agent's hook once it has succeeded: `bead`, which it is about; `actor`, who
    has that on the hook from now on, "" for nobody any more; `mol`, its molecule from now on. What it does
    not say is absent. `bd update X --status=hooked --assignee=A` is {bead: X, actor: A}, `bd close X`
    {bead: X, actor: ""}, `bd mol bond WISP X` {bead: X, mol: WISP}.
    """

    __slots__ = ("attributes", "causes", "daemon", "event", "hook", "makes", "reads")

    def __init__(
        self,
        event: str,
        attributes: "Mapping[str, Value] | None" = None,
        *,
        reads: str = UNREAD,
        causes: "Sequence[tuple[str, str]]" = (),
        makes: "Sequence[tuple[str, str]]" = (),
        daemon: bool = False,
        hook: "Mapping[str, str] | None" = None,
    ) -> None:
        self.event = event
        self.attributes = dict(attributes or {})
        self.reads = reads
        self.causes = tuple(causes)
        self.makes = tuple(makes)
        self.daemon = daemon
        self.hook = dict(hook or {})
