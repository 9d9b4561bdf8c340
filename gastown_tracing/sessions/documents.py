"""The JSON files that say what a run is and where it lives, run.json and pane.json.

A shim reads and writes them, so only what every interpreter has built in is used.
"""

from gastown_tracing.journal.layout import load_json, read_text, write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def run_info(directory: str) -> dict[str, object] | None:
    """Return a run's run.json, None where there is none that can be read."""
    info = load_json(read_text(directory + "/run.json") or "")
    return info if isinstance(info, dict) and is_usable(info) else None


def is_usable(info: "Mapping[str, object]") -> bool:
    """Return whether a run.json holds what closing the run needs."""
    return (
        str(info.get("start_time_unix_nano", "")).isdecimal()
        and "trace_id" in info
        and "root_span_id" in info
    )


def pane_of(directory: str) -> dict[str, str]:
    """Return a run's pane.json, empty where there is none."""
    found = load_json(read_text(directory + "/pane.json") or "")
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def write(path: str, value: "Mapping[str, object]") -> None:
    """Put a file there, at once and whole, that holds an object a member a line. Raises OSError."""
    write_atomic(path, dumped(value) + "\n")


def dumped(value: object, indent: str = "\n") -> str:
    """Return what `json.dumps(value, indent=1)` does of text, whole numbers, None, bool, lists and mappings.

    `indent` is what stands before the value's last line.
    """
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    inner = f"{indent} "
    if isinstance(value, dict):
        members = [f"{_quoted(str(name))}: {dumped(member, inner)}" for name, member in value.items()]
        return f"{{{inner}{f',{inner}'.join(members)}{indent}}}" if members else "{}"
    if isinstance(value, (list, tuple)):
        members = [dumped(member, inner) for member in value]
        return f"[{inner}{f',{inner}'.join(members)}{indent}]" if members else "[]"
    return str(value)


def _quoted(text: str) -> str:
    try:
        from _json import encode_basestring_ascii
    except ImportError:  # an interpreter without C accelerators
        from json.encoder import encode_basestring_ascii
    return str(encode_basestring_ascii(text))
