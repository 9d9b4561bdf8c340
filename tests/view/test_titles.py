"""What a span, its process and its failure are called."""

from __future__ import annotations

import pytest

from gastown_tracing.journal.otlp import Span
from gastown_tracing.view.titles import failure, process, title

BD = {"process.executable.name": "bd", "process.pid": 7}


@pytest.mark.parametrize(
    ("attributes", "resource", "shown"),
    [
        (BD, {"service.name": "gastown", "process.pid": 8}, "bd[7]"),
        ({"process.executable.name": "bd"}, {"process.pid": 8}, "bd"),
        ({}, {"service.name": "refinery", "process.pid": 8}, "refinery[8]"),
        ({}, {"service.name": "sdkprog"}, "sdkprog"),
        ({}, {"service.name": "gastown"}, ""),
        ({}, {}, ""),
    ],
)
def test_a_process_is_named_by_what_is_known_of_it(
    attributes: dict[str, object], resource: dict[str, object], shown: str
) -> None:
    assert process(attributes, resource) == shown


@pytest.mark.parametrize(
    ("name", "attributes", "shown"),
    [
        ("claude_code.tool", {"tool_name": "Bash"}, "claude_code.tool Bash"),
        ("claude_code.tool", {}, "claude_code.tool"),
        ("claude_code.tool.execution", {"tool_name": "Read"}, "claude_code.tool.execution Read"),
        ("claude_code.llm_request", {"model": "claude-opus-4-8"}, "claude_code.llm_request claude-opus-4-8"),
        ("done", {"exit_type": "COMPLETED", "status": "ok"}, "done COMPLETED"),
        ("done", {"exit_type": "COMPLETED", "status": "error"}, "done"),
        ("done", {"exit_type": "COMPLETED", "status": "ok", "gastown.interrupted": True}, "done"),
    ],
)
def test_a_title_says_what_tells_one_from_the_other(
    name: str, attributes: dict[str, object], shown: str
) -> None:
    """The tool, the model, and how work ended only where it did."""
    assert title(name, attributes) == (shown, "")


@pytest.mark.parametrize(
    ("attributes", "message", "shown"),
    [
        ({"error": "‹10 bytes›"}, "‹10 bytes›", "failed"),
        ({"error.type": "ShellError"}, "‹10 bytes›", "ShellError"),
        ({"exit_code": 3}, "‹1 bytes›", "exit 3"),
        ({}, "it took ‹10 bytes›", "it took ‹10 bytes›"),
    ],
)
def test_a_failure_whose_words_were_not_recorded_is_said_by_what_is_known(
    attributes: dict[str, object], message: str, shown: str
) -> None:
    span = Span("a" * 32, "b" * 16, attributes=attributes, status_code=2, status_message=message)
    assert failure(span) == shown
