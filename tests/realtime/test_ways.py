"""The ways round: what is the same on every way while it lasts, what is special about HTTP, and going from one to
another.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from bench.inbox import Inbox
from hub.inbox.kinds import Kind, Priority
from hub.inbox.marks import mark, read_all
from hub.inbox.notify import Notice, Wording, notify
from hub.people import sessions
from hub.people.keys import add_key, revoke_key
from hub.people.live_tokens import revoke_token, sign_token
from hub.people.roles import Permission, Role
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.realtime.backlog import MOST_BYTES
from hub.realtime.connection import Connection
from hub.realtime.door import Door, Limits
from hub.realtime.frames import Close
from hub.realtime.reception import Reception
from hub.serve import SEND_BUFFER
from hub.settings import Settings
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, book_visit, open_clinic, tell
from tests.realtime.conftest import CLOSED_WITHIN_S, cookie_for, eventually, run_strict_hub
from tests.realtime.ways import WAYS, Client, Refused, Visit, come
from tests.visitors import browser_of, problem

HTTP = ("events", "poll")
LATER = 4100


@asynccontextmanager
async def coming(
    way: str, hub: RunningHub, person: Staff, inbox: Inbox | None = None, **parts: Any
) -> AsyncIterator[Client]:
    """This person, signed in and brought up."""
    visit = Visit(hub.url, cookie=await cookie_for(hub.house, person), **parts)
    async with come(way, visit, inbox) as client:
        await client.hear_until("snap", "fill")
        yield client


async def mark_some(hub: RunningHub, person: Staff, ids: list[uuid.UUID], as_: Any) -> None:
    async with hub.house.open_work(person.tenant_id, Actor("staff", person.id)) as work:
        await mark(work, person.id, ids, as_)


# --- the same on every way ------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_notifications_and_marks_come_in_order(hub: RunningHub, clinic: Clinic, way: str) -> None:
    async with coming(way, hub, clinic.omar) as client:
        (first,) = await tell(hub.house, clinic, clinic.omar, title="One")
        await client.hear_everything(1)
        await tell(hub.house, clinic, clinic.omar, title="Two")
        await mark_some(hub, clinic.omar, [first], "read")
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await read_all(work, clinic.omar.id, 3)
        await client.hear_everything(4)
    assert client.inbox.titles == ["One", "Two"]
    assert client.inbox.shown == [row["id"] for row in client.inbox.rows.values()]
    assert client.inbox.unread == 0
    assert all(row["read_at"] for row in client.inbox.rows.values())


@pytest.mark.parametrize("way", WAYS)
async def test_a_burst_comes_once_and_in_order(hub: RunningHub, clinic: Clinic, way: str) -> None:
    async with coming(way, hub, clinic.omar) as client:
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            for number in range(50):
                await notify(work, [clinic.omar.id], Notice(Kind.SYSTEM, Wording(f"Number {number}")))
        await client.hear_everything(50)
    assert client.inbox.titles == [f"Number {number}" for number in range(50)]
    assert len(client.inbox.shown) == len(set(client.inbox.shown)) == client.inbox.unread == 50


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", WAYS)
async def test_what_is_read_on_one_way_shows_on_the_other(
    hub: RunningHub, clinic: Clinic, way: str, other: str
) -> None:
    (note,) = await tell(hub.house, clinic, clinic.omar)
    async with coming(way, hub, clinic.omar) as here, coming(other, hub, clinic.omar) as there:
        await here.say({"t": "read", "ids": [str(note)], "nonce": "1"})
        await there.hear_everything(2)
        await here.hear_everything(2)
    assert here.inbox.unread == there.inbox.unread == 0
    assert here.inbox.rows == there.inbox.rows


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_of_another_person_or_tenant_is_heard(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, way: str
) -> None:
    async with coming(way, hub, clinic.omar) as client:
        await tell(hub.house, clinic, clinic.huda, clinic.desk)
        await tell(hub.house, other_clinic, *other_clinic.staff)
        await tell(hub.house, clinic, clinic.omar, title="Mine")
        await client.hear_everything(1)
    assert client.inbox.titles == ["Mine"]
    assert client.kinds[2:] in (["ev"], ["fill"])


@pytest.mark.parametrize("way", WAYS)
async def test_a_heartbeat_tells_where_everything_stands(hub: RunningHub, clinic: Clinic, way: str) -> None:
    await tell(hub.house, clinic, clinic.omar)
    async with coming(way, hub, clinic.omar, wait=0) as client:
        hub.house.switchboard.beat()
        beat = await client.hear_until("hb")
    assert (beat["head"], beat["unread"], beat["topics"]) == (1, 1, {})


@pytest.mark.parametrize("way", WAYS)
async def test_who_never_answers_a_heartbeat_is_kept(hub: RunningHub, clinic: Clinic, way: str) -> None:
    async with coming(way, hub, clinic.omar) as client:
        for _ in range(5):
            hub.house.switchboard.beat()
        await tell(hub.house, clinic, clinic.omar)
        await client.hear_everything(1)


@pytest.mark.parametrize("way", WAYS)
async def test_a_shared_view_tells_its_version_and_what_is_newer(hub: RunningHub, clinic: Clinic, way: str) -> None:
    await book_visit(hub.house, clinic)
    async with coming(way, hub, clinic.desk, topics=["arrivals"]) as client:
        now = await client.hear_until("state")
        await book_visit(hub.house, clinic)
        assert (await client.hear_until("state")) == now | {"ver": now["ver"] + 1}


@pytest.mark.parametrize("way", HTTP)
async def test_a_version_that_is_shown_is_not_told_again(hub: RunningHub, clinic: Clinic, way: str) -> None:
    visit = await book_visit(hub.house, clinic)
    async with coming(way, hub, clinic.desk, topics=["arrivals"]) as client:
        version = (await client.hear_until("state"))["ver"]
    async with coming(way, hub, clinic.desk, topics=[f"arrivals:{version}"]) as client:
        await tell(hub.house, clinic, clinic.desk)
        await client.hear_until("ev", "fill")
        assert "state" not in client.kinds
    assert visit.id


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("topic", ["arrivals", "nothing", "' OR 1", "漢" * 64])
async def test_a_view_that_is_not_for_them_is_refused_and_nothing_else(
    hub: RunningHub, clinic: Clinic, way: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if topic == "arrivals":
        monkeypatch.setattr("hub.app.ALLOWED", {role: frozenset() for role in Role})
    async with coming(way, hub, clinic.desk, topics=[topic]) as client:
        assert (await client.hear_until("err"))["code"] == "forbidden"
        await tell(hub.house, clinic, clinic.desk)
        await client.hear_everything(1)


# --- how it ends ----------------------------------------------------------------------------------


async def sign_out(hub: RunningHub, person: Staff) -> None:
    async with hub.house.open_work(person.tenant_id, SYSTEM) as work:
        await sessions.end_all(work, person.id)


async def sign_out_unheard(hub: RunningHub, person: Staff) -> None:
    async with hub.house.open_work(person.tenant_id, SYSTEM) as work:
        await sessions.end_all(work, person.id)
        work.pushes.clear()
    await hub.house.switchboard.look_at_access()


async def deactivate(hub: RunningHub, person: Staff) -> None:
    async with hub.house.open_work(person.tenant_id, SYSTEM) as work:
        await change_staff(work, person.id, active=False)


async def change_role(hub: RunningHub, person: Staff) -> None:
    async with hub.house.open_work(person.tenant_id, SYSTEM) as work:
        await change_staff(work, person.id, role=Role.FRONT_DESK)


ENDS = {
    "signed out": sign_out,
    "signed out where nobody heard it": sign_out_unheard,
    "deactivated": deactivate,
    "of another role": change_role,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ENDS)
async def test_it_ends_with_the_right_to_listen(hub: RunningHub, clinic: Clinic, way: str, case: str) -> None:
    async with coming(way, hub, clinic.omar) as client, coming(way, hub, clinic.huda) as bystander:
        await ENDS[case](hub, clinic.omar)
        assert await client.hear_the_end(timeout=CLOSED_WITHIN_S) in (Close.SESSION_ENDED, 4150)
        await tell(hub.house, clinic, clinic.huda)
        await bystander.hear_everything(1)
        assert client.kinds[2:] == []


@pytest.mark.parametrize("way", WAYS)
async def test_it_ends_when_the_session_idles_for_listening_is_no_use(
    hub: RunningHub, clinic: Clinic, way: str, clock: MovableClock
) -> None:
    async with coming(way, hub, clinic.omar) as client:
        clock.move(hub.house.idle - timedelta(minutes=1))
        await client.ask({"t": "read_all", "upto": 1, "nonce": "1"})
        await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
        clock.move(timedelta(minutes=2))
        await hub.house.switchboard.look_at_access()
        assert await client.hear_the_end(timeout=CLOSED_WITHIN_S) in (Close.SESSION_ENDED, 4150)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ended", ["token", "key", "time"])
async def test_it_ends_with_its_token(
    hub: RunningHub, clinic: Clinic, way: str, ended: str, clock: MovableClock
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        key, _ = await add_key(work, "Practice system", [Permission.LIVE_TOKENS])
    token, made = sign_token(hub.house.keys, clinic.id, clinic.omar.id, clock(), key=key.id)
    async with come(way, Visit(hub.url, token=token, origin=None)) as client, coming(way, hub, clinic.omar) as tab:
        await client.hear_until("snap")
        await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 2)
        if ended == "time":
            clock.move(timedelta(minutes=10))
            await hub.house.switchboard.look_at_access()
        else:
            async with hub.house.open_work(clinic.id, SYSTEM) as work:
                await (revoke_token(work, made.id) if ended == "token" else revoke_key(work, key.id))
        wanted = Close.TOKEN_EXPIRED if ended == "time" else Close.SESSION_ENDED
        assert await client.hear_the_end(timeout=CLOSED_WITHIN_S) in (wanted, 4150)
        await tell(hub.house, clinic, clinic.omar)
        await tab.hear_everything(1)


@pytest.mark.parametrize("way", WAYS)
async def test_a_token_about_to_end_is_asked_to_be_renewed_and_nothing_is_lost(
    hub: RunningHub, clinic: Clinic, way: str, clock: MovableClock
) -> None:
    def visit() -> Visit:
        return Visit(hub.url, token=sign_token(hub.house.keys, clinic.id, clinic.omar.id, clock())[0])

    async with come(way, visit()) as client:
        await client.hear_until("snap")
        await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
        clock.move(timedelta(minutes=9, seconds=10))
        await hub.house.switchboard.look_at_access()
        assert (await client.hear_until("renew"))["within_s"] == 60
        fresh = visit()
        assert (await client.ask({"t": "auth", "token": fresh.token, "nonce": "1"}))["t"] == "ok"
        await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
        clock.move(timedelta(minutes=1))
        await hub.house.switchboard.look_at_access()
        if way != "socket":
            # There the token is the request's.
            assert await client.hear_the_end() in (Close.TOKEN_EXPIRED, 4150)
        await tell(hub.house, clinic, clinic.omar, title="Meanwhile")
    async with come(way, fresh, client.inbox) as again:
        await again.hear_everything(1)
        assert again.inbox.titles == ["Meanwhile"]


@pytest.mark.parametrize("way", WAYS)
async def test_who_hangs_up_is_forgotten_at_once(hub: RunningHub, clinic: Clinic, way: str) -> None:
    board = hub.house.switchboard
    async with coming(way, hub, clinic.omar):
        await eventually(lambda: board.connections_of(clinic.omar.id) == 1)
    await eventually(lambda: board.connections_of(clinic.omar.id) == 0, within=CLOSED_WITHIN_S)


@pytest.mark.parametrize("way", WAYS)
async def test_a_hub_that_stops_says_so(settings: Settings, the_clock: MovableClock, way: str) -> None:
    async with AsyncExitStack() as clients:
        async with run_strict_hub(settings, the_clock, Limits()) as hub:
            clinic = await open_clinic(hub.house)
            client = await clients.enter_async_context(coming(way, hub, clinic.omar))
            await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 3
        assert await client.hear_the_end() in (Close.GOING_AWAY, 1012)


async def test_a_hub_that_stops_says_so_to_who_is_just_being_greeted(
    settings: Settings, the_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    greet, greeted, go_on = Door.greet, asyncio.Semaphore(0), asyncio.Event()

    async def slowly(*args: Any) -> Connection:
        connection = await greet(*args)
        greeted.release()
        await go_on.wait()
        return connection

    async with AsyncExitStack() as clients:
        async with run_strict_hub(settings, the_clock, Limits()) as hub:
            clinic = await open_clinic(hub.house)
            client = await clients.enter_async_context(coming("poll", hub, clinic.omar))
            await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
            monkeypatch.setattr(Door, "greet", slowly)
            await tell(hub.house, clinic, clinic.omar)
            await greeted.acquire()
            asyncio.get_running_loop().call_later(0.3, go_on.set)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 3
        assert await client.hear_the_end() == Close.GOING_AWAY


# --- full, draining, away -------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_a_draining_hub_lets_nobody_in_and_sends_everybody_on(
    settings: Settings, the_clock: MovableClock, way: str
) -> None:
    async with run_strict_hub(settings, the_clock, Limits()) as hub:
        clinic = await open_clinic(hub.house)
        async with coming(way, hub, clinic.omar) as client:
            await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
            draining = asyncio.create_task(hub.app.drain())
            if way == "poll":
                # It is sent on by its answer: the next request is to another hub, or to one that says so.
                assert await client.hear_the_end() == LATER
            else:
                assert (await client.hear_until("drain"))["after_ms"] >= 0
                await tell(hub.house, clinic, clinic.omar)
                await client.hear_everything(1)
            for other in WAYS:
                with pytest.raises(Refused) as refused:
                    async with coming(other, hub, clinic.huda):
                        pass
                assert refused.value.code == LATER
        await asyncio.wait_for(draining, 10)


@pytest.mark.parametrize("way", WAYS)
async def test_a_full_hub_asks_to_come_back_later(
    hub: RunningHub, clinic: Clinic, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reception, "is_full", True)
    with pytest.raises(Refused) as refused:
        async with coming(way, hub, clinic.omar):
            pass
    assert refused.value.code == LATER


@pytest.mark.parametrize("way", WAYS)
async def test_a_person_has_so_many_connections_over_all_ways(
    settings: Settings, the_clock: MovableClock, way: str
) -> None:
    async with run_strict_hub(settings, the_clock, Limits(most_connections=3)) as hub:
        clinic = await open_clinic(hub.house)
        async with AsyncExitStack() as clients:
            for each in WAYS:
                await clients.enter_async_context(coming(each, hub, clinic.omar))
            await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 3)
            with pytest.raises(Refused) as refused:
                async with coming(way, hub, clinic.omar):
                    pass
            assert refused.value.code == LATER
            async with coming(way, hub, clinic.huda):
                pass
        await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 0)
        async with coming(way, hub, clinic.omar):
            pass


# --- HTTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for path, right in (("/live/events", "GET"), ("/live/poll", "GET"), ("/live/say", "POST"))
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        if method != right
    ],
)
async def test_a_way_has_one_method(hub: RunningHub, clinic: Clinic, method: str, path: str) -> None:
    async with browser_of(hub, clinic.omar) as client:
        answer = await client.request(method, f"{path}?v=1")
        assert answer.status_code == 405
        assert answer.headers["allow"] == ("POST" if path == "/live/say" else "GET")


BAD_QUERIES = {
    "nothing": "",
    "no names": "?&=&",
    "a version twice": "v=1&v=1",
    "a cursor twice": "v=1&epoch=e&seq=1&seq=1",
    "a token, which is never shown to whoever logs addresses": "v=1&token=x",
    "a name in another script": "v=1&" + urlencode({"ش": 1}),
    "very long": "v=1&" + "topic=arrivals&" * 1000,
    "a very long word": "v=1&topic=" + "x" * 10_000,
    "17 topics": "v=1&" + "topic=arrivals&" * 17,
    "a topic without a name": "v=1&topic=",
    "a topic of nothing but a version": "v=1&topic=:1",
    "a topic of 65": "v=1&topic=" + "x" * 65,
    "a topic with a version in words": "v=1&topic=arrivals:x",
    "a topic with half a version": "v=1&topic=arrivals:1.5",
    "a topic with a version below nought": "v=1&topic=arrivals:-1",
    "a topic with no version": "v=1&topic=arrivals:",
    "a wait in words": "v=1&again=1&wait=long",
    "a wait below nought": "v=1&again=1&wait=-1",
    "half a wait": "v=1&again=1&wait=0.5",
    "no wait": "v=1&again=1&wait=",
    "a wait beyond counting": "v=1&again=1&wait=" + "9" * 40,
    "again and again": "v=1&again=2",
    "a number with a sign": "v=1&epoch=e&seq=%2B1",
    "a number with a space": "v=1&epoch=e&seq=%201",
    "a number of another script": "v=1&epoch=e&seq=%D9%A1",
    "a number with a line between": "v=1&epoch=e&seq=1_0",
}


@pytest.mark.parametrize("way", HTTP)
@pytest.mark.parametrize("case", BAD_QUERIES)
async def test_a_query_that_cannot_be_read_stops_its_client(
    hub: RunningHub, clinic: Clinic, way: str, case: str
) -> None:
    async with browser_of(hub, clinic.omar) as client:
        problem(await client.get(f"/live/{way}?{BAD_QUERIES[case]}"), 400)


async def test_what_is_said_from_another_page_is_not_heard(hub: RunningHub, clinic: Clinic) -> None:
    for headers in ({"origin": "https://practice.example"}, {"origin": "null"}):
        async with browser_of(hub, clinic.omar, **headers) as client:
            problem(await client.post("/live/say", json=[{"t": "pong", "n": 1}]), 403)
    async with browser_of(hub, None) as client:
        problem(await client.post("/live/say", json=[{"t": "pong", "n": 1}]), 401)


async def test_an_event_stream_is_made_to_pass_through_proxies(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as client, client.stream("GET", "/live/events?v=1") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert "content-length" not in answer.headers
        lines = answer.aiter_lines()
        padding = await anext(lines)
        assert padding.startswith(":")
        assert len(padding) > 2000
        assert await anext(lines) == ""
        assert json.loads((await anext(lines)).removeprefix("data: "))["t"] == "welcome"


async def test_a_poll_waits_for_news_and_no_longer(hub: RunningHub, clinic: Clinic) -> None:
    loop = asyncio.get_running_loop()
    async with browser_of(hub, clinic.omar) as client:

        async def ask(**more: Any) -> tuple[list[str], float]:
            began = loop.time()
            answer = await client.get("/live/poll", params={"v": 1} | more)
            assert answer.headers["content-type"] == "application/json"
            return [frame["t"] for frame in answer.json()], loop.time() - began

        first = (await client.get("/live/poll?v=1")).json()
        assert [frame["t"] for frame in first] == ["welcome", "snap"]
        at = {"epoch": first[0]["epoch"], "seq": 0, "again": 1}
        kinds, took = await ask(**at, wait=1)
        assert kinds == ["hb"]
        assert 0.9 < took < 2
        assert (await ask(**at, wait=0))[0] == ["hb"]
        waiting = asyncio.create_task(ask(**at, wait=999_999))
        await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
        hub.house.switchboard.beat()
        await asyncio.sleep(0.2)
        assert not waiting.done(), "a heartbeat is no news"
        await tell(hub.house, clinic, clinic.omar)
        kinds, took = await waiting
        assert kinds == ["ev"]
        assert took < 3
        assert (await ask(**at, wait=25))[0] == ["fill"]
        assert (await ask(**at | {"epoch": "another"}, wait=25))[0] == ["welcome", "snap"]
        assert (await ask(**at | {"seq": 5}, wait=25))[0] == ["welcome", "snap"]
        assert (await ask(again=1, wait=25))[0] == ["welcome", "snap"]
        assert (await ask(**at | {"seq": 1}, topic="nothing", wait=0))[0] == ["hb"], "refused once is enough"


async def test_a_get_may_have_a_body_that_nobody_reads(hub: RunningHub, clinic: Clinic) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    async with browser_of(hub, clinic.omar) as client:
        assert (await client.request("GET", "/live/poll?v=1", content=parts())).status_code == 200


async def test_an_address_that_is_no_way_is_a_problem(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as client:
        for path in ("/live/", "/live/nothing", "/live/poll/1"):
            answer = await client.get(path)
            assert answer.status_code == 404, path


# --- slow readers ---------------------------------------------------------------------------------

LARGE = 16 * 1024
MANY = (4 * SEND_BUFFER + MOST_BYTES) // LARGE + 60


async def tell_much(hub: RunningHub, clinic: Clinic) -> None:
    for index in range(MANY):
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await notify(work, [clinic.omar.id], Notice(Kind.SYSTEM, Wording(f"Number {index}", "x" * LARGE)))


@asynccontextmanager
async def deaf_stream(hub: RunningHub, person: Staff) -> AsyncIterator[socket.socket]:
    """An event stream of which nothing is read, by a machine that keeps little."""
    cookie = await cookie_for(hub.house, person)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = hub.url.removeprefix("http://").partition(":")
    deaf.connect((host, int(port)))
    deaf.setblocking(False)
    request = f"GET /live/events?v=1 HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nOrigin: {hub.url}\r\n\r\n"
    await asyncio.get_running_loop().sock_sendall(deaf, request.encode())
    await eventually(lambda: hub.house.switchboard.connections_of(person.id) == 1)
    try:
        yield deaf
    finally:
        deaf.close()


async def read_stream(deaf: socket.socket, inbox: Inbox, upto: int) -> list[str]:
    """Read what was not read, and what comes; returns the kinds of frames."""
    loop = asyncio.get_running_loop()
    raw, rest, kinds = b"", b"", []
    async with asyncio.timeout(20):
        while b"\r\n\r\n" not in raw:
            raw += await loop.sock_recv(deaf, 65536)
        _, _, raw = raw.partition(b"\r\n\r\n")
        while inbox.cursor is None or inbox.cursor < upto:
            raw += await loop.sock_recv(deaf, 65536)
            part, raw = unwrap(raw)
            *whole, rest = (rest + part).split(b"\n\n")
            for message in whole:
                if b"data: " in message:
                    frame = json.loads(message.partition(b"data: ")[2])
                    kinds.append(frame["t"])
                    inbox.apply(frame)
    return kinds


def unwrap(raw: bytes) -> tuple[bytes, bytes]:
    """What the chunks that are whole hold, and the rest."""
    found = b""
    while b"\r\n" in raw:
        size, _, rest = raw.partition(b"\r\n")
        length = int(size, 16)
        if len(rest) < length + 2:
            break
        found, raw = found + rest[:length], rest[length + 2 :]
    return found, raw


async def test_a_stream_that_is_read_slowly_resyncs_by_itself(hub: RunningHub, clinic: Clinic) -> None:
    async with deaf_stream(hub, clinic.omar) as deaf, coming("socket", hub, clinic.omar) as quick:
        await asyncio.gather(tell_much(hub, clinic), quick.hear_everything(MANY, timeout=30))
        inbox = Inbox()
        kinds = await read_stream(deaf, inbox, MANY)
    assert "resync" in kinds
    assert kinds.count("ev") < MANY
    assert (inbox.rows, inbox.unread) == (quick.inbox.rows, MANY)
    assert "resync" not in quick.kinds


async def test_a_stream_that_is_never_read_is_cut_off(settings: Settings, the_clock: MovableClock) -> None:
    async with run_strict_hub(settings, the_clock, Limits(send_within_s=0.5)) as hub:
        clinic = await open_clinic(hub.house)
        async with deaf_stream(hub, clinic.omar), coming("socket", hub, clinic.omar) as quick:
            await asyncio.gather(tell_much(hub, clinic), quick.hear_everything(MANY, timeout=30))
            await eventually(lambda: hub.house.switchboard.connections_of(clinic.omar.id) == 1)
            await tell(hub.house, clinic, clinic.omar)
            await quick.hear_everything(MANY + 1)


async def test_what_is_critical_overtakes_what_waits_on_a_stream(hub: RunningHub, clinic: Clinic) -> None:
    async with deaf_stream(hub, clinic.omar) as deaf:
        for number in range(40):
            async with hub.house.open_work(clinic.id, SYSTEM) as work:
                await notify(work, [clinic.omar.id], Notice(Kind.SYSTEM, Wording(f"Number {number}", "x" * LARGE)))
        await tell(hub.house, clinic, clinic.omar, title="Now", priority=Priority.CRITICAL)
        inbox = Inbox()
        kinds = await read_stream(deaf, inbox, 41)
    assert kinds.index("ahead") < len(kinds) - 1
    assert inbox.unread == 41


# --- from one way to another ----------------------------------------------------------------------


async def test_a_client_that_is_sent_from_way_to_way_loses_nothing(hub: RunningHub, clinic: Clinic) -> None:
    dice = random.Random(7)
    written = asyncio.Event()
    ids: list[uuid.UUID] = []
    inbox = Inbox()

    async def write() -> None:
        for number in range(300):
            # A stranger is shown the newest fifty, and whoever is 200 behind is told to begin anew: other stories.
            await eventually(lambda: len(ids) - len(inbox.shown) < (100 if inbox.shown else 1), within=20)
            ids.extend(await tell(hub.house, clinic, clinic.omar, title=f"Number {number}"))
            if number % 10 == 9:
                some = dice.sample(ids, 3)
                await mark_some(hub, clinic.omar, some, dice.choice(["read", "unread", "archive"]))
            if number % 75 == 74:
                async with hub.house.open_work(clinic.id, SYSTEM) as work:
                    await read_all(work, clinic.omar.id, dice.randrange(number))
        written.set()

    async def listen() -> None:
        turns = 0
        cookie = await cookie_for(hub.house, clinic.omar)
        while not written.is_set() or turns < 30:
            way = WAYS[turns % len(WAYS)]
            turns += 1
            async with come(way, Visit(hub.url, cookie=cookie), inbox) as client:
                for _ in range(dice.randrange(2, 8)):
                    try:
                        await client.hear(0.3)
                    except TimeoutError:
                        break

    await asyncio.gather(write(), listen())
    async with coming("socket", hub, clinic.omar, inbox) as client, coming("poll", hub, clinic.omar) as fresh:
        await client.hear_everything(fresh.inbox.cursor or 0)
    assert client.inbox.resets == 1
    assert client.inbox.shown == [str(each) for each in ids]
    assert client.inbox.titles == [f"Number {number}" for number in range(300)]
    assert client.inbox.unread == fresh.inbox.unread
    assert client.inbox.unread == sum(row["read_at"] is None for row in client.inbox.rows.values())
