"""A process that holds many tabs, for those who cut, deafen or count them all at once."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import Any

import uvloop

from bench.helpers import obey
from bench.inbox import Row
from bench.tab import Tab, Wait, Wire, as_told, at_once, look_after, open_all, summary
from bench.truth import agree, find_violations

JITTERS = {"client": as_told, "none": at_once}
CONNECT_WITHIN_S = 300.0
EVENT = b'"t":"ev"'
MOST_NAMED = 3


class Flock:
    """The commands."""

    def __init__(self) -> None:
        self._dice = random.Random(4)
        self._tabs: dict[uuid.UUID, Tab] = {}
        self._seen: dict[str, tuple[int, Tab]] = {}
        self._welcomed: dict[Tab, int] = {}
        self._held: list[tuple[Wire, bytes, int]] = []
        self._looking: asyncio.Task[None] | None = None

    async def connect(
        self, port: int, origin: str, people: list[str], cookies: list[str], at_most: int, small: int, buffer: int
    ) -> float:
        """Open a tab for each of these people, the first few with a small receive buffer; the seconds it took."""
        began = time.monotonic()
        for index, (person, cookie) in enumerate(zip(people, cookies, strict=True)):
            tab = Tab(cookie, origin, [port], self._wait(JITTERS["client"]), dice=self._dice, heard=self._heard)
            tab.receive_buffer = buffer if index < small else None
            self._tabs[uuid.UUID(person)] = tab
        await open_all(list(self._tabs.values()), at_most, CONNECT_WITHIN_S)
        self._looking = asyncio.create_task(look_after(list(self._tabs.values())))
        return time.monotonic() - began

    async def leave(self) -> None:
        """Close all tabs, and forget them."""
        if self._looking is not None:
            self._looking.cancel()
        for tab in self._tabs.values():
            tab.stop()
        self._tabs, self._seen, self._welcomed = {}, {}, {}

    async def behave(self, jitter: str) -> None:
        """How to come back from now on."""
        for tab in self._tabs.values():
            tab.wait = self._wait(JITTERS[jitter])

    async def cut(self) -> None:
        """Lose every connection."""
        for tab in self._tabs.values():
            tab.drop()

    async def until_back(self, since: int, patience: float) -> dict[str, Any]:
        """After how many seconds each was welcomed again and brought up to date; how many were not."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if all(tab.is_settled and self._welcomed[tab] > since for tab in self._tabs.values()):
                break
            await asyncio.sleep(0.05)
        back = [(at - since) / 1e9 for at in self._welcomed.values() if at > since]
        return {"after": back, "away": len(self._tabs) - len(back)}

    async def deafen(self, count: int) -> list[int]:
        """The first so many read no more; the ports of their connections."""
        deaf = list(self._tabs.values())[:count]
        ports = []
        for tab in deaf:
            if tab.wire is not None:
                ports.append(tab.wire.transport.get_extra_info("sockname")[1])
                tab.wire.transport.pause_reading()
        return ports

    async def hear_again(self, count: int) -> None:
        """They read again."""
        for tab in list(self._tabs.values())[:count]:
            if tab.wire is not None:
                tab.wire.transport.resume_reading()

    async def collect(self, skip: int = 0) -> dict[str, Any]:
        """When each notification came, live or caught up, since the last time; without those of the first few."""
        seen, self._seen = self._seen, {}
        skipped = set(list(self._tabs.values())[:skip])
        at = {each: when for each, (when, tab) in seen.items() if tab not in skipped}
        return {"at": at, "told": summary(self._tabs.values())}

    async def hold(self) -> None:
        """From now on only stamp what comes: reading it would hold up the next one's stamp."""
        self._held = []
        for tab in self._tabs.values():
            tab.later = self._held

    async def release(self, count: int, patience: float) -> None:
        """Read what came, as soon as so many notifications seem to be there."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._count_held() >= count:
                break
            await asyncio.sleep(0.05)
        for tab in self._tabs.values():
            tab.later = None
        for wire, data, at in self._held:
            wire.read(data, at)
        self._held = []

    def _count_held(self) -> int:
        return sum(EVENT in data for _, data, _ in self._held)

    async def agree(self, url: str, tenant: str, patience: float) -> list[str]:
        """What is wrong, some of it, when everybody agrees with Postgres, or should by now."""
        of = uuid.UUID(tenant)
        truth, agreed = await agree(url, of, self._tabs, patience)
        found = [] if agreed else [f"not everybody agrees within {patience:g} s"]
        wrong = find_violations(truth, self._tabs)
        found += [f"{person}: {'; '.join(each)}" for person, each in list(wrong.items())[:MOST_NAMED]]
        return found + ([f"{len(wrong)} people in all"] if len(wrong) > MOST_NAMED else [])

    def _wait(self, jitter: Any) -> Wait:
        wait: Wait = jitter(self._dice)
        return wait

    def _heard(self, tab: Tab, frame: Row, at: int) -> None:
        if frame["t"] in ("fill", "snap") or tab not in self._welcomed:
            self._welcomed[tab] = at
        if frame["t"] in ("ev", "fill", "snap"):
            for item in frame.get("items", ()):
                self._seen.setdefault(item["id"], (at, tab))


async def main() -> None:
    """Take commands until there are no more."""
    flock = Flock()
    names = (
        "connect",
        "leave",
        "behave",
        "cut",
        "until_back",
        "deafen",
        "hear_again",
        "collect",
        "hold",
        "release",
        "agree",
    )
    await obey({name: getattr(flock, name) for name in names})


if __name__ == "__main__":
    uvloop.run(main())
