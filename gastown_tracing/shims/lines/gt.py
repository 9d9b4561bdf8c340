"""gt's command lines: each is a `gt.command`, but for those that are an event of their own.

What gt does through bd, bd shows, with its ids: sending mail, making a convoy, handing work on a hook. There
gt's command is a `gt.command`.
"""

from gastown_tracing.shims.lines import gt_table
from gastown_tracing.shims.lines.cobra import Grammar, Line
from gastown_tracing.shims.lines.saying import name, names, said
from gastown_tracing.shims.lines.seen import SLING, Seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GRAMMAR = Grammar(
    gt_table.COMMANDS,
    gt_table.ALIASES,
    {**gt_table.SWITCHES, "": "help version"},
    {**gt_table.LETTERS, "": "h=help v=version"},
    prefixes=True,
)
#: The operations on mail that bd does not show; of `mail read` and the like the first word is a message.
MAIL = """
    announces archive check claim clear delete drain hook inbox mark-read mark-unread peek read release search
    thread
    """
OF_MESSAGE = "archive delete hook mark-read mark-unread read release"
#: How `gt done` says that work ended, and what it says unless it is told.
COMPLETED = "COMPLETED"
EXIT_TYPES = (COMPLETED, "ESCALATED", "DEFERRED")


def classify(arguments: "Sequence[str]") -> Seen:
    """Return what a command line of gt is. Never raises."""
    line = GRAMMAR.read(arguments)
    rule = None if line.has("help") or line.has("dry-run") else RULES.get(line.command)
    seen = rule(line) if rule is not None else None
    if seen is not None:
        return seen
    command = " ".join(line.command.split()[:2])
    if not command and not line.words:
        command = "version" if line.has("version") and not line.has("help") else "help"
    return Seen("gt.command", said({"command": command}), daemon=_starts_daemon(line))


def _starts_daemon(line: Line) -> bool:
    with_flag = gt_table.DAEMONS_WITH.get(line.command)
    starts = line.command in gt_table.DAEMONS or (with_flag is not None and line.has(with_flag))
    return starts and not line.has("help")


def _prime(line: Line) -> Seen | None:
    if line.has("state"):
        return None  # it says what the session's state is, and primes nobody
    return Seen("prime", {"hook_mode": line.has("hook")})


def _sling(line: Line) -> Seen | None:
    """Return a sling: BEAD [TARGET], or several beads and perhaps a rig, whose name has no dash."""
    words = [word.rstrip("/") for word in line.words]
    beads, target = words[:1], words[1] if len(words) == 2 else ""
    if len(words) > 2:
        is_rig = "-" not in words[-1]
        beads, target = (words[:-1], words[-1]) if is_rig else (words, "")
    crew = line.value("crew")
    if target and crew:
        target = f"{target}/crew/{crew}"
    handed = said({"bead": names(beads), "target": name(target)})
    return Seen("sling", handed, reads=SLING) if "bead" in handed else None


def _nudge(line: Line) -> Seen | None:
    target = name(line.words[0].rstrip("/")) if line.words else ""
    return Seen("nudge", {"target": target}) if target else None


def _done(line: Line) -> Seen:
    given = line.value("status")
    exit_type = COMPLETED if given is None else given.upper()
    ended = {"exit_type": exit_type if exit_type in EXIT_TYPES else "", "bead_id": name(line.value("issue"))}
    return Seen("done", said(ended))


def _mail(line: Line) -> Seen:
    operation = line.command.partition(" ")[2]
    words = line.words if operation in OF_MESSAGE.split() else []
    messages = [
        word for word in words if name(word) and not word.isdecimal()
    ]  # a number is a place in the list
    attributes = {"operation": operation, "msg.id": names(messages)}
    if operation == "thread":
        attributes["msg.thread_id"] = names(line.words[:1])
    causes = [("beads", message) for message in messages] if operation == "read" else ()
    return Seen("mail", said(attributes), causes=causes)


def _polecat(event: str) -> "Callable[[Line], Seen | None]":
    """Return the rule for RIG/POLECAT… or, in `polecat add`, RIG POLECAT."""

    def rule(line: Line) -> Seen | None:
        words = ["/".join(line.words)] if event == "polecat.spawn" else line.words
        found = [word.partition("/")[::2] for word in words if name(word) and word.count("/") == 1]
        rigs, polecats = {rig for rig, _ in found}, [polecat for _, polecat in found]
        if not names(polecats):
            return None
        return Seen(event, said({"name": names(polecats), "rig": rigs.pop() if len(rigs) == 1 else None}))

    return rule


def _crew(phase: str) -> "Callable[[Line], Seen | None]":
    """Return the rule for crew members: RIG/NAME…, or NAME… with --rig. A name alone may be a rig's."""

    def rule(line: Line) -> Seen | None:
        rig = line.value("rig")
        found = [word.rpartition("/")[::2] for word in line.words if name(word)]
        rigs = {of.removesuffix("/crew") or rig for of, _ in found}
        if not found or None in rigs or line.has("all"):
            return None
        alone = name(rigs.pop()) if len(rigs) == 1 else None
        return Seen(
            "crew.session", said({"crew": names([who for _, who in found]), "rig": alone, "phase": phase})
        )

    return rule


def _formula_run(line: Line) -> Seen | None:
    formula = name(line.words[0]) if line.words else ""
    return Seen("formula.instantiate", {"formula_name": formula}) if formula else None


def _squash(line: Line) -> Seen:
    return Seen("mol.squash", {"digest_created": not line.has("no-digest")})


def _burn(line: Line) -> Seen:  # noqa: ARG001  # its word is an agent, and only gt knows whose molecule
    return Seen("mol.burn")


#: What a command line is that has an event of its own.
RULES: "dict[str, Callable[[Line], Seen | None]]" = {
    "crew restart": _crew("start"),
    "crew start": _crew("start"),
    "crew stop": _crew("done"),
    "done": _done,
    "formula run": _formula_run,
    "mol burn": _burn,
    "mol squash": _squash,
    "nudge": _nudge,
    "polecat add": _polecat("polecat.spawn"),
    "polecat nuke": _polecat("polecat.remove"),
    "polecat remove": _polecat("polecat.remove"),
    "prime": _prime,
    "sling": _sling,
    "start crew": _crew("start"),
    **{f"mail {operation}": _mail for operation in MAIL.split()},
}
