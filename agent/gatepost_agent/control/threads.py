"""Work on the disk that nobody may leave half done."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def whole(work: Callable[..., T], *arguments: Any) -> T:
    """Run `work` in a thread. A caller that is cancelled meanwhile is cancelled when the work is over."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()  # seen: there is nobody left to tell
        raise
