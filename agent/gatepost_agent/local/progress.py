"""How far long work has come: one line on a terminal that is written over, and nothing anywhere else."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

AGAIN_S = 0.1
_CLEARED = "\r\x1b[K"


@contextmanager
def progress(out: TextIO, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[str], None]]:
    """A function that shows a text on `out` in place of the one before; the last is gone when the context ends."""
    if not out.isatty():
        yield lambda _text: None
        return
    shown_at = -math.inf

    def show(text: str) -> None:
        nonlocal shown_at
        if (now := clock()) - shown_at >= AGAIN_S:
            shown_at = now
            out.write(f"{_CLEARED}{text}")
            out.flush()

    try:
        yield show
    finally:
        out.write(_CLEARED)
        out.flush()
