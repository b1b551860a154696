"""Planning for a hundred thousand visits, and reminding of those that are due: `python -m bench.reminders`.

Visits booked one by one, planned anew all at once, told by one process and by two; and what the queries for what is due
cost beside a million rows that are not. Fails when a query reads more than what is due, or a reminder is lost or twice.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import click
from sqlalchemy import text

from bench.errors import BenchError
from bench.people import Clinic, open_clinic
from bench.servers import new_folder, settings_of, stores
from hub.appointments.due import AT_ONCE, CLAIM, DUE_SOMEWHERE
from hub.appointments.lifecycle import Booking, book
from hub.appointments.rules import change_rules
from hub.db import fetch_directly
from hub.migrate import ROOT
from hub.people.patients import Arriving
from hub.templates.defaults import install_defaults
from hub.wiring import House, build
from hub.work import SYSTEM

CLINICS = 8
NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# Half of the visits begin in the first hours of a day, half in later ones: one process tells of these, two of those.
THE_DAY, LATER, LAST = NOW + 10 * DAY, 8 * HOUR, 4 * HOUR
USUAL, OTHER = ("P1D", "PT2H"), ("PT1H",)
HOLD_MINUTES = 120
DUE_OF = 1000
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
INDEX = "planned_notices_due"

PATIENTS = """
INSERT INTO patients (id, tenant_id, name, language, created_at)
SELECT gen_random_uuid(), $1, 'Patient ' || number, 'en', $3 FROM generate_series(1, $2::int) AS number
"""
VISITS = """
INSERT INTO appointments (tenant_id, number, patient_id, clinician_id, starts_at, minutes, state, clearance, consent,
    created_at, updated_at)
SELECT $1, '2027-9' || lpad(number::text, 7, '0'), patient.id, $2,
    $4::timestamptz + number % 2 * $5::interval + number % 240 * interval '1 minute',
    30, 'booked', 'pending', 'missing', $3, $3
FROM (SELECT id, row_number() OVER () AS number FROM patients WHERE tenant_id = $1 AND name LIKE 'Patient %') AS patient
"""
MORE = """
INSERT INTO planned_notices (tenant_id, appointment_id, occurrence, kind, ahead, due_at, state, planned_at)
SELECT visit.tenant_id, visit.id, 1 + place / 60, 'reminder', 'PT' || 1 + place % 60 || 'M',
    visit.starts_at + (1 + place % 60) * interval '1 day', 'planned', $2
FROM appointments AS visit CROSS JOIN generate_series(0, $3::int) AS place
ORDER BY place, visit.id LIMIT $1
"""
MAKE_DUE = """
UPDATE planned_notices SET due_at = $2::timestamptz - interval '1 minute'
WHERE id IN (SELECT id FROM planned_notices WHERE state = 'planned' AND tenant_id = $1 LIMIT $3)
"""
COUNTS = """
SELECT (SELECT count(*) FROM planned_notices WHERE state = 'told') AS told,
    (SELECT count(*) FROM messages WHERE reference LIKE 'reminder/%') AS messages
"""
PLANNED = "SELECT count(*) FROM planned_notices WHERE state = 'planned'"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many rows of something in so many seconds."""

    what: str
    rows: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.what:<48} {self.rows:>9,} in {self.seconds:6.1f} s {self.rows / self.seconds:>8,.0f}/s"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one query took: how it found what is due, how many pages it read, and milliseconds."""

    what: str
    node: str
    index: str
    rows: int
    most: int
    buffers: int
    ms: float

    @property
    def is_wrong(self) -> bool:
        """Whether it read what is not due: the look may see the next one of each clinic."""
        return self.index != INDEX or "Index" not in self.node or self.rows > self.most

    def __str__(self) -> str:
        return f"{self.what:<48} {self.node} {self.index}: {self.rows:,} rows, {self.buffers:,} pages, {self.ms:.2f} ms"


