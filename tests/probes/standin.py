"""A `bd` that says what a test wants it to say: a real process on PATH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import clean_environ

#: Answers each of the probe's questions from a file, and writes down what it was asked.
ANSWERING = """
printf '%s %s\\n' "$PWD" "$*" >> "$STANDIN/asked"
printf '%s\\n' "$TRACEPARENT" >> "$STANDIN/parents"
if [ -e "$STANDIN/broken" ]; then echo "SECRET" >&2; exit 1; fi
case "$*" in
*--status=open*) cat "$STANDIN/queue.json" ;;
*--updated-after=*) cat "$STANDIN/changed.json" ;;
*--id=*) cat "$STANDIN/named.json" ;;
*) exit 64 ;;
esac
"""


class StandIn:
    """A directory with a `bd` in it; `env` has it on PATH."""

    def __init__(self, directory: Path, script: str = ANSWERING) -> None:
        self.directory = directory
        binaries = directory / "bin"
        binaries.mkdir(parents=True)
        bd = binaries / "bd"
        bd.write_text(f"#!/bin/sh\n{script}\n")
        bd.chmod(0o755)
        self.env = {**clean_environ(), "PATH": f"{binaries}:/usr/bin:/bin", "STANDIN": str(directory)}

    def answer(self, *, envelope: bool = False, **lists: list[dict[str, Any]]) -> None:
        """Say what bd answers from now on: `queue`, `changed` and `named`; one that is not given is empty."""
        for name in ("queue", "changed", "named"):
            found: object = lists.get(name, [])
            said = {"schema_version": 1, "data": found} if envelope else found
            (self.directory / f"{name}.json").write_text(json.dumps(said))

    def break_down(self) -> None:
        """Let bd fail from now on."""
        (self.directory / "broken").touch()

    def recover(self) -> None:
        """Let bd answer again."""
        (self.directory / "broken").unlink()

    def asked(self) -> list[str]:
        """Return what was asked, a line each: the directory, and the arguments."""
        return (self.directory / "asked").read_text().splitlines()

    def parents(self) -> list[str]:
        """Return the TRACEPARENT of each bd."""
        return (self.directory / "parents").read_text().splitlines()


def bead(bead_id: str, **fields: Any) -> dict[str, Any]:
    """Return a merge request as bd prints one, open and not taken unless `fields` say otherwise."""
    return {
        "id": bead_id,
        "title": f"Merge: {bead_id}",
        "description": "branch: polecat/Toast/x\ntarget: main\nrig: demo",
        "status": "open",
        "created_at": "2026-11-21T03:00:00Z",
        "updated_at": "2026-11-21T03:00:00Z",
        "labels": ["gt:merge-request"],
        **fields,
    }
