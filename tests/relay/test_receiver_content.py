"""Nothing that holds content passes without its gate: a secret in every string of every real request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.relay.receiver.requests import SIGNALS
from gastown_tracing.relay.receiver.transcode import from_protobuf
from tests.corpus import CANARIES

from .receiver_kit import attributes, corpus, log, logs, pairs, receiving, span, spans

TRACE, SPAN = "aaaabbbbccccdddd1111222233334444", "1111111111111111"
CANARY = "CANARY-secret"
GATES = (
    *("GT_LOG_PROMPT_KEYS", "GT_LOG_AGENT_OUTPUT", "GT_LOG_BD_OUTPUT", "GT_LOG_MAIL_BODY"),
    *("GT_LOG_PANE_OUTPUT", "GT_LOG_PRIME_CONTEXT", "GT_LOG_USER_ID"),
)

#: What passes as it is, on purpose: names that the environment gave (service, host, gt.*), and of gt's own
#: events the attributes that the data model records ungated.
GIVEN = {
    *("service.name", "host.name", "os.description", "os.version", "process.executable.name"),
    *("process.runtime.description", "process.runtime.name", "process.runtime.version"),
    *("gt.run_id", "gt.role", "gt.rig", "gt.actor", "gt.session", "gt.agent"),
}
DATA_MODEL = {
    *("instance", "town_root", "agent_type", "role", "agent_name", "session_id", "rig", "issue_id"),
    *("git_branch", "git_commit", "agent_id", "new_state", "hook_bead", "bead_id", "bead", "target"),
    *("formula_name", "wisp_root_id", "name", "operation", "msg.id", "msg.from", "msg.to", "msg.subject"),
    *("msg.thread_id", "msg.priority", "msg.type"),
}

Path_ = tuple[Any, ...]


def strings(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of each string that a program may choose: not ids, numbers, keys and scopes' names."""
    if isinstance(value, str):
        if path[-1] not in _FIXED and path[-2:] != ("scope", "name"):
            yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*path, key))


_FIXED = {
    *("traceId", "spanId", "parentSpanId", "timeUnixNano", "startTimeUnixNano", "endTimeUnixNano", "key"),
    *("observedTimeUnixNano", "intValue", "asInt", "count", "bucketCounts"),
}


def put(request: Any, path: Path_, text: str) -> Any:
    """Return a copy of a request with a text in the place of a string."""
    if not path:
        return text
    copy = list(request) if isinstance(request, list) else dict(request)
    copy[path[0]] = put(request[path[0]], path[1:], text)
    return copy


def key_of(request: Any, path: Path_) -> str:
    """Return the key of the attribute that a path leads into, the innermost, "" for none."""
    found, keys = request, [""]
    for step in path:
        if isinstance(found, dict) and "key" in found:
            keys.append(found["key"])
        found = found[step]
    return str(keys[-1])


def requests() -> list[tuple[str, Any]]:
    """Return the real requests as JSON, each kind of record once: (signal, request)."""
    found: dict[str, tuple[str, Any]] = {}
    for one in corpus():
        message = SIGNALS[one.signal].message()
        message.ParseFromString(one.body)
        for single in singles(from_protobuf(message)):
            record = innermost(single)
            name = record.get("name") or record.get("body", {}).get("stringValue")
            keys = sorted(pair["key"] for pair in record.get("attributes", ()))
            found.setdefault(f"{one.scene} {one.signal} {name} {keys}", (one.signal, single))
    return list(found.values())


def singles(request: Any) -> Iterator[Any]:
    """Yield a request for each record of a request."""
    ((outer, groups),) = request.items()
    middle, inner = _LEVELS[outer]
    for group in groups:
        for part in group.get(middle, ()):
            for record in part[inner]:
                yield {outer: [{**group, middle: [{**part, inner: [record]}]}]}


_LEVELS = {
    "resourceSpans": ("scopeSpans", "spans"),
    "resourceLogs": ("scopeLogs", "logRecords"),
    "resourceMetrics": ("scopeMetrics", "metrics"),
}


def innermost(request: Any) -> Any:
    """Return the record of a request that has one."""
    ((outer, groups),) = request.items()
    middle, inner = _LEVELS[outer]
    return groups[0][middle][0][inner][0]


def allowed(signal: str, request: Any, path: Path_) -> bool:
    """Say whether a string passes on purpose wherever it stands."""
    key = key_of(request, path)
    gts = '"name": "gastown"' in json.dumps(request)
    return key in GIVEN or (gts and key in DATA_MODEL)


