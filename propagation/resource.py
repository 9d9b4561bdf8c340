"""OTEL_RESOURCE_ATTRIBUTES: read, write, and set some attributes while the others stay as they came.

`key=value` members between commas, percent-encoded (OpenTelemetry specification, Resource SDK, "Specifying
resource information via an environment variable").
"""

from propagation.baggage import quote, replace_members, unquote
from propagation.traceparent import OWS, PropagationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def parse(text: str | None) -> dict[str, str]:
    """Return the attributes, decoded, in order.

    Members without `=` or key are skipped. Of a key that comes twice the last one counts.
    """
    attributes = {}
    for entry in (text or "").split(","):
        key, equals, value = entry.partition("=")
        key = key.strip(OWS)
        if equals and key:
            attributes[unquote(key)] = unquote(value.strip(OWS))
    return attributes


def format(attributes: "Mapping[str, str]") -> str:  # noqa: A001 # used as resource.format
    """Return the attributes percent-encoded, "" for none.

    Raises `PropagationError` for an empty key and for what is not text.
    """
    return ",".join([_format_member(key, value) for key, value in attributes.items()])


def _format_member(key: str, value: str) -> str:
    if not isinstance(key, str) or not key or not isinstance(value, str):
        raise PropagationError(f"not a resource attribute: {key!r}={value!r}")
    return f"{quote(key)}={quote(value)}"


def merge(text: str | None, updates: "Mapping[str, str | None]") -> str:
    """Return the attributes of `text` with those of `updates` set, None removes.

    What is not in `updates` stays byte for byte and in its place; a new attribute is added at the end.
    Raises `PropagationError` as `format` does.
    """
    ours = {key: "" if value is None else _format_member(key, value) for key, value in updates.items()}
    kept, added = replace_members(text or "", ours, unquote)
    return ",".join(kept + added)
