"""One open connection: what it has been sent, what waits to be sent, and what it missed.

Nobody who has news for it ever waits for it: `offer` only queues. Its own writer sends, under a deadline.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from hub.realtime.frames import RESYNC, Close, encode

MOST_QUEUED = 256
MOST_QUEUED_CHARACTERS = 256 * 1024
# Rows read from the database are not counted above: they may fill a queue by themselves, and dropping them would only
# have them read again. But a client that takes none of them does not get them for ever.
MOST_READINGS_QUEUED = 4


_numbers = itertools.count()


class Stage(Enum):
    """Whether events may be sent as they come."""

    READING = auto()  # hello was answered by nothing yet: events are held, and merged with the rows by number
    LIVE = auto()
    BEHIND = auto()  # an event was missed: events are held again until the rows are read
    RESYNC = auto()  # frames were dropped: the client asks from its own cursor


@dataclass(frozen=True, slots=True)
class Listener:
    """Whose connection it is, and what its right to listen rests on."""

    tenant: uuid.UUID
    person: uuid.UUID
    role: str
    name: str
    language: str
    session: uuid.UUID | None
    expires_at: datetime | None


class Connection:
    """The server's side of one open tab."""

    __slots__ = (
        "_held",
        "_queue",
        "_queued_characters",
        "_queued_readings",
        "_wake",
        "_wanted_since",
        "closing",
        "epoch",
        "id",
        "listener",
        "number",
        "sent",
        "stage",
        "topics",
        "unread",
    )

    def __init__(self, listener: Listener) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.number = next(_numbers)
        self.listener = listener
        self.stage = Stage.READING
        self.epoch: str | None = None
        self.sent = 0
        self.unread = 0
        self.topics: dict[str, int] = {}
        self.closing: Close | None = None
        self._held: list[tuple[int, int, str]] = []
        self._queue: deque[str] = deque()
        self._queued_characters = 0
        self._queued_readings = 0
        self._wanted_since: int | None = None
        self._wake = asyncio.Event()

    def offer(self, seq: int, unread: int, text: str) -> bool:
        """Take the event that moves the inbox to `seq`; returns False when one before it is missing."""
        if self.stage in (Stage.READING, Stage.BEHIND):
            if len(self._held) < MOST_QUEUED:
                self._held.append((seq, unread, text))
            return True
        if self.stage is Stage.RESYNC or seq <= self.sent:
            return True
        if seq != self.sent + 1:
            self.stage = Stage.BEHIND
            return False
        self.sent, self.unread = seq, unread
        self.send(text)
        return True

    def ask_again(self, since: int) -> None:
        """The client says how far it has come: it wants everything after that."""
        self._wanted_since = since
        self.stage = Stage.BEHIND

    def begin_reading(self) -> int:
        """The number after which rows are to be read."""
        since = self.sent if self._wanted_since is None else self._wanted_since
        self._wanted_since = None
        return since

    def caught_up(self, upto: int, unread: int, epoch: str, text: str) -> None:
        """Send the rows read from the database, then what came in the meantime; it may be behind again after that."""
        if self.epoch not in (None, epoch):
            # The inbox was begun anew, and only welcome can tell the client so.
            self.close(Close.GOING_AWAY)
        self.epoch, self.sent, self.unread = epoch, upto, unread
        held, self._held = sorted(self._held), []
        self.stage = Stage.LIVE
        self._send_rows(text)
        for event in held:
            self.offer(*event)
        if self._wanted_since is not None and self.stage is Stage.LIVE:
            self.stage = Stage.BEHIND

    def topic_changed(self, topic: str, version: int, text: str) -> None:
        """Send a version of a shared view that is newer than what was sent."""
        if version > self.topics.get(topic, -1):
            self.topics[topic] = version
            self.send(text)

    def send(self, text: str) -> None:
        """Queue a frame; when the client reads too slowly, drop all that waits and tell it to ask again."""
        if self.closing is not None:
            return
        self._queued_characters += len(text)
        if len(self._queue) >= MOST_QUEUED or self._queued_characters > MOST_QUEUED_CHARACTERS:
            self._drop_what_waits()
        else:
            self._queue.append(text)
            self._wake.set()

    def _send_rows(self, text: str) -> None:
        if self.closing is not None:
            return
        if self._queued_readings == MOST_READINGS_QUEUED:
            self._drop_what_waits()
            return
        self._queued_readings += 1
        self._queue.append(text)
        self._wake.set()

    def _drop_what_waits(self) -> None:
        self._forget_what_waits()
        self.stage = Stage.RESYNC
        self._queue.append(encode(RESYNC))
        self._wake.set()

    def _forget_what_waits(self) -> None:
        self._queue = deque()
        self._queued_characters = 0
        self._queued_readings = 0

    def close(self, code: Close) -> None:
        """End the connection at once; what waits is not sent, and the first reason stands."""
        if self.closing is None:
            self.closing = code
            self._forget_what_waits()
            self._wake.set()

    async def next_frames(self) -> deque[str]:
        """What is to be sent next; waits until there is something. Empty when the connection ends."""
        while not self._queue and self.closing is None:
            self._wake.clear()
            await self._wake.wait()
        frames = self._queue
        self._forget_what_waits()
        return frames
