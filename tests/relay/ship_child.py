"""A process that ships one signal of a journal until it is killed; its arguments are the two."""

from __future__ import annotations

import sys
import time

from gastown_tracing.journal.layout import Journal
from gastown_tracing.relay.files import Files
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.shipper import Shipper
from gastown_tracing.relay.sources import Sources


def main() -> None:
    journal = Journal(sys.argv[1])
    sources = Sources(journal)
    shipper = Shipper(sys.argv[2], journal, Files(journal), Settings.read(journal), print)
    sources.add(shipper.feed)
    shipper.start()
    while True:
        sources.scan(time.monotonic())
        time.sleep(0.02)


if __name__ == "__main__":
    main()
