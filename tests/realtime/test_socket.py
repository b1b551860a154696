"""The conversation on an open socket, with the whole hub behind it."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack

import asyncpg
import structlog

from hub.inbox.kinds import Kind
from hub.inbox.notify import Notice, Wording, notify
from hub.realtime.frames import Close
from hub.settings import Settings
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub, run_hub
from tests.factories import Clinic, book_visit, open_clinic, tell
from tests.live_client import Inbox, LiveClient, open_live, open_socket
from tests.realtime.conftest import cookie_for, eventually, open_tab

SERVICE_RESTART = 1012


async def tell_often(hub: RunningHub, clinic: Clinic, count: int, body: str = "") -> None:
    """Many notifications to Omar in one transaction."""
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        for index in range(count):
            await notify(work, [clinic.omar.id], Notice(Kind.SYSTEM, Wording(f"Number {index}", body)))


async def test_hello_is_answered_by_welcome_and_the_newest_rows(hub: RunningHub, clinic: Clinic) -> None:
    await tell(hub.house, clinic, clinic.omar, title="Before")
    async with open_live(hub.live_url, await cookie_for(hub.house, clinic.omar)) as live:
        assert live.socket.subprotocol == "hub.v1"
        welcome, snap = await live.hear(), await live.hear()
    assert (welcome["t"], welcome["resume"], welcome["head"], welcome["unread"]) == ("welcome", "reset", 1, 1)
    assert welcome["hb"] == 15
    assert welcome["backoff"] == {"first": 5, "cap": 30}
    assert welcome["you"] == {"id": str(clinic.omar.id), "name": "Dr. Omar Farouk", "language": "en"}
    assert (snap["t"], snap["seq"], snap["unread"], snap["more"]) == ("snap", 1, 1, False)
    assert [row["title"] for row in snap["items"]] == ["Before"]


async def test_the_first_rows_are_the_newest_fifty_that_are_not_archived(hub: RunningHub, clinic: Clinic) -> None:
    await tell_often(hub, clinic, 52)
    async with open_tab(hub, clinic.omar) as live:
        snap = live.frames[-1]
        assert snap["more"]
        assert [row["number"] for row in snap["items"]] == list(range(52, 2, -1))
        await live.say(t="archive", ids=[row["id"] for row in snap["items"][:3]], nonce="1")
        await live.hear_until("ok")
    async with open_tab(hub, clinic.omar) as again:
        snap = again.frames[-1]
    assert not snap["more"]
    assert [row["number"] for row in snap["items"]] == list(range(49, 0, -1))


async def test_first_rows_larger_than_any_queue_arrive(hub: RunningHub, clinic: Clinic) -> None:
    await tell_often(hub, clinic, 50, body="ش" * 10_000)
    async with open_tab(hub, clinic.omar) as live:
        assert live.frames[-1]["t"] == "snap"
        assert len(live.inbox.rows) == 50


async def test_notifications_arrive_in_order_at_every_tab(hub: RunningHub, clinic: Clinic) -> None:
    async with open_tab(hub, clinic.omar) as first, open_tab(hub, clinic.omar) as second:
        for index in range(5):
            await tell(hub.house, clinic, clinic.omar, clinic.huda, title=f"Number {index}")
        for tab in (first, second):
            await tab.hear_everything(5)
            assert tab.inbox.titles == [f"Number {index}" for index in range(5)]
            assert tab.inbox.unread == 5


async def test_who_returns_gets_what_changed_once_and_as_it_is_now(hub: RunningHub, clinic: Clinic) -> None:
    inbox = Inbox()
    (first,) = await tell(hub.house, clinic, clinic.omar, title="Old")
    (second,) = await tell(hub.house, clinic, clinic.omar, title="Old and untouched")
    async with open_tab(hub, clinic.omar, inbox=inbox):
        pass
    async with open_tab(hub, clinic.omar) as meanwhile:
        for kind in ("read", "unread", "read"):
            await meanwhile.say(t=kind, ids=[str(first)], nonce=kind)
            await meanwhile.hear_until("ok")
    await tell(hub.house, clinic, clinic.omar, title="New")
    async with open_tab(hub, clinic.omar, inbox=inbox) as live:
        welcome, fill = live.frames
    assert welcome["resume"] == "ok"
    assert (fill["t"], fill["from"], fill["to"], fill["unread"]) == ("fill", 2, 6, 2)
    assert [row["title"] for row in fill["items"]] == ["Old", "New"]
    assert inbox.rows[str(first)]["read_at"] is not None
    assert inbox.rows[str(second)]["read_at"] is None
    assert inbox.resets == 1


async def test_who_missed_nothing_gets_an_empty_fill(hub: RunningHub, clinic: Clinic) -> None:
    inbox = Inbox()
    async with open_tab(hub, clinic.omar, inbox=inbox):
        pass
    async with open_tab(hub, clinic.omar, inbox=inbox) as live:
        assert [frame["t"] for frame in live.frames] == ["welcome", "fill"]
        assert (live.frames[1]["from"], live.frames[1]["to"], live.frames[1]["items"]) == (0, 0, [])


async def test_a_cursor_of_another_epoch_or_ahead_of_the_head_begins_anew(hub: RunningHub, clinic: Clinic) -> None:
    await tell(hub.house, clinic, clinic.omar)
    async with open_tab(hub, clinic.omar) as live:
        epoch = live.inbox.epoch
    for foreign in (Inbox(epoch=str(uuid.uuid4()), cursor=1), Inbox(epoch=epoch, cursor=2), Inbox("x", cursor=0)):
        async with open_tab(hub, clinic.omar, inbox=foreign) as live:
            assert [frame["t"] for frame in live.frames] == ["welcome", "snap"]
            assert live.frames[0]["resume"] == "reset"
            assert foreign.cursor == 1


async def test_when_a_standby_never_had_the_last_ones_what_comes_next_is_no_repeat(
    hub: RunningHub, clinic: Clinic
) -> None:
    inbox = Inbox()
    async with open_tab(hub, clinic.omar, inbox=inbox) as live:
        await tell(hub.house, clinic, clinic.omar, title="Kept")
        for index in range(2):
            await tell(hub.house, clinic, clinic.omar, title=f"Lost {index}")
        await live.hear_everything(3)
        owner = await asyncpg.connect(hub.house.settings.database_url.get_secret_value())
        await owner.execute("UPDATE inbox_heads SET seq = 1, unread = 1 WHERE tenant_id = $1", clinic.id)
        await owner.execute("DELETE FROM notifications WHERE tenant_id = $1 AND number > 1", clinic.id)
        await owner.close()
        await tell(hub.house, clinic, clinic.omar, title="At once")
        with structlog.testing.capture_logs() as logs:
            assert await live.hear_the_end(timeout=15) == Close.GOING_AWAY
        assert [each["log_level"] for each in logs] == ["error"]
    for index in range(3):
        await tell(hub.house, clinic, clinic.omar, title=f"Later {index}")
    async with open_tab(hub, clinic.omar, inbox=inbox) as live:
        assert live.frames[0]["resume"] == "reset"
        assert inbox.titles == ["Kept", "At once", "Later 0", "Later 1", "Later 2"]
        assert inbox.unread == 5


async def test_more_than_two_hundred_missed_rows_begin_anew(hub: RunningHub, clinic: Clinic) -> None:
    async with open_tab(hub, clinic.omar) as live:
        epoch = live.inbox.epoch
    await tell_often(hub, clinic, 201)
    async with open_tab(hub, clinic.omar, inbox=Inbox(epoch, 1)) as live:
        assert [row["number"] for row in live.frames[1]["items"]] == list(range(2, 202))
    async with open_tab(hub, clinic.omar, inbox=Inbox(epoch, 0)) as live:
        assert [frame["t"] for frame in live.frames] == ["welcome", "snap"]
        assert len(live.inbox.rows) == 50


async def test_a_mark_is_answered_and_reaches_every_tab(hub: RunningHub, clinic: Clinic) -> None:
    ids = [str((await tell(hub.house, clinic, clinic.omar, title=f"{index}"))[0]) for index in range(4)]
    async with open_tab(hub, clinic.omar) as live, open_tab(hub, clinic.omar) as other:
        await live.say(t="read", ids=ids[:2], nonce="a")
        await live.say(t="archive", ids=ids[1:3], nonce="b")
        await live.say(t="unread", ids=ids[1:2], nonce="c")
        await live.say(t="read_all", upto=4, nonce="d")
        for nonce in "abcd":
            assert (await live.hear_until("ok"))["nonce"] == nonce
        await other.hear_everything(8)
        await live.hear_everything(8)
        assert live.inbox.unread == other.inbox.unread == 1
        assert live.inbox.rows == other.inbox.rows
        read, archived = (
            {each for each in ids if other.inbox.rows[each][name] is not None} for name in ("read_at", "archived_at")
        )
        assert (read, archived) == ({ids[0], ids[2], ids[3]}, {ids[2]})


async def test_a_mark_on_somebody_elses_notification_is_refused_and_changes_nothing(
    hub: RunningHub, clinic: Clinic
) -> None:
    (own,) = await tell(hub.house, clinic, clinic.omar)
    (foreign,) = await tell(hub.house, clinic, clinic.huda)
    async with open_tab(hub, clinic.omar) as live:
        await live.say(t="read", ids=[str(own), str(foreign)], nonce="x")
        refused = await live.hear()
        assert (refused["t"], refused["nonce"], refused["code"]) == ("err", "x", "not-found")
        await live.fill(0)
        assert (await live.hear_until("fill"))["unread"] == 1


async def test_a_question_for_what_follows_is_answered(hub: RunningHub, clinic: Clinic) -> None:
    await tell_often(hub, clinic, 3)
    async with open_tab(hub, clinic.omar) as live:
        await live.fill(1)
        fill = await live.hear()
        assert (fill["t"], fill["from"], fill["to"]) == ("fill", 1, 3)
        assert [row["number"] for row in fill["items"]] == [2, 3]
        await live.fill(99)
        assert (await live.hear())["t"] == "snap"


async def test_the_board_is_watched_by_those_who_may(hub: RunningHub, clinic: Clinic) -> None:
    async with open_tab(hub, clinic.desk) as desk, open_tab(hub, clinic.omar) as omar:
        await omar.say(t="watch", topic="arrivals")
        await desk.say(t="watch", topic="no such topic")
        for tab in (omar, desk):
            assert (await tab.hear())["code"] == "forbidden"
        await desk.say(t="watch", topic="arrivals")
        assert await desk.hear() == {"t": "state", "topic": "arrivals", "ver": 0}
        await book_visit(hub.house, clinic)
        assert await desk.hear() == {"t": "state", "topic": "arrivals", "ver": 1}
        await desk.say(t="unwatch", topic="arrivals")
        await desk.fill(0)
        await desk.hear_until("fill")
        await book_visit(hub.house, clinic)
        for tab in (desk, omar):
            told = len(tab.frames)
            hub.house.switchboard.beat()
            while (await tab.hear_beat())["topics"]:
                pass
            assert len(tab.frames) == told


async def test_a_heartbeat_tells_where_the_inbox_stands(hub: RunningHub, clinic: Clinic) -> None:
    await tell_often(hub, clinic, 2)
    async with open_tab(hub, clinic.omar) as live:
        hub.house.switchboard.beat()
        beat = await live.hear_beat()
        assert (beat["t"], beat["head"], beat["unread"]) == ("hb", 2, 2)
        await live.say(t="pong", n=beat["n"])
        await live.fill(2)
        assert (await live.hear())["t"] == "fill"


async def test_tabs_that_come_and_go_leave_nothing_behind(hub: RunningHub, clinic: Clinic) -> None:
    board = hub.house.switchboard
    cookie = await cookie_for(hub.house, clinic.omar)
    async with open_tab(hub, clinic.omar, cookie=cookie):
        pass
    await eventually(lambda: board.connections_of(clinic.omar.id) == 0)
    base = asyncio.all_tasks()

    async def come_and_go(how: int) -> None:
        async with open_socket(hub.live_url, cookie) as live:
            if how:
                await live.say(t="hello", v=1)
            if how == 2:
                await live.hear_until("snap")
            if how == 3:
                live.socket.transport.abort()

    for _ in range(5):
        await asyncio.gather(*(come_and_go(how % 4) for how in range(12)))
    await eventually(lambda: board.connections_of(clinic.omar.id) == 0)
    await eventually(lambda: asyncio.all_tasks() <= base)


async def test_a_tab_sees_all_however_its_hello_and_the_news_fall_together(hub: RunningHub, clinic: Clinic) -> None:
    cookie = await cookie_for(hub.house, clinic.omar)

    async def open_and_listen() -> LiveClient:
        async with open_live(hub.live_url, cookie) as live:
            await live.hear_everything(20)
            return live

    async def tell_all() -> None:
        for index in range(20):
            await tell(hub.house, clinic, clinic.omar, title=f"{index}")

    *tabs, _ = await asyncio.gather(*(open_and_listen() for _ in range(10)), tell_all())
    for tab in tabs:
        assert tab is not None
        assert tab.inbox.titles == [f"{index}" for index in range(20)]
        assert tab.inbox.unread == 20
        assert "resync" not in {frame["t"] for frame in tab.frames}


async def test_a_hub_that_stops_sends_its_tabs_away_to_come_back(settings: Settings, the_clock: MovableClock) -> None:
    async with AsyncExitStack() as stack:
        async with run_hub(settings, the_clock) as stopping:
            clinic = await open_clinic(stopping.house)
            tabs = [await stack.enter_async_context(open_tab(stopping, clinic.omar)) for _ in range(3)]
        for tab in tabs:
            assert await tab.hear_the_end() == SERVICE_RESTART
