"""A tap on Redis: what every process says to it, and what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from redis.asyncio import Redis


@dataclass
class Tap:
    """Everything that is said to Redis, and all that it holds from time to time."""

    url: str
    heard: bytearray = field(default_factory=bytearray)
    held: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen while the block runs."""
        where = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        for said in (f"AUTH {where.password}\r\n", "MONITOR\r\n"):
            writer.write(said.encode())
            assert await reader.readline() == b"+OK\r\n"
        listening = [asyncio.create_task(each) for each in (self._listen(reader), self._look_again_and_again())]
        try:
            yield
            await self.look()
        finally:
            for task in listening:
                task.cancel()
            await asyncio.wait(listening)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while said := await reader.read(65536):
            self.heard += said

    async def _look_again_and_again(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(0.25)

    async def look(self) -> None:
        """Keep a copy of every key with its value."""
        async with Redis.from_url(self.url) as redis:
            async for key in redis.scan_iter(count=1000):
                self.held.append(key + b" " + (await redis.dump(key) or b""))
