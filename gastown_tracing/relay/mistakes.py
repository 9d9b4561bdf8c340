"""What stands in config.json and has no effect there, or not the one that was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.journal.layout import load_json
from gastown_tracing.settings import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is read from the environment alone.
NOT_IN_FILE = (config.JOURNAL, "OTEL_SDK_DISABLED")
#: Further names that config.json may have: the relay's PATH, and where tmux servers have their sockets.
ALSO = ("PATH", "TMUX_TMPDIR")
#: Beginnings of names that are ours, so that one that nobody reads is a slip.
_OURS = ("GT_OTEL_", "GT_LOG_", "OTEL_")
_FLAGS = ("true", "false", "1", "0")
#: A value that is no longer, and nothing but letters and digits, is shown: it is no secret.
_SHORT = 12
_LIMITS = ("GT_OTEL_RETENTION_DAYS", "GT_OTEL_RETENTION_BYTES", "GT_OTEL_HARD_CAP_BYTES")


def mistakes(found: config.Config) -> Iterator[str]:
    """Yield what is wrong, each beginning with the setting's name, and what holds instead."""
    loaded = load_json(found.text) if found.text.strip() else {}
    for name, value in loaded.items() if isinstance(loaded, dict) else ():
        if _is_read(name):
            if not isinstance(value, str):
                yield f'{name} is no text, so it is ignored: write its value in quotes: "{name}": "…"'
        elif name.startswith(_OURS):
            yield f"{name} is read by nobody{_meant(name)}"
    for name in _LIMITS:
        text = found.file.get(name, "").strip()
        if text and not (text.isascii() and text.isdigit()):
            yield f"{name} is no number{_quoted(text)}: the default holds, {config.DEFAULTS[name]}"
    text = found.file.get(config.RELAY, "").strip().lower()
    if text and text not in _FLAGS:
        yield f"{config.RELAY} is neither true nor false{_quoted(text)}: the default holds, true"


def without_effect(found: config.Config) -> list[str]:
    """Return the names in config.json that are not like ours, and that nobody reads."""
    return sorted(name for name in found.file if not _is_read(name) and not name.startswith(_OURS))


def _is_read(name: str) -> bool:
    if name.startswith(config.EXPORTER_PREFIX):
        return True
    return name in ALSO or (name in NAMES and name not in NOT_IN_FILE)


def _meant(name: str) -> str:
    if name in NOT_IN_FILE:
        return " there: it counts in the environment alone"
    near = difflib.get_close_matches(name, NAMES.difference(NOT_IN_FILE), 1, 0.85)
    return f": did you mean {near[0]}?" if near else ""


def _quoted(text: str) -> str:
    return f" ({text})" if text.isalnum() and len(text) <= _SHORT else ""
