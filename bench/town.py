"""Clinics in many zones, two workers, and a clock that moves only from one stop to the next.

At a stop, everything that is due is done before anything else happens. Workers may be killed meanwhile: what they had
in hand is waited for by moving the clock past their leases, but never into the next quarter of an hour.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import httpx
from redis.asyncio import Redis
from sqlalchemy import text

from bench.errors import BenchError
from bench.expected import next_quarter
from bench.office import Street, settings_at, workers_of
from bench.people import open_clinic
from bench.servers import Web
from hub.appointments.rules import change_rules
from hub.appointments.switches import switch
from hub.appointments.tellings import TELLINGS
from hub.clock import system_clock
from hub.demo_clock import move
from hub.templates.defaults import install_defaults
from hub.wiring import House, build
from hub.work import SYSTEM

ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Africa/Cairo",
    "Asia/Riyadh",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Tehran",
    "Europe/London",
    "Australia/Sydney",
    "America/St_Johns",
    "Pacific/Auckland",
)
USUAL = ("P1D", "PT2H")
OTHER_RULES = {
    "Asia/Riyadh": ("PT90M",),
    "Europe/London": ("P2D", "P1D", "PT3H"),
    "Asia/Gaza": ("P1D", "PT2H", "PT30M"),
}
# Clinics that tell everything; the others remind only.
LOUD = ("Europe/Berlin", "America/Santiago")
HOLD_MINUTES = 120

SLOW = {"delay_s": 0.4}
TAKEN_AND_CUT = {"takes": True, "cut_before": True}
NEVER_TAKEN = {"cut_before": True}
TROUBLE = [(0.02, TAKEN_AND_CUT), (0.02, NEVER_TAKEN), (0.96, SLOW)]
LOOK_EVERY_S = 0.1
# A request that nothing was heard of for so long is that of a worker that was killed.
STILL_S = 1.5
PATIENCE_S = 120.0
# At each look: most of all while requests are under way.
KILLED_WITH = {False: 0.03, True: 0.4}
FLUSHED_WITH = 0.3

LEFT = text("""
SELECT (SELECT count(*) FROM planned_notices WHERE state = 'planned' AND due_at <= :now)
    + (SELECT count(*) FROM messages WHERE state IN ('queued', 'unknown') AND due_at <= :now)
    + (SELECT count(*) FROM messages WHERE state = 'sending' AND lease_until < :now) AS due,
    (SELECT count(*) FROM messages WHERE state = 'sending') AS sending,
    (SELECT min(lease_until) FROM messages WHERE state = 'sending') AS leased,
    (SELECT min(due_at) FROM messages WHERE state IN ('queued', 'unknown') AND due_at < :before) AS later
""")


class _Left(NamedTuple):
    """What is due, what is in somebody's hands and for how long, and what comes before the quarter is over."""

    due: int
    sending: int
    leased: datetime | None
    later: datetime | None


class TownClock:
    """The system's time and the shift that this program gave it."""

    def __init__(self) -> None:
        self.shift = timedelta()
        self._moves: list[tuple[float, timedelta]] = []

    def __call__(self) -> datetime:
        """The moment it is in the town."""
        return system_clock() + self.shift

    def moved(self, to: timedelta) -> None:
        """It was moved just now."""
        self.shift = to
        self._moves.append((time.time(), to))

    def at(self, true: float) -> datetime:
        """What it showed at this moment of true time."""
        shift = next((shift for at, shift in reversed(self._moves) if at <= true), timedelta())
        return datetime.fromtimestamp(true, system_clock().tzinfo) + shift


@dataclass(frozen=True, slots=True)
class TownClinic:
    """One clinic, its clinician, and its rules as this program knows them."""

    tenant: uuid.UUID
    clinician: uuid.UUID
    zone: ZoneInfo
    aheads: tuple[str, ...]
    is_loud: bool


