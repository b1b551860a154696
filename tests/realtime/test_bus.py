"""Pushes on their way through Valkey: heard by the other processes, readable by nobody else, and never relied on."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from hub.clock import system_clock
from hub.crypto import Keys
from hub.realtime.bus import Bus
from hub.realtime.line import Line, Take, open_line
from hub.realtime.packets import pack
from hub.realtime.pushes import InboxMoved, Push, TopicChanged, changed, rang
from hub.realtime.switchboard import Switchboard
from tests.conftest import HUB_KEYS
from tests.realtime.books import Books, connect, of
from tests.realtime.conftest import eventually
from tests.servers import own_valkey

KEYS = Keys.parse(HUB_KEYS)
OTHER_KEYS = Keys.parse("k1:" + base64.b64encode(bytes(32)).decode())
PERSON = uuid.uuid4()
TITLE = "Sara Doe has arrived"


class Ear:
    """What one process heard."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.pushes: asyncio.Queue[Push] = asyncio.Queue()
        self.doubts = 0

    def hear(self, pushes: list[Push]) -> None:
        for push in pushes:
            self.pushes.put_nowait(push)

    def maybe_missed(self) -> None:
        self.doubts += 1

    async def next(self) -> Push:
        async with asyncio.timeout(15):
            return await self.pushes.get()

    async def doubt(self, within: float = 5) -> None:
        """Wait until it is told once more that it may have missed something."""
        before = self.doubts
        await eventually(lambda: self.doubts > before, within)


@asynccontextmanager
async def open_bus(url: str, **intervals: float) -> AsyncIterator[Bus]:
    bus = Bus(url, KEYS, **intervals)
    yield bus
    await bus.close()


@asynccontextmanager
async def listening(url: str, *tenants: uuid.UUID, **intervals: float) -> AsyncIterator[Ear]:
    """A process that hears the channels of these tenants."""
    async with open_bus(url, **intervals) as bus:
        ear = Ear(bus)
        for tenant in tenants:
            bus.interest(tenant, True)
        task = asyncio.create_task(bus.listen(ear.hear, ear.maybe_missed))
        await eventually(lambda: ear.doubts > len(tenants))
        yield ear
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def channel_of(url: str, tenant: uuid.UUID) -> bytes:
    return Bus(url, KEYS).channel_of(tenant)


def arrival(tenant: uuid.UUID, seq: int = 1) -> InboxMoved:
    return changed(tenant, PERSON, seq, 1, [{"id": "a", "title": TITLE, "facts": {"patient": "سارة"}}])


@pytest.fixture
def tenant() -> uuid.UUID:
    return uuid.uuid4()


async def test_a_push_is_heard_by_the_other_processes_and_not_by_its_own(redis_url: str, tenant: uuid.UUID) -> None:
    async with listening(redis_url, tenant) as first, listening(redis_url, tenant) as second:
        await first.bus.publish([arrival(tenant), TopicChanged(tenant, "arrivals", 2)])
        assert [await second.next(), await second.next()] == [arrival(tenant), TopicChanged(tenant, "arrivals", 2)]
        await second.bus.publish([arrival(tenant, 2)])
        assert await first.next() == arrival(tenant, 2)
        assert first.pushes.empty()


async def test_hubs_with_logical_databases_of_their_own_do_not_hear_each_other(
    redis_url: str, tenant: uuid.UUID
) -> None:
    # A copy of the hub, restored for a trial, has the same keys, tenants, people and numbers.
    the_copys = urlsplit(redis_url)._replace(path="/0").geturl()
    async with listening(redis_url, tenant) as ear, listening(the_copys, tenant) as copy:
        await copy.bus.publish([arrival(tenant, 7)])
        async with open_bus(the_copys) as another, open_bus(redis_url) as neighbour:
            await another.publish([arrival(tenant, 8)])
            assert [await copy.next()] == [arrival(tenant, 8)]
            await neighbour.publish([arrival(tenant, 1)])
        assert await ear.next() == arrival(tenant, 1)
        assert ear.pushes.empty()
        assert copy.pushes.empty()


async def test_two_switchboards_are_joined_by_their_buses(redis_url: str) -> None:
    books = Books()
    async with open_bus(redis_url) as one, open_bus(redis_url) as other:
        board = Switchboard(books.ledger(), system_clock, other.interest)
        tab = await connect(board, of(PERSON))
        task = asyncio.create_task(other.listen(board.deliver, board.look_soon))
        tenant = tab.opened.listener.tenant
        async with Redis.from_url(redis_url) as client:
            await _until_subscribed(client, channel_of(redis_url, tenant))
        ring = rang(tenant, [(PERSON, 2, 2, PERSON)], {"title": TITLE}, urgent=False, at=0.0)
        await one.publish([arrival(tenant), ring])
        await eventually(lambda: len(tab.out) == 2)
        assert [frame["items"][0]["title"] for frame in tab.take()] == [TITLE, TITLE]
        task.cancel()
        await asyncio.wait([task])


