"""How a span's process is called beside it."""

from __future__ import annotations

import pytest

from gastown_tracing.view.titles import process

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
