"""The journal: OTLP JSON lines in a directory, the embedded default of gastown-tracing."""
