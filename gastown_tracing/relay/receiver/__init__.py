"""The relay's receiver: OTLP/HTTP on loopback for what other programs of a session export."""
