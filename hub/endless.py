"""Tasks that go on until they are cancelled.

What is cancelled while it waits may fail with something else at that moment, as a client of Redis does that cannot put
its connection in order any more. Whoever takes such a failure for an everyday one has lost the cancellation, and goes
on for ever. In a library that cannot be seen to, so tasks are cancelled until they have ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

# Whoever is cancelled puts its connections in order first: a second cancellation would cut that short.
AGAIN_AFTER_S = 2


def is_told_to_stop() -> bool:
    """Whether the running task was cancelled, whatever came of that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def rest(seconds: float) -> None:
    """Sleep before the next turn; raises CancelledError when there is to be none."""
    if is_told_to_stop():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended, however; what they failed with is nobody's concern any more."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=AGAIN_AFTER_S)
    await asyncio.gather(*tasks, return_exceptions=True)
