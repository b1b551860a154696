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
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from hub.clock import system_clock
from hub.crypto import Keys
from hub.realtime.bus import Bus, channel_of, decode_pushes, encode_pushes
from hub.realtime.pushes import AccessEnded, InboxMoved, Push, TopicChanged
from hub.realtime.switchboard import Switchboard
from tests.conftest import HUB_KEYS
from tests.realtime.conftest import eventually
from tests.realtime.test_switchboard import Books, connect, heard, listener
from tests.servers import own_valkey

KEYS = Keys.parse(HUB_KEYS)
OTHER_KEYS = Keys.parse("k1:" + base64.b64encode(bytes(32)).decode())
PERSON, SESSION = uuid.uuid4(), uuid.uuid4()
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
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
        async with asyncio.timeout(5):
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


def arrival(tenant: uuid.UUID, seq: int = 1) -> InboxMoved:
    return InboxMoved(tenant, PERSON, seq, 1, items=[{"id": "a", "title": TITLE, "facts": {"patient": "سارة"}}])


@pytest.fixture
def tenant() -> uuid.UUID:
    return uuid.uuid4()


def test_pushes_come_out_as_they_went_in(tenant: uuid.UUID) -> None:
    pushes: list[Push] = [
        arrival(tenant),
        InboxMoved(tenant, PERSON, 2, 0, read_upto=1, at=NOW),
        TopicChanged(tenant, "arrivals", 7),
        AccessEnded(tenant, PERSON, SESSION),
        AccessEnded(tenant, PERSON, None),
    ]
    assert decode_pushes(encode_pushes(pushes)) == pushes


@pytest.mark.parametrize(
    "data", [b"", b"x", b"7", b"[7]", b'["inbox"]', b'[["inbox",7]]', b'[["other",{}]]', b'[["topic",{"version":1}]]']
)
def test_anything_else_is_no_push(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        decode_pushes(data)


async def test_a_push_is_heard_by_the_other_processes_and_not_by_its_own(redis_url: str, tenant: uuid.UUID) -> None:
    async with listening(redis_url, tenant) as first, listening(redis_url, tenant) as second:
        await first.bus.publish([arrival(tenant), TopicChanged(tenant, "arrivals", 2)])
        assert [await second.next(), await second.next()] == [arrival(tenant), TopicChanged(tenant, "arrivals", 2)]
        await second.bus.publish([arrival(tenant, 2)])
        assert await first.next() == arrival(tenant, 2)
        assert first.pushes.empty()


async def test_two_switchboards_are_joined_by_their_buses(redis_url: str) -> None:
    books = Books()
    async with open_bus(redis_url) as one, open_bus(redis_url) as other:
        board = Switchboard(books.ledger(), system_clock, other.interest)
        opened = await connect(board, listener(PERSON))
        task = asyncio.create_task(other.listen(board.deliver, board.look_soon))
        tenant = opened.listener.tenant
        async with Redis.from_url(redis_url) as client:
            await _until_subscribed(client, tenant)
        await one.publish([arrival(tenant)])
        (event,) = await heard(opened)
        assert event["items"][0]["title"] == TITLE
        task.cancel()
        await asyncio.wait([task])


async def test_only_channels_with_somebody_here_are_listened_to(redis_url: str, tenant: uuid.UUID) -> None:
    channel = channel_of(tenant)
    async with Redis.from_url(redis_url) as client, listening(redis_url) as ear:
        assert dict(await client.pubsub_numsub(channel))[channel] == 0
        ear.bus.interest(tenant, True)
        await ear.doubt()
        assert dict(await client.pubsub_numsub(channel))[channel] == 1
        ear.bus.interest(tenant, False)
        ear.bus.interest(tenant, True)
        ear.bus.interest(tenant, False)
        await _until_subscribed(client, tenant, 0)


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
            async with asyncio.timeout(5):
                while not (commands and "PUBLISH hub:t:" in commands[-1]):
                    commands.append((await monitor.next_command())["command"])
        seen = " ".join(commands)
        for word in ("Sara", "Doe", "title", "patient", PERSON.hex, str(PERSON)):
            assert word not in seen


@pytest.mark.parametrize("noise", ["garbage", "nothing", "other keys", "of another channel", "no push"])
async def test_noise_on_a_channel_is_harmless_and_raises_a_doubt(redis_url: str, tenant: uuid.UUID, noise: str) -> None:
    channel, other = channel_of(tenant), channel_of(uuid.uuid4())
    sealed = encode_pushes([arrival(tenant)])
    message = {
        "garbage": os.urandom(100),
        "nothing": b"",
        "other keys": b"o" * 8 + OTHER_KEYS.seal(sealed, channel),
        "of another channel": b"o" * 8 + KEYS.seal(sealed, other),
        "no push": b"o" * 8 + KEYS.seal(b'[["inbox",[]]]', channel),
    }[noise]
    async with Redis.from_url(redis_url) as stranger, listening(redis_url, tenant) as ear, open_bus(redis_url) as bus:
        before = ear.doubts
        await stranger.publish(channel, message)
        await bus.publish([arrival(tenant)])
        assert await ear.next() == arrival(tenant)
        assert ear.doubts == before + 1
        assert ear.pushes.empty()


async def test_a_push_for_a_tenant_whose_channel_it_is_not_on_is_ignored(redis_url: str, tenant: uuid.UUID) -> None:
    victim = uuid.uuid4()
    channel = channel_of(tenant)
    mixed = encode_pushes([AccessEnded(victim, PERSON, None), arrival(tenant), TopicChanged(victim, "arrivals", 9)])
    async with Redis.from_url(redis_url) as client, listening(redis_url, tenant, victim) as ear:
        await client.publish(channel, b"o" * 8 + KEYS.seal(mixed, channel))
        assert await ear.next() == arrival(tenant)
        assert ear.pushes.empty()


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
                await _until_subscribed(client, tenant)
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
                await _until_subscribed(client, tenant)
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
            assert time.monotonic() - began < 2
            valkey.kill()
            for _ in range(20):
                await bus.publish([arrival(tenant)])
            assert time.monotonic() - began < 3


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


async def _until_subscribed(client: Redis, tenant: uuid.UUID, count: int = 1) -> None:
    channel = channel_of(tenant)
    async with asyncio.timeout(10):
        while dict(await client.pubsub_numsub(channel))[channel] != count:
            await asyncio.sleep(0.01)
