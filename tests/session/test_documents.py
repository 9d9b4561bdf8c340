"""The text of run.json and pane.json is that of the standard library's encoder."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gastown_tracing.sessions import documents

PLAIN = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=()))
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.dictionaries(st.text(), VALUES))
def test_it_is_what_json_writes(value: dict[str, object]) -> None:
    """Of any nesting, empty ones too, and of any text, lone surrogates too."""
    assert documents.dumped(value) == json.dumps(value, indent=1)
