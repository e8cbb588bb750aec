"""Whose turn it is at the disk: commits first, then large bodies, one at a time while the disk is quick.

Several large bodies at once only make small mail wait, for the disk and for the interpreter, unless each of them spends
its time waiting for a slow disk.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from time import monotonic

_GIVE_WAY_S = 0.01  # so long at most to a commit
_SLOW_S = 0.02  # a turn that takes as long is one of a slow disk


class Turns:
    """From any thread."""

    def __init__(self) -> None:
        self._between_commits = threading.Event()
        self._between_commits.set()
        self._large = threading.Lock()
        self._is_slow = False

    @contextmanager
    def commit(self) -> Iterator[None]:
        """The writer commits."""
        self._between_commits.clear()
        try:
            yield
        finally:
            self._between_commits.set()

    @contextmanager
    def large(self) -> Iterator[None]:
        """A worker is at a large body."""
        with nullcontext() if self._is_slow else self._large:
            self._between_commits.wait(_GIVE_WAY_S)
            began = monotonic()
            try:
                yield
            finally:
                self._is_slow = monotonic() - began > _SLOW_S
