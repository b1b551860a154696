"""One durable broadcast to everybody connected: `python -m bench.broadcast --people 3000,10000`.

From the commit of all its rows to the first, the median and the last client; and what writing the rows took. Clients
only stamp what comes, and read it afterwards, so that the one is not late because the other is being read.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from statistics import median
from typing import Any

import click

from bench.errors import BenchError
from bench.figures import NS_PER_MS
from bench.flocks import SLACK_S, Gathering, gathered
from bench.machine import lift_file_limit
from bench.servers import Running, running

LETTERS = 200
PAUSE_S = 3.0
PATIENCE_S = 30.0
NAMES = ("rows", "to commit", "announced", "first", "median", "last")


@dataclass(frozen=True, slots=True)
class Found:
    """One broadcast, all in ms: the verb, and all until the commit; and from the commit on."""

    times: tuple[float, ...]
    lost: int


@click.command()
@click.option("--people", default="3000,10000", show_default=True, help="how many: one run each")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1))
def main(people: str, repeats: int) -> None:
    """Ring everybody's bell at once, some times over; fails when one does not hear it."""
    lift_file_limit()
    try:
        with running() as servers:
            lost = asyncio.run(_run(servers, [int(size) for size in people.split(",")], repeats))
    except BenchError as error:
        sys.exit(f"broadcast: {error}")
    sys.exit(1 if lost else 0)


async def _run(servers: Running, sizes: list[int], repeats: int) -> int:
    lost = 0
    for size in sizes:
        async with gathered(servers, size) as gathering:
            click.echo(f"{size:,} people, all connected: ms to write the rows, and from their commit on")
            click.echo(_line("", NAMES))
            await broadcast(gathering, size)
            found = [await broadcast(gathering, size) for _ in range(repeats)]
            lost += sum(each.lost for each in found)
            columns = list(zip(*(each.times for each in found), strict=True))
            for name, of in (("best", min), ("median", median), ("worst", max)):
                click.echo(_line(name, [f"{of(column):.0f}" for column in columns]))
            click.echo(f"  {sum(each.lost for each in found)} lost")
    return lost


async def broadcast(gathering: Gathering, size: int) -> Found:
    """One of them."""
    await asyncio.sleep(PAUSE_S)
    await gathering.tell_tabs("collect")
    await gathering.tell_tabs("hold")
    cried = await gathering.crier.ask("broadcast", SLACK_S, tenant=gathering.tenant, letters=LETTERS)
    await gathering.tell_tabs("release", count=size, patience=PATIENCE_S)
    wrong = await gathering.disagreements(PATIENCE_S)
    heard = await gathering.tell_tabs("collect")
    return _found(cried, heard["at"], wrong)


def _found(cried: dict[str, Any], at: dict[str, int], wrong: list[str]) -> Found:
    for each in wrong:
        click.echo(f"FAILED: {each}")
    after = sorted((each - cried["committed"]) / NS_PER_MS for each in at.values()) or [float("nan")]
    announced = (cried["announced"] - cried["committed"]) / NS_PER_MS
    times = (cried["written_ms"], cried["until_commit_ms"], announced, after[0], median(after), after[-1])
    return Found(times, cried["rows"] - len(at) + len(wrong))


def _line(name: str, cells: Any) -> str:
    return f"  {name:<7}" + "".join(f"{cell:>12}" for cell in cells)


if __name__ == "__main__":
    main()
