"""Thousands of clients cut off at once, while bells go on ringing: `python -m bench.storm --clients 5000`.

Once by kill -9 of the web process, which is started again at once, and once by all links being cut while it lives; with
the clients' random waits as the hub asks for them, and with none. Fails when a notification is lost or shown twice.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

import click

from bench.errors import BenchError
from bench.figures import spread
from bench.flocks import Gathering, gathered
from bench.machine import lift_file_limit
from bench.servers import Running, running
from bench.statements import OPTIONS, Count, counting

HOWS = ("kill", "cut")
JITTERS = ("client", "none")
BEFORE_S, AFTER_S = 3.0, 5.0
BACK_WITHIN_S = 120.0
AGREE_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """What one storm came to."""

    how: str
    jitter: str
    after: list[float]
    away: int
    sent: int
    unsent: int
    count: Count
    told: dict[str, int]
    wrong: list[str]

    @property
    def problems(self) -> list[str]:
        """What must not happen."""
        found = list(self.wrong)
        if self.away:
            found.append(f"{self.away} clients did not come back")
        return [f"{self.how}, jitter {self.jitter}: {problem}" for problem in found]

    def __str__(self) -> str:
        all_back = spread(self.after)
        late = sorted(self.after)[int(len(self.after) * 0.95)] if self.after else float("nan")
        asked = ", ".join(
            f"{sort} {self.count.total(sort):,} (peak {self.count.peak(sort):,}/s)"
            for sort in ("cursors", "sign-in", "writing", "other")
        )
        return (
            f"{self.how:<5} jitter {self.jitter:<7} back: half in {all_back.p50:.1f} s, 95 % in {late:.1f} s, "
            f"all in {all_back.max:.1f} s; {self.away} away\n"
            f"      {self.sent:,} notifications meanwhile, {self.unsent} not written; {self.told}\n"
            f"      statements: {asked}"
        )


async def strike(gathering: Gathering, rate: float, how: str, jitter: str) -> Found:
    """One round."""
    await gathering.tell_tabs("behave", jitter=jitter)
    await gathering.tell_tabs("collect")
    await gathering.begin(rate)
    await asyncio.sleep(BEFORE_S)
    async with counting(gathering.servers.env["DATABASE_URL"]) as count:
        since = time.monotonic_ns()
        if how == "kill":
            gathering.servers.process.kill()
            gathering.servers.process.start()
        else:
            await gathering.tell_tabs("cut")
        back = await gathering.tell_tabs("until_back", since=since, patience=BACK_WITHIN_S)
        await asyncio.sleep(AFTER_S)
    cried = await gathering.end()
    wrong = await gathering.disagreements(AGREE_WITHIN_S)
    heard = await gathering.tell_tabs("collect")
    if lost := cried["committed"].keys() - heard["at"].keys():
        wrong.append(f"{len(lost)} lost")
    return Found(
        how, jitter, back["after"], back["away"], len(cried["committed"]), cried["failed"], count, heard["told"], wrong
    )


@click.command()
@click.option("--clients", default=5000, show_default=True, type=click.IntRange(2, 9000))
@click.option("--rate", default=100.0, show_default=True, help="notifications per second, to random clients")
@click.option("--how", type=click.Choice(HOWS), multiple=True, default=HOWS, show_default=True)
@click.option("--jitter", type=click.Choice(JITTERS), multiple=True, default=JITTERS, show_default=True)
def main(clients: int, rate: float, how: tuple[str, ...], jitter: tuple[str, ...]) -> None:
    """Cut everybody off at once, in each of these ways, and see how they come back."""
    lift_file_limit()
    try:
        with running(OPTIONS) as servers:
            found = asyncio.run(_run(servers, clients, rate, [(each, wait) for each in how for wait in jitter]))
    except BenchError as error:
        sys.exit(f"storm: {error}")
    problems = [problem for each in found for problem in each.problems]
    for problem in problems:
        click.echo(f"FAILED: {problem}")
    sys.exit(1 if problems else 0)


async def _run(servers: Running, clients: int, rate: float, rounds: list[tuple[str, str]]) -> list[Found]:
    found = []
    async with gathered(servers, clients) as gathering:
        click.echo(f"{clients:,} clients connected in {gathering.connected_in:.1f} s; {rate:g} notifications a second")
        for how, jitter in rounds:
            found.append(await strike(gathering, rate, how, jitter))
            click.echo(str(found[-1]))
    return found


if __name__ == "__main__":
    main()
