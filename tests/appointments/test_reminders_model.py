"""Random lives of visits over changes of clocks, each against a small reference of which reminder must be queued.

The reference knows no occurrence, no row and no lock: a visit has a time, and reminders that wait for it. What it says
was told must have been queued, once and nothing else; and of that, what is still true must be the only thing that is
still to be sent.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from hub.appointments.lifecycle import NewTime, arrive, cancel, confirm, miss, move
from hub.appointments.tables import PlannedNotice
from hub.appointments.undo import undo
from hub.messages.tables import Message
from hub.wiring import House
from tests.appointments.diary import DAY, HOUR, MINUTE, Diary, open_diary
from tests.conftest import MovableClock
from tests.factories import open_clinic

LIVES = 20
# A noon, and in the second night after it the clocks change: by an hour, by half of one, at midnight.
NOONS = {
    "Europe/London": "2026-03-27T12:00+00:00",
    "America/New_York": "2026-10-30T16:00+00:00",
    "Australia/Lord_Howe": "2026-10-02T01:30+00:00",
    "Africa/Cairo": "2026-04-22T10:00+00:00",
}
PATIENT_IS_TO_COME = {"booked", "confirmed", "rescheduled"}
FROM = {
    "confirm": {"booked", "rescheduled"},
    "move": {*PATIENT_IS_TO_COME, "no_show"},
    "cancel": PATIENT_IS_TO_COME,
    "arrive": {*PATIENT_IS_TO_COME, "no_show"},
    "miss": PATIENT_IS_TO_COME,
}
BECOMES = {
    "confirm": "confirmed",
    "move": "rescheduled",
    "cancel": "cancelled",
    "arrive": "arrived",
    "miss": "no_show",
}
VERBS: dict[str, Callable[..., Awaitable[Any]]] = {
    "confirm": confirm,
    "move": move,
    "cancel": cancel,
    "arrive": arrive,
    "miss": miss,
    "undo": undo,
}
Step = tuple[str, int, int]
# How long ahead it is of the visit, when it was told, and from when on it is worth nothing.
Reminder = tuple[str, datetime, datetime]
MOMENTS = [MINUTE, 7 * MINUTE, HOUR, 2 * HOUR, 5 * HOUR, 11 * HOUR, DAY]


@dataclass(frozen=True)
class Standing:
    """How a visit stands; which of its reminders wait, until when; and which were told and are still to be sent."""

    state: str
    start: datetime
    waits: dict[str, datetime]
    to_send: frozenset[Reminder] = frozenset()


@dataclass
class Life:
    """One visit as the reference has it: how it stands, how it stood before each change, and all that was told."""

    zone: ZoneInfo
    now: Standing
    before: list[tuple[str, datetime, Standing]] = field(default_factory=list)
    told: list[Reminder] = field(default_factory=list)

    def may(self, what: str, at: datetime) -> bool:
        if what == "undo":
            return bool(self.before) and at - self.before[-1][1] <= 15 * MINUTE
        return self.now.state in FROM[what] and (what != "miss" or self.now.start <= at)

    def change(self, what: str, at: datetime, start: datetime) -> None:
        if what == "undo":
            undone, _, stood = self.before.pop()
            self.now = stood if undone != "confirm" else replace(self.now, state=stood.state)
            return
        self.before.append((what, at, self.now))
        if what == "move":
            self.now = Standing("rescheduled", start, waiting(start, self.zone, at))
        elif what == "confirm":
            self.now = replace(self.now, state="confirmed")
        else:
            self.now = Standing(BECOMES[what], self.now.start, {})

    def sweep(self, at: datetime) -> None:
        due = {ahead: when for ahead, when in self.now.waits.items() if when <= at}
        waits = {ahead: when for ahead, when in self.now.waits.items() if when > at}
        self.now = replace(self.now, waits=waits)
        if due and at < self.now.start:
            reminder = max(due, key=lambda each: due[each]), at, min(waits.values(), default=self.now.start)
            self.told.append(reminder)
            self.now = replace(self.now, to_send=self.now.to_send | {reminder})


def waiting(start: datetime, zone: ZoneInfo, at: datetime) -> dict[str, datetime]:
    """The usual reminders that are not due yet. The day before is found by walking along the clock on the wall.

    From the last quarter of an hour before the time that is wanted, it is as far as if nobody moved the clock.
    """
    wanted, before = wall(start, zone) - DAY, start - 30 * HOUR
    while wall(before + 15 * MINUTE, zone) < wanted:
        before += 15 * MINUTE
    day_before = before + (wanted - wall(before, zone))
    return {ahead: due for ahead, due in (("P1D", day_before), ("PT2H", start - 2 * HOUR)) if due > at}


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


@dataclass
class Town:
    """A clinic in which lives happen, one after the other, each under a clock that begins at the same noon."""

    diary: Diary = field(repr=False)
    noon: datetime
    zone: ZoneInfo
    lives: dict[uuid.UUID, Life] = field(default_factory=dict)

    async def begin(self) -> None:
        """Nothing is left of the life before."""
        self.lives = {}
        self.diary.clock.stop(self.noon)
        async with self.diary.desk() as work:
            left = update(PlannedNotice).where(PlannedNotice.state == "planned")
            await work.session.execute(left.values(state="cancelled", settled_at=work.now))

    async def happens(self, what: str, which: int, amount: int) -> None:
        if what == "wrong_move":
            # To a time of which somebody is reminded before the click is taken back.
            for step in (("move", which, 9), ("due", which, 1), ("sweep", which, 1), ("undo", which, 1)):
                await self.happens(*step)
            return
        now, start = self.diary.clock(), self._start(amount)
        if what == "sweep":
            await self.sweep()
        elif what == "book":
            visit = await self.diary.book(start)
            self.lives[visit] = Life(self.zone, Standing("booked", start, waiting(start, self.zone, now)))
        else:
            visit = list(self.lives)[which % len(self.lives)]
            life = self.lives[visit]
            if what == "later":
                self.diary.clock.move(MOMENTS[amount % len(MOMENTS)])
            elif what == "due":
                coming = min(life.now.waits.values(), default=life.now.start) if amount % 4 else life.now.start
                self.diary.clock.stop(max(now, coming - amount % 3 // 2 * MINUTE))
            else:
                await self._change(visit, life, what, start)

    async def _change(self, visit: uuid.UUID, life: Life, what: str, start: datetime) -> None:
        now = self.diary.clock()
        if not life.may(what, now) or (what == "move" and start == life.now.start):
            return
        event(what)
        await self.diary.do(VERBS[what], visit, *([NewTime(start)] if what == "move" else []))
        life.change(what, now, start)

    async def sweep(self) -> None:
        """Two workers at once, with small batches, until nothing is left for either."""
        while any(await asyncio.gather(self.diary.sweep(limit=2), self.diary.sweep(limit=3))):
            pass
        for life in self.lives.values():
            life.sweep(self.diary.clock())

    def _start(self, amount: int) -> datetime:
        """A time in the days in which the clocks change, or one of which somebody is to be reminded in minutes."""
        if amount % 3 == 0:
            return self.diary.clock() + (2 * HOUR if amount % 2 else DAY) + amount % 13 * MINUTE
        return self.noon.astimezone(UTC) + amount * HOUR + amount % 7 * 11 * MINUTE

    async def come_to_rest(self) -> None:
        """Time passes, and at every moment at which something is due a worker is there."""
        while coming := [when for life in self.lives.values() for when in life.now.waits.values()]:
            self.diary.clock.stop(max(min(coming), self.diary.clock()))
            await self.sweep()

    async def check(self) -> None:
        """What was queued is what the reference told, and what is to be sent is what is still true."""
        async with self.diary.house.database.of_tenant(self.diary.clinic.id) as session:
            query = select(Message).where(Message.related_id.in_(self.lives), Message.reference.startswith("reminder/"))
            messages = list((await session.execute(query.order_by(Message.created_at))).scalars())
        for visit, life in self.lives.items():
            mine = [each for each in messages if each.related_id == visit]
            assert len({each.reference for each in mine}) == len(mine)
            assert {each.state for each in mine} <= {"queued", "cancelled"}
            assert sorted(map(reminder_of, mine)) == sorted(life.told)
            to_send = [reminder_of(each) for each in mine if each.state == "queued"]
            assert sorted(to_send) == sorted(life.now.to_send)
        event(f"{len(messages)} reminders")


def reminder_of(message: Message) -> Reminder:
    assert message.reference is not None
    assert message.expires_at is not None
    return message.reference.rsplit("/", 1)[1], message.created_at, message.expires_at


@pytest.fixture(scope="module")
async def towns(house: House, the_clock: MovableClock) -> AsyncIterator[dict[str, Town]]:
    """One for each zone."""
    yield {
        zone: Town(
            await open_diary(house, await open_clinic(house, zone=zone), the_clock),
            datetime.fromisoformat(noon),
            ZoneInfo(zone),
        )
        for zone, noon in NOONS.items()
    }
    the_clock.run()


amounts = st.integers(1, 60)


def lives(visits: int, **often: int) -> st.SearchStrategy[list[Step]]:
    """Lives of so many visits, and how often each thing happens to them, against the others."""
    happens = [what for what, times in often.items() for _ in range(times)]
    which = st.integers(0, visits - 1)
    bookings = st.lists(st.tuples(st.just("book"), which, amounts), min_size=visits, max_size=visits)
    changes = st.lists(st.tuples(st.sampled_from(happens), which, amounts), min_size=12, max_size=36)
    return st.builds(list[Step].__add__, bookings, changes)


WEATHERS = {
    "days": lives(2, move=3, confirm=1, cancel=1, arrive=1, miss=2, undo=4, later=3, due=4, sweep=4),
    "wrong clicks": lives(1, move=2, undo=2, due=2, sweep=2, wrong_move=1),
}


@pytest.mark.parametrize("weather", WEATHERS)
@settings(
    max_examples=LIVES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), zone=st.sampled_from(sorted(NOONS)))
async def test_what_must_be_told_is_told_once_and_nothing_else_is(
    towns: dict[str, Town], weather: str, data: st.DataObject, zone: str
) -> None:
    town = towns[zone]
    await town.begin()
    for step in data.draw(WEATHERS[weather]):
        await town.happens(*step)
    await town.come_to_rest()
    await town.check()
