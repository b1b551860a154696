"""Twenty thousand lives of visits, twelve zones, every change of their clocks: `python -m bench.visits`.

Visits are booked, moved, confirmed, cancelled, missed, and wrong clicks taken back, while two workers remind patients
through a vendor and are killed at random. At every stop of the clock, what the vendor took is compared with what
`expected` says. Fails when a reminder is missing, came twice, after the start, or for a time that is not true any more.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import click
import uvloop

from bench.books import Books
from bench.errors import BenchError
from bench.expected import Slip
from bench.lives import (
    MINUTE,
    Patient,
    Season,
    Visit,
    book_all,
    do_all,
    draw_deeds,
    draw_race,
    draw_visit,
    race,
    seasons,
)
from bench.office import Street, street
from bench.town import Town, open_town

# Visits are booked in this part of a season's stops.
BOOKED_IN = 0.75
# This share of the reminders is overtaken by what a patient does, or nearly so.
RACED, RACED_WITHIN_S = 0.08, 3.0
MOST_SHOWN = 10


@dataclass
class Run:
    """One run: the town, the books, and what was done."""

    town: Town
    dice: random.Random
    kills: int
    stops: int
    books: Books = field(default_factory=Books)
    patients: list[Patient] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    stops_done: int = 0
    counts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def so_far(self) -> str:
        """How far it has come."""
        wrong = len(self.books.problems)
        return f"{self.done['book']:,} lives, {self.books.received.total():,} reminders, {wrong} wrong"

    def table(self) -> str:
        """What was done, and what was found."""
        books, town = self.books, self.town
        verbs = ", ".join(f"{verb} {count:,}" for verb, count in self.done.most_common())
        wrong = ", ".join(f"{kind} {books.wrong[kind]}" for kind in ("missing", "twice", "dead", "late", "disagree"))
        doubts = ", ".join(f"{reason} {count}" for reason, count in books.doubts.items())
        return "\n".join(
            (
                f"lives      {self.done['book']:,} in {len(town.clinics)} zones; {self.seconds:.0f} s",
                f"verbs      {self.done.total():,}: {verbs}",
                f"clock      {town.steps} steps",
                f"trouble    {town.kills} kills, {town.flushes} times Valkey emptied; {doubts}",
                f"reminders  {books.expected.total():,} expected, {books.received.total():,} received",
                f"raced      {books.raced:,} by a cancellation or a move, which was first {books.overtaken:,} times",
                f"other      {books.others:,} messages; of all, the vendor took twice: {_twice(self.counts)}",
                f"wrong      {wrong}",
            )
        )

    async def live(self, season: Season, lives: int) -> None:
        """Live through a season: at each stop, first what is due, then what people do."""
        booked_in = max(1, math.ceil(len(season.stops) * BOOKED_IN))
        visits: list[Visit] = []
        for at, stop in enumerate(season.stops):
            await self.town.step_to(stop)
            await self._rest_and_race(season, at, visits)
            await self._do(season, at, visits)
            if at < booked_in:
                count = lives * (at + 1) // booked_in - lives * at // booked_in
                visits += await self._book(season, at, len(visits), count)
            # What was taken back may be due at once.
            await self._rest(visits)
        await self.town.step_to(season.end + MINUTE)
        await self._rest(visits)

    async def _rest(self, visits: list[Visit]) -> None:
        left = self._leaving(visits)
        await self.town.rest(self._kills_for(len(left)))
        self.books.compare(self.town, left, await self.town.taken())

    async def _rest_and_race(self, season: Season, at: int, visits: list[Visit]) -> None:
        left, dice = self._leaving(visits), self.dice
        raced = [visit for visit, _ in left if dice.random() < RACED]
        racing = [
            race(self.town, draw_race(dice, visit, season, at), dice.random() * RACED_WITHIN_S, self.done)
            for visit in raced
        ]
        await asyncio.gather(self.town.rest(self._kills_for(len(left))), *racing)
        await self.town.rest()
        self.books.compare(self.town, left, await self.town.taken(), raced)

    def _leaving(self, visits: list[Visit]) -> list[tuple[Visit, Slip]]:
        now = self.town.clock()
        return [(visit, slip) for visit in visits for slip in visit.life.rest(now)]

    def _kills_for(self, sent: int) -> int:
        """How many workers to kill now, so that the kills are spread over the stops at which something is sent."""
        self.stops_done += 1
        to_come = max(1, (self.stops - self.stops_done / 2) / 2)
        left = self.kills - self.town.kills
        return min(left, math.ceil(left / to_come * self.dice.uniform(0.5, 2))) if sent else 0

    async def _book(self, season: Season, at: int, first: int, count: int) -> list[Visit]:
        clinics = self.town.clinics
        for number in range(len(self.patients), first + count):
            self.patients.append(Patient(f"96650{number:07}"))
        visits = [
            draw_visit(self.dice, self.patients[each], clinics[each % len(clinics)], season, at)
            for each in range(first, first + count)
        ]
        self.books.visits |= {visit.patient.phone: visit for visit in visits}
        await book_all(self.town, visits)
        self.done["book"] += len(visits)
        return visits

    async def _do(self, season: Season, at: int, visits: list[Visit]) -> None:
        now = self.town.clock()
        chains = [draw_deeds(self.dice, visit, now, season, at) for visit in visits if at in visit.stops]
        await do_all(self.town, chains, self.done)


def _twice(counts: dict[str, Any]) -> int:
    return len(counts["twice"]["references"])


@click.command()
@click.option("--lives", default=20_000, show_default=True, type=click.IntRange(1))
@click.option("--kills", default=60, show_default=True, type=click.IntRange(0))
@click.option("--seasons", "count", default=10, show_default=True, type=click.IntRange(1), help="changes of clocks")
@click.option("--stops", default=10, show_default=True, type=click.IntRange(3), help="of the clock in each, about")
@click.option("--seed", default=0, show_default=True, help="of who does what when, and of the kills")
def main(lives: int, kills: int, count: int, stops: int, seed: int) -> None:
    """Live through it, and say what is wrong."""
    try:
        with street() as where:
            run = uvloop.run(_run(where, lives, kills, random.Random(seed), count, stops))
    except BenchError as error:
        sys.exit(f"visits: {error}")
    click.echo(run.table())
    for problem in run.books.problems[:MOST_SHOWN]:
        click.echo(problem)
    sys.exit(1 if run.books.problems else 0)


async def _run(where: Street, lives: int, kills: int, dice: random.Random, count: int, stops: int) -> Run:
    began, through = time.monotonic(), seasons(dice, count, stops)
    async with open_town(where, through[0].stops[0] - MINUTE, dice.random()) as town:
        run = Run(town, dice, kills, sum(len(season.stops) for season in through))
        for number, season in enumerate(through):
            await run.live(season, lives * (number + 1) // len(through) - lives * number // len(through))
            click.echo(f"{time.monotonic() - began:.0f} s: {run.so_far()}, {season.end:%d %b} is past", err=True)
        for clinic in town.clinics:
            await run.books.agree(town, clinic)
        run.counts = await town.counts()
        run.seconds = time.monotonic() - began
    return run


if __name__ == "__main__":
    main()
