"""Ways to a client other than its transport: for servers and protocols that fetch what is to be sent."""

from __future__ import annotations

import asyncio

from hub.realtime.connection import Connection
from hub.realtime.frames import Close
from hub.realtime.wire import Frame


class Fetched:
    """An outlet that takes nothing by itself: whoever writes to the client fetches the frames."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def carry(self, connection: Connection) -> None:
        """Nothing is written to the client from outside."""

    def has_news(self) -> None:
        """Wake up whoever fetches."""
        self._news.set()

    def end(self, code: Close) -> None:
        """Wake up whoever fetches; `Connection.closing` says why it ends."""
        self._news.set()

    async def next_frames(self, connection: Connection) -> list[Frame]:
        """What is to be sent next; waits until there is something. Empty when the connection ends."""
        while connection.closing is None:
            if frames := connection.take_waiting():
                return frames
            self._news.clear()
            await self._news.wait()
        return []
