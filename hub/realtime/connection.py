"""One open connection: what it has been sent, what waits to be sent, and what it missed.

Nobody who has news for it ever waits for it: what its outlet does not take at once is kept in a bounded backlog.
"""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from hub.realtime.backlog import MOST_FRAMES, Backlog
from hub.realtime.frames import Close
from hub.realtime.pushes import AccessEnded
from hub.realtime.wire import Frame

# So many bytes are fetched at once, and a frame.
MOST_TAKEN = 16 * 1024

_numbers = itertools.count(1)


class Stage(Enum):
    """Whether events may be sent as they come."""

    BEHIND = auto()  # an event is missing: events are held until it comes, or the rows are read
    READING = auto()  # rows are being read: events are held, and merged with them by number
    LIVE = auto()
    RESYNC = auto()  # frames were dropped: the client asks from its own cursor


LIVE = Stage.LIVE

# The number an event moves an inbox to, how many are unread then, and the event.
Offered = tuple[int, int, Frame]


class Outlet(Protocol):
    """The way to one client."""

    def carry(self, connection: Connection) -> None:
        """Be the way of this connection: set its `write` whenever the client takes frames, if they may be written."""
        ...

    def has_news(self) -> None:
        """Something waits that was not written: `Connection.flush` or `Connection.take_waiting` fetches it."""
        ...

    def end(self, code: Close) -> None:
        """Close the way; nothing is sent after that."""
        ...


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
    key: uuid.UUID | None = None
    token: uuid.UUID | None = None
    era: int = 0

    def ends_with(self, push: AccessEnded) -> bool:
        """Whether this right to listen is among those that ended."""
        return (
            push.tenant == self.tenant
            and push.person in (None, self.person)
            and push.session in (None, self.session)
            and push.key in (None, self.key)
            and push.token in (None, self.token)
        )


