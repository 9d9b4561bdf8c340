"""What several tests of the journal need: OTLP JSON read by somebody else, children that act at once."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from gastown_tracing.journal import otlp

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ROOT = "a3ce929d0e0e4736"
RESOURCE = otlp.encode_resource({"service.name": "gastown", "host.name": "h"})
ID_KEYS = {"traceId", "spanId", "parentSpanId"}


def parse_traces(line: bytes) -> TracesData:
    """Return a line as opentelemetry-proto's own message; an unknown key or a wrong type is an error."""
    return ParseDict(with_base64_ids(_load(line)), TracesData())


def parse_logs(line: bytes) -> LogsData:
    return ParseDict(with_base64_ids(_load(line)), LogsData())


def _load(line: bytes) -> Any:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= otlp.LINE_LIMIT
    return json.loads(line.decode("utf-8", "strict"), parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def with_base64_ids(value: Any) -> Any:
    """Return OTLP JSON as protobuf's JSON mapping has it: ids in base64 where OTLP writes hex."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in ID_KEYS else with_base64_ids(item)
            for key, item in value.items()
        }
    return value


def plain(attributes: list[KeyValue]) -> dict[str, Any]:
    """Return protobuf attributes as a dictionary."""
    return {pair.key: any_value(pair.value) for pair in attributes}


def any_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [any_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return plain(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def span_line(span_id: str, name: str = "work", trace_id: str = TRACE, **fields: Any) -> bytes:
    """Return a line with one span, which ended unless `end_ns` says otherwise."""
    times = {"start_ns": 1_000, "end_ns": 2_000} | fields
    return otlp.spans_line(RESOURCE, [otlp.Span(trace_id, span_id, ROOT, name, **times)])


def number_id(number: int) -> str:
    """Return a span id that never begins with 0."""
    return f"{number + (1 << 60):016x}"


def at_once(count: int, function: Callable[[int], Any], user: int | None = None) -> list[Any]:
    """Fork `count` children that call `function(number)` at the same instant; return what they returned.

    With `user` they become that user first. A child's exception fails the test with its traceback.
    """
    start_read, start_write = os.pipe()
    children = []
    for number in range(count):
        result_read, result_write = os.pipe()
        pid = fork()
        if pid == 0:
            os.close(start_write)
            _child(start_read, result_write, function, number, user)
        os.close(result_write)
        children.append((pid, result_read))
    os.close(start_read)
    os.close(start_write)
    results = []
    for pid, result_read in children:
        with open(result_read, "rb") as file:
            data = file.read()
        os.waitpid(pid, 0)
        assert data, "a child died without a word"
        failed, result = pickle.loads(data)  # noqa: S301 - from our own child
        assert not failed, result
        results.append(result)
    return results


def fork() -> int:
    """Fork without the warning that 3.12 and later give beside pytest-xdist's threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _child(
    start_read: int, result_write: int, function: Callable[[int], Any], number: int, user: int | None
) -> None:
    try:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        os.read(start_read, 1)  # ends when the parent closes the other side, for all children at once
        data = pickle.dumps((False, function(number)))
    except BaseException:
        data = pickle.dumps((True, traceback.format_exc()))
    with open(result_write, "wb") as file:
        file.write(data)
    os._exit(0)


def python(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a Python program with pipes for standard input and output."""
    root = str(Path(otlp.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
NOBODY = 65534
