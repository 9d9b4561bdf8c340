"""What came lately, so that a request that a client sends again is recorded once."""

from __future__ import annotations

from hashlib import blake2b

#: How many records are remembered at least; twice as many at most.
KEPT = 32768


class Recent:
    """The digests of the last records. Bounded: the older half goes when the younger half is full."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._young or digest in self._old

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, digest: bytes) -> None:
        """Remember a record that has been written."""
        if len(self._young) >= self._kept:
            self._old, self._young = self._young, set()
        self._young.add(digest)


class Digests:
    """Makes digests of records. `key` is the journal's own secret.

    With it nobody can find out what stood in a masked value by trying: log.record.uid is such a digest, of
    the record as it came.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key[: blake2b.MAX_KEY_SIZE]

    def of(self, *parts: bytes) -> bytes:
        """Return 16 bytes that stand for these parts, the same after a restart."""
        digest = blake2b(digest_size=16, key=self._key)
        for part in parts:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        return digest.digest()
