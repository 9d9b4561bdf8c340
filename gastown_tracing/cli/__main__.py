"""`python -m gastown_tracing.cli` is `gt-trace`."""

from gastown_tracing.cli import main

main()
