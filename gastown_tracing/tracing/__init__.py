"""What is under the Python helpers: a span under way, the events, decorators, sessions, the SDK's side."""