class Connection:
    """The server's side of one open tab."""

    __slots__ = (
        "__weakref__",
        "_backlog",
        "_held",
        "_outlet",
        "_wanted_since",
        "closing",
        "epoch",
        "listener",
        "number",
        "person",
        "rang_at",
        "rang_seq",
        "sent",
        "stage",
        "tenant",
        "topics",
        "unread",
        "way",
        "write",
    )

    def __init__(
        self,
        listener: Listener,
        outlet: Outlet,
        epoch: str | None = None,
        since: int | None = None,
        way: str = "websocket",
    ) -> None:
        """A client that stands at `since` of `epoch`, or has nothing yet; `way` is how it came, for the meters."""
        self.number = next(_numbers)
        self.listener = listener
        self.person = listener.person.bytes
        self.tenant = listener.tenant.bytes
        self.stage = Stage.BEHIND
        self.epoch = epoch
        self.sent = -1
        self.unread = 0
        # The newest bell that rang for it and was timed: under which number, and when that was committed.
        self.rang_seq: int | None = None
        self.rang_at = 0.0
        self.way = way
        self.topics: dict[str, int] | None = None
        self.closing: Close | None = None
        self._outlet = outlet
        self._wanted_since: int | None = since
        self._held: deque[Offered] | None = None
        self._backlog: Backlog | None = None
        # Sends the bytes of a frame, while the client takes what is sent and nothing waits.
        self.write: Callable[[bytes], object] | None = None
        outlet.carry(self)

    @property
    def waiting(self) -> int:
        """How many frames the client has not taken yet."""
        return len(self._backlog) if self._backlog else 0

    @property
    def is_greeted(self) -> bool:
        """Whether it has had its welcome."""
        return self.sent >= 0

    def offer(self, seq: int, unread: int, event: Frame) -> bool:
        """Take the event that moves the inbox to `seq`; returns False when this shows that one before it is missing."""
        if self.stage is LIVE:
            if seq == self.sent + 1:
                self.sent = seq
                self.unread = unread
                # As in `send`, which is not called: this is done for thousands in a row.
                write = self.write
                if write is not None:
                    write(event.wire)
                else:
                    self._send_later(event)
                return True
            if seq <= self.sent:
                return True
            self.stage = Stage.BEHIND
            self._hold(seq, unread, event)
            return False
        if self.stage is not Stage.RESYNC:
            self._hold(seq, unread, event)
        elif event.urgent:
            self._tell_ahead(event)
        return True

    def offer_together(self, events: Sequence[Offered]) -> bool:
        """As `offer`, for events in the order of their numbers; what the client takes leaves in one write."""
        first, (last, unread, _) = events[0][0], events[-1]
        write = self.write
        if write is None or self.stage is not LIVE or first != self.sent + 1 or last - first != len(events) - 1:
            are_whole = [self.offer(*event) for event in events]
            return all(are_whole)
        self.sent, self.unread = last, unread
        write(b"".join([event.wire for _, _, event in events]))
        return True

    def _hold(self, seq: int, unread: int, event: Frame) -> None:
        if event.urgent and self.is_greeted:
            self._tell_ahead(event)
            event = Frame(event.data, moves_to=event.moves_to)
        if self._held is None:
            # What is dropped is the oldest: the rows that are read have it, or the gap shows.
            self._held = deque(maxlen=MOST_FRAMES)
        self._held.append((seq, unread, event))
        if self.stage is Stage.BEHIND and self.is_greeted and self._wanted_since is None and seq == self.sent + 1:
            # What was missing was only late.
            self.stage = Stage.LIVE
            self._offer_held()

    def _offer_held(self) -> None:
        held, self._held = self._held or (), None
        for event in sorted(held, key=lambda event: event[0]):
            self.offer(*event)

    def _tell_ahead(self, event: Frame) -> None:
        self._wait_for_client().add_ahead(event)
        self.flush()
        self._outlet.has_news()

    def ask_again(self, since: int) -> None:
        """The client says how far it has come: it wants everything after that."""
        self._wanted_since = since
        if self.stage is not Stage.READING:
            self.stage = Stage.BEHIND

    def begin_reading(self) -> int | None:
        """The number after which rows are to be read; None for a client that has nothing yet."""
        self.stage = Stage.READING
        since = self._wanted_since
        if since is None and self.is_greeted:
            since = self.sent
        self._wanted_since = None
        return since

    def read_in_vain(self, since: int | None) -> None:
        """The rows after `since` could not be read; they still are wanted."""
        if self.stage is Stage.READING:
            self.stage = Stage.BEHIND
            if self._wanted_since is None:
                self._wanted_since = since

    def caught_up(self, upto: int, unread: int, epoch: str, *frames: Frame) -> None:
        """Send the rows read from the database, then what came in the meantime; it may be behind again after that."""
        if self.is_greeted and self.epoch != epoch:
            # The inbox was begun anew, and only welcome can tell the client so.
            self.close(Close.GOING_AWAY)
        self.epoch, self.sent, self.unread = epoch, upto, unread
        self.stage = Stage.LIVE
        for frame in frames:
            self.send(frame)
        self._offer_held()
        if self._wanted_since is not None and self.stage is Stage.LIVE:
            self.stage = Stage.BEHIND

    def watch(self, topic: str, version: int = -1) -> None:
        """The client wants to know of versions of `topic` newer than this one."""
        if self.topics is None:
            self.topics = {}
        self.topics[topic] = version

    def unwatch(self, topic: str) -> None:
        """The client does not look at it any more."""
        if self.topics:
            self.topics.pop(topic, None)

    def topic_changed(self, topic: str, version: int, frame: Frame) -> None:
        """Send a version of a shared view that is newer than what was sent."""
        if self.topics and version > self.topics.get(topic, version):
            self.topics[topic] = version
            self.send(frame)

    def send(self, frame: Frame) -> None:
        """Send a frame, now or when the client takes it; when it reads too slowly, drop what waits for a resync."""
        if self.write is not None:
            self.write(frame.wire)
        else:
            self._send_later(frame)

    def _send_later(self, frame: Frame) -> None:
        if self.closing is not None:
            return
        if not self._wait_for_client().add(frame):
            self.stage = Stage.RESYNC
        self._outlet.has_news()

    def _wait_for_client(self) -> Backlog:
        if self._backlog is None:
            self._backlog = Backlog()
        return self._backlog

    def flush(self) -> None:
        """Send what waits, as far as the client takes it."""
        while self._backlog is not None and self.write is not None:
            # It may be the last that the client takes for now.
            write, frame = self.write, self._backlog.pop_first()
            if not self._backlog:
                self._backlog = None
            write(frame.wire)

    def take_waiting(self) -> list[Frame]:
        """What is to be sent next, for an outlet that fetches it; not all, so that what is critical still overtakes."""
        taken: list[Frame] = []
        size = 0
        while self._backlog and size < MOST_TAKEN:
            taken.append(self._backlog.pop_first())
            size += len(taken[-1].data)
        if not self._backlog:
            self._backlog = None
        return taken

    def close(self, code: Close) -> None:
        """End the connection at once; what waits is not sent, and the first reason stands."""
        if self.closing is None:
            self.closing = code
            self._outlet.end(code)
        self._end()

    def left(self) -> None:
        """The client is gone, or has been told why it has to go: nothing more is sent."""
        if self.closing is None:
            self.closing = Close.GOING_AWAY
        self._end()

    def _end(self) -> None:
        self.write = self._backlog = self._held = None
