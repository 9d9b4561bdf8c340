"""Where the receiver listens: a port and a secret path, drawn once a journal and kept in its config.json."""

from __future__ import annotations

import re
import secrets
import socket
from dataclasses import dataclass

from gastown_tracing.config import RECEIVER
from gastown_tracing.journal.configuring import change
from gastown_tracing.journal.layout import Journal

HOST = "127.0.0.1"
#: Below what systems take for outgoing connections, so that none of those has our port after a restart.
_PORTS = range(20000, 32768)
_ATTEMPTS = 100
#: 192 bits, of which a path has to have 128 at least.
_TOKEN_BYTES = 24
_FORM = re.compile(r"http://(?:127\.0\.0\.1|localhost):(\d{1,5})/([A-Za-z0-9_-]{22,128})/?")


@dataclass(frozen=True)
class Address:
    """A port on 127.0.0.1, and the token that begins every path."""

    port: int
    token: str

    @property
    def url(self) -> str:
        """Return the base URL that sessions get."""
        return f"http://{HOST}:{self.port}/{self.token}"


def parse(url: str) -> Address | None:
    """Return the address that GT_OTEL_RECEIVER names; None where it is not one that can be ours."""
    found = _FORM.fullmatch(url.strip())
    if found is None or not 0 < int(found[1]) < 1 << 16:
        return None
    return Address(int(found[1]), found[2])


def draw() -> tuple[Address, socket.socket]:
    """Return a new address and the socket that is bound to it. Raises OSError."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    for attempt in range(_ATTEMPTS):
        port = secrets.choice(_PORTS)
        try:
            bound = bind(port)
        except OSError:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        return Address(port, token), bound
    raise AssertionError("no attempt was made")


def bind(port: int) -> socket.socket:
    """Return a listening socket on 127.0.0.1. Raises OSError.

    SO_REUSEADDR: what is left of connections of a relay before this one does not keep its port.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen(128)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def keep(journal: Journal, address: Address) -> str:
    """Put an address into config.json unless one is there; return the URL that is. Raises OSError."""
    return change(journal, lambda known: {} if known.get(RECEIVER) else {RECEIVER: address.url})[RECEIVER]
