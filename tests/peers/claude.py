"""Claude Code itself, run against a model of ours on loopback that does what the prompt says."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.peers.programs import needs

Block = dict[str, Any]
#: Says what a model answers to the messages of a request.
Answer = Callable[[list[dict[str, Any]]], list[Block]]

requires_claude = needs("claude", "npm install @anthropic-ai/claude-code")

#: A key that nobody but our own model is shown.
KEY = "sk-ant-api03-0000000000-loopback-only-0000"

#: What Claude's processes have in common: a model on loopback, and nobody else to talk to. Telemetry by OTLP
#: stays as it is: DISABLE_TELEMETRY would switch off Anthropic's own alone, and is part of the second.
QUIET = {
    "ANTHROPIC_API_KEY": KEY,
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_INSTALLATION_CHECKS": "1",
    "IS_SANDBOX": "1",
    "TERM": "xterm-256color",
}


def text(said: str) -> Block:
    """Return what a model says."""
    return {"type": "text", "text": said}


def bash(command: str) -> Block:
    """Return a model's wish to run a command."""
    return {"type": "tool_use", "name": "Bash", "input": {"command": command, "description": "As told"}}


def obey(messages: list[dict[str, Any]]) -> list[Block]:
    """Answer as told by the last prompt: run each `command` in it, one after the other, then say so."""
    commands: list[str] = []
    ran = 0
    for message in messages:
        blocks = message["content"]
        blocks = [text(blocks)] if isinstance(blocks, str) else blocks
        if message["role"] != "user":
            continue
        results = [block for block in blocks if block["type"] == "tool_result"]
        ran += len(results)
        prompt = "\n".join(_own_words(block) for block in blocks if block["type"] == "text")
        if not results and prompt.strip():
            commands, ran = re.findall(r"`([^`]+)`", prompt), 0
    if ran < len(commands):
        return [text("As you wish."), bash(commands[ran])]
    return [text("It is done.")]


def _own_words(block: Block) -> str:
    """Return a user's text without what Claude Code puts beside it."""
    said = str(block["text"])
    return re.sub(r"<(system-reminder|command-[a-z]+|local-[a-z-]+)>.*?</\1>", "", said, flags=re.DOTALL)


class Model:
    """A model: `url` is where it listens, `requests` what it was asked, bodies as they came."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Model:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Answer a request for a message, or for how many tokens one has."""
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                model.requests.append(body)
                if not self.path.partition("?")[0].endswith("/messages"):
                    self._say("application/json", b'{"input_tokens":10}')
                    return
                # What asks without tools wants a title, or to know whether the model is there.
                blocks = model.answer(body["messages"]) if body.get("tools") else [text("A title")]
                if body.get("stream"):
                    self._say("text/event-stream", streamed(blocks, str(body.get("model"))))
                else:
                    self._say(
                        "application/json", json.dumps(message(blocks, str(body.get("model")))).encode()
                    )

            def do_GET(self) -> None:
                """Have nothing else to offer."""
                self.send_error(404)

            def _say(self, kind: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("request-id", f"req_{len(model.requests)}")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


_number = iter(range(1, 1 << 62))


def message(blocks: list[Block], model: str) -> dict[str, Any]:
    """Return a message of the Messages API."""
    number = next(_number)
    named = [
        {**block, "id": f"toolu_{number:04}_{index}"} if block["type"] == "tool_use" else block
        for index, block in enumerate(blocks)
    ]
    wants_tool = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": f"msg_{number:04}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": named,
        "stop_reason": "tool_use" if wants_tool else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 7,
        },
    }


def streamed(blocks: list[Block], model: str) -> bytes:
    """Return a message as the Messages API streams it."""
    whole = message(blocks, model)
    start = {**whole, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": whole["usage"]})
    events.append({"type": "message_stop"})
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def at_home(home: Path, *directories: Path) -> None:
    """Make a home in which Claude Code starts at its prompt, and trusts these directories."""
    home.mkdir(parents=True, exist_ok=True)
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    state = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "numStartups": 5,
        "autoUpdates": False,
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "projects": {str(directory): trusted for directory in directories},
    }
    (home / ".claude.json").write_text(json.dumps(state))
    (home / ".claude").mkdir(exist_ok=True)
    # As gt has it in the settings of its agents.
    settings = {"skipDangerousModePermissionPrompt": True}
    (home / ".claude" / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")


def environment(env: Mapping[str, str], home: Path, model: Model) -> dict[str, str]:
    """Return an environment for Claude Code: `env`, in this home, with this model."""
    kept = {name: value for name, value in env.items() if "proxy" not in name.lower()}
    return {**kept, **QUIET, "HOME": str(home), "ANTHROPIC_BASE_URL": model.url, "NO_PROXY": "127.0.0.1"}


def program() -> str:
    """Return Claude Code's full path."""
    return shutil.which("claude") or "claude"


@contextlib.contextmanager
def a_model(answer: Answer = obey) -> Iterator[Model]:
    """Run a model until the block ends."""
    with Model(answer) as model:
        yield model
