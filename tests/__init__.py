"""The tests of gastown-tracing."""