def test_a_secret_in_any_one_string_stays_out(journal_root: Path) -> None:
    """Each string of each kind of record in turn, all gates closed."""
    passed = set()
    with receiving(journal_root) as found:
        for signal, request in requests():
            for path in strings(request):
                if allowed(signal, request, path):
                    continue
                answer = found.receiver._answer(_received(signal, put(request, path, CANARY)))
                assert answer.status == 200
                if CANARY in found.text():
                    passed.add((signal, key_of(request, path) or path[-1]))
                    for file in Path(journal_root).glob("*/**/*.jsonl"):
                        file.unlink()
        assert found.status["masked"] > 1000
    assert passed == set()


def _received(signal: str, request: Any) -> Any:
    from gastown_tracing.relay.receiver.server import Received

    return Received(signal, "application/json", packed=False, body=json.dumps(request).encode())


@pytest.mark.parametrize("canary", CANARIES)
def test_secrets_in_all_strings_at_once_stay_out(journal_root: Path, canary: str) -> None:
    """The same with a secret in every string, in each of the forms that secrets have."""
    with receiving(journal_root) as found:
        for signal, request in requests():
            for path in [path for path in strings(request) if not allowed(signal, request, path)]:
                request = put(request, path, canary)  # noqa: PLW2901 # one after the other
            assert found.post(signal, request).status == 200
        assert found.status["records"].keys() == {"traces", "logs", "metrics"}
        assert canary not in found.text()
        assert json.dumps(canary)[1:-1] not in found.text()


@pytest.mark.parametrize("canary", CANARIES)
def test_what_passes_on_purpose_is_no_more_than_that(journal_root: Path, canary: str) -> None:
    """The list of what passes is right: each of it does, so that nothing stands in it that need not."""
    with receiving(journal_root) as found:
        passed = set()
        for signal, request in requests():
            for path in [path for path in strings(request) if allowed(signal, request, path)]:
                request = put(request, path, canary)  # noqa: PLW2901 # one after the other
            assert found.post(signal, request).status == 200
        for kind in ("traces", "logs", "metrics"):
            for record in found.records(kind):
                said = {**attributes(record["resource"]), **attributes(record)}
                passed |= {key for key, value in said.items() if value == canary}
    assert passed <= GIVEN | DATA_MODEL
    assert {"service.name", "host.name", "msg.subject", "target"} <= passed


Build = Callable[[str], dict[str, Any]]


def claude(key: str) -> Build:
    """Return what makes a request with an attribute of a span of Claude Code."""
    scope = "com.anthropic.claude_code.tracing"
    return lambda text: spans(
        span(TRACE, SPAN, name="claude_code.tool", attributes=pairs(**{key: text})), scope=scope
    )


def claudes_log(key: str) -> Build:
    """Return the same for a log record."""
    scope = "com.anthropic.claude_code.events"
    return lambda text: logs(log("claude_code.user_prompt", attributes=pairs(**{key: text})), scope=scope)


def gts_log(event: str, key: str, **others: str) -> Build:
    """Return the same for a log record of gt."""
    return lambda text: logs(log(event, attributes=pairs(**{key: text}, **others)), scope="gastown")


def other(key: str) -> Build:
    """Return the same for a span of a program that nobody knows."""
    return lambda text: spans(span(TRACE, SPAN, attributes=pairs(**{key: text})))


