"""The way to a client whose frames are fetched."""

from __future__ import annotations

import asyncio

import pytest

from hub.realtime.connection import Connection
from hub.realtime.frames import Close
from hub.realtime.outlets import Fetched
from hub.realtime.wire import Frame
from tests.realtime.pipes import ev, listener, rows


def fetched() -> tuple[Connection, Fetched]:
    outlet = Fetched()
    opened = Connection(listener(), outlet)
    opened.caught_up(0, 0, "epoch", rows(0))
    return opened, outlet


async def test_what_waits_is_fetched_in_order() -> None:
    opened, outlet = fetched()
    events = [ev(seq) for seq in (1, 2, 3)]
    for each in events:
        opened.offer(*each)
    assert (await outlet.next_frames(opened))[1:] == [frame for _, _, frame in events]
    assert opened.waiting == 0


async def test_what_is_critical_overtakes_what_was_not_fetched() -> None:
    opened, outlet = fetched()
    for seq in range(1, 40):
        opened.offer(*ev(seq, 5_000))
    first = await outlet.next_frames(opened)
    opened.offer(*ev(40, urgent=True))
    second = await outlet.next_frames(opened)
    assert second[0].data.startswith(b'{"t":"ahead"')
    assert len(first) < 40


@pytest.mark.parametrize("wake", ["a frame", "the end"])
async def test_who_waits_for_frames_wakes_up(wake: str) -> None:
    opened, outlet = fetched()
    await outlet.next_frames(opened)
    fetching = asyncio.create_task(outlet.next_frames(opened))
    await asyncio.sleep(0)
    frame = Frame(b"{}")
    if wake == "a frame":
        opened.send(frame)
    else:
        opened.close(Close.SESSION_ENDED)
    async with asyncio.timeout(10):
        assert await fetching == ([frame] if wake == "a frame" else [])


async def test_nothing_is_fetched_after_the_end() -> None:
    opened, outlet = fetched()
    opened.offer(*ev(1))
    opened.close(Close.SESSION_ENDED)
    assert await outlet.next_frames(opened) == []


async def test_no_frame_is_lost_however_offering_and_fetching_fall_together() -> None:
    opened, outlet = fetched()
    got: list[bytes] = []

    async def fetch() -> None:
        while len(got) < 501:
            got.extend(frame.data for frame in await outlet.next_frames(opened))

    fetching = asyncio.create_task(fetch())
    sent = [ev(seq) for seq in range(1, 501)]
    for place, each in enumerate(sent):
        opened.offer(*each)
        for _ in range(place % 4):
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await fetching
    assert got[1:] == [frame.data for _, _, frame in sent]
