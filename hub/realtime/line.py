"""A bare connection to Redis: commands go out as they are said, and what comes is taken as its bytes come, by no task.

A client that waits for each answer costs ten times as much, and nobody here needs the answer to a publication. What
comes alone is taken at once; what comes thick is read a few milliseconds' worth at a time, for to be woken for each
costs three times what is done with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis.asyncio.connection import parse_url

Take = Callable[[Any], None]

# So often it is looked whether anything came, in the time after which silence means that the connection is dead.
LOOKS = 3
# Where reads follow each other so closely, the next gathers what comes in the time it waits; a large one was worth it.
THICK_S = 0.0075
GATHERED_S = 0.005
LARGE_BYTES = 8 * 1024


class Line(asyncio.Protocol):
    """One connection. What a channel brings is taken by `take`; what commands are answered only shows that it lives."""

    def __init__(self, take: Take = lambda _reply: None) -> None:
        self._take = take
        self._replies = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._was_heard = False
        self._read_at = 0.0
        self._owed: deque[asyncio.Future[None] | None] = deque()
        self._owed_since = self._loop.time()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._was_heard = True
        before, self._read_at = self._read_at, self._loop.time()
        if self._read_at - before < THICK_S and len(data) < LARGE_BYTES:
            self._gather()
        replies = self._replies
        try:
            replies.feed(data)
            while (reply := replies.gets()) is not False:
                if isinstance(reply, list):
                    self._take(reply)
                else:
                    self._answered(reply)
        except (hiredis.HiredisError, ConnectionRefusedError) as error:
            self._end(EOFError(str(error)))

    def _gather(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_later(GATHERED_S, self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _answered(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise ConnectionRefusedError("Redis refused; see the password in REDIS_URL")
        self._owed_since = self._loop.time()
        if self._owed and (asked := self._owed.popleft()) and not asked.done():
            asked.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._end(EOFError("closed by Redis"))

    def say(self, *words: str | bytes) -> None:
        """Send a command whose answer comes over channels."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub takes one word only

    def order(self, *words: str | bytes, answer: asyncio.Future[None] | None = None) -> None:
        """Send a command that is answered; `answer` is done then."""
        if not self._owed:
            self._owed_since = self._loop.time()
        self._owed.append(answer)
        self.say(*words)

    @property
    def unanswered(self) -> int:
        """How many orders have no answer yet."""
        return len(self._owed)

    @property
    def unanswered_for(self) -> float:
        """For how many seconds nothing came, although an answer is owed."""
        return self._loop.time() - self._owed_since if self._owed else 0.0

    async def last(self, silence: float) -> None:
        """Wait until the connection is lost, or nothing came over it for `silence` seconds and up to a third more.

        Raises either way.
        """
        # Looked at now and then: to note when each message came costs as much as some of what is done with it.
        quiet = 0
        while quiet < LOOKS:
            self._was_heard = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(silence / LOOKS):
                    await asyncio.shield(self.lost)
            quiet = 0 if self._was_heard else quiet + 1
        raise TimeoutError("nothing was heard")

    def close(self) -> None:
        """Hang up."""
        self.lost.cancel()
        if self._transport is not None:
            self._transport.close()

    def _end(self, error: Exception) -> None:
        if self._transport is not None:
            self._transport.close()
        for waited_for in (self.lost, *self._owed):
            if waited_for is not None and not waited_for.done():
                waited_for.set_exception(error)
                # Looked at once, so that asyncio does not complain where nobody waits any more.
                waited_for.exception()


async def open_line(url: str, take: Take = lambda _reply: None) -> Line:
    """A connection to the Redis at `url`, signed in, that hears no channel yet; raises OSError."""
    parts: dict[str, Any] = dict(parse_url(url))
    loop = asyncio.get_running_loop()
    if "path" in parts:
        _, line = await loop.create_unix_connection(lambda: Line(take), parts["path"])
    else:
        tls = ssl.create_default_context() if url.startswith("rediss://") else None
        host, port = parts.get("host", "localhost"), parts.get("port", 6379)
        _, line = await loop.create_connection(lambda: Line(take), host, port, ssl=tls)
    if password := parts.get("password"):
        user = (parts["username"],) if parts.get("username") else ()
        line.order("AUTH", *user, password)
    return line