GATED = [
    ("GT_LOG_PROMPT_KEYS", claudes_log("prompt"), 256),
    ("GT_LOG_PROMPT_KEYS", claude("user_prompt"), 256),
    ("GT_LOG_PROMPT_KEYS", gts_log("prompt.send", "keys", session="x"), 256),
    ("GT_LOG_PROMPT_KEYS", other("gen_ai__input__messages"), 256),
    ("GT_LOG_PROMPT_KEYS", other("gen_ai__prompt__0__content"), 256),
    ("GT_LOG_AGENT_OUTPUT", claudes_log("response"), 512),
    ("GT_LOG_AGENT_OUTPUT", claudes_log("tool_input"), 512),
    ("GT_LOG_AGENT_OUTPUT", claudes_log("error"), 512),
    ("GT_LOG_AGENT_OUTPUT", claude("full_command"), 512),
    ("GT_LOG_AGENT_OUTPUT", other("gen_ai__tool__call__arguments"), 512),
    ("GT_LOG_BD_OUTPUT", gts_log("bd.call", "args"), 100_000),
    ("GT_LOG_BD_OUTPUT", gts_log("bd.call", "stdout"), 2048),
    ("GT_LOG_BD_OUTPUT", gts_log("bd.call", "stderr"), 1024),
    ("GT_LOG_BD_OUTPUT", gts_log("bd.call", "error"), 1024),
    ("GT_LOG_BD_OUTPUT", other("db__query__text"), 2048),
    ("GT_LOG_BD_OUTPUT", other("process__command_line"), 4096),
    ("GT_LOG_MAIL_BODY", gts_log("mail", "msg__body", operation="send"), 256),
    ("GT_LOG_MAIL_BODY", other("messaging__message__body"), 256),
    ("GT_LOG_USER_ID", claude("user__email"), 256),
    ("GT_LOG_USER_ID", claudes_log("organization__id"), 256),
    ("GT_LOG_USER_ID", other("enduser__id"), 256),
    ("GT_LOG_PANE_OUTPUT", gts_log("pane.output", "content", session="x"), 8192),
    ("GT_LOG_AGENT_OUTPUT", gts_log("agent.event", "content", session="x", event_type="text"), 512),
    ("GT_LOG_PRIME_CONTEXT", gts_log("prime.context", "formula"), 100_000),
]


@pytest.mark.parametrize(("gate", "build", "limit"), GATED)
def test_each_gate_opens_what_is_its_own(journal_root: Path, gate: str, build: Build, limit: int) -> None:
    """With it the text passes, cut at the data model's limit; with all others open it does not."""
    text = f"{CANARY} {'é' * 10_000}"
    with receiving(journal_root / "open", {gate: "true"}) as found:
        signal = "traces" if "resourceSpans" in build(text) else "logs"
        assert found.post(signal, build(text)).status == 200
        assert CANARY in found.text()
        assert len(found.text().encode()) < limit + 1500
    others = {name: "true" for name in GATES if name != gate}
    with receiving(journal_root / "closed", others) as found:
        assert found.post(signal, build(text)).status == 200
        assert CANARY not in found.text()


def test_a_gate_may_be_opened_while_the_receiver_runs(journal_root: Path) -> None:
    """What comes after config.json has changed goes by the new one."""
    from gastown_tracing.journal.configuring import change
    from gastown_tracing.relay.settings import Settings

    with receiving(journal_root) as found:
        assert found.post("logs", claudes_log("prompt")("first secret")).status == 200
        change(found.journal, lambda _: {"GT_LOG_PROMPT_KEYS": "true"})
        found.receiver.reconfigure(Settings.read(found.journal))
        assert found.post("logs", claudes_log("prompt")("second secret")).status == 200
        assert "first secret" not in found.text()
        assert "second secret" in found.text()


def test_what_is_around_records_is_gated_too(journal_root: Path) -> None:
    """Entities and schemas of a resource, a scope's attributes and version, and names that are none."""
    request = claude("user_prompt")(CANARY)
    (group,) = request["resourceSpans"]
    group["schemaUrl"] = f"https://example.org/{CANARY}"
    group["resource"]["entityRefs"] = [{"type": CANARY, "idKeys": [CANARY]}]
    (part,) = group["scopeSpans"]
    part["schemaUrl"] = f"https://example.org/{CANARY}"
    part["scope"].update(version=CANARY, attributes=pairs(a=CANARY))
    (one,) = part["spans"]
    link = {"traceId": TRACE, "spanId": SPAN, "traceState": f"a={CANARY}", "attributes": pairs(a=CANARY)}
    event = {"name": CANARY, "attributes": pairs(output=CANARY)}
    one.update(name=CANARY, traceState=f"a={CANARY}", links=[link], events=[event])
    one["status"] = {"code": 2, "message": CANARY}
    with receiving(journal_root) as found:
        assert found.post("traces", request).status == 200
        assert len(found.records("traces")) == 1
        assert CANARY not in found.text()


@pytest.mark.parametrize("service", ["claude-code", "bd", "gastown", "anything"])
def test_the_prompt_that_gt_puts_on_a_resource_is_content(journal_root: Path, service: str) -> None:
    """gt, its exporter on, gives what runs in a session the beginning of its prompt: whoever hands it on."""
    with receiving(journal_root) as found:
        named = {"service__name": service, "gt__prompt": CANARY, "gt__role": "mayor"}
        assert found.post("traces", spans(span(TRACE, SPAN), **named)).status == 200
        (seen,) = found.records("traces")
    assert "mayor" in json.dumps(seen)
    assert CANARY not in json.dumps(seen)


