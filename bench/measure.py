"""The run: connect, be idle, warm up, and measure a few times at each rate."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from bench import machine
from bench.errors import BenchError
from bench.figures import NS_PER_MS, WEB, Connecting, Findings, Idle, Repeat, cpu_each, noise, spread
from bench.helpers import Helper, helper
from bench.people import Crowd, gather_crowd
from bench.servers import Running
from hub.settings import Settings
from hub.wiring import build

# The first few bring the web process to its working size: pools, caches, code. Memory is counted above that.
FIRST = 20
SETTLE_S = 1.5
WARM_UP_S = 2.0
CONNECT_WITHIN_S = 60.0
# Longer than the next look at Postgres, and than the next heartbeat: what has not come by then is lost.
PATIENCE_S = 20.0
SLACK_S = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    connections: int
    rates: tuple[float, ...]
    seconds: float
    repeats: int
    idle: float
    at_once: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What the stages share."""

    servers: Running
    crowd: Crowd
    load: Helper
    publisher: Helper
    say: Callable[[str], None]

    def look(self) -> machine.Moment:
        """All counters now; our own process counts as part of the load."""
        return machine.look(
            {
                WEB: self.servers.web,
                "publisher": self.publisher.pid,
                "postgres": self.servers.postgres,
                "valkey": self.servers.valkey,
                "load": self.load.pid,
            }
        )


async def measure(servers: Running, plan: Plan, say: Callable[[str], None]) -> Findings:
    """Everything the plan asks for."""
    load_average = os.getloadavg()[0]
    say(f"signing in {plan.connections} clinicians")
    async with _bench(servers, plan, say) as bench:
        first = min(FIRST, plan.connections // 2)
        await _connect(bench, bench.crowd.cookies[:first], plan.at_once)
        await asyncio.sleep(SETTLE_S)
        base = machine.resident_bytes(servers.web)
        say("connecting")
        connecting = await _connect(bench, bench.crowd.cookies[first:], plan.at_once)
        say("idle")
        idle = await _be_idle(bench, plan, base, connecting.count)
        findings = Findings(plan.connections, plan.seconds, os.cpu_count() or 1, load_average, connecting, idle, [], [])
        for rate in plan.rates:
            findings.warm_ups.append(await _publish(bench, rate, WARM_UP_S))
            for number in range(plan.repeats):
                say(f"{rate:g}/s, {number + 1} of {plan.repeats}")
                findings.repeats.append(await _publish(bench, rate, plan.seconds))
    return findings


@asynccontextmanager
async def _bench(servers: Running, plan: Plan, say: Callable[[str], None]) -> AsyncIterator[Bench]:
    settings = Settings(
        database_url=SecretStr(servers.env["DATABASE_URL"]),
        redis_url=SecretStr(servers.env["REDIS_URL"]),
        hub_keys=SecretStr(servers.env["HUB_KEYS"]),
    )
    async with build(settings, "bench") as house:
        crowd = await gather_crowd(house, plan.connections)
    async with helper("bench.load", servers.env) as load, helper("bench.publisher", servers.env) as publisher:
        yield Bench(servers, crowd, load, publisher, say)


async def _connect(bench: Bench, cookies: list[str], at_once: int) -> Connecting:
    fixed_work = machine.fixed_work()
    before = bench.look()
    wanted = {"port": bench.servers.port, "cookies": cookies, "at_once": at_once}
    done = await bench.load.ask("connect", CONNECT_WITHIN_S, **wanted)
    counted = before.until(bench.look())
    return Connecting(
        len(cookies),
        len(cookies) / done["seconds"],
        spread([seconds * 1000 for seconds in done["each"]]),
        cpu_each(counted, len(cookies), 1e3),
        noise(counted, fixed_work),
    )


async def _be_idle(bench: Bench, plan: Plan, base: int, added: int) -> Idle:
    await asyncio.sleep(SETTLE_S)
    fixed_work = machine.fixed_work()
    before = bench.look()
    await asyncio.sleep(plan.idle)
    counted = before.until(bench.look())
    more = machine.resident_bytes(bench.servers.web) - base
    return Idle(
        plan.idle,
        base / 1e6,
        more / 1e3 / added,
        cpu_each(counted, counted.at, 1e3),
        noise(counted, fixed_work),
    )


async def _publish(bench: Bench, rate: float, seconds: float) -> Repeat:
    fixed_work = machine.fixed_work()
    who = {"tenant": str(bench.crowd.tenant), "people": [str(person) for person in bench.crowd.people]}
    before = bench.look()
    done = await bench.publisher.ask("publish", seconds + SLACK_S, rate=rate, seconds=seconds, **who)
    counted = before.until(bench.look())
    seen = await bench.load.ask("collect", PATIENCE_S + SLACK_S, expect=done["sent"], patience=PATIENCE_S)
    stamps: dict[str, tuple[int, int]] = await bench.publisher.ask("stamps", SLACK_S)
    return _figures(rate, done, seen, stamps, counted, fixed_work)


def _figures(
    rate: float,
    done: dict[str, Any],
    seen: dict[str, Any],
    stamps: dict[str, tuple[int, int]],
    counted: machine.Moment,
    fixed_work: float,
) -> Repeat:
    arrived: dict[str, int] = seen["at"]
    if strangers := arrived.keys() - stamps.keys():
        raise BenchError(f"{len(strangers)} notifications came that nobody sent")
    return Repeat(
        wanted_rate=rate,
        rate=done["sent"] / done["seconds"],
        sent=len(stamps),
        delivered=len(arrived),
        failed=done["failed"],
        caught_up=seen["caught_up"],
        repeated=seen["repeated"],
        closed=seen["closed"],
        to_socket_ms=spread([(at - stamps[each][1]) / NS_PER_MS for each, at in arrived.items()]),
        writing_ms=spread([(committed - called) / NS_PER_MS for called, committed in stamps.values()]),
        cpu_us=cpu_each(counted, len(arrived), 1e6),
        noise=noise(counted, fixed_work),
    )
