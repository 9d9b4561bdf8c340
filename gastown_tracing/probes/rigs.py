"""Which rigs a probe looks at, and where their beads are read.

bd reads a rig's beads from the rig's directory: `.beads` there is the database or leads to it. (gt,
internal/rig: `Rig.BeadsPath`.)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gastown_tracing.journal.layout import find_town_root, load_json, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Place:
    """A directory in which bd answers for a rig; `rig` is "" for a town's own beads."""

    rig: str
    directory: str


def places(directories: Sequence[str], town_root: str, cwd: str) -> list[Place]:
    """Return what to look at: the directories given, else the town's rigs, else the working directory.

    All paths are absolute; `town_root` is "" outside any town. The list is empty where a town has no rigs.
    """
    if directories:
        return [Place(rig_of(directory), directory) for directory in dict.fromkeys(directories)]
    if town_root:
        return [Place(rig, f"{town_root}/{rig}") for rig in town_rigs(town_root)]
    return [Place(rig_of(cwd), cwd)]


def town_rigs(town_root: str) -> list[str]:
    """Return the names of a town's rigs, as mayor/rigs.json has them; a rig is a directory of the town."""
    registry = load_json(read_text(f"{town_root}/mayor/rigs.json") or "")
    rigs = registry.get("rigs") if isinstance(registry, dict) else None
    return sorted(filter(is_name, rigs)) if isinstance(rigs, dict) else []


def rig_of(directory: str) -> str:
    """Return the rig that a directory belongs to: the town's of that name, outside a town its own name."""
    directory = os.path.realpath(directory)
    town_root = find_town_root({}, directory)
    if not town_root:
        return os.path.basename(directory)
    first = os.path.relpath(directory, town_root).partition("/")[0]
    return first if first in town_rigs(town_root) else ""


def is_name(name: str) -> bool:
    """Return whether a rig can have this name: a directory's, of what can be printed."""
    return "/" not in name and name not in ("", ".", "..") and name.isprintable()
