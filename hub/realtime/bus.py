"""Redis between processes: a wake-up that carries sealed pushes. It may lose anything; then Postgres is asked.

One connection listens, owned by one task, with one channel per tenant that has somebody connected here. A reconnect,
or a channel confirmed, means that something may have been missed. An echo published on the other connection, and not
heard, finds a connection that looks open and is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError

from hub.crypto import CannotOpen, Keys
from hub.logs import get_logger
from hub.realtime.pushes import AccessEnded, InboxMoved, Push, TopicChanged

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

KINDS: dict[str, type[InboxMoved] | type[TopicChanged] | type[AccessEnded]] = {
    "inbox": InboxMoved,
    "topic": TopicChanged,
    "ended": AccessEnded,
}
NAMES = {kind: name for name, kind in KINDS.items()}


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
        self._tenants: set[bytes] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._heard_at = 0.0
        self._spared_until = 0.0

    async def publish(self, pushes: list[Push]) -> None:
        """Tell the other processes; a failure is only logged, for each finds what it missed in Postgres."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._spared_until:
            return
        by_tenant: dict[uuid.UUID, list[Push]] = defaultdict(list)
        for push in pushes:
            by_tenant[push.tenant].append(push)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for tenant, theirs in by_tenant.items():
                    channel = channel_of(tenant)
                    pipe.publish(channel, self._origin + self._keys.seal(encode_pushes(theirs), channel))
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._spared_until = loop.time() + SPARE_FOR_S
            log.warning("bus: not published", error=type(error).__name__, pushes=len(pushes))

    def interest(self, tenant: uuid.UUID, on: bool) -> None:
        """Begin or end listening to a tenant's channel."""
        channel = channel_of(tenant)
        (self._tenants.add if on else self._tenants.discard)(channel)
        if self._writer is not None:
            self._writer.write(_command(b"SUBSCRIBE" if on else b"UNSUBSCRIBE", channel))

    async def listen(self, hear: Callable[[list[Push]], None], maybe_missed: Callable[[], None]) -> None:
        """Hear other processes until cancelled, connecting again whenever the connection is lost or dead."""
        pause = SHORTEST_PAUSE_S
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._connected(hear, maybe_missed)
            except (OSError, TimeoutError, hiredis.HiredisError, EOFError) as error:
                log.warning("bus: connection lost", error=type(error).__name__)
            maybe_missed()
            lasted = asyncio.get_running_loop().time() - began
            pause = SHORTEST_PAUSE_S if lasted > self._silence else min(pause * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _connected(self, hear: Callable[[list[Push]], None], maybe_missed: Callable[[], None]) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await open_connection(self._url)
        echo = asyncio.create_task(self._publish_echoes())
        try:
            writer.write(_command(b"SUBSCRIBE", self._echo, *self._tenants))
            self._writer = writer
            self._heard_at = asyncio.get_running_loop().time()
            replies = hiredis.Reader()
            while True:
                data = await self._read(reader)
                replies.feed(data)
                while (reply := replies.gets()) is not False:
                    self._take(reply, hear, maybe_missed)
        finally:
            self._writer = None
            echo.cancel()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(self._heard_at + self._silence):
            data = await reader.read(65536)
        if not data:
            raise EOFError("closed by Redis")
        self._heard_at = loop.time()
        return data

    def _take(self, reply: Any, hear: Callable[[list[Push]], None], maybe_missed: Callable[[], None]) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise EOFError("Redis said no")
        if reply[0] == b"subscribe":
            maybe_missed()
        if reply[0] != b"message" or reply[1] == self._echo or reply[2].startswith(self._origin):
            return
        try:
            pushes = decode_pushes(self._keys.open(reply[2][ORIGIN_BYTES:], reply[1]))
        except (CannotOpen, ValueError, KeyError, TypeError, AttributeError):
            log.warning("bus: unreadable message")
            maybe_missed()
            return
        tenant_channel = reply[1]
        hear([push for push in pushes if channel_of(push.tenant) == tenant_channel])

    async def _publish_echoes(self) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._redis.publish(self._echo, b"")
            await asyncio.sleep(self._echo_every)

    @property
    def is_listening(self) -> bool:
        """Whether what other processes publish is heard here, as far as can be told."""
        return self._writer is not None

    async def ping(self) -> None:
        """Raise what the driver raises when Redis does not answer."""
        await self._redis.ping()

    async def close(self) -> None:
        """Give the publishing connections back."""
        await self._redis.aclose()


async def open_connection(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection to the Redis at `url`, signed in."""
    parts: dict[str, Any] = dict(parse_url(url))
    if "path" in parts:
        reader, writer = await asyncio.open_unix_connection(parts["path"])
    else:
        tls = ssl.create_default_context() if url.startswith("rediss://") else None
        reader, writer = await asyncio.open_connection(parts.get("host", "localhost"), parts.get("port", 6379), ssl=tls)
    if password := parts.get("password"):
        user = (parts["username"],) if parts.get("username") else ()
        writer.write(_command("AUTH", *user, password))
        answer = await reader.readline()
        if not answer.startswith(b"+OK"):
            writer.close()
            raise ConnectionRefusedError("Redis refused the password in REDIS_URL")
    return reader, writer


def _command(*words: str | bytes) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub takes tuples of one word only
    return packed


def channel_of(tenant: uuid.UUID) -> bytes:
    """The channel of a tenant's pushes."""
    return b"hub:t:" + tenant.hex.encode()


def encode_pushes(pushes: list[Push]) -> bytes:
    """Pushes as bytes (pure)."""
    return json.dumps([[NAMES[type(push)], _plain(push)] for push in pushes], separators=(",", ":")).encode()


def decode_pushes(data: bytes) -> list[Push]:
    """What `encode_pushes` wrote (pure); raises ValueError, KeyError, TypeError or AttributeError on anything else."""
    return [KINDS[name](**_typed(values)) for name, values in json.loads(data)]


def _plain(push: Push) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, uuid.UUID):
            return value.hex
        return value.isoformat() if isinstance(value, datetime) else value

    return {each.name: plain(getattr(push, each.name)) for each in fields(push)}


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    for name in ("tenant", "person", "session"):
        if values.get(name):
            values[name] = uuid.UUID(hex=values[name])
    if values.get("at"):
        values["at"] = datetime.fromisoformat(values["at"])
    return values