async def test_only_channels_with_somebody_here_are_listened_to(redis_url: str, tenant: uuid.UUID) -> None:
    async with Redis.from_url(redis_url) as client, listening(redis_url) as ear:
        channel = ear.bus.channel_of(tenant)
        assert dict(await client.pubsub_numsub(channel))[channel] == 0
        ear.bus.interest(tenant, True)
        await ear.doubt()
        assert dict(await client.pubsub_numsub(channel))[channel] == 1
        ear.bus.interest(tenant, False)
        ear.bus.interest(tenant, True)
        ear.bus.interest(tenant, False)
        await _until_subscribed(client, channel, 0)


async def test_whoever_listens_in_reads_nothing(tenant: uuid.UUID) -> None:
    with own_valkey() as valkey:
        async with (
            Redis.from_url(valkey.url()) as spy,
            spy.monitor() as monitor,
            listening(valkey.url(), tenant) as ear,
            open_bus(valkey.url()) as bus,
        ):
            await bus.publish([arrival(tenant)])
            assert await ear.next() == arrival(tenant)
            commands: list[str] = []
            async with asyncio.timeout(15):
                while not (commands and "PUBLISH hub:0:t:" in commands[-1]):
                    commands.append((await monitor.next_command())["command"])
        seen = " ".join(commands)
        for word in ("Sara", "Doe", "title", "patient", PERSON.hex, str(PERSON)):
            assert word not in seen


@pytest.mark.parametrize("noise", ["garbage", "nothing", "other keys", "of another channel", "no push"])
async def test_noise_on_a_channel_is_harmless_and_raises_a_doubt(redis_url: str, tenant: uuid.UUID, noise: str) -> None:
    channel, other = channel_of(redis_url, tenant), channel_of(redis_url, uuid.uuid4())
    sealed = pack([arrival(tenant)])
    message = {
        "garbage": os.urandom(100),
        "nothing": b"",
        "other keys": b"o" * 8 + OTHER_KEYS.seal(sealed, channel),
        "of another channel": b"o" * 8 + KEYS.seal(sealed, other),
        "no push": b"o" * 8 + KEYS.seal(b"[7]", channel),
    }[noise]
    async with Redis.from_url(redis_url) as stranger, listening(redis_url, tenant) as ear, open_bus(redis_url) as bus:
        before = ear.doubts
        await stranger.publish(channel, message)
        await bus.publish([arrival(tenant)])
        assert await ear.next() == arrival(tenant)
        assert ear.doubts == before + 1
        assert ear.pushes.empty()


async def test_a_push_is_of_the_tenant_on_whose_channel_it_came(redis_url: str, tenant: uuid.UUID) -> None:
    victim = uuid.uuid4()
    channel = channel_of(redis_url, tenant)
    foreign = pack([arrival(victim), TopicChanged(victim, "arrivals", 9)])
    async with Redis.from_url(redis_url) as client, listening(redis_url, tenant, victim) as ear:
        await client.publish(channel, b"o" * 8 + KEYS.seal(foreign, channel))
        assert [await ear.next(), await ear.next()] == [arrival(tenant), TopicChanged(tenant, "arrivals", 9)]
        assert ear.pushes.empty()


