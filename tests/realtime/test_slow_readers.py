"""A tab that reads slowly, or not at all, is its own trouble alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.inbox.kinds import Kind
from hub.inbox.notify import Notice, Wording, notify
from hub.realtime.backlog import MOST_BYTES
from hub.realtime.door import Limits
from hub.realtime.framed import FramedWebSocket
from hub.realtime.frames import Close
from hub.serve import SEND_BUFFER
from hub.settings import Settings
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, open_clinic, tell
from tests.live_client import LiveClient, open_socket
from tests.realtime.conftest import cookie_for, eventually, open_tab, run_strict_hub

SMALL = 4096
LARGE = 16 * 1024
# Enough for whatever the kernel and the server keep of what is not read, and to overflow the queue behind it.
MANY = (4 * SEND_BUFFER + MOST_BYTES) // LARGE + 60


async def tell_much(hub: RunningHub, clinic: Clinic) -> None:
    """Large notifications to Omar."""
    for index in range(MANY):
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await notify(work, [clinic.omar.id], Notice(Kind.SYSTEM, Wording(f"Number {index}", "x" * LARGE)))


async def open_deaf_tab(live: LiveClient) -> None:
    """Say hello, hear its answer, and no more."""
    await live.say(t="hello", v=1)
    await live.hear_until("snap")


async def test_who_reads_slowly_is_told_to_resync_and_then_has_everything(hub: RunningHub, clinic: Clinic) -> None:
    cookie = await cookie_for(hub.house, clinic.omar)
    async with open_socket(hub.live_url, cookie, receive_buffer=SMALL) as slow, open_tab(hub, clinic.omar) as quick:
        await open_deaf_tab(slow)
        await asyncio.gather(tell_much(hub, clinic), quick.hear_everything(MANY))
        await slow.hear_everything(MANY)
        kinds = [frame["t"] for frame in slow.frames]
        assert kinds[-2:] == ["resync", "fill"]
        assert kinds.count("ev") < MANY
        assert slow.inbox.rows == quick.inbox.rows
        assert slow.inbox.unread == MANY
        assert {frame["t"] for frame in quick.frames} == {"welcome", "snap", "ev"}
        await tell(hub.house, clinic, clinic.omar, title="And on it goes")
        await slow.hear_until("ev")
        assert slow.inbox.titles[-1] == "And on it goes"


class Impatient(FramedWebSocket):
    """Cuts off sooner."""

    stuck_after_s = 0.5


@pytest.mark.parametrize("ws", [Impatient, "websockets-sansio"], ids=["our server", "another server"])
async def test_who_never_reads_is_let_go_while_others_read_on(
    settings: Settings, the_clock: MovableClock, ws: Any
) -> None:
    async with run_strict_hub(settings, the_clock, Limits(send_within_s=0.5), ws) as hub:
        clinic = await open_clinic(hub.house)
        cookie = await cookie_for(hub.house, clinic.omar)
        async with (
            open_socket(hub.live_url, cookie, receive_buffer=SMALL) as deaf,
            open_tab(hub, clinic.omar) as quick,
        ):
            await open_deaf_tab(deaf)
            await asyncio.gather(tell_much(hub, clinic), quick.hear_everything(MANY))
            board = hub.house.switchboard
            await eventually(lambda: board.connections_of(clinic.omar.id) == 1)
            await tell(hub.house, clinic, clinic.omar)
            await quick.hear_everything(MANY + 1)
            assert {frame["t"] for frame in quick.frames} == {"welcome", "snap", "ev"}
            assert await deaf.hear_the_end() in (Close.SLOW_READER, 1006)
