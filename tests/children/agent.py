"""A stand-in for Claude Code in a town: starts as it does, shows its prompt, runs what a test tells it to.

`agent.py DIRECTORY PROGRAM ARGUMENT…`: what is typed becomes a line of DIRECTORY/<actor>/prompts, and every
DIRECTORY/<actor>/todo/NAME a command of its Bash tool, whose result is in DIRECTORY/<actor>/done/NAME.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

SESSION_ID = str(uuid.uuid4())
HOME = Path(sys.argv[1], os.environ.get("BD_ACTOR", "nobody").strip("/").replace("/", "-"))
ARGUMENTS = sys.argv[3:]
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} "  # what gt waits for


def hooks(event: str) -> None:
    """Run the commands that the settings name for an event, as Claude Code does: with bash, JSON on stdin."""
    if "--settings" not in ARGUMENTS:
        return
    settings = json.loads(Path(ARGUMENTS[ARGUMENTS.index("--settings") + 1]).read_text())
    said = json.dumps({"session_id": SESSION_ID, "hook_event_name": event, "cwd": str(Path.cwd())})
    for group in settings.get("hooks", {}).get(event, []):
        for hook in group["hooks"]:
            run(["bash", "-c", hook["command"]], said)


def run(words: list[str], said: str = "") -> dict[str, object]:
    """Return what a command of the agent's did."""
    env = {**os.environ, "CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": SESSION_ID}
    done = subprocess.run(words, input=said, env=env, capture_output=True, text=True, check=False)
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


def replace(path: Path, text: str) -> None:
    """Write a file at once and whole."""
    new = path.parent.parent / f"{path.name}.new"
    new.write_text(text)
    new.rename(path)


def work() -> None:
    """Do what is to be done, one thing after the other, for ever."""
    while True:
        for waiting in sorted((HOME / "todo").iterdir()):
            result = run(["bash", "-c", waiting.read_text()])
            waiting.unlink()
            replace(HOME / "done" / waiting.name, json.dumps(result))
        time.sleep(0.02)


def main() -> None:
    """Work until the terminal is gone."""
    for name in ("todo", "done"):
        (HOME / name).mkdir(parents=True, exist_ok=True)
    hooks("SessionStart")
    with open(HOME / "starts", "a") as starts:
        starts.write(json.dumps({"argv": ARGUMENTS, "env": dict(os.environ), "session": SESSION_ID}) + "\n")
    threading.Thread(target=work, daemon=True).start()
    print(PROMPT, end="", flush=True)
    for line in sys.stdin:
        # At once, whatever it works on: gt looks whether its Enter has arrived, and sends another if not.
        print("* I am told", flush=True)
        with open(HOME / "prompts", "a") as prompts:
            prompts.write(json.dumps(line.replace("\x1b", "").strip()) + "\n")
        hooks("UserPromptSubmit")
        print(PROMPT, end="", flush=True)


if __name__ == "__main__":
    main()