@dataclass
class Town:
    """The clinics, the workers, the vendor, and the clock."""

    where: Street
    house: House
    clock: TownClock
    clinics: list[TownClinic]
    workers: list[Web]
    vendor: httpx.AsyncClient
    dice: random.Random
    steps: int = 0
    kills: int = 0
    flushes: int = 0
    _seen: int = field(default=0)

    async def step_to(self, moment: datetime) -> None:
        """Move every process's clock to this moment; the workers have it within half a second."""
        async with self.house.database.of_nobody() as session:
            shift = await move(session, moment - self.clock())
        self.clock.moved(shift)
        self.steps += 1

    async def rest(self, kills: int = 0) -> None:
        """Wait until everything due is done, and kill up to so many workers meanwhile."""
        if kills:
            await self._script(chances=TROUBLE)
        before = next_quarter(self.clock())
        last, since, most = None, time.monotonic(), self.kills + kills
        while (left := await self._left(before)).due or left.sending or left.later:
            if left != last:
                last, since = left, time.monotonic()
            still = time.monotonic() - since
            if self.clock() >= before - timedelta(seconds=5) or still > PATIENCE_S:
                raise BenchError(f"never came to rest before {before}: {left}")
            if self.kills < most and self.dice.random() < KILLED_WITH[left.sending > 0]:
                await self._kill()
            elif not left.due and still > STILL_S:
                moment = min(filter(None, (left.leased, left.later)))
                await self.step_to(max(moment, self.clock()) + timedelta(seconds=1))
            await asyncio.sleep(LOOK_EVERY_S)
        if kills:
            await self._script(chances=[])

    async def taken(self) -> list[dict[str, Any]]:
        """What the vendor took since this was last asked."""
        found = cast(list[dict[str, Any]], (await self.vendor.get(f"/control/taken?from={self._seen}")).json())
        self._seen += len(found)
        return found

    async def counts(self) -> dict[str, Any]:
        """What the vendor says it took, and what of that twice."""
        return cast(dict[str, Any], (await self.vendor.get("/control/counts")).json())

    async def _script(self, **script: Any) -> None:
        (await self.vendor.post("/control/script", json=script)).raise_for_status()

    async def _left(self, before: datetime) -> _Left:
        async with self.house.database.watching() as watch:
            return _Left(*(await watch.execute(LEFT, {"now": self.clock(), "before": before})).one())

    async def _kill(self) -> None:
        worker = self.dice.choice(self.workers)
        worker.kill()
        worker.start()
        self.kills += 1
        if self.dice.random() < FLUSHED_WITH:
            async with Redis.from_url(self.where.env["REDIS_URL"]) as redis:
                await redis.flushall()
            self.flushes += 1


@asynccontextmanager
async def open_town(where: Street, begins: datetime, seed: float) -> AsyncIterator[Town]:
    """A clinic in each zone, and two workers that run."""
    clock = TownClock()
    async with (
        build(settings_at(where), "bench", clock) as house,
        httpx.AsyncClient(base_url=where.address, timeout=30) as vendor,
    ):
        workers = workers_of(where, 2)
        town = Town(where, house, clock, [], workers, vendor, random.Random(seed))
        await town.step_to(begins)
        town.clinics += [await _open(house, zone) for zone in ZONES]
        try:
            for worker in workers:
                worker.start()
            yield town
        finally:
            for worker in workers:
                worker.stop()


async def _open(house: House, zone: str) -> TownClinic:
    clinic = await open_clinic(house, 1, zone)
    async with house.open_work(clinic.tenant, SYSTEM) as work:
        await install_defaults(work)
        if zone in OTHER_RULES:
            await change_rules(work, OTHER_RULES[zone], HOLD_MINUTES)
        if zone not in LOUD:
            for telling in TELLINGS:
                await switch(work, *telling.key, enabled=False)
    aheads = OTHER_RULES.get(zone, USUAL)
    return TownClinic(clinic.tenant, clinic.people[0], ZoneInfo(zone), aheads, zone in LOUD)
