"""What connections cost that only listen: `python -m bench.idle` starts everything it needs and prints a table.

Everybody signs in with a token of their own. Memory is the web process's, above that with 20 connections. Then others
connect and hang up a hundred thousand times, half of them without a word: tasks and memory have to come back to where
they were. Needs Linux.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from bench import machine
from bench.errors import BenchError
from bench.helpers import Helper, helper
from bench.inspected import PATH, PROGRAM
from bench.people import Clinic, open_clinic
from bench.servers import Running, running
from hub.crypto import Keys
from hub.settings import Settings
from hub.wiring import build

FIRST = 20
AT_ONCE = 64
# Tokens live for ten minutes; so many are used up well before.
CALLS_AT_A_TIME = 10_000
# Enough for everything in the process to have its working size.
WARM_UP = 10_000
SETTLE_S = 3.0
CONNECT_WITHIN_S = 300.0
MOST_GROWTH = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """So many connections, and what each costs (KiB; CPU in µs while connecting)."""

    connections: int
    rss: float
    pss: float
    per_second: float
    web_us: float
    postgres_us: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """How much goes on in the web process, and how much memory it holds (MB)."""

    tasks: int
    connections: int
    memory: float


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a run found."""

    steps: Sequence[Step]
    cycles: int
    before: Vitals
    after: Vitals

    @property
    def growth(self) -> float:
        """By which share of it memory has grown over the cycles."""
        return self.after.memory / self.before.memory - 1

    @property
    def problems(self) -> list[str]:
        """What must not happen."""
        found = {
            f"{self.after.tasks - self.before.tasks} tasks left over": self.after.tasks > self.before.tasks,
            f"{self.after.connections} connections left over": self.after.connections > 0,
            f"memory grew by {self.growth:.1%}": self.growth > MOST_GROWTH,
        }
        return [words for words, is_so in found.items() if is_so]


@dataclass(frozen=True, slots=True)
class Bench:
    """What the stages share."""

    servers: Running
    keys: Keys
    clinic: Clinic
    callers: Helper

    async def call(self, command: str, first: int, count: int) -> float:
        """Have `count` people connect, beginning with number `first`; how long it took."""
        people = self.clinic.people
        chosen = [people[number % len(people)] for number in range(first, first + count)]
        tokens = self.clinic.tokens(self.keys, datetime.now(UTC), chosen)
        values = {"port": self.servers.port, "tokens": tokens, "at_once": AT_ONCE}
        return float((await self.callers.ask(command, CONNECT_WITHIN_S, **values))["seconds"])

    async def vitals(self) -> Vitals:
        """How the web process is, once it has come to rest."""
        await asyncio.sleep(SETTLE_S)
        found = await asyncio.to_thread(_read, f"http://127.0.0.1:{self.servers.port}{PATH}")
        return Vitals(found["tasks"], found["connections"], machine.resident_bytes(self.servers.web) / 1e6)


@click.command()
@click.option("--sizes", default="1000,5000,10000", show_default=True, help="numbers of connections, rising")
@click.option("--cycles", default=100_000, show_default=True, help="connections that are opened and ended")
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="also write the findings there")
def main(sizes: str, cycles: int, out: Path | None) -> None:
    """Measure connections that only listen; fails when tasks are left over, or memory grows by over 5 %."""
    try:
        findings = measure([int(size) for size in sizes.split(",")], cycles)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    click.echo(render(findings))
    if out:
        out.write_text(json.dumps(asdict(findings) | {"problems": findings.problems}, indent=1) + "\n")
    sys.exit(1 if findings.problems else 0)


def measure(sizes: Sequence[int], cycles: int) -> Findings:
    """Both parts, each on a web process of its own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with running(program=PROGRAM) as servers:
        steps = asyncio.run(_rise(servers, sizes))
    with running(program=PROGRAM) as servers:
        return Findings(steps, cycles, *asyncio.run(_come_and_go(servers, cycles)))


async def _rise(servers: Running, sizes: Sequence[int]) -> list[Step]:
    async with _bench(servers, sizes[-1]) as bench:
        return await _connect_more(bench, sizes)


async def _connect_more(bench: Bench, sizes: Sequence[int]) -> list[Step]:
    await bench.call("connect", 0, FIRST)
    await asyncio.sleep(SETTLE_S)
    base, have, steps = machine.memory(bench.servers.web), FIRST, []
    roots = {"web": bench.servers.web, "postgres": bench.servers.postgres}
    for size in sizes:
        _say(f"{size:,} connections")
        before = machine.look(roots)
        seconds = await bench.call("connect", have, size - have)
        used = before.until(machine.look(roots)).cpu
        await asyncio.sleep(SETTLE_S)
        memory, new = machine.memory(bench.servers.web), size - have
        rss, pss = ((now - then) / 1024 / (size - FIRST) for now, then in zip(memory, base, strict=True))
        web, postgres = (used[name].ran * 1e6 / new for name in roots)
        steps.append(Step(size, rss, pss, new / seconds, web, postgres))
        have = size
    if (left := await bench.callers.ask("count", SETTLE_S)) != have:
        raise BenchError(f"{have - left} of {have} connections were closed")
    return steps


async def _come_and_go(servers: Running, cycles: int) -> tuple[Vitals, Vitals]:
    async with _bench(servers, min(cycles, CALLS_AT_A_TIME)) as bench:
        await bench.call("cycle", 0, min(cycles, WARM_UP))
        before = await bench.vitals()
        for done in range(0, cycles, CALLS_AT_A_TIME):
            _say(f"{done:,} of {cycles:,} cycles")
            await bench.call("cycle", done, min(CALLS_AT_A_TIME, cycles - done))
        return before, await bench.vitals()


@asynccontextmanager
async def _bench(servers: Running, people: int) -> AsyncIterator[Bench]:
    _say(f"a clinic with {people:,} people")
    wanted = ("DATABASE_URL", "REDIS_URL", "HUB_KEYS")
    settings = Settings.model_validate({name.lower(): servers.env[name] for name in wanted})
    async with build(settings, "bench") as house:
        clinic = await open_clinic(house, people)
    async with helper("bench.callers", servers.env) as callers:
        yield Bench(servers, house.keys, clinic, callers)


def render(findings: Findings) -> str:
    """The findings as text."""
    columns = ("connections", "RSS KiB each", "PSS KiB each", "connects/s", "web µs each", "Postgres µs each")
    before, after = findings.before, findings.after
    return "\n".join(
        [
            "".join(f"{column:>18}" for column in columns),
            *(
                f"{step.connections:>18,}{step.rss:>18.1f}{step.pss:>18.1f}"
                f"{step.per_second:>18,.0f}{step.web_us:>18,.0f}{step.postgres_us:>18,.0f}"
                for step in findings.steps
            ),
            "",
            f"{findings.cycles:,} connected and left: tasks {before.tasks} before, {after.tasks} after; "
            f"memory {before.memory:.1f} MB before, {after.memory:.1f} MB after ({findings.growth:+.1%})",
            *(f"FAILED: {problem}" for problem in findings.problems),
        ]
    )


def _read(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  ours
        found: dict[str, int] = json.load(answer)
        return found


def _say(words: str) -> None:
    click.echo(f"… {words}", err=True)


if __name__ == "__main__":
    main()
