"""Web processes as they run in production, to kill and start again, and people who are connected to them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import SecretStr
from websockets.exceptions import WebSocketException

from hub.local.ports import free_port
from hub.people.tables import Staff
from hub.settings import Settings
from hub.wiring import House
from tests.conftest import HUB_KEYS
from tests.live_client import Inbox, LiveClient, open_live
from tests.realtime.conftest import cookie_for, eventually

READY_WITHIN_S = 30


def settings_for(database_url: str, redis_url: str) -> Settings:
    """Settings of a hub on these servers."""
    return Settings(database_url=SecretStr(database_url), redis_url=SecretStr(redis_url), hub_keys=SecretStr(HUB_KEYS))


@dataclass
class Web:
    """`python -m hub web`, on a port that stays its own over deaths."""

    settings: Settings
    log: Path
    workers: int = 1
    _process: Process | None = None

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """Its address."""
        return self.settings.public_url

    @property
    def live_url(self) -> str:
        """Where its WebSocket is."""
        return self.url.replace("http", "ws", 1) + "/live"

    async def start(self) -> None:
        """Start it, without waiting for it."""
        environment = os.environ | {
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "REDIS_URL": self.settings.redis_url.get_secret_value(),
            "HUB_KEYS": self.settings.hub_keys.get_secret_value(),
            "PUBLIC_URL": self.url,
            "PORT": str(self.settings.port),
        }
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hub",
                "web",
                "--workers",
                str(self.workers),
                env=environment,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient(base_url=self.url) as client:
            while True:
                try:
                    if (await client.get("/health/live")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int | None:
        """Ask it to end; returns its exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> int | None:
        if self._process is None:
            return None
        if self._process.returncode is None:
            self._process.send_signal(how)
            async with asyncio.timeout(READY_WITHIN_S):
                await self._process.wait()
        return self._process.returncode

    def faults(self) -> list[str]:
        """What it wrote that it never should, whatever happens around it."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if "Traceback" in line or '"level": "error"' in line or '"exception"' in line]


@asynccontextmanager
async def run_web(settings: Settings, log: Path, workers: int = 1) -> AsyncIterator[Web]:
    """A web process that answers; at the end it must not have written of any fault."""
    port = free_port()
    web = Web(settings.model_copy(update={"port": port, "public_url": f"http://127.0.0.1:{port}"}), log, workers)
    await web.start()
    try:
        await web.ready()
        yield web
    finally:
        await web.stop()
    assert web.faults() == []


@dataclass
class Tab:
    """A client that comes back by itself, and now and then reads what it was shown."""

    web: Web
    person: Staff
    cookie: str
    inbox: Inbox = field(default_factory=Inbox)
    visits: int = 0
    unanswered: set[str | None] = field(default_factory=set)

    async def stay(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                async with open_live(self.web.live_url, self.cookie, inbox=self.inbox) as live:
                    await self._listen(live)
            except (OSError, WebSocketException, TimeoutError):
                await asyncio.sleep(random.uniform(0, 0.3))

    async def _listen(self, live: LiveClient) -> None:
        await live.hear_until("welcome")
        self.visits += 1
        self.unanswered = set()
        while True:
            frame = await live.hear(timeout=35)
            self.unanswered.discard(frame.get("nonce"))
            if self.inbox.shown and (frame["t"] == "fill" or frame.get("seq", 1) % 20 == 0):
                await self._read_newest(live)

    async def _read_newest(self, live: LiveClient) -> None:
        nonce = uuid.uuid4().hex
        self.unanswered.add(nonce)
        await live.say(t="read", ids=[self.inbox.shown[-1]], nonce=nonce)


@asynccontextmanager
async def tabs_of(house: House, web: Web, people: list[Staff]) -> AsyncIterator[list[Tab]]:
    """A tab for each of these people, all of them up to date to begin with."""
    tabs = [Tab(web, person, await cookie_for(house, person)) for person in people]
    staying = [asyncio.create_task(tab.stay()) for tab in tabs]
    try:
        await eventually(lambda: all(tab.inbox.cursor is not None for tab in tabs), within=20)
        yield tabs
    finally:
        for task in staying:
            task.cancel()
        await asyncio.wait(staying)
