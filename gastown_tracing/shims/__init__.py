"""The fast path: a command runs as it would without us, and one span of it is recorded."""
