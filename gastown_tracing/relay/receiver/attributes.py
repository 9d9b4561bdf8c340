"""OTLP's lists of key and value, as JSON has them: look something up, and set it."""

from __future__ import annotations

from typing import Any

from gastown_tracing.relay.receiver.transcode import Json


def texts(holder: Json) -> dict[str, str]:
    """Return the attributes of a resource or record that are text. Of one that comes twice the last stays."""
    return {
        pair["key"]: value["stringValue"]
        for pair in holder.get("attributes", ())
        if "stringValue" in (value := pair.get("value", {})) and "key" in pair
    }


def set_text(holder: Json, key: str, text: str) -> None:
    """Set an attribute of a resource or record to a text, in place of what it was."""
    kept = [pair for pair in holder.get("attributes", ()) if pair.get("key") != key]
    holder["attributes"] = [*kept, {"key": key, "value": {"stringValue": text}}]


def plain(value: Json) -> Any:
    """Return an AnyValue that is no list or map as Python has it; None for another one."""
    if "stringValue" in value:
        return value["stringValue"]
    if "intValue" in value:
        return int(value["intValue"])
    if "doubleValue" in value:
        return float(value["doubleValue"])
    return value.get("boolValue")


def wrap(value: str | bool | int | float) -> Json:
    """Return an AnyValue."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}
