"""Redis between processes: a wake-up that carries sealed pushes. It may lose anything; then Postgres is asked.

One connection listens, owned by one task, with one channel per tenant that has somebody connected here. A reconnect,
or a channel confirmed, means that something may have been missed. An echo published on the other connection, and not
heard, finds a connection that looks open and is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from redis.asyncio.connection import parse_url

from hub.crypto import CannotOpen, Keys
from hub.endless import rest
from hub.logs import get_logger
from hub.realtime.line import GATHERED_S, Line, open_line
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
        self._logical_database = parse_url(url).get("db", 0)
        self._echo = b"hub:echo:" + self._origin.hex().encode()
        self._tenants: dict[bytes, uuid.UUID] = {}
        self._subscription: Line | None = None
        self._publisher: Line | None = None
        self._connecting = asyncio.Lock()
        self._echoed_at = 0.0
        self._spared_until = 0.0
        self.echo_lag = 0.0

    def channel_of(self, tenant: uuid.UUID) -> bytes:
        """The channel of a tenant's pushes.

        Redis shares channels between its logical databases; hubs that were given one each are to hear only themselves.
        """
        return b"hub:%d:t:%s" % (self._logical_database, tenant.hex.encode())

    async def publish(self, pushes: list[Push]) -> None:
        """Tell the other processes; a failure is only logged, for each finds what it missed in Postgres.

        What Redis answers is not waited for: that it answers nothing shows when the next is published.
        """
        by_tenant: dict[uuid.UUID, list[Push]] = defaultdict(list)
        for push in pushes:
            by_tenant[push.tenant].append(push)
        try:
            line = await self._publishing()
        except (OSError, EOFError) as error:
            METERS.unpublished += len(by_tenant)
            if not isinstance(error, Spared):
                self._spare(error)
            return
        for tenant, theirs in by_tenant.items():
            channel = self.channel_of(tenant)
            line.order(b"PUBLISH", channel, self._origin + self._keys.seal(pack(theirs), channel))

    async def _publishing(self) -> Line:
        if asyncio.get_running_loop().time() < self._spared_until:
            raise Spared
        if self._publisher is not None and self._publisher.unanswered_for > ANSWER_WITHIN_S:
            await self._hang_up_unless_answered(self._publisher)
        async with self._connecting:
            if self._publisher is None:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    line = await open_line(self._url)
                line.lost.add_done_callback(partial(self._ended, line))
                self._publisher = line
            return self._publisher

    async def _hang_up_unless_answered(self, line: Line) -> None:
        # Perhaps it was this process that was held up: then the answers are there to be read.
        await asyncio.sleep(2 * GATHERED_S)
        if line.unanswered_for > ANSWER_WITHIN_S:
            line.close()
            raise TimeoutError("no answer")

    def _ended(self, line: Line, lost: asyncio.Future[None]) -> None:
        if not lost.cancelled():
            log.warning("bus: connection lost", error=type(lost.exception()).__name__, unanswered=line.unanswered)
        METERS.unpublished += line.unanswered
        if self._publisher is line:
            self._publisher = None

    def _spare(self, error: Exception) -> None:
        self._spared_until = asyncio.get_running_loop().time() + SPARE_FOR_S
        log.warning("bus: not published", error=type(error).__name__)

    def interest(self, tenant: uuid.UUID, on: bool) -> None:
        """Begin or end listening to a tenant's channel."""
        channel = self.channel_of(tenant)
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
            await rest(pause)

    async def _connected(self, hear: Hear, maybe_missed: Callable[[], None]) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            subscription = await open_line(self._url, partial(self._take, hear, maybe_missed))
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

    def _take(self, hear: Hear, maybe_missed: Callable[[], None], reply: Any) -> None:
        kind, channel, message = reply
        if kind != b"message":
            if kind == b"subscribe":
                maybe_missed()
            return
        tenant = self._tenants.get(channel)
        if tenant is not None and not message.startswith(self._origin):
            try:
                pushes = unpack(self._keys.open(message, channel, ORIGIN_BYTES), tenant)
            except (CannotOpen, Unreadable):
                METERS.unreadable += 1
                log.warning("bus: unreadable message")
                maybe_missed()
                return
            hear(pushes)
        elif channel == self._echo:
            self.echo_lag = asyncio.get_running_loop().time() - self._echoed_at

    async def _publish_echoes(self) -> None:
        while True:
            self._echoed_at = asyncio.get_running_loop().time()
            with contextlib.suppress(OSError, EOFError):
                (await self._publishing()).order(b"PUBLISH", self._echo, b"")
            await rest(self._echo_every)

    @property
    def is_listening(self) -> bool:
        """Whether what other processes publish is heard here, as far as can be told."""
        return self._subscription is not None

    async def ping(self) -> None:
        """Raises OSError or EOFError when Redis does not answer."""
        answer = asyncio.get_running_loop().create_future()
        (await self._publishing()).order(b"PING", answer=answer)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await answer

    async def close(self) -> None:
        """Hang up."""
        if self._publisher is not None:
            line, self._publisher = self._publisher, None
            line.close()


class Spared(ConnectionError):
    """Redis failed a moment ago, and nobody waits for it yet."""
