"""gastown_tracing."""
