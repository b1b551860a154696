"""Redis between processes: a wake-up that carries sealed pushes. It may lose anything; then Postgres is asked.

One connection listens, owned by one task, with one channel per tenant that has somebody connected here. A reconnect,
or a channel confirmed, means that something may have been missed. An echo published on the other connection, and not
heard, finds a connection that looks open and is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from hub.crypto import CannotOpen, Keys
from hub.logs import get_logger
from hub.realtime.meters import METERS
from hub.realtime.packets import Unreadable, pack, unpack
from hub.realtime.pushes import Push

log = get_logger(__name__)

ECHO_EVERY_S = 5.0
SILENCE_S = 15.0
CONNECT_TIMEOUT_S = 3.0
ANSWER_WITHIN_S = 1.0
# After a failure nobody waits for Redis again for so long; those who were to hear look at Postgres as often.
SPARE_FOR_S = 2.0
SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
ORIGIN_BYTES = 8

Hear = Callable[[list[Push]], None]


class Bus:
    """Publishes this process's pushes, and hears those of others."""

    def __init__(self, url: str, keys: Keys, echo_every: float = ECHO_EVERY_S, silence: float = SILENCE_S) -> None:
        self._url = url
        self._keys = keys
        self._echo_every = echo_every
        self._silence = silence
        self._origin = os.urandom(ORIGIN_BYTES)
        self._echo = b"hub:echo:" + self._origin.hex().encode()
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=ANSWER_WITHIN_S, socket_connect_timeout=ANSWER_WITHIN_S, socket_keepalive=True
        )
        self._tenants: dict[bytes, uuid.UUID] = {}
        self._subscription: Subscription | None = None
        self._echoed_at = 0.0
        self._spared_until = 0.0
        self.echo_lag = 0.0

    async def publish(self, pushes: list[Push]) -> None:
        """Tell the other processes; a failure is only logged, for each finds what it missed in Postgres."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._spared_until:
            METERS.unpublished += len(pushes)
            return
        by_tenant: dict[uuid.UUID, list[Push]] = defaultdict(list)
        for push in pushes:
            by_tenant[push.tenant].append(push)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for tenant, theirs in by_tenant.items():
                    channel = channel_of(tenant)
                    pipe.publish(channel, self._origin + self._keys.seal(pack(theirs), channel))
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._spared_until = loop.time() + SPARE_FOR_S
            METERS.unpublished += len(pushes)
            log.warning("bus: not published", error=type(error).__name__, pushes=len(pushes))

    def interest(self, tenant: uuid.UUID, on: bool) -> None:
        """Begin or end listening to a tenant's channel."""
        channel = channel_of(tenant)
        if on:
            self._tenants[channel] = tenant
        else:
            self._tenants.pop(channel, None)
        if self._subscription is not None:
            self._subscription.say(b"SUBSCRIBE" if on else b"UNSUBSCRIBE", channel)

    async def listen(self, hear: Hear, maybe_missed: Callable[[], None]) -> None:
        """Hear other processes until cancelled, connecting again whenever the connection is lost or dead."""
        loop = asyncio.get_running_loop()
        pause = SHORTEST_PAUSE_S
        while True:
            began = loop.time()
            try:
                await self._connected(hear, maybe_missed)
            except (OSError, TimeoutError, EOFError) as error:
                log.warning("bus: connection lost", error=type(error).__name__)
            maybe_missed()
            pause = SHORTEST_PAUSE_S if loop.time() - began > self._silence else min(pause * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _connected(self, hear: Hear, maybe_missed: Callable[[], None]) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            subscription = await subscribe(self._url, lambda reply: self._take(reply, hear, maybe_missed))
        # Only now: while it connected, more may have come that we listen for.
        subscription.say(b"SUBSCRIBE", self._echo, *self._tenants)
        self._subscription = subscription
        echo = asyncio.create_task(self._publish_echoes())
        try:
            await subscription.last(self._silence)
        finally:
            self._subscription = None
            echo.cancel()
            subscription.close()

    def _take(self, reply: Any, hear: Hear, maybe_missed: Callable[[], None]) -> None:
        if reply[0] == b"subscribe":
            maybe_missed()
        if reply[0] != b"message":
            return
        _, channel, message = reply
        if channel == self._echo:
            self.echo_lag = asyncio.get_running_loop().time() - self._echoed_at
        elif channel in self._tenants and not message.startswith(self._origin):
            try:
                pushes = unpack(self._keys.open(message[ORIGIN_BYTES:], channel), self._tenants[channel])
            except (CannotOpen, Unreadable):
                METERS.unreadable += 1
                log.warning("bus: unreadable message")
                maybe_missed()
                return
            hear(pushes)

    async def _publish_echoes(self) -> None:
        while True:
            self._echoed_at = asyncio.get_running_loop().time()
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._redis.publish(self._echo, b"")
            await asyncio.sleep(self._echo_every)

    @property
    def is_listening(self) -> bool:
        """Whether what other processes publish is heard here, as far as can be told."""
        return self._subscription is not None

    async def ping(self) -> None:
        """Raise what the driver raises when Redis does not answer."""
        await self._redis.ping()

    async def close(self) -> None:
        """Give the publishing connections back."""
        await self._redis.aclose()


class Subscription(asyncio.Protocol):
    """A bare connection to Redis that hears channels: replies are taken as their bytes come, by no task."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self._take = take
        self._replies = hiredis.Reader()
        self._transport: asyncio.WriteTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._heard_at = self._loop.time()
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not False:
                if isinstance(reply, hiredis.ReplyError):
                    raise ConnectionRefusedError("Redis refused; see the password in REDIS_URL")
                if isinstance(reply, list):
                    self._take(reply)
        except (hiredis.HiredisError, ConnectionRefusedError) as error:
            self._end(EOFError(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._end(EOFError("closed by Redis"))

    def say(self, *words: str | bytes) -> None:
        """Send a command."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub takes one word only

    async def last(self, silence: float) -> None:
        """Wait until the connection is lost, or nothing came over it for `silence` seconds; raises either way."""
        while True:
            left = self._heard_at + silence - self._loop.time()
            if left <= 0:
                raise TimeoutError("nothing was heard")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await asyncio.shield(self._lost)

    def close(self) -> None:
        """Hang up."""
        self._lost.cancel()
        if self._transport is not None:
            self._transport.close()

    def _end(self, error: Exception) -> None:
        if not self._lost.done():
            self._lost.set_exception(error)


async def subscribe(url: str, take: Callable[[Any], None]) -> Subscription:
    """A connection to the Redis at `url`, signed in, that hears no channel yet."""
    parts: dict[str, Any] = dict(parse_url(url))
    loop = asyncio.get_running_loop()
    if "path" in parts:
        _, subscription = await loop.create_unix_connection(lambda: Subscription(take), parts["path"])
    else:
        tls = ssl.create_default_context() if url.startswith("rediss://") else None
        host, port = parts.get("host", "localhost"), parts.get("port", 6379)
        _, subscription = await loop.create_connection(lambda: Subscription(take), host, port, ssl=tls)
    if password := parts.get("password"):
        user = (parts["username"],) if parts.get("username") else ()
        subscription.say("AUTH", *user, password)
    return subscription


def channel_of(tenant: uuid.UUID) -> bytes:
    """The channel of a tenant's pushes."""
    return b"hub:t:" + tenant.hex.encode()
