"""The members of a session: what children get of it, as baggage and as resource attributes.

The names are the data model's ("Baggage", "Resource"). What is not known is left out, never made up.
"""

from propagation.run import parse_run_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from propagation.work import WorkContext

#: Our baggage members and resource attributes of the session, with the variable that each comes from.
SESSION_VARIABLES = (
    ("gt.session", "GT_SESSION"),
    ("gt.role", "GT_ROLE"),
    ("gt.rig", "GT_RIG"),
    ("gt.actor", "BD_ACTOR"),
    ("gt.work_rig", "GT_WORK_RIG"),
    ("gt.work_bead", "GT_WORK_BEAD"),
    ("gt.work_mol", "GT_WORK_MOL"),
)

#: What the shims of gt and bd add to the resource of their own child: the span that records it.
OF_CHILD = ("gt.trace_id", "gt.span_id")
#: What gt, its own exporter on, gives an agent of its prompt: content, which no record of ours is asked for.
OF_PROMPT = "gt.prompt"


def session_attributes(env: "Mapping[str, str]", run_id: str | None) -> dict[str, str]:
    """Return the `gt.*` members that children get, as baggage and as resource attributes."""
    found = {name: env[variable] for name, variable in SESSION_VARIABLES if env.get(variable)}
    agent = env.get("GT_POLECAT") or env.get("GT_CREW")
    if agent:
        found["gt.agent"] = agent
    run_id = run_id or parse_run_id(env.get("GT_RUN", ""))
    if run_id:
        found["gt.run_id"] = run_id
    return found


def for_children(
    env: "Mapping[str, str]", run_id: str | None, work: "WorkContext | None"
) -> dict[str, str | None]:
    """Return the members that children get with `work` in force; None removes an inherited one.

    Without a work context nobody has said what is being worked on, and what is inherited stays. What a shim
    says of its own child is of no other process.
    """
    found: dict[str, str | None] = {**session_attributes(env, run_id), **dict.fromkeys(OF_CHILD)}
    if work is not None:
        found["gt.work_rig"] = work.rig or None
        found["gt.work_bead"] = work.bead or None
        found["gt.work_mol"] = work.mol or None
    return found
