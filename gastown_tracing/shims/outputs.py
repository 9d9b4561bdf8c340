"""What the output of a command says about the event that it is: ids of what it made.

Nothing is guessed. What cannot be read is absent.
"""

from gastown_tracing.beads import parse
from gastown_tracing.masking import subcommand
from gastown_tracing.shims.lines.saying import name
from gastown_tracing.shims.lines.seen import BD, SLING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gastown_tracing.shims.lines.seen import Seen

#: What a line begins with, behind a mark, that says which bead was made; its title stands behind the id.
CREATED, MARK = "Created issue: ", "✓"
#: What of bd's answer to `mol wisp` is the wisp's root, in the order in which gt looks.
WISP_ROOT = ("new_epic_id", "root_id", "result_id")
#: Ids that one record shows at most, and characters of one.
_MANY, _LONGEST = 20, 128

#: bd's subcommands that succeed without a word on stdout, or put their report on stderr.
SILENT = frozenset(
    (
        *("backup", "bootstrap", "completion", "daemon", "dolt", "edit", "export", "federation", "hook"),
        *("hooks", "import", "init", "jira", "linear", "mail", "migrate", "repo", "setup", "sync", "upgrade"),
        *("version", "worktree"),
    )
)
#: What makes any other one silent, and what a line on stderr begins with that is no failure.
QUIET = ("-q", "--quiet", "--silent")
ADVICE = ("warning", "hint", "note", "tip", "info", "debug", "⚠", "✓", "ℹ")  # noqa: RUF001  # as bd has it


class Found:
    """What an output says: `attributes` by the name of their event, `made` the beads that were made."""

    __slots__ = ("attributes", "made")

    def __init__(self, made: "list[str]", attributes: "Mapping[str, Mapping[str, str]]") -> None:
        self.made = made
        self.attributes = attributes


def read(seen: "Seen", stdout: bytes | None) -> Found:
    """Return what the stdout of a command says, None for one that was not read. Never raises."""
    text = (stdout or b"").decode("utf-8", "replace").strip()
    if seen.reads == SLING:
        return Found([], {"sling": _slung(text)})
    if seen.reads != BD or not text:
        return Found([], {})
    if seen.event == "mol.wisp":
        root = _wisp_root(text)
        return Found([root], {seen.event: {"wisp_root_id": root}}) if root else Found([], {})
    ids = _ids(_answer(text)) or _created(text)
    made = ids if seen.makes else []
    attributes = {"bd.call": {"bead_id": ", ".join(ids[:_MANY])}} if ids else {}
    if len(made) == 1:
        one = {"bead_id": made[0]}
        attributes |= {"mail": {"msg.id": made[0]}, "convoy.create": one, "bead.create": one}
    return Found(made, attributes)


def _created(text: str) -> list[str]:
    """Return the id of the bead that `bd create` says it made: in a sentence, or alone (`--silent`).

    Further lines may be anybody's text. Alone, what has no dash is a word and no id.
    """
    if name(text):
        return [text] if "-" in text else []
    for line in text.split("\n"):
        before, _, said = line.partition(CREATED)
        if said and (not before or MARK in before):  # which may be coloured
            found = name(said.split(" ")[0])
            return [found] if found else []
    return []


def _answer(text: str) -> object:
    """Return the JSON that bd printed, without its envelope; None where it is none."""
    if not text.startswith(("{", "[", "warning:")):
        return None
    try:
        answer = parse(text)
    except ValueError:
        return None
    return answer.get("data") if isinstance(answer, dict) and "schema_version" in answer else answer


def _ids(answer: object) -> list[str]:
    beads = answer if isinstance(answer, list) else [answer]
    return [found for found in (_id(bead.get("id")) for bead in beads if isinstance(bead, dict)) if found]


def _wisp_root(text: str) -> str:
    answer = _answer(text)
    found = [_id(answer.get(name)) for name in WISP_ROOT] if isinstance(answer, dict) else []
    return next(filter(None, found), "")


def _slung(text: str) -> dict[str, str]:
    """Return what `gt sling` says of its convoy, its wisp and the polecat that it found."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        for before, made in (("Created convoy ", "convoy"), ("Formula wisp created: ", "wisp")):
            if before in line:
                found[made] = _id(line.partition(before)[2].split(" ")[-1])
        if "Slinging " in line and line.endswith("..."):
            target = _id(line.removesuffix("...").rpartition(" to ")[2])
            found["polecat"] = target if "/polecats/" in target else ""
    return {name: value for name, value in found.items() if value}


def _id(value: object) -> str:
    """Return a value if it can be an id, else ""."""
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= _LONGEST and text.isprintable() and " " not in text else ""


def failed_silently(words: "Sequence[str]", stdout: bytes | None, stderr: bytes | None) -> bool:
    """Return whether bd, which ended with 0, failed as it sees it: it said something on stderr alone.

    So gt takes it. None is what was not read, and then nobody knows.
    """
    if stdout is None or stderr is None or stdout.strip() or any(word in QUIET for word in words):
        return False
    if subcommand("bd", words)[1] in SILENT:
        return False
    advice = False
    for line in stderr.decode("utf-8", "replace").split("\n"):
        begins = line.strip().lower()
        if begins and not (advice and line[:1] in " \t"):  # what is indented goes on with what is above it
            advice = begins.startswith(ADVICE)
            if not advice:
                return True
    return False
