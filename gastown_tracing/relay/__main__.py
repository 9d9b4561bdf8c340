"""`python -m gastown_tracing.relay JOURNAL`: the relay as it is started on demand."""

import sys

from gastown_tracing.relay.surroundings import settle

FOREGROUND = "--foreground"


def main(arguments: list[str]) -> int:
    """Be the relay of a journal; end at once where there is one already, or where there can be none."""
    settle()
    from gastown_tracing.journal.layout import Journal  # the limits are lifted first
    from gastown_tracing.relay.files import Files
    from gastown_tracing.relay.lock import Lock

    journal = Journal(arguments[0])
    if not journal.exists() or not journal.owned():
        return 1
    lock = Lock(Files(journal).lock)
    if lock.take() is not None:
        return 0
    from gastown_tracing.relay.service import run  # the rest is for the one relay that there is

    return run(journal, lock, aloud=FOREGROUND in arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
