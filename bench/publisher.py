"""The publishing process: rings bells by the hub's own verb, in a house of its own, at a steady rate.

The commit's time is taken the moment
the transaction has ended, before anything is announced.
"""

from __future__ import annotations

import random
import time
import uuid
from typing import Any

import uvloop
from sqlalchemy import event
from sqlalchemy.orm import Session

from bench.helpers import obey
from bench.timetable import keep
from hub.errors import HubError
from hub.inbox.kinds import Kind
from hub.inbox.notify import Notice, Related, Wording, notify
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import SYSTEM

COMMITTED = "bench_committed"


@event.listens_for(Session, "after_commit")
def _stamp(session: Session) -> None:
    session.info[COMMITTED] = time.monotonic_ns()


class Publisher:
    """The commands."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._random = random.Random(2)
        self._rung: dict[str, tuple[int, int]] = {}
        self._failed = 0

    async def publish(self, tenant: str, people: list[str], rate: float, seconds: float) -> dict[str, Any]:
        """Ring random bells at a rate; how many were rung and how many could not be, and how long it took."""

        async def ring() -> None:
            await self._ring(uuid.UUID(tenant), uuid.UUID(self._random.choice(people)))

        took = await keep(ring, rate, seconds)
        return {"sent": len(self._rung), "failed": self._failed, "seconds": took}

    async def stamps(self) -> dict[str, tuple[int, int]]:
        """For each notification since the last time: when its verb was called, and when it was committed."""
        rung, self._rung, self._failed = self._rung, {}, 0
        return rung

    async def _ring(self, tenant: uuid.UUID, person: uuid.UUID) -> None:
        called = time.monotonic_ns()
        try:
            async with self._house.open_work(tenant, SYSTEM) as work:
                found = await notify(work, [person], arrival(work.now.isoformat()))
        except HubError:
            self._failed += 1
        else:
            self._rung[str(found[0])] = called, work.session.info[COMMITTED]


def arrival(starts_at: str) -> Notice:
    """A notice like that of a patient's arrival."""
    appointment = uuid.uuid4()
    return Notice(
        Kind.PATIENT_ARRIVED,
        Wording("Sara Doe has arrived", "Visit at 09:30. Cleared to be seen."),
        related=Related("appointment", appointment, f"/console/appointments/{appointment}"),
        facts={
            "patient": "Sara Doe",
            "number": "2026-000123",
            "starts_at": starts_at,
            "time": "09:30",
            "clearance": "cleared",
            "consent": "signed",
        },
    )


async def main() -> None:
    """Take commands until there are no more."""
    async with build(Settings(), "bench") as house:
        publisher = Publisher(house)
        await obey({"publish": publisher.publish, "stamps": publisher.stamps})


if __name__ == "__main__":
    uvloop.run(main())
