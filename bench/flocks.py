"""What those benches share that connect a clinic to one web process: a flock of its tabs, and a crier."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.helpers import Helper, helper
from bench.people import Clinic, open_clinic, sign_in
from bench.servers import Running, settings_of
from hub.wiring import build

SLACK_S = 600.0
AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Gathering:
    """Everybody connected, and the bells at hand."""

    servers: Running
    clinic: Clinic
    flock: Helper
    crier: Helper
    connected_in: float

    @property
    def tenant(self) -> str:
        """The clinic."""
        return str(self.clinic.tenant)

    async def tell_tabs(self, command: str, **values: Any) -> Any:
        """Have the flock carry out a command."""
        return await self.flock.ask(command, SLACK_S, **values)

    async def begin(self, rate: float, broadcasts: float = 0.0, letters: int = 0) -> None:
        """Let bells ring: single ones and everybody's, at these rates."""
        people = [str(person) for person in self.clinic.people]
        rates = {"rate": rate, "broadcasts": broadcasts, "letters": letters}
        await self.crier.ask("begin", SLACK_S, tenant=self.tenant, people=people, **rates)

    async def end(self) -> dict[str, Any]:
        """Let none ring any more; what was committed when."""
        found: dict[str, Any] = await self.crier.ask("end", SLACK_S)
        return found

    async def disagreements(self, patience: float) -> list[str]:
        """What is wrong with what the tabs hold, once they agree with Postgres, or should."""
        url = self.servers.env["DATABASE_URL"]
        found: list[str] = await self.tell_tabs("agree", url=url, tenant=self.tenant, patience=patience)
        return found


@asynccontextmanager
async def gathered(servers: Running, clients: int, small: int = 0, buffer: int = 0) -> AsyncIterator[Gathering]:
    """A clinic of this size, all of it connected; the first few with a small receive buffer."""
    async with build(settings_of(servers.env), "bench") as house:
        clinic = await open_clinic(house, clients)
        cookies = await sign_in(house, clinic)
    people = [str(person) for person in clinic.people]
    where = {"port": servers.port, "origin": servers.env["PUBLIC_URL"], "at_most": AT_MOST}
    async with helper("bench.flock", servers.env) as flock, helper("bench.crier", servers.env) as crier:
        began = time.monotonic()
        await flock.ask("connect", SLACK_S, people=people, cookies=cookies, small=small, buffer=buffer, **where)
        yield Gathering(servers, clinic, flock, crier, time.monotonic() - began)
