"""Random lives of visits: the days around every change of clocks, when visits are booked, and what is done to them.

What is drawn is done through the hub's own verbs, and written down in `expected` as well.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bench.errors import BenchError
from bench.expected import QUARTER, UNDO_WITHIN, Life, next_quarter
from bench.town import ZONES, Town, TownClinic
from hub.appointments import lifecycle, undo
from hub.appointments.lifecycle import Booking, NewTime
from hub.errors import Conflict
from hub.people.patients import Arriving
from hub.work import Actor, Work

YEAR = 2027
BEFORE, AFTER = timedelta(hours=40), timedelta(hours=24)
# Seasons that would overlap are one.
NEAR = BEFORE + AFTER
APART = timedelta(minutes=5)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AT_ONCE = 20
BY_PATIENT = Actor("patient")
BY_PATIENTS = ("confirm", "wish")
BY_DAY, AT_NIGHT = range(8, 19), range(24)

Verb = Callable[[Work, "Visit", datetime], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Season:
    """Some days, and the moments at which the clock stops in them."""

    stops: Sequence[datetime]
    end: datetime


@dataclass(eq=False)
class Patient:
    """Somebody who comes once a season; `id` from the first visit on."""

    phone: str
    id: uuid.UUID | None = None


@dataclass(eq=False)
class Visit:
    """A visit: whose it is, where, how it should be, and at which stops something is done to it."""

    patient: Patient
    clinic: TownClinic
    life: Life
    stops: list[int]
    id: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to a visit; `to` is its new time."""

    visit: Visit
    verb: str
    by_staff: bool
    to: datetime


def seasons(dice: random.Random, count: int, rounds: int) -> list[Season]:
    """The days around the most changes of clocks, in order, each with about so many stops."""
    moments = sorted({moment for zone in ZONES for moment in changes_of(ZoneInfo(zone))})
    groups: list[list[datetime]] = []
    for moment in moments:
        if groups and moment - groups[-1][-1] < NEAR:
            groups[-1].append(moment)
        else:
            groups.append([moment])
    chosen = sorted(sorted(groups, key=len, reverse=True)[:count])
    return [_season(dice, group[0] - BEFORE, group[-1] + AFTER, rounds) for group in chosen]


def changes_of(zone: ZoneInfo) -> list[datetime]:
    """The hours of the year in which clocks are changed there."""
    hours = [datetime(YEAR, 1, 1, tzinfo=UTC) + number * HOUR for number in range(365 * 24)]
    return [hour for hour in hours if hour.astimezone(zone).utcoffset() != (hour + HOUR).astimezone(zone).utcoffset()]


