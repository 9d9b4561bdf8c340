"""What the parts of the relay that run beside each other have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gastown_tracing.relay.feed import Feed
    from gastown_tracing.relay.settings import Settings


class Worker(Protocol):
    """A part of the relay with a thread of its own. Nothing of it raises for what the world does."""

    @property
    def name(self) -> str:
        """Return what it is called in status and log."""
        ...

    @property
    def feed(self) -> Feed | None:
        """Return what it reads of the journal; None where that is nothing."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self, deadline: float) -> None:
        """End within `deadline` seconds; what is under way and not acknowledged comes again next time."""
        ...

    def reconfigure(self, settings: Settings) -> None:
        """Take these settings from now on."""
        ...

    def status(self) -> dict[str, object]:
        """Return how it is, as JSON has it. Cheap, and from any thread."""
        ...
