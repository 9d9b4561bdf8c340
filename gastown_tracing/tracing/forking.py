"""What a forked child does about the objects that it inherits: one hook, which keeps nothing alive.

`os.register_at_fork` takes a hook for good; one for each object would grow with each `init()`.
"""

from __future__ import annotations

import itertools
import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """What does something in a forked child."""

    def after_fork(self) -> None:
        """Do it, in the child's only thread. The SDK's own providers may not have come to their turn yet."""


# By the order in which they came, which is the order in which they are called.
_known: weakref.WeakValueDictionary[int, Forked] = weakref.WeakValueDictionary()
_numbers = itertools.count()


def tell(forked: Forked) -> None:
    """Call `after_fork()` of an object in each child that is forked while the object exists."""
    _known[next(_numbers)] = forked


def _after_fork() -> None:
    for _, forked in sorted(_known.items()):
        forked.after_fork()


os.register_at_fork(after_in_child=_after_fork)