def _season(dice: random.Random, begin: datetime, end: datetime, rounds: int) -> Season:
    """Stops lie early in a quarter; some are followed by one a few minutes on, in the next one."""
    stops: list[datetime] = []
    for number in sorted(dice.sample(range(1, (end - begin) // QUARTER - 1), rounds)):
        quarter = begin + number * QUARTER
        if dice.random() < 0.4:
            stops += [quarter + 8 * MINUTE, quarter + QUARTER + MINUTE]
        else:
            stops.append(quarter + MINUTE)
    apart = [each for each, before in zip(stops, [begin, *stops], strict=False) if each - before > APART]
    return Season(apart, end)


def draw_visit(dice: random.Random, patient: Patient, clinic: TownClinic, season: Season, at: int) -> Visit:
    """A visit that is booked at this stop of the season, and at which later ones something happens to it."""
    start = draw_start(dice, clinic.zone, season, at)
    later = range(at + 1, len(season.stops))
    count = dice.choices([0, 1, 2, 3, 4], [40, 30, 18, 8, 4])[0]
    stops = dice.sample(later, min(count, len(later)))
    return Visit(patient, clinic, Life(clinic.zone, clinic.aheads, start), stops)


def draw_start(dice: random.Random, zone: ZoneInfo, season: Season, at: int) -> datetime:
    """A time to come at which a clinic there might see somebody, often soon after a stop; now and then one at night."""
    now, end = season.stops[at], season.end
    while now + 2 * HOUR < end:
        moment = now + dice.random() * (end - now)
        if dice.random() < 0.5:
            moment = dice.choice(season.stops[at:]) + dice.random() * 2 * HOUR
        hours = AT_NIGHT if dice.random() < 0.25 else BY_DAY
        start = next_quarter(moment)
        if start.astimezone(zone).hour in hours and now + QUARTER < start < end:
            return start
    return end


def draw_deeds(dice: random.Random, visit: Visit, now: datetime, season: Season, at: int) -> list[Deed]:
    """What is done to a visit at one stop; now and then at once, or at the next one, a wrong click is taken back."""
    verb = _draw_verb(dice, visit.life, now)
    to = draw_start(dice, visit.life.zone, season, at)
    # The same time again would be no move.
    to += QUARTER if to == visit.life.start else timedelta()
    first = Deed(visit, verb, verb not in BY_PATIENTS or dice.random() < 0.5, to)
    if verb == "undo" or not first.by_staff or not visit.life.may(verb, now):
        return [first]
    drawn = dice.random()
    if drawn < 0.15:
        return [first, Deed(visit, "undo", by_staff=True, to=now)]
    if drawn < 0.5 and at + 1 not in visit.stops:
        visit.stops.append(at + 1)
    return [first]


def _draw_verb(dice: random.Random, life: Life, now: datetime) -> str:
    last = life.changes[-1]
    since = now - last.at
    # A quarter of an hour, to the second, is nobody's case.
    may_undo = abs(since - UNDO_WITHIN) > 2 * MINUTE
    if may_undo and (dice.random() < 0.05 or (since < UNDO_WITHIN and dice.random() < 0.9)):
        return "undo"
    verbs = {"confirm": 25, "move": 30, "cancel": 12, "arrive": 10, "wish": 5}
    if life.start <= now:
        verbs = {"arrive": 40, "miss": 40, "move": 15, "cancel": 5}
    if life.state == "arrived":
        verbs = {"start": 45, "complete": 45, "cancel": 10}
    if dice.random() < 0.1:
        verbs = dict.fromkeys(("confirm", "move", "cancel", "arrive", "miss", "start", "complete", "wish"), 1)
    return dice.choices(list(verbs), list(verbs.values()))[0]


async def book_all(town: Town, visits: Sequence[Visit]) -> None:
    """Book these, each clinic's one after the other."""
    at = defaultdict[TownClinic, list[Visit]](list)
    for visit in visits:
        at[visit.clinic].append(visit)
    await asyncio.gather(*(_book(town, clinic, theirs) for clinic, theirs in at.items()))


async def do_all(town: Town, chains: Iterable[Sequence[Deed]], done: Counter[str]) -> None:
    """Do these, each clinic's one after the other."""
    at = defaultdict[TownClinic, list[Sequence[Deed]]](list)
    for chain in chains:
        at[chain[0].visit.clinic].append(chain)
    await asyncio.gather(*(_do(town, clinic, theirs, done) for clinic, theirs in at.items()))


def draw_race(dice: random.Random, visit: Visit, season: Season, at: int) -> Deed:
    """Something a patient does at the moment at which a reminder leaves; whichever was first is right."""
    to = draw_start(dice, visit.life.zone, season, at)
    to += QUARTER if to == visit.life.start else timedelta()
    return Deed(visit, dice.choice(["cancel", "move"]), by_staff=False, to=to)


async def race(town: Town, deed: Deed, after_s: float, done: Counter[str]) -> None:
    """Do this in a while."""
    await asyncio.sleep(after_s)
    async with town.house.open_work(deed.visit.clinic.tenant, BY_PATIENT) as work:
        await _do_chain(work, [deed], done)


async def _book(town: Town, clinic: TownClinic, visits: Sequence[Visit]) -> None:
    for place in range(0, len(visits), AT_ONCE):
        async with town.house.open_work(clinic.tenant, _desk(clinic)) as work:
            for visit in visits[place : place + AT_ONCE]:
                patient = visit.patient
                new = Arriving(name="Sara", phone=f"+{patient.phone}", language="en")
                who = Arriving(id=patient.id) if patient.id else new
                booking = Booking(who, clinic.clinician, visit.life.start, tell=clinic.is_loud)
                booked = await lifecycle.book(work, booking)
                visit.id, patient.id = booked.id, booked.patient_id
                visit.life.book(work.now)


async def _do(town: Town, clinic: TownClinic, chains: Sequence[Sequence[Deed]], done: Counter[str]) -> None:
    """Many in one transaction; what must be refused, each in one of its own."""
    for actor, by_staff in ((_desk(clinic), True), (BY_PATIENT, False)):
        theirs = [chain for chain in chains if chain[0].by_staff is by_staff]
        refused: list[Deed] = []
        for place in range(0, len(theirs), AT_ONCE):
            async with town.house.open_work(clinic.tenant, actor) as work:
                for chain in theirs[place : place + AT_ONCE]:
                    refused += await _do_chain(work, chain, done)
        for deed in refused:
            await _refuse(town, clinic, actor, deed, done)


async def _do_chain(work: Work, chain: Sequence[Deed], done: Counter[str]) -> list[Deed]:
    for place, deed in enumerate(chain):
        life = deed.visit.life
        if not life.may(deed.verb, work.now):
            return list(chain[place:])
        try:
            await _perform(work, deed)
        except Conflict as error:
            raise BenchError(f"{deed.verb} of a visit that is {life.state} was refused: {error}") from error
        life.do(deed.verb, work.now, by_staff=deed.by_staff, to=deed.to)
        done[deed.verb] += 1
    return []


async def _refuse(town: Town, clinic: TownClinic, actor: Actor, deed: Deed, done: Counter[str]) -> None:
    try:
        async with town.house.open_work(clinic.tenant, actor) as work:
            await _perform(work, deed)
    except Conflict:
        done["refused"] += 1
    else:
        raise BenchError(f"{deed.verb} of a visit that is {deed.visit.life.state} was not refused")


async def _perform(work: Work, deed: Deed) -> None:
    visit = deed.visit.id
    match deed.verb:
        case "move":
            await lifecycle.move(work, visit, NewTime(deed.to))
        case "wish":
            await lifecycle.ask_for_another_time(work, visit)
        case "undo":
            await undo.undo(work, visit)
        case verb:
            await getattr(lifecycle, verb)(work, visit)


def _desk(clinic: TownClinic) -> Actor:
    return Actor("staff", clinic.clinician)
