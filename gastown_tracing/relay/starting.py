"""What starts the next relay, and when, in words."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from gastown_tracing.config import RELAY
from gastown_tracing.shims.waking import OFF, STANDS

if TYPE_CHECKING:
    from gastown_tracing.config import Config
    from gastown_tracing.journal.layout import Journal
    from gastown_tracing.relay.files import Files

START = "`gt-trace relay start`"


def switched_off(config: Config) -> str:
    """Return who keeps commands from starting a relay, "" for nobody."""
    if config.get(RELAY).strip().lower() not in OFF:
        return ""
    return f"{RELAY}={config.set(RELAY)} in {'the environment' if config.env.get(RELAY) else 'config.json'}"


def outlook(journal: Journal, config: Config, files: Files) -> str:
    """Return what starts a relay while none runs."""
    why = switched_off(config)
    if why:
        return f"starting on demand is switched off ({why}): only {START} or `gt-trace relay run` starts one"
    if not journal.is_on():
        return f"the journal is switched off, so no command starts one: {START} does"
    wait = _wait(files.asked)
    if not wait:
        return f"the next command that records starts one, and so does {START}"
    return (
        f"{START} or the next `gt-trace session start` starts one at once, "
        f"the next command that records in {math.ceil(wait)} s"
    )


def _wait(asked: str) -> float:
    """Return the seconds for which the note that a relay was asked for still stands."""
    try:
        age = time.time() - os.stat(asked).st_mtime
    except OSError:
        return 0.0
    return STANDS - age if abs(age) < STANDS else 0.0
