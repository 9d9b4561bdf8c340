"""What bd is asked in, and what it answers, for the fast path and the probes alike."""

from gastown_tracing.journal.layout import load_json, read_text

#: What would have bd read another database than its directory's, or print more than its answer.
MISLEADING = ("BEADS_DIR", "BEADS_DB", "BD_DB", "BD_OTEL_STDOUT")


def parse(text: str) -> object:
    """Return the JSON that bd printed. Raises ValueError.

    bd sometimes prints warnings in front of it, which gt leaves out as well.
    """
    for said in (text, _without_warnings(text)):
        found = load_json(said)
        if found is not None or said.strip() == "null":
            return found
    raise ValueError("no JSON")


def listed(answer: object) -> "list[dict[str, object]] | None":
    """Return the beads of an answer, each with an `id`; None where it is no list of beads.

    It may come bare or in an envelope, `{"schema_version": …, "data": …}`.
    """
    if isinstance(answer, dict) and "schema_version" in answer:
        answer = answer.get("data")
    return answer if isinstance(answer, list) and all(map(_is_bead, answer)) else None


def _is_bead(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str) and bool(item["id"])


def _without_warnings(text: str) -> str:
    return "\n".join([line for line in text.split("\n") if not line.lstrip().startswith("warning:")])


def rig_of(bead_id: str, town_root: str) -> str:
    """Return the rig that a bead belongs to by its prefix, "" where the town does not say. Never raises.

    `.beads/routes.jsonl` below the town's root has a line a prefix: {"prefix": "de-", "path": "demo"}, where
    the path `.` is the town itself.
    """
    prefix, rig = "", ""
    routes = read_text(f"{town_root}/.beads/routes.jsonl") if town_root and bead_id else None
    for line in (routes or "").split("\n"):
        route = load_json(line) if line.lstrip()[:1] == "{" else None
        known = route if isinstance(route, dict) else {}
        begin, path = known.get("prefix"), known.get("path")
        if not isinstance(begin, str) or not isinstance(path, str) or len(begin) <= len(prefix):
            continue
        if bead_id.startswith(begin):
            prefix, rig = begin, path.partition("/")[0]
    return "" if rig == "." else rig
