"""The run: connect, be idle, warm up, and measure a few times at each rate."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr

from bench import machine
from bench.beside import PUBLISHER, channels
from bench.errors import BenchError
from bench.figures import NS_PER_MS, WEB, Connecting, Findings, Idle, Repeat, cpu_each, noise, spread
from bench.helpers import Helper, helper
from bench.people import Clinic, open_clinic, sign_in
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
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """What the stages share."""

    servers: Running
    clinic: Clinic
    cookies: list[str]
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
        await _connect(bench, bench.cookies[:first], plan.at_once)
        await asyncio.sleep(SETTLE_S)
        base = machine.resident_bytes(servers.web)
        say("connecting")
        connecting = await _connect(bench, bench.cookies[first:], plan.at_once)
        say("idle")
        idle = await _be_idle(bench, plan, base, connecting.count)
        findings = Findings(plan.connections, plan.seconds, os.cpu_count() or 1, load_average, connecting, idle, [], [])
        await _publish_all(bench, plan, findings.warm_ups, findings.repeats)
        clinic = bench.clinic
    if plan.beside:
        async with _beside(servers, clinic, say) as bench:
            say("connecting to Channels")
            await _connect(bench, bench.cookies, plan.at_once)
            await _publish_all(bench, plan, [], findings.beside)
    return findings


async def _publish_all(bench: Bench, plan: Plan, warm_ups: list[Repeat], repeats: list[Repeat]) -> None:
    for rate in plan.rates:
        warm_ups.append(await _publish(bench, rate, WARM_UP_S))
        for number in range(plan.repeats):
            bench.say(f"{rate:g}/s, {number + 1} of {plan.repeats}")
            repeats.append(await _publish(bench, rate, plan.seconds))


@asynccontextmanager
async def _bench(servers: Running, plan: Plan, say: Callable[[str], None]) -> AsyncIterator[Bench]:
    settings = Settings(
        database_url=SecretStr(servers.env["DATABASE_URL"]),
        redis_url=SecretStr(servers.env["REDIS_URL"]),
        hub_keys=SecretStr(servers.env["HUB_KEYS"]),
    )
    async with build(settings, "bench") as house:
        clinic = await open_clinic(house, plan.connections)
        cookies = [f"hub={cookie}" for cookie in await sign_in(house, clinic)]
    async with helper("bench.load", servers.env) as load, helper("bench.publisher", servers.env) as publisher:
        yield Bench(servers, clinic, cookies, load, publisher, say)


@asynccontextmanager
async def _beside(servers: Running, clinic: Clinic, say: Callable[[str], None]) -> AsyncIterator[Bench]:
    """The same people at Channels; nobody is connected to the hub any more."""
    with channels(servers) as peer:
        async with helper("bench.load", servers.env) as load, helper(PUBLISHER, peer.env, peer.python) as publisher:
            cookies = await publisher.ask("sign_in", SLACK_S, people=[str(person) for person in clinic.people])
            yield Bench(replace(servers, port=peer.port, web=peer.web), clinic, cookies, load, publisher, say)


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
    who = {"tenant": str(bench.clinic.tenant), "people": [str(person) for person in bench.clinic.people]}
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
