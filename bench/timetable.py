"""A timetable that is kept however long each thing takes, as arrivals at a clinic keep theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

# Who falls behind by more does not catch up any more: then fewer are sent, which the figures say.
MOST_UNDER_WAY = 50


async def keep(act: Callable[[], Awaitable[None]], rate: float, seconds: float) -> float:
    """Begin to act at this rate for so long; seconds until the last was begun. Returns when all have been done."""
    loop = asyncio.get_running_loop()
    slots = asyncio.Semaphore(MOST_UNDER_WAY)
    under_way: set[asyncio.Task[None]] = set()

    async def one() -> None:
        try:
            await act()
        finally:
            slots.release()

    began = loop.time()
    for index in range(round(rate * seconds)):
        await asyncio.sleep(began + index / rate - loop.time())
        await slots.acquire()
        if loop.time() - began > seconds:
            slots.release()
            break
        task = asyncio.create_task(one())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    took = loop.time() - began
    await asyncio.gather(*under_way)
    return took
