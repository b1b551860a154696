"""One seed: people come, bells ring, things break, and in the end everybody is asked what they hold."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos.faults import Fault, Notice, Schedule, draw, notices_of
from bench.chaos.world import World
from bench.inbox import Row
from bench.people import Clinic, open_clinic, sign_in
from bench.servers import settings_of
from bench.tab import Patience, Tab, look_after, open_all, summary, within
from bench.truth import agree, find_violations
from hub.wiring import build

JITTER_S = 0.4
PATIENCE = Patience(welcome=3.0, answer=2.0)
AT_ONCE = 25
CONNECT_WITHIN_S = 30.0
AGREE_WITHIN_S = 40.0
BURST = 5
# How many of those that are shown are marked read, one or all before it.
READ_SHARE, READ_ALL_SHARE = 0.005, 0.0005
MOST_EXPLAINED = 5


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it."""

    clients: int = 200
    notices: int = 500
    per_second: float = 100.0
    to_all: float = 0.3


@dataclass
class Outcome:
    """What a seed came to."""

    schedule: Schedule
    rows: int = 0
    agreed_after: float | None = None
    took: float = 0.0
    told: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        agreed = "never agreed" if self.agreed_after is None else f"agreed after {self.agreed_after:4.1f} s"
        told = ", ".join(f"{count} {name}" for name, count in self.told.items())
        verdict = f"FAILED for {len(self.wrong)}" if self.wrong else "ok"
        return (
            f"seed {self.schedule.seed:<4} {verdict}  {agreed} of {self.took:4.1f}  {self.rows} rows, {told}\n"
            f"     {self.schedule}"
        )


@dataclass
class Reader:
    """Whoever sits before a tab, and now and then reads what is shown."""

    dice: random.Random
    answered: set[str] = field(default_factory=set)
    _asked: dict[str, str] = field(default_factory=dict)
    _seen: int = 0

    def heard(self, tab: Tab, frame: Row, _at: int) -> None:
        """Read some of what is new, and note what the hub says it has taken."""
        if frame["t"] == "ok" and (read := self._asked.pop(frame["nonce"], None)):
            self.answered.add(read)
        shown = tab.inbox.shown
        for each in shown[self._seen :]:
            self._perhaps_read(tab, each)
        self._seen = len(shown)

    def _perhaps_read(self, tab: Tab, shown: str) -> None:
        chance = self.dice.random()
        nonce = f"{self.dice.getrandbits(64):x}"
        if chance < READ_ALL_SHARE:
            tab.say({"t": "read_all", "upto": tab.inbox.cursor, "nonce": nonce})
        elif chance < READ_SHARE:
            self._asked[nonce] = shown
            tab.say({"t": "read", "ids": [shown], "nonce": nonce})


async def run_seed(world: World, seed: int, size: Size, logs: Path) -> Outcome:
    """Everything of one seed, on servers that may have served others before."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome = Outcome(draw(seed, size.notices, size.per_second))
    clinic, cookies = await _clinic(world, size.clients)
    readers = [Reader(random.Random(f"reader {index} of {seed}")) for index in range(size.clients)]
    async with _tabs(world, cookies, readers, seed) as tabs:
        by_person = dict(zip(clinic.people, tabs, strict=True))
        await _until_over(world, outcome.schedule, clinic, size)
        over = loop.time()
        truth, agreed = await agree(world.database_url, clinic.tenant, by_person, AGREE_WITHIN_S)
        if agreed:
            outcome.agreed_after = loop.time() - over
        answered = {person: reader.answered for person, reader in zip(clinic.people, readers, strict=True)}
        outcome.wrong = find_violations(truth, by_person, answered.__getitem__)
        committed = {row.id for each in truth.values() for row in each.rows}
        outcome.rows = len(committed)
        if gone := set(world.publishing.committed) - committed:
            outcome.wrong["publisher"] = [f"{len(gone)} committed, says the publisher, but not in Postgres"]
        if outcome.agreed_after is None:
            outcome.wrong.setdefault("everybody", []).append(f"no agreement within {AGREE_WITHIN_S:g} s")
        outcome.told = summary(tabs)
        if outcome.wrong:
            _explain(outcome, by_person, logs / f"seed-{seed}.json")
    world.publishing.committed.clear()
    outcome.took = loop.time() - began
    return outcome


async def _clinic(world: World, size: int) -> tuple[Clinic, list[str]]:
    async with build(settings_of(world.publishing.env), "chaos") as house:
        clinic = await open_clinic(house, size)
        return clinic, await sign_in(house, clinic)


@asynccontextmanager
async def _tabs(world: World, cookies: list[str], readers: list[Reader], seed: int) -> AsyncIterator[list[Tab]]:
    ports = [front.port for front in world.fronts]
    tabs = []
    for index, (cookie, reader) in enumerate(zip(cookies, readers, strict=True)):
        dice = random.Random(f"tab {index} of {seed}")
        tabs.append(
            Tab(
                cookie,
                world.publishing.env["PUBLIC_URL"],
                ports,
                within(JITTER_S, dice),
                dice=dice,
                patience=PATIENCE,
                heard=reader.heard,
            )
        )
    looking = asyncio.create_task(look_after(tabs))
    try:
        await open_all(tabs, AT_ONCE, CONNECT_WITHIN_S)
        yield tabs
    finally:
        looking.cancel()
        for tab in tabs:
            tab.stop()


async def _until_over(world: World, schedule: Schedule, clinic: Clinic, size: Size) -> None:
    """Until everything is published, every fault is over, and every process back."""
    async with asyncio.TaskGroup() as striking:
        await _publish(world, schedule, clinic, size, lambda fault: striking.create_task(world.strike(fault)))
    await world.until_ready()
    world.publishing.dies_next = None
    if not schedule.quiet_tail:
        await world.publishing.ring(clinic.tenant, [Notice(size.notices, (), critical=False)], clinic.people)


async def _publish(
    world: World, schedule: Schedule, clinic: Clinic, size: Size, strike: Callable[[Fault], object]
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    notices = notices_of(schedule.seed, size.notices, size.clients, size.to_all)
    for at in range(0, len(notices), BURST):
        for fault in schedule.faults:
            if at <= fault.at < at + BURST:
                strike(fault)
        await asyncio.sleep(began + at / size.per_second - loop.time())
        await world.publishing.ring(clinic.tenant, notices[at : at + BURST], clinic.people)


def _explain(outcome: Outcome, tabs: dict[uuid.UUID, Tab], path: Path) -> None:
    wrong = {str(person): tab for person, tab in tabs.items() if str(person) in outcome.wrong}
    account = {
        "seed": outcome.schedule.seed,
        "faults": [str(fault) for fault in outcome.schedule.faults],
        "wrong": outcome.wrong,
        "tabs": {person: _account(tab) for person, tab in list(wrong.items())[:MOST_EXPLAINED]},
    }
    path.write_text(json.dumps(account, indent=1) + "\n")


def _account(tab: Tab) -> Row:
    inbox, told = tab.inbox, tab.told
    return {
        "cursor": inbox.cursor,
        "unread": inbox.unread,
        "held": sorted(inbox.held),
        "skipped": [[gap.start, gap.stop - 1] for gap in inbox.skipped],
        "visits": told.visits,
        "endings": [ending.code for ending in told.endings],
        "last frames": list(told.frames),
    }
