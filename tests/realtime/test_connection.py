"""What one open tab is sent, and in which order."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import suppress
from typing import Any

import pytest

from hub.realtime.connection import (
    MOST_QUEUED,
    MOST_QUEUED_CHARACTERS,
    MOST_READINGS_QUEUED,
    Connection,
    Listener,
    Stage,
)
from hub.realtime.frames import Close


def connection() -> Connection:
    return Connection(Listener(uuid.uuid4(), uuid.uuid4(), "provider", "Omar", "en", uuid.uuid4(), None))


async def live_connection(at: int = 0) -> Connection:
    opened = connection()
    opened.caught_up(at, 0, "epoch", rows(at))
    await taken(opened)
    return opened


def ev(seq: int, size: int = 0) -> tuple[int, int, str]:
    return seq, seq, json.dumps({"seq": seq, "x": "x" * size})


def rows(upto: int, size: int = 0) -> str:
    return json.dumps({"rows": upto, "x": "x" * size})


async def taken(opened: Connection) -> list[Any]:
    """What a writer would send now, by its number or its kind."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            frames = [json.loads(text) for text in await opened.next_frames()]
            return [frame.get("seq", frame.get("rows", frame.get("t"))) for frame in frames]
    return []


async def test_events_wait_until_the_rows_are_read_and_follow_them() -> None:
    opened = connection()
    for seq in (5, 7, 6):
        assert opened.offer(*ev(seq))
    assert await taken(opened) == []
    opened.caught_up(5, 5, "epoch", rows(5))
    assert await taken(opened) == [5, 6, 7]
    assert (opened.stage, opened.sent, opened.unread) == (Stage.LIVE, 7, 7)


async def test_repeated_events_are_sent_once() -> None:
    opened = await live_connection(3)
    for seq in (3, 4, 4, 1, 5, 4):
        assert opened.offer(*ev(seq))
    assert await taken(opened) == [4, 5]


async def test_an_event_after_a_gap_waits_for_the_rows_between() -> None:
    opened = await live_connection(3)
    assert not opened.offer(*ev(5))
    assert opened.offer(*ev(6))
    assert await taken(opened) == []
    assert opened.begin_reading() == 3
    opened.caught_up(5, 5, "epoch", rows(5))
    assert await taken(opened) == [5, 6]
    assert opened.stage is Stage.LIVE


async def test_a_gap_among_the_held_events_leaves_it_behind() -> None:
    opened = await live_connection(3)
    opened.offer(*ev(5))
    opened.offer(*ev(8))
    opened.caught_up(5, 5, "epoch", rows(5))
    assert opened.stage is Stage.BEHIND
    assert opened.begin_reading() == 5
    opened.caught_up(8, 8, "epoch", rows(8))
    assert await taken(opened) == [5, 8]


async def test_the_client_may_ask_again_from_its_own_cursor() -> None:
    opened = await live_connection(9)
    opened.ask_again(4)
    assert opened.offer(*ev(10))
    assert opened.begin_reading() == 4
    opened.caught_up(9, 9, "epoch", rows(9))
    assert await taken(opened) == [9, 10]


async def test_a_question_asked_while_rows_are_read_is_answered_after_them() -> None:
    opened = await live_connection(9)
    opened.ask_again(7)
    opened.begin_reading()
    opened.ask_again(2)
    opened.caught_up(9, 9, "epoch", rows(9))
    assert opened.stage is Stage.BEHIND
    assert opened.begin_reading() == 2


async def test_too_many_waiting_frames_become_one_resync() -> None:
    opened = await live_connection()
    for seq in range(1, MOST_QUEUED + 50):
        assert opened.offer(*ev(seq))
    assert await taken(opened) == ["resync"]
    assert opened.offer(*ev(MOST_QUEUED + 50))
    assert await taken(opened) == []
    opened.ask_again(0)
    assert opened.begin_reading() == 0
    opened.caught_up(400, 400, "epoch", rows(400))
    opened.offer(*ev(401))
    assert await taken(opened) == [400, 401]


async def test_too_much_waiting_text_becomes_one_resync() -> None:
    opened = await live_connection()
    for seq in (1, 2, 3):
        opened.offer(*ev(seq, MOST_QUEUED_CHARACTERS // 3))
    assert await taken(opened) == ["resync"]


async def test_rows_are_sent_however_much_text_they_are() -> None:
    opened = connection()
    opened.offer(*ev(51))
    opened.caught_up(50, 50, "epoch", rows(50, 2 * MOST_QUEUED_CHARACTERS))
    assert await taken(opened) == [50, 51]


async def test_rows_asked_for_again_and_again_and_never_taken_do_not_pile_up() -> None:
    opened = await live_connection()
    for _ in range(10):
        opened.ask_again(0)
        opened.begin_reading()
        opened.caught_up(50, 50, "epoch", rows(50, MOST_QUEUED_CHARACTERS))
    assert len(await taken(opened)) <= MOST_READINGS_QUEUED + 1


async def test_as_many_events_as_are_held_do_not_drop_the_rows_they_follow() -> None:
    opened = connection()
    for seq in range(1, MOST_QUEUED + 100):
        opened.offer(*ev(seq))
    opened.caught_up(0, 0, "epoch", rows(0))
    opened.offer(*ev(MOST_QUEUED + 100))
    assert await taken(opened) in ([0, *range(1, MOST_QUEUED)], ["resync"])
    assert opened.stage in (Stage.BEHIND, Stage.RESYNC)


async def test_a_connection_that_ends_sends_nothing_more_and_keeps_the_first_reason() -> None:
    opened = await live_connection()
    opened.offer(*ev(1))
    opened.close(Close.SESSION_ENDED)
    opened.close(Close.GOING_AWAY)
    opened.offer(*ev(2))
    opened.caught_up(9, 9, "epoch", rows(9))
    assert await taken(opened) == []
    assert opened.closing is Close.SESSION_ENDED


async def test_an_inbox_begun_anew_sends_the_client_back_to_hello() -> None:
    opened = await live_connection(9)
    opened.ask_again(9)
    opened.caught_up(1, 1, "another epoch", rows(1))
    assert opened.closing is Close.GOING_AWAY


async def test_a_version_is_told_once_and_never_an_older_one() -> None:
    opened = await live_connection()
    for version in (2, 2, 1, 3):
        opened.topic_changed("arrivals", version, json.dumps({"seq": version}))
    assert await taken(opened) == [2, 3]


@pytest.mark.parametrize("wake", ["a frame", "the end"])
async def test_a_writer_that_waits_wakes_up(wake: str) -> None:
    opened = await live_connection()
    writer = asyncio.create_task(opened.next_frames())
    await asyncio.sleep(0)
    if wake == "a frame":
        opened.send("x")
    else:
        opened.close(Close.SESSION_ENDED)
    async with asyncio.timeout(1):
        assert list(await writer) == (["x"] if wake == "a frame" else [])
