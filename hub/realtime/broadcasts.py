"""Broadcasts being told: some people at a time, so that whatever else waits has its turn in between.

Those to the same people that wait for each other are told side by side. What one client gets of them leaves in one
write to its socket, and that is most of what telling somebody costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from hub.logs import get_logger
from hub.realtime.pushes import LISTED, STANDING, Rang

log = get_logger(__name__)

# So many frames are written before whatever else waits has its turn: some five milliseconds of work.
TOLD_AT_ONCE = 400
MOST_SIDE_BY_SIDE = 16

# Some pushes, each with the standings of the same people in the same order.
Part = list[tuple[Rang, bytes]]


@dataclass(slots=True)
class Broadcast:
    """A push to many, and how far it has been told, in bytes of its standings."""

    push: Rang
    told: int = 0

    @property
    def is_told(self) -> bool:
        """Whether nobody is left."""
        return self.told >= len(self.push.standings)

    def next(self, people: int) -> bytes:
        """The standings of the next so many people, or of those who are left."""
        return self.push.standings[self.told : self.told + people * STANDING.size]


class Broadcasts:
    """What is being told to more people than may be told at once; in their order, as far as one person can see."""

    def __init__(self, tell: Callable[[Part], None]) -> None:
        """`tell` writes to the people of a part."""
        self._tell = tell
        self._waiting: list[Broadcast] = []

    def add(self, push: Rang) -> None:
        """Tell a push: a small one now, of a large one the first, unless others wait."""
        if len(push) <= TOLD_AT_ONCE:
            self._tell([(push, push.standings)])
            return
        self._waiting.append(Broadcast(push))
        if len(self._waiting) == 1:
            self._tell_next()

    def is_told_meanwhile(self, tenant: bytes) -> bool:
        """Whether one to this tenant is under way: what somebody misses may be in the part that is still to come."""
        return any(each.push.tenant.bytes == tenant for each in self._waiting)

    def _tell_next(self) -> None:
        told = side_by_side(self._waiting)
        try:
            self._tell([(broadcast.push, standings) for broadcast, standings in told])
        except Exception:
            # Whoever was not told finds a number missing, or a look does. What comes after must not wait for ever.
            log.exception("a broadcast was not told to its end")
            self._waiting = self._waiting[len(told) :]
        else:
            for broadcast, standings in told:
                broadcast.told += len(standings)
            self._waiting = [each for each in self._waiting if not each.is_told]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._tell_next)


def side_by_side(waiting: Sequence[Broadcast]) -> list[tuple[Broadcast, bytes]]:
    """The standings to tell next: of the first, and of those after it that are as far and come to the same people.

    One that comes to others waits, and so does what is behind it: whoever is in two is told of the earlier one first.
    """
    first = waiting[0]
    level = list(takewhile(lambda each: each.told == first.told, waiting[:MOST_SIDE_BY_SIDE]))
    people = TOLD_AT_ONCE // len(level)
    told = [(first, first.next(people))]
    for each in level[1:]:
        standings = each.next(people)
        if each.push.tenant != first.push.tenant or _listed(standings) != _listed(told[0][1]):
            break
        told.append((each, standings))
    return told


def _listed(standings: bytes) -> list[tuple[bytes]]:
    return list(LISTED.iter_unpack(standings))
