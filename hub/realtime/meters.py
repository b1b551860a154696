"""What this process has counted on its live path (pure): plain numbers, cheap enough to be counted on the way.

One set for each process, as whoever asks for it counts processes. `hub.metrics` shows it; nobody here knows how.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from hub.realtime.frames import Close

WAYS = ("websocket", "events", "poll")
# What ends a connection other than a code of ours. A client may say anything; whatever else it says counts as 1000.
NORMAL, GONE = 1000, 1006
USUAL_CODES = frozenset({NORMAL, 1001, 1002, 1003, 1005, GONE, 1007, 1008, 1009, 1011, 1012, 1013})

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Histogram:
    """How many values lay at or below each bound, and above the one before; the last count is of those above all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_time(self, value: float) -> None:
        """Count a time between two clocks, of which the first may be ahead."""
        self.add(max(0.0, value))


def _noughts(*names: str) -> Counter[str]:
    """What is counted shows from the start: a first increase can only be told from something."""
    return Counter(dict.fromkeys(names, 0))


@dataclass(slots=True)
class Meters:
    """The numbers."""

    started_at: float = field(default_factory=time.time)
    # By reason, or by the way round and the close code.
    refused: Counter[str] = field(default_factory=lambda: _noughts(*(code.name.lower() for code in Close)))
    ended: Counter[tuple[str, int]] = field(default_factory=Counter)
    cut_off: int = 0
    # From the commit: to the frame that was written, to the client's word on it; for some, where there are many.
    commit_to_send: Histogram = field(default_factory=Histogram)
    commit_to_receipt: Histogram = field(default_factory=Histogram)
    # Who noticed that events were missing: a later event, a look at Postgres, the client.
    gaps_found: Counter[str] = field(default_factory=lambda: _noughts("event", "look", "client"))
    gaps_filled: int = 0
    # By the way round and the outcome.
    resumed: Counter[tuple[str, str]] = field(default_factory=Counter)
    read_together: Histogram = field(default_factory=lambda: Histogram(SIZES))
    read_in: Histogram = field(default_factory=Histogram)
    dropped: Counter[str] = field(default_factory=lambda: _noughts("superseded", "collapsed", "ahead"))
    resyncs: int = 0
    # Redis.
    unpublished: int = 0
    unreadable: int = 0
    failed_turns: Counter[str] = field(default_factory=lambda: _noughts("look", "look_at_access"))
    # The canary.
    canary_heard: Histogram = field(default_factory=Histogram)
    canary_heard_at: float = 0.0
    canary_missed: int = 0
    canary_missed_in_a_row: int = 0


METERS = Meters()