@dataclass
class Bench:
    """A house whose clock stands where it is put, the clinics, and a connection that sees everything."""

    house: House
    clinics: list[Clinic]
    env: Mapping[str, str]
    everything: asyncpg.Connection

    async def book(self, count: int) -> list[Rate]:
        """Through the verb, one a transaction, in all clinics at once."""
        before = await self.everything.fetchval(PLANNED)
        began = time.monotonic()
        await asyncio.gather(*(self._book(clinic, count // CLINICS) for clinic in self.clinics))
        seconds = time.monotonic() - began
        planned = await self.everything.fetchval(PLANNED) - before
        return [
            Rate(f"booked through the verb, {CLINICS} connections", count // CLINICS * CLINICS, seconds),
            Rate("  their reminders, planned with them", planned, seconds),
        ]

    async def _book(self, clinic: Clinic, count: int) -> None:
        for number in range(count):
            starts_at = NOW + timedelta(days=30, minutes=number)
            booking = Booking(Arriving(name=f"Sara {number}", language="en"), clinic.people[0], starts_at)
            async with self.house.open_work(clinic.tenant, SYSTEM) as work:
                await book(work, booking)

    async def plan(self, appointments: int) -> Rate:
        """Written all at once, under other rules; then the rules change."""
        for clinic in self.clinics:
            await self._change_rules(clinic, OTHER)
            await self.everything.execute(PATIENTS, clinic.tenant, appointments // CLINICS, NOW)
            await self.everything.execute(VISITS, clinic.tenant, clinic.people[0], NOW, THE_DAY, LATER)
        await self.everything.execute("ANALYZE appointments")
        began = time.monotonic()
        for clinic in self.clinics:
            await self._change_rules(clinic, USUAL)
        seconds = time.monotonic() - began
        return Rate("planned anew by changed rules", appointments // CLINICS * CLINICS * len(USUAL), seconds)

    async def _change_rules(self, clinic: Clinic, rules: tuple[str, ...]) -> None:
        async with self.house.open_work(clinic.tenant, SYSTEM) as work:
            await change_rules(work, rules, HOLD_MINUTES)

    async def tell(self, moment: datetime, processes: int) -> Rate:
        """From due to queued: everything that is due at this moment."""
        before = await self.everything.fetchrow(COUNTS)
        due = await self.everything.fetchval(f"{PLANNED} AND due_at <= $1", moment)
        tellers = [await self._teller(moment) for _ in range(processes)]
        began = time.monotonic()
        for teller in tellers:
            teller.stdin.write(b"go\n")
        said = [(await teller.communicate())[0] for teller in tellers]
        seconds = time.monotonic() - began
        if any(teller.returncode for teller in tellers):
            raise BenchError("a process that tells did not end well")
        after = await self.everything.fetchrow(COUNTS)
        told, messages = (after[each] - before[each] for each in ("told", "messages"))
        if not told == messages == due:
            raise BenchError(f"{due} reminders were due, {told} told, {messages} queued; {said}")
        return Rate(f"due to queued, {processes} process{'es' * (processes > 1)}", due, seconds)

    async def _teller(self, moment: datetime) -> Any:
        teller = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.teller", moment.isoformat()),
            cwd=ROOT,
            env=dict(self.env),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert teller.stdout
        if await teller.stdout.readline() != b"ready\n":
            raise BenchError("a process that tells did not start")
        return teller

    async def cost(self, rows: int) -> list[Cost]:
        """Of the two queries with so many rows planned: none of them due, then a few."""
        planned = await self.everything.fetchval(PLANNED)
        visits = await self.everything.fetchval("SELECT count(*) FROM appointments")
        more = max(0, rows - planned)
        await self.everything.execute(MORE, more, NOW, more // visits)
        await self.everything.execute("VACUUM ANALYZE planned_notices")
        total = await self.everything.fetchval(PLANNED)
        without = await self._explained(f"of {total:,} planned")
        due = max(1, min(DUE_OF, rows // 100))
        await self.everything.execute(MAKE_DUE, self.clinics[0].tenant, NOW, due)
        return without + await self._explained(f"of {total:,} planned")

    async def _explained(self, of: str) -> list[Cost]:
        tenant = self.clinics[0].tenant
        due = await self.everything.fetchval(f"{PLANNED} AND due_at <= $1", NOW)
        async with self.house.database.of_tenant(tenant) as session:
            ((claim,),) = await fetch_directly(session, EXPLAIN + CLAIM, tenant, NOW, AT_ONCE)
        async with self.house.database.watching() as watch:
            look = (await watch.execute(text(EXPLAIN + DUE_SOMEWHERE.text), {"now": NOW})).scalar_one()
        return [
            _cost(f"the look, {due:,} due {of}", look[0], CLINICS),
            _cost(f"the claim, {due:,} due {of}", claim[0], due),
        ]


def _cost(what: str, explained: Mapping[str, Any], most: int) -> Cost:
    plan = explained["Plan"]
    found = next(node for node in _nodes(plan) if node.get("Relation Name") == "planned_notices")
    buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    rows = round((found["Actual Rows"] + found.get("Rows Removed by Filter", 0)) * found["Actual Loops"])
    return Cost(what, found["Node Type"], found.get("Index Name", ""), rows, most, buffers, explained["Execution Time"])


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


@click.command()
@click.option("--appointments", default=100_000, show_default=True, type=click.IntRange(CLINICS * 2))
@click.option("--bookings", default=2_000, show_default=True, type=click.IntRange(CLINICS), help="through the verb")
@click.option("--planned-rows", default=1_000_000, show_default=True, type=click.IntRange(1_000))
def main(appointments: int, bookings: int, planned_rows: int) -> None:
    """Measure, and fail when something is wrong."""
    try:
        with new_folder() as folder, stores(folder) as kept:
            rates, costs = asyncio.run(_run(kept.env(), appointments, bookings, planned_rows))
    except BenchError as error:
        sys.exit(f"reminders: {error}")
    for each in (*rates, *costs):
        click.echo(each)
    wrong = [cost for cost in costs if cost.is_wrong]
    for cost in wrong:
        click.echo(f"wrong: more was read than is due: {cost}")
    sys.exit(1 if wrong else 0)


async def _run(env: Mapping[str, str], appointments: int, bookings: int, rows: int) -> tuple[list[Rate], list[Cost]]:
    everything = await asyncpg.connect(env["DATABASE_URL"])
    try:
        async with build(settings_of(env), "bench", lambda: NOW) as house:
            clinics = [await open_clinic(house, 1) for _ in range(CLINICS)]
            for clinic in clinics:
                async with house.open_work(clinic.tenant, SYSTEM) as work:
                    await install_defaults(work)
            bench = Bench(house, clinics, env, everything)
            rates = [*await bench.book(bookings), await bench.plan(appointments)]
            rates += [await bench.tell(THE_DAY - DAY + LAST, 1), await bench.tell(THE_DAY - DAY + LATER + LAST, 2)]
            return rates, await bench.cost(rows)
    finally:
        await everything.close()


if __name__ == "__main__":
    main()
