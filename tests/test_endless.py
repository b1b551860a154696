"""What goes on until it is cancelled ends then, even where the cancellation is lost on the way."""

from __future__ import annotations

import asyncio

import pytest

from hub import endless
from hub.endless import end, is_told_to_stop, rest


async def fail_when_cancelled() -> None:
    """As a client does that cannot put its connection in order any more."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise ConnectionError("gone") from None


async def test_who_takes_a_cancellation_for_an_everyday_failure_has_no_further_turn() -> None:
    turns = 0

    async def work_forever() -> None:
        nonlocal turns
        while True:
            turns += 1
            try:
                await fail_when_cancelled()
            except ConnectionError:
                assert is_told_to_stop()
            await rest(0)

    task = asyncio.create_task(work_forever())
    await asyncio.sleep(0)
    assert not is_told_to_stop()
    task.cancel()
    await asyncio.wait([task], timeout=2)
    assert (task.cancelled(), turns) == (True, 1)


async def test_a_time_out_on_the_way_is_no_cancellation() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    assert not is_told_to_stop()
    await rest(0)


async def test_tasks_are_cancelled_until_they_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "AGAIN_AFTER_S", 0.01)
    lost = 0

    async def lose_three() -> None:
        nonlocal lost
        while lost < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(each()) for each in (lose_three, fail_when_cancelled, lose_three)]
    await asyncio.sleep(0)
    async with asyncio.timeout(15):
        await end(tasks)
    assert [task.done() for task in tasks] == [True] * 3
    await end(tasks)