async def test_a_tenant_who_comes_while_the_bus_connects_is_listened_to(
    redis_url: str, tenant: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, began = asyncio.Event(), asyncio.Event()

    async def slowly(url: str, take: Take = lambda _reply: None) -> Line:
        began.set()
        await goes_on.wait()
        return await open_line(url, take)

    monkeypatch.setattr("hub.realtime.bus.open_line", slowly)
    async with open_bus(redis_url) as bus, open_bus(redis_url) as other:
        ear = Ear(bus)
        task = asyncio.create_task(bus.listen(ear.hear, ear.maybe_missed))
        await began.wait()
        bus.interest(tenant, True)
        goes_on.set()
        await eventually(lambda: ear.doubts == 2)
        await other.publish([arrival(tenant)])
        assert await ear.next() == arrival(tenant)
        task.cancel()
        await asyncio.wait([task])


async def test_an_interest_in_the_moment_the_connection_ends_is_no_fault(redis_url: str, tenant: uuid.UUID) -> None:
    async with listening(redis_url) as ear, open_bus(redis_url) as bus:
        subscription = ear.bus._subscription
        assert subscription is not None
        subscription._transport.abort()  # type: ignore[union-attr]  # it is connected
        for turn in range(4):
            ear.bus.interest(uuid.UUID(int=turn), True)
            await asyncio.sleep(0)
        ear.bus.interest(tenant, True)
        async with Redis.from_url(redis_url) as client:
            await _until_subscribed(client, channel_of(redis_url, tenant))
        await bus.publish([arrival(tenant)])
        assert await ear.next() == arrival(tenant)


async def test_a_fault_in_whoever_hears_does_not_end_the_hearing(
    redis_url: str, tenant: uuid.UUID, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(redis_url, tenant) as ear, open_bus(redis_url) as bus:
        faults = [RuntimeError("a fault")]
        put = ear.pushes.put_nowait

        def fail_once(push: Push) -> None:
            if faults:
                raise faults.pop()
            put(push)

        ear.pushes.put_nowait = fail_once  # type: ignore[method-assign,assignment]
        before = ear.doubts
        await bus.publish([arrival(tenant)])
        await eventually(lambda: ear.doubts >= before + 1)
        await eventually(lambda: ear.bus.is_listening)
        await bus.publish([arrival(tenant, 2)])
        async with asyncio.timeout(15):
            while (push := await ear.next()) != arrival(tenant, 2):
                pass
        assert push == arrival(tenant, 2)
        caplog.clear()


async def test_its_own_echo_tells_how_late_redis_is(redis_url: str) -> None:
    async with listening(redis_url, echo_every=0.05) as ear:
        await eventually(lambda: ear.bus.echo_lag > 0)
        assert ear.bus.echo_lag < 1


async def test_after_valkey_was_killed_it_is_listened_to_again_with_a_doubt(tenant: uuid.UUID) -> None:
    with own_valkey() as valkey:
        async with listening(valkey.url(), tenant) as ear, open_bus(valkey.url()) as bus:
            await bus.publish([arrival(tenant)])
            assert await ear.next() == arrival(tenant)
            before = ear.doubts
            valkey.kill()
            await eventually(lambda: ear.doubts > before)
            valkey.start()
            async with Redis.from_url(valkey.url()) as client:
                await _until_subscribed(client, channel_of(valkey.url(), tenant))
            await eventually(lambda: ear.doubts >= before + 3)
            await bus.publish([arrival(tenant, 2)])
            assert await ear.next() == arrival(tenant, 2)


async def test_a_connection_that_looks_open_and_is_dead_is_noticed(tenant: uuid.UUID) -> None:
    with own_valkey() as valkey:
        async with (
            listening(valkey.url(), tenant, echo_every=0.1, silence=0.5) as ear,
            open_bus(valkey.url()) as bus,
        ):
            await asyncio.sleep(0.7)  # longer than the silence it bears: its own echoes are heard
            quiet = ear.doubts
            os.kill(valkey.pid, signal.SIGSTOP)
            try:
                await ear.doubt(within=2)
            finally:
                os.kill(valkey.pid, signal.SIGCONT)
            assert quiet == 2
            async with Redis.from_url(valkey.url()) as client:
                await _until_subscribed(client, channel_of(valkey.url(), tenant))
            await bus.publish([arrival(tenant)])
            assert await ear.next() == arrival(tenant)


async def test_a_valkey_that_is_gone_or_frozen_holds_nobody_up(tenant: uuid.UUID) -> None:
    with own_valkey() as valkey:
        async with open_bus(valkey.url()) as bus:
            await bus.publish([arrival(tenant)])
            os.kill(valkey.pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                for _ in range(20):
                    await bus.publish([arrival(tenant)])
            finally:
                os.kill(valkey.pid, signal.SIGCONT)
            assert time.monotonic() - began < 5
            valkey.kill()
            for _ in range(20):
                await bus.publish([arrival(tenant)])
            assert time.monotonic() - began < 10


async def test_a_wrong_password_is_no_traceback_and_no_end(tenant: uuid.UUID) -> None:
    with own_valkey() as valkey:
        url = valkey.url().replace("redis://:", "redis://:wrong", 1)
        async with open_bus(url) as bus:
            ear = Ear(bus)
            task = asyncio.create_task(bus.listen(ear.hear, ear.maybe_missed))
            await eventually(lambda: ear.doubts > 1)
            await bus.publish([arrival(tenant)])
            assert not task.done()
            task.cancel()
            await asyncio.wait([task])


async def _until_subscribed(client: Redis, channel: bytes, count: int = 1) -> None:
    async with asyncio.timeout(10):
        while dict(await client.pubsub_numsub(channel))[channel] != count:
            await asyncio.sleep(0.01)


class CountingLine(Line):
    """A line that counts how often it reads."""

    reads = 0

    def data_received(self, data: bytes) -> None:
        self.reads += 1
        super().data_received(data)


async def test_what_comes_thick_is_read_in_few_turns_and_all_of_it_in_order() -> None:
    many, taken, lines = 300, list[list[int]](), list[CountingLine]()

    async def publish(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(many):
            writer.write(b"*1\r\n:%d\r\n" % number)
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.close()

    def line() -> CountingLine:
        lines.append(CountingLine(taken.append))
        return lines[-1]

    async with await asyncio.start_server(publish, "127.0.0.1", 0) as server:
        await asyncio.get_running_loop().create_connection(line, *server.sockets[0].getsockname())
        with pytest.raises(EOFError):
            await lines[0].lost
    assert taken == [[number] for number in range(many)]
    assert lines[0].reads < many / 2


async def test_a_line_is_given_up_after_the_whole_silence_and_no_sooner() -> None:
    line = Line()
    waiting = asyncio.create_task(line.last(0.6))
    for _ in range(4):
        await asyncio.sleep(0.4)
        assert not waiting.done()
        line.data_received(b"+OK\r\n")
    heard_at = time.monotonic()
    with pytest.raises(TimeoutError):
        await waiting
    assert time.monotonic() - heard_at >= 0.6
    line.close()
