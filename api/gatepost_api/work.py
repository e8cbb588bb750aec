"""Heavy work away from the loop: large documents are parsed, checked and rendered in a process of their own.

A thread would not do: pure Python holds the interpreter, and other requests would wait for it. Small documents
stay on the loop, where they take less time than a trip to another process.
"""

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

from gatepost_api.errors import Unavailable

SMALL_CHARS = 48 * 1024
Args = ParamSpec("Args")
Result = TypeVar("Result")


class Workshop:
    """Runs module-level functions of plain values; `size` (characters of document) decides where."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def run(
        self, size: int, work: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """The result of `work`. Unavailable when the process died under it (out of memory)."""
        if size <= SMALL_CHARS:
            return work(*args, **kwargs)
        if self._pool is None:
            context = multiprocessing.get_context(
                "spawn"
            )  # a fork would take the loop's threads' locks along
            self._pool = ProcessPoolExecutor(max_workers=1, mp_context=context)
        try:
            return await asyncio.wrap_future(self._pool.submit(work, *args, **kwargs))
        except BrokenProcessPool as error:
            self._pool = None
            raise Unavailable(
                "The document was too much for the worker process. Try a smaller one."
            ) from error

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
