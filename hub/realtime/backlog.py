"""What waits for a client that reads more slowly than the hub has news for it (pure).

It is bounded. When it is full, what a newer frame has made pointless goes first: older heartbeats and older versions
of a shared view. If that is not enough, all events and rows go, for one `resync` that lets the client ask from its own
cursor. Whatever is critical is told ahead of all that waits but a welcome, and is never dropped from there.
"""

from __future__ import annotations

from collections import deque

from hub.realtime.frames import HEARTBEAT, WELCOME
from hub.realtime.meters import METERS
from hub.realtime.wire import Frame, ahead_of, encode

MOST_FRAMES = 256
MOST_BYTES = 256 * 1024
# Rows read from the database are not counted above: they may fill a backlog by themselves, and dropping them would
# only have them read again. But a client that takes none of them does not get them for ever.
MOST_READINGS = 4
MOST_AHEAD = 32

RESYNC = Frame(encode({"t": "resync"}))
# A heartbeat tells of what the client will ask for by then.
ASKED_FOR_AGAIN = (None, HEARTBEAT)


class Backlog:
    """Frames in the order in which they will be sent."""

    __slots__ = ("_ahead", "_bytes", "_frames", "_readings")

    def __init__(self) -> None:
        self._ahead: deque[Frame] = deque()
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._readings = 0

    def __len__(self) -> int:
        return len(self._ahead) + len(self._frames)

    def add(self, frame: Frame) -> bool:
        """Let a frame wait; returns False when that was too much, and a resync waits instead."""
        if frame.urgent and len(self) > 0:
            self.add_ahead(frame)
        if self._has_no_room_for(frame):
            self._drop_superseded()
        is_too_much = self._has_no_room_for(frame)
        self._frames.append(frame)
        self._count(frame, 1)
        if is_too_much:
            self._collapse()
        return not is_too_much

    def add_ahead(self, event: Frame) -> None:
        """Tell the rows of a critical event before all that waits; nothing comes before a welcome."""
        if self._frames and self._frames[0].subject == WELCOME:
            return
        if len(self._ahead) < MOST_AHEAD:
            self._ahead.append(ahead_of(event))
        else:
            METERS.dropped["ahead"] += 1

    def pop_first(self) -> Frame:
        """Take the frame that is sent next."""
        if self._ahead:
            return self._ahead.popleft()
        frame = self._frames.popleft()
        self._count(frame, -1)
        return frame

    def _collapse(self) -> None:
        """Drop for one resync whatever the client may ask for again."""
        newest = {frame.subject: frame for frame in self._frames if frame.subject not in ASKED_FOR_AGAIN}
        METERS.dropped["collapsed"] += len(self._frames) - len(newest)
        METERS.resyncs += 1
        self._frames = deque([*newest.values(), RESYNC])
        self._bytes, self._readings = sum(len(frame.wire) for frame in self._frames), 0

    def _has_no_room_for(self, frame: Frame) -> bool:
        if frame.rows:
            return self._readings == MOST_READINGS
        return len(self._frames) >= MOST_FRAMES or self._bytes + len(frame.wire) > MOST_BYTES

    def _count(self, frame: Frame, sign: int) -> None:
        if frame.rows:
            self._readings += sign
        else:
            self._bytes += sign * len(frame.wire)

    def _drop_superseded(self) -> None:
        newest = {frame.subject: frame for frame in self._frames}
        for frame in list(self._frames):
            if frame.subject is not None and newest[frame.subject] is not frame:
                self._frames.remove(frame)
                self._count(frame, -1)
                METERS.dropped["superseded"] += 1
