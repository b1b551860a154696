"""A bulk of many thousands, and critical messages beside it: `python -m bench.lanes`.

From the request for a critical message to its arrival at the vendor, while workers send the bulk; and how many messages
a minute they send.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from statistics import quantiles

import click

from bench.errors import BenchError
from bench.office import Office, Street, open_office, street
from hub.channels.vendor import Channel
from hub.messages.compose import Sending, send_message
from hub.messages.states import State
from hub.people.choices import Topic
from hub.work import SYSTEM

PATIENTS = 200
WARM_S = 10.0
MARK = "critical "
MOST_S = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds from the request to the vendor of each critical one; and bulk messages a minute meanwhile."""

    waits: list[float]
    asked: int
    per_minute: float
    left: int


@click.command()
@click.option("--bulk", default=100_000, show_default=True, type=click.IntRange(1))
@click.option("--critical", default=60, show_default=True, type=click.IntRange(2), help="one every half second")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
def main(bulk: int, critical: int, workers: int) -> None:
    """Measure both; fails when a critical one is lost, or waits too long."""
    try:
        with street() as where:
            found = asyncio.run(_run(where, bulk, critical, workers))
    except BenchError as error:
        sys.exit(f"lanes: {error}")
    p50, p95 = quantiles(found.waits, n=20)[9], quantiles(found.waits, n=20)[18]
    click.echo(f"{bulk:,} in bulk, {workers} workers: {found.per_minute:,.0f} messages a minute; {found.left:,} left")
    click.echo(
        f"  {found.asked} critical beside it, request to vendor: p50 {p50:.2f} s, p95 {p95:.2f} s, "
        f"longest {max(found.waits):.2f} s; {found.asked - len(found.waits)} lost"
    )
    sys.exit(0 if len(found.waits) == found.asked and p95 <= MOST_S else 1)


async def _run(where: Street, bulk: int, critical: int, workers: int) -> Found:
    async with open_office(where, workers, PATIENTS) as office:
        await office.queue(bulk, "bulk")
        for worker in office.workers:
            worker.start()
        await asyncio.sleep(WARM_S)
        before, began = (await office.counts())["taken"], time.monotonic()
        asked = {}
        for number in range(critical):
            asked[number] = await _ask(office, number)
            await asyncio.sleep(0.5)
        after, ended = (await office.counts())["taken"], time.monotonic()
        await asyncio.sleep(MOST_S)
        arrived = {each["words"]: each["at"] for each in await office.taken(before) if MARK in each["words"]}
        waits = [arrived[f"{MARK}{number}"] - at for number, at in asked.items() if f"{MARK}{number}" in arrived]
        left = (await office.states())[State.QUEUED]
        return Found(waits, critical, (after - before) / (ended - began) * 60, left)


async def _ask(office: Office, number: int) -> float:
    at = time.time()
    patient = office.patients[number % len(office.patients)]
    words = Sending(patient, topic=Topic.REMINDERS, text=f"{MARK}{number}", channels=(Channel.SMS,), lane="critical")
    async with office.house.open_work(office.tenant, SYSTEM) as work:
        await send_message(work, words)
    return at


if __name__ == "__main__":
    main()
