"""What the tests of hooks share: inputs as Claude Code gave them, and the launcher as it is called."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from gastown_tracing.hooks import launcher
from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal, create
from gastown_tracing.shims.launcher import write

RUN, ROOT = "3f2504e04f8941d39a0c0305e82c3301", "9a0c0305e82c3301"
SESSION = "6498f04a-d170-4142-a3d2-b9ccb3657237"
TRANSCRIPT = f"/home/op/.claude/projects/-town-demo/{SESSION}.jsonl"
AGENT = {
    "GT_RUN": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "GT_ROLE": "demo/polecats/rust",
    "GT_RIG": "demo",
    "GT_POLECAT": "rust",
    "GT_SESSION": "de-rust",
    "BD_ACTOR": "demo/polecats/rust",
    "GT_ROOT": "/home/op/town",
    "CLAUDE_CODE_SESSION_ID": SESSION,
}
SECRET = "the-secret-of-the-town"  # noqa: S105  # what must not get anywhere
_EVERY = {"session_id": SESSION, "transcript_path": TRANSCRIPT, "cwd": "/town/demo"}
_IN_PROMPT = {
    **_EVERY,
    "prompt_id": "82bfc906-1788-4ab9-8a22-25ec7fd68774",
    "permission_mode": "default",
}
_TOOL = {
    **_IN_PROMPT,
    "effort": {"level": "high"},
    "tool_name": "Bash",
    "tool_input": {"command": f"echo {SECRET}", "description": "As told"},
    "tool_use_id": "toolu_0002_1",
}
#: Inputs of Claude Code 2.1.197.
INPUTS: dict[str, dict[str, Any]] = {
    "SessionStart": {**_EVERY, "source": "startup", "model": "claude-opus-4-8[1m]"},
    "UserPromptSubmit": {**_IN_PROMPT, "prompt": f"first {SECRET}"},
    "PreToolUse": _TOOL,
    "PostToolUse": {
        **_TOOL,
        "tool_response": {"stdout": SECRET, "stderr": "", "interrupted": False, "isImage": False},
        "duration_ms": 75,
    },
    "Notification": {
        **_EVERY,
        "message": f"Claude needs your permission to use Bash: {SECRET}",
        "notification_type": "permission_prompt",
    },
    "Stop": {
        **_IN_PROMPT,
        "stop_hook_active": False,
        "last_assistant_message": f"It is {SECRET}.",
        "background_tasks": [],
    },
    "SessionEnd": {**_EVERY, "reason": "prompt_input_exit"},
}


class Hooks:
    """Calls the launcher as Claude Code does: by a shell, with JSON on its standard input."""

    def __init__(self, directory: Path, env: dict[str, str], journal: Journal) -> None:
        self.launcher = directory / "it's" / "gastown-tracing" / "hooks" / "claude"
        self.launcher.parent.mkdir(parents=True)
        write(str(self.launcher), launcher.text())
        self.env = {**env, **AGENT}
        self.journal = journal
        self.cwd = directory
        create(journal.root)

    def __call__(self, event: str, *, env: dict[str, str] | None = None, **changed: object) -> None:
        """Run a hook with what Claude Code tells it; it must succeed without a word."""
        told = {**INPUTS[event], "hook_event_name": event, **changed}
        self.raw(event, json.dumps(told).encode(), env=env)

    def raw(self, event: str, data: bytes, *, env: dict[str, str] | None = None) -> None:
        """Run a hook with any input; it must succeed without a word."""
        done = subprocess.run(
            ["/bin/sh", "-c", launcher.command(str(self.launcher), event)],
            input=data, capture_output=True, timeout=30, check=False, cwd=self.cwd,
            env=self.env if env is None else env,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def data(self) -> reader.RunData:
        """Return everything that the journal holds of the run; all of it is whole."""
        found = reader.read_run(self.journal, RUN)
        assert not found.skipped
        return found

    def lines(self) -> list[dict[str, str]]:
        """Return the lines of the run's agents.jsonl."""
        path = Path(self.journal.run_dir(RUN), "agents.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def files(self) -> list[str]:
        """Return every file of the journal beside those that it was made with."""
        root = Path(self.journal.root)
        made = {"VERSION", "config.json", "on"}
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        return sorted(set(names) - made)