def test_messages_of_models_are_content_in_bodies_too(journal_root: Path) -> None:
    """GenAI events carry them in their bodies, and name themselves in either place."""
    body = {"kvlistValue": {"values": pairs(content=CANARY)}}
    events = [
        {"eventName": "gen_ai.user.message", "body": body},
        {"attributes": pairs(event__name="gen_ai.choice"), "body": body},
        {"eventName": "gen_ai.choice", "body": {"stringValue": CANARY}},
    ]
    with receiving(journal_root) as found:
        assert found.post("logs", logs(*events)).status == 200
        assert len(found.records("logs")) == 3
        assert CANARY not in found.text()


def test_command_lines_are_shown_as_our_own(journal_root: Path) -> None:
    """bd's as masked as the shim's, of git and gt the command, of any other program its length."""
    words = ["/usr/bin/bd", "update", "de-9bq", "--status=hooked", "-d", CANARY]
    command = {"arrayValue": {"values": [{"stringValue": word} for word in words]}}
    lines = {"gt": f"gt mail send mayor -m '{CANARY}'", "other": f"curl -H '{CANARY}'"}
    with receiving(journal_root) as found:
        found.post(
            "traces", spans(span(TRACE, SPAN, attributes=[{"key": "process.command_args", "value": command}]))
        )
        for number, line in enumerate(lines.values(), 2):
            found.post(
                "traces", spans(span(TRACE, f"{number}" * 16, attributes=pairs(process__command_line=line)))
            )
        assert CANARY not in found.text()
        shown = [attributes(record) for record in found.records("traces")]
    values = [item["stringValue"] for item in shown[0]["process.command_args"]["values"]]
    assert values == ["bd", "update de-9bq --status=hooked -d ‹13 bytes›"]
    assert shown[1]["process.command_line"] == "gt mail send"
    assert shown[2]["process.command_line"] == f"‹{len(lines['other'].replace(chr(39), ''))} bytes›"


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ("/a?token=x", "/a"),
        ("/a#token=x", "/a"),
        ("//u:p@example.org/a", "‹19 bytes›"),
        ("u:p@example.org:80", "‹18 bytes›"),
        ("/login?next=https://u:p@example.org", "‹35 bytes›"),
        ("http://u:p@example.org/a?b#c", "http://example.org/a"),
        ("example.org:80", "example.org:80"),
    ],
)
def test_urls_and_parts_of_urls_lose_what_is_secret_in_them(
    journal_root: Path, came: str, shown: str
) -> None:
    """Whatever form a program's instrumentation gives them; where it is not clear, nothing is shown."""
    with receiving(journal_root) as found:
        found.post("traces", spans(span(TRACE, SPAN, attributes=pairs(**{"http.target": came}))))
        (seen,) = found.records("traces")
    assert attributes(seen) == {"http.target": shown}


def test_other_programs_pass_but_for_their_content(journal_root: Path) -> None:
    """URLs lose what is secret in them, headers are masked, everything else is as it came."""
    came = {
        "url.full": "https://u:p@example.org/a?token=x",
        "http.target": "/a?token=x",
        "http.request.header.authorization": "Bearer x",
        "process.environment_variable.TOKEN": "x",
        "db.connection_string": "Server=x;Password=y",
        "exception.message": "no such file",
        "anything": "goes",
    }
    event = {
        "name": "exception",
        "timeUnixNano": "1",
        "attributes": pairs(**{"exception.message": "it failed"}),
    }
    status = {"code": 2, "message": "it failed"}
    with receiving(journal_root) as found:
        found.post(
            "traces", spans(span(TRACE, SPAN, attributes=pairs(**came), events=[event], status=status))
        )
        (seen,) = found.records("traces")
    assert attributes(seen) == {
        **came,
        "url.full": "https://example.org/a",
        "http.target": "/a",
        "http.request.header.authorization": "‹8 bytes›",
        "process.environment_variable.TOKEN": "‹1 bytes›",
        "db.connection_string": "‹19 bytes›",
    }
    assert (seen["events"], seen["status"]) == ([event], status)
