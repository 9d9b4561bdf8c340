"""bd's command lines: each is a `bd.call`, and some are a more specific event.

What gt does with beads, it does with bd: mail is `bd create` with the label `gt:message`, a hook is a bead's
status and assignee, an agent's state stands in the description of its bead.
"""

from gastown_tracing.shims.lines import bd_table
from gastown_tracing.shims.lines.cobra import Grammar, Line
from gastown_tracing.shims.lines.saying import fields, molecule, name, names, said
from gastown_tracing.shims.lines.seen import BD, UNREAD, Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GRAMMAR = Grammar(
    bd_table.COMMANDS,
    bd_table.ALIASES,
    {**bd_table.SWITCHES, "": bd_table.GLOBAL_SWITCHES},
    {**bd_table.LETTERS, "": bd_table.GLOBAL_LETTERS},
)
#: The statuses of a bead that is on its assignee's hook: an agent sets the second one when it begins.
HOOKED, BEGUN = "hooked", "in_progress"


def classify(arguments: "Sequence[str]") -> Seen:
    """Return what a command line of bd is. Never raises."""
    line = GRAMMAR.read(arguments)
    rule = None if line.has("help") or line.has("dry-run") else RULES.get(line.command)
    seen = rule(line) if rule is not None else None
    return seen or Seen("bd.call", daemon=line.command in bd_table.DAEMONS and not line.has("help"))


def _create(line: Line) -> Seen | None:
    if line.value("file") or line.value("graph"):
        return None  # several beads, whose ids nobody knows
    bead, labels = name(line.value("id")), line.listed("labels", "label")
    makes = [("beads", bead)]
    if "gt:message" in labels:
        return _mail(line, labels, makes)
    if (line.value("type") or "").lower() == "convoy":
        return Seen("convoy.create", said({"bead_id": bead}), reads=BD, makes=makes)
    described = fields(line.value("description", "body", "message"))
    if described.get("role_type") == "polecat" and described.get("agent_state") == "spawning":
        polecat = {"name": name(bead.partition("-polecat-")[2]), "rig": name(described.get("rig"))}
        if polecat["name"]:
            return Seen("polecat.spawn", said(polecat), reads=BD, makes=makes)
    if "gt:merge-request" in labels:
        makes.append(("merges", bead))
    made = {"bead_id": bead, "parent_id": name(line.value("parent"))}
    return Seen("bead.create", said(made), reads=BD, makes=makes)


def _mail(line: Line, labels: list[str], makes: list[tuple[str, str]]) -> Seen:
    """Return the mail that a bead is; what its labels say stands behind a colon."""
    keyed = dict([label.partition(":")[::2] for label in labels])
    body, answers = line.value("description", "body", "message"), name(keyed.get("reply-to"))
    message = {
        "operation": "send",
        "msg.id": makes[0][1],
        "msg.from": name(keyed.get("from") or line.value("actor")),
        "msg.to": name(line.value("assignee")),
        "msg.subject": line.words[0] if line.words else line.value("title"),
        "msg.thread_id": name(keyed.get("thread")),
        "msg.priority": name(line.value("priority")),
        "msg.type": name(keyed.get("msg-type")),
        "msg.body": None if body == "-" else body,  # `-`: it comes from stdin
    }
    return Seen("mail", said(message), reads=BD, makes=makes, causes=[("beads", answers)] if answers else ())


def _update(line: Line) -> Seen:
    bead = name(line.words[0]) if line.words else ""
    description = line.value("description", "body", "message")
    described = fields(description)
    hook = _hook(line, bead)
    if hook is not None and description is not None and "role_type" not in described:
        hook["mol"] = name(molecule(description))
    changed: dict[str, str | bool] = {}
    if bead and "role_type" in described and name(described.get("agent_state")):
        on_hook = name(described.get("hook_bead"))
        has = bool(on_hook) if "hook_bead" in described else None
        state = {"agent_id": bead, "new_state": described["agent_state"], "hook_bead": on_hook}
        changed = said({**state, "has_hook_bead": has})
    return _about(line, "agent.state_change" if changed else "bd.call", changed, hook)


def _hook(line: Line, bead: str) -> "dict[str, str] | None":
    """Return what an update says of the hook that a bead is on; None for one of no bead, or several."""
    if not bead or len(line.words) > 1:
        return None
    status, assignee = line.value("status"), line.value("assignee")
    if status == HOOKED and name(assignee):
        return {"bead": bead, "actor": assignee or ""}
    off = assignee == "" if status is None else status not in (HOOKED, BEGUN)
    return {"bead": bead, "actor": ""} if off else {"bead": bead}


def _close(line: Line) -> Seen:
    """Return a command after which a bead is worked on no more."""
    bead = name(line.words[0]) if line.words else ""
    return _about(line, "bd.call", {}, {"bead": bead, "actor": ""})


def _show(line: Line) -> Seen:
    return _about(line, "bd.call", {}, None)


def _about(
    line: Line, event: str, attributes: "dict[str, str | bool]", hook: "dict[str, str] | None"
) -> Seen:
    """Return a command about beads: what asked for their merge led to it."""
    beads = [*line.words, *line.flags.get("id", ())]
    wanted = line.command in ("close", "show", "update")
    return Seen(
        event,
        attributes,
        reads=BD if wanted and line.has("json") else UNREAD,
        causes=[("merges", bead) for bead in beads if name(bead)] if wanted else (),
        hook=hook if hook and hook["bead"] and len(hook) > 1 else None,
    )


def _cook(line: Line) -> Seen | None:
    return _of_formula("mol.cook", line, {})


def _pour(line: Line) -> Seen | None:
    return _of_formula("formula.instantiate", line, {})


def _wisp(line: Line) -> Seen | None:
    variables = dict([text.partition("=")[::2] for text in line.flags.get("var", ())])
    seen = _of_formula("mol.wisp", line, {"bead_id": name(variables.get("issue"))})
    return seen and Seen(seen.event, seen.attributes, reads=BD, makes=[("beads", "")])


def _of_formula(event: str, line: Line, more: dict[str, str]) -> Seen | None:
    """Return the event of the formula that comes first: its name, or its file's."""
    formula = line.words[0].rpartition("/")[2] if line.words else ""
    for ending in (".json", ".toml", ".formula"):
        formula = formula.removesuffix(ending)
    return Seen(event, said({"formula_name": name(formula), **more})) if name(formula) else None


def _bond(line: Line) -> Seen | None:
    """Return what joins a molecule with a bead, or makes one of a formula for it."""
    if len(line.words) != 2 or not all(map(name, line.words)):
        return None
    mol, bead = line.words
    if mol.startswith("mol-"):
        return _of_formula("formula.instantiate", line, {"bead_id": bead})
    return Seen("bd.call", hook={"bead": bead, "mol": mol})


def _of_molecule(event: str) -> "Callable[[Line], Seen | None]":
    def rule(line: Line) -> Seen | None:
        return Seen(event, {"mol_id": names(line.words)}) if names(line.words) else None

    return rule


#: What a command line is that has an event of its own, or something to say of a bead.
RULES: "dict[str, Callable[[Line], Seen | None]]" = {
    "close": _close,
    "cook": _cook,
    "create": _create,
    "defer": _close,
    "delete": _close,
    "duplicate": _close,
    "mol bond": _bond,
    "mol burn": _of_molecule("mol.burn"),
    "mol pour": _pour,
    "mol squash": _of_molecule("mol.squash"),
    "mol wisp": _wisp,
    "mol wisp create": _wisp,
    "show": _show,
    "supersede": _close,
    "update": _update,
}
