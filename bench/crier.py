"""The crying process: rings bells by the hub's own verb in the background, or one for everybody at once."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import Any

import uvloop

from bench.helpers import obey
from bench.publisher import COMMITTED, arrival
from hub.errors import HubError
from hub.inbox.kinds import Kind
from hub.inbox.notify import Notice, Wording, notify
from hub.people.roles import Role
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import SYSTEM

LETTERS = "All rooms of the second floor are closed until noon. "


class Crier:
    """The commands."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._random = random.Random(3)
        self._crying: list[asyncio.Task[None]] = []
        self._ringing: set[asyncio.Task[None]] = set()
        self._committed: dict[str, int] = {}
        self._failed = 0

    async def begin(self, tenant: str, people: list[str], rate: float, broadcasts: float, letters: int) -> None:
        """Ring single bells at a rate, and everybody's at another one, with so many letters, until told to end."""
        of, everybody = uuid.UUID(tenant), [uuid.UUID(person) for person in people]
        short, long = arrival("2026-01-01T09:30:00+00:00"), announcement(letters)
        self._crying = [asyncio.create_task(self._keep_on(rate, of, everybody, short, one=True))]
        if broadcasts:
            self._crying.append(asyncio.create_task(self._keep_on(broadcasts, of, everybody, long, one=False)))

    async def end(self) -> dict[str, Any]:
        """Ring no more; when each was committed, and how many could not be."""
        for task in self._crying:
            task.cancel()
        await asyncio.gather(*self._crying, return_exceptions=True)
        await asyncio.gather(*self._ringing)
        return await self.stamps()

    async def stamps(self) -> dict[str, Any]:
        """What was committed since the last time, and when; and how many could not be."""
        found = {"committed": self._committed, "failed": self._failed}
        self._committed, self._failed = {}, 0
        return found

    async def broadcast(self, tenant: str, letters: int) -> dict[str, Any]:
        """Ring everybody's bell, by their role: how long writing the rows took, all until the commit, and when."""
        called = time.monotonic_ns()
        async with self._house.open_work(uuid.UUID(tenant), SYSTEM) as work:
            opened = time.monotonic_ns()
            ids = await notify(work, Role.PROVIDER, announcement(letters))
            written = time.monotonic_ns()
        committed: int = work.session.info[COMMITTED]
        return {
            "rows": len(ids),
            "written_ms": (written - opened) / 1e6,
            "until_commit_ms": (committed - called) / 1e6,
            "committed": committed,
            "announced": time.monotonic_ns(),
        }

    async def _keep_on(
        self, rate: float, tenant: uuid.UUID, people: list[uuid.UUID], notice: Notice, *, one: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        began, index = loop.time(), 0
        while True:
            await asyncio.sleep(began + index / rate - loop.time())
            to = [self._random.choice(people)] if one else people
            ringing = asyncio.create_task(self._ring(tenant, to, notice))
            self._ringing.add(ringing)
            ringing.add_done_callback(self._ringing.discard)
            index += 1

    async def _ring(self, tenant: uuid.UUID, people: list[uuid.UUID], notice: Notice) -> None:
        try:
            async with self._house.open_work(tenant, SYSTEM) as work:
                ids = await notify(work, people, notice)
        except HubError:
            self._failed += 1
        else:
            committed: int = work.session.info[COMMITTED]
            self._committed.update((str(each), committed) for each in ids)


def announcement(letters: int) -> Notice:
    """A notice for everybody."""
    return Notice(
        Kind.SYSTEM, Wording("The second floor is closed", (LETTERS * (letters // len(LETTERS) + 1))[:letters])
    )


async def main() -> None:
    """Take commands until there are no more."""
    async with build(Settings(), "bench") as house:
        crier = Crier(house)
        await obey({"begin": crier.begin, "end": crier.end, "stamps": crier.stamps, "broadcast": crier.broadcast})


if __name__ == "__main__":
    uvloop.run(main())
