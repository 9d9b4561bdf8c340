"""The work context: which rig, bead, molecule and build a run works on, in GT_WORK_* and in its work.jsonl.

A line of work.jsonl is one flat JSON object of strings: time (Unix time in nanoseconds, decimal), rig, bead,
mol, build, source. The C code under `json` reads and writes it, when it comes to that: importing json costs 6
ms.
"""

from propagation.traceparent import PropagationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELDS = ("rig", "bead", "mol", "build")
#: The attributes of a record that say what is worked on.
ATTRIBUTES = ("work_rig", "work_bead", "work_mol", "work_build")


class WorkContext:
    """What is being worked on; "" is unset. False when nothing is set. Not to be modified."""

    __slots__ = _FIELDS

    def __init__(self, rig: str = "", bead: str = "", mol: str = "", build: str = "") -> None:
        self.rig = rig
        self.bead = bead
        self.mol = mol
        self.build = build

    def astuple(self) -> tuple[str, str, str, str]:
        """Return (rig, bead, mol, build)."""
        return (self.rig, self.bead, self.mol, self.build)

    def __bool__(self) -> bool:
        return any(self.astuple())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkContext) and self.astuple() == other.astuple()

    def __hash__(self) -> int:
        return hash(self.astuple())

    def __repr__(self) -> str:
        return f"WorkContext{self.astuple()!r}"

    @classmethod
    def from_env(cls, env: "Mapping[str, str]") -> "WorkContext":
        """Return the work context that GT_WORK_RIG, GT_WORK_BEAD, GT_WORK_MOL and GT_WORK_BUILD name."""
        return cls(*[env.get(f"GT_WORK_{field.upper()}", "") for field in _FIELDS])

    @classmethod
    def from_attributes(cls, attributes: "Mapping[str, object]") -> "WorkContext":
        """Return the work context that a record's attributes name."""
        return cls(*[str(attributes.get(name) or "") for name in ATTRIBUTES])

    def to_env(self) -> dict[str, str]:
        """Return all four GT_WORK_* variables; an unset one is "", so that it hides an older value."""
        return {f"GT_WORK_{field.upper()}": getattr(self, field) for field in _FIELDS}

    def attributes(self) -> dict[str, str]:
        """Return a record's attributes: work_rig, work_bead, work_mol, and work_build where it is set."""
        attributes = {"work_rig": self.rig, "work_bead": self.bead, "work_mol": self.mol}
        if self.build:
            attributes["work_build"] = self.build
        return attributes


def parse_line(text: str) -> tuple[int, WorkContext, str] | None:
    """Return (time in ns, work, source) of one line of work.jsonl, or None when it is not one."""
    from propagation.scan import load_json  # most processes have no work.jsonl

    found = load_json(text)
    if not isinstance(found, dict):
        return None
    time, *texts = [found.get(field, "") for field in ("time", *_FIELDS, "source")]
    if not isinstance(time, str) or not 0 < len(time) < 20 or time.strip("0123456789"):
        return None
    if any(not isinstance(value, str) for value in texts):
        return None
    return int(time), WorkContext(*texts[:4]), texts[4]


def format_line(time_ns: int, work: WorkContext, source: str) -> str:
    """Return one line of work.jsonl with its end.

    Raises `PropagationError` for a time that is negative or beyond 64 bits, and for what is not text.
    """
    try:
        from _json import encode_basestring_ascii as quote  # only prime writes such lines
    except ImportError:
        from json.encoder import encode_basestring_ascii as quote

    if not isinstance(time_ns, int) or not 0 <= time_ns < 2**63:
        raise PropagationError(f"not a time in nanoseconds: {time_ns!r}")
    try:
        rig, bead, mol, build, source = [quote(text) for text in (*work.astuple(), source)]
    except TypeError as error:
        raise PropagationError(f"not a work context: {work!r} from {source!r}") from error
    return f'{{"time":"{time_ns}","rig":{rig},"bead":{bead},"mol":{mol},"build":{build},"source":{source}}}\n'


def in_force(text: str, time_ns: int) -> WorkContext | None:
    """Return the work that was in force at `time_ns`: the last line of a work.jsonl that is older, or None.

    A last line without its end is still being written and does not count; lines that are not ours are passed
    over.
    """
    for line in reversed(text.split("\n")[:-1]):
        entry = parse_line(line)
        if entry and entry[0] < time_ns:
            return entry[1]
    return None


def has_line(text: str, work: WorkContext) -> bool:
    """Return whether a work.jsonl has a line of this work. Lines count as for `in_force`."""
    entries = [parse_line(line) for line in text.split("\n")[:-1]]
    return any(entry is not None and entry[1] == work for entry in entries)


def began(text: str, bead: str) -> int | None:
    """Return when work on a bead began, nanoseconds of the Unix epoch; None where a work.jsonl does not say.

    That is the time of the first line of the last unbroken stretch of lines of this bead: who comes back to a
    bead begins anew. Lines count as for `in_force`.
    """
    start, before = None, ""
    for line in text.split("\n")[:-1]:
        entry = parse_line(line)
        if entry is None:
            continue
        if entry[1].bead == bead != before:
            start = entry[0]
        before = entry[1].bead
    return start
