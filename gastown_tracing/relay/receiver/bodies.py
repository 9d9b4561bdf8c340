"""A request's body: what its headers say it is, and what it is without its compression."""

from __future__ import annotations

import zlib

JSON, PROTOBUF = "application/json", "application/x-protobuf"
_GZIP = 31  # zlib's number for gzip and the largest window


class Refused(Exception):  # noqa: N818 - an answer, and no fault of ours
    """A request that is not taken: the status to answer with, and one line that says why.

    `retry_after` is in seconds, 0 for a request that is not to be sent again. `allow` is the method to use.
    """

    def __init__(self, status: int, reason: str, retry_after: float = 0.0, allow: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.allow = allow


def media_type(content_type: str) -> str:
    """Return a request's media type. Raises Refused for another one than OTLP has."""
    found = content_type.partition(";")[0].strip().lower()
    if found not in (JSON, PROTOBUF):
        raise Refused(415, f"the content type is neither {PROTOBUF} nor {JSON}")
    return found


def is_packed(encoding: str) -> bool:
    """Say whether a body is compressed. Raises Refused for a compression that is not gzip."""
    found = encoding.strip().lower()
    if found in ("", "identity"):
        return False
    if found in ("gzip", "x-gzip"):
        return True
    raise Refused(415, "the content encoding is neither gzip nor identity")


def unpacked(body: bytes, limit: int) -> bytes:
    """Return what is in a gzip body (RFC 1952), of `limit` bytes at most. Raises Refused."""
    found: list[bytes] = []
    room = limit
    while True:
        unpacker = zlib.decompressobj(wbits=_GZIP)
        try:
            part = unpacker.decompress(body, room + 1)
        except zlib.error:
            raise Refused(400, "the body is no gzip") from None
        room -= len(part)
        found.append(part)
        if room < 0:
            raise Refused(413, f"the body is more than {limit} bytes without its compression")
        if not unpacker.eof:
            raise Refused(400, "the body is gzip that was cut short")
        body = unpacker.unused_data
        if not body:
            return b"".join(found)
