"""Two workers, thousands of messages, and kill -9 again and again: `python -m bench.kills`.

Fails when a message is lost, or when the vendor took one twice. Those that were under way at a kill end as unknown; the
vendor is asked about them, and what it never had is sent.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import click

from bench.errors import BenchError
from bench.office import Office, Street, open_office, street
from hub.messages.claim import LEASE
from hub.messages.states import State

# Long enough that most kills find requests under way; now and then the vendor takes one, and cuts the line.
SLOW = {"delay_s": 0.5}
TAKEN_AND_CUT = {"takes": True, "cut_before": True}
NEVER_TAKEN = {"cut_before": True}
CHANCES = [(0.01, TAKEN_AND_CUT), (0.01, NEVER_TAKEN), (0.98, SLOW)]
PATIENTS = 200
KILLED_EVERY_S = (0.8, 2.5)
PATIENCE_S = 900.0
# More than a doubt waits before the vendor is asked once more.
LATER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the messages."""

    states: Counter[str]
    kills: int
    interrupted: int
    vendor_had: int
    never_had: int
    taken: int
    twice: int
    seconds: float


@click.command()
@click.option("--messages", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, help="of when which worker is killed")
def main(messages: int, workers: int, seed: int) -> None:
    """Kill workers while they send."""
    try:
        with street() as where:
            found = asyncio.run(_run(where, messages, workers, seed))
    except BenchError as error:
        sys.exit(f"kills: {error}")
    click.echo(f"{messages:,} messages, {workers} workers, {found.kills} kills in {found.seconds:.0f} s")
    click.echo(f"  ended: {dict(found.states)}; the vendor took {found.taken:,}, twice {found.twice}")
    click.echo(f"  under way at a kill: {found.interrupted}; of all without an answer the vendor had", nl=False)
    click.echo(f" {found.vendor_had}, and not {found.never_had}")
    sys.exit(0 if found.taken == messages == found.states[State.SENT] and not found.twice else 1)


async def _run(where: Street, messages: int, workers: int, seed: int) -> Found:
    dice = random.Random(seed)
    async with open_office(where, workers, min(PATIENTS, messages)) as office:
        await office.script(chances=CHANCES)
        await office.queue(messages, "normal")
        for worker in office.workers:
            worker.start()
        began, kills = time.monotonic(), 0
        while await _are_queued(office):
            await asyncio.sleep(dice.uniform(*KILLED_EVERY_S))
            worker = dice.choice(office.workers)
            worker.kill()
            worker.start()
            kills += 1
            if time.monotonic() - began > PATIENCE_S:
                raise BenchError(f"still under way: {dict(await office.states())}")
        states = await _settled(office)
        counts = await office.counts()
        return Found(
            states=states,
            kills=kills,
            interrupted=await office.steps("interrupted"),
            vendor_had=await office.steps("vendor_has_it"),
            never_had=await office.steps("vendor_never_had_it"),
            taken=counts["taken"],
            twice=len(counts["twice"]["references"]) + len(counts["twice"]["words"]),
            seconds=time.monotonic() - began,
        )


async def _are_queued(office: Office) -> bool:
    return (await office.states())[State.QUEUED] > 0


async def _settled(office: Office) -> Counter[str]:
    """Leases run out, doubts are resolved, and what was never sent is: as often as it takes."""
    await office.let_time_pass(LEASE + timedelta(seconds=1))
    for _ in range(20):
        states = await office.states()
        if not any(states[state] for state in (State.QUEUED, State.SENDING, State.UNKNOWN)):
            return states
        await asyncio.sleep(3)
        await office.let_time_pass(LATER)
    raise BenchError(f"never settled: {dict(states)}")


if __name__ == "__main__":
    main()
