"""JSON without the `json` module, whose import costs a traced command 6 ms: its C scanner suffices."""


class _Settings:
    """What the scanner asks of a JSONDecoder."""

    strict = False
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int


def load_json(text: str) -> object:
    """Return what the JSON in `text` says, None where it is malformed. Never raises."""
    text = text.strip()
    try:
        try:
            from _json import make_scanner
        except ImportError:  # an interpreter without C accelerators
            from json import loads

            return loads(text, strict=False)
        value, end = make_scanner(_Settings)(text, 0)  # type: ignore[arg-type] # any such object will do
    except (ValueError, StopIteration, RecursionError, SystemError):
        return None  # SystemError: until 3.12 the scanner cannot make its error where json is not loaded
    return value if end == len(text) else None
