"""Web processes as they run in production, to kill and start again, and people who are connected to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from hub.people import sessions
from hub.people.tables import Staff
from hub.serve import bind
from hub.settings import Settings
from hub.wiring import House
from hub.work import Actor
from tests.conftest import HUB_KEYS
from tests.live_client import Inbox, open_live

READY_WITHIN_S = 30


def free_port() -> int:
    """A port that nobody listens on."""
    with bind("127.0.0.1", 0) as probe:
        port: int = probe.getsockname()[1]
        return port


def settings_for(database_url: str, redis_url: str, port: int) -> Settings:
    """Settings of a hub on these servers."""
    return Settings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        hub_keys=SecretStr(HUB_KEYS),
        public_url=f"http://127.0.0.1:{port}",
        port=port,
    )


class WebProcess:
    """`python -m hub web`, on a port that stays its own over deaths."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.public_url
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it can serve."""
        environment = os.environ | {
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "REDIS_URL": self.settings.redis_url.get_secret_value(),
            "HUB_KEYS": HUB_KEYS,
            "PUBLIC_URL": self.url,
            "PORT": str(self.settings.port),
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hub", "web", env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end."""
        await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)
            async with asyncio.timeout(READY_WITHIN_S):
                await self._process.wait()


@asynccontextmanager
async def web_process(settings: Settings) -> AsyncIterator[WebProcess]:
    """A web process that runs while the block does."""
    web = WebProcess(settings)
    await web.start()
    try:
        yield web
    finally:
        await web.stop()


@dataclass
class Listener:
    """A person with one tab open, which comes back by itself whenever it is cut off."""

    person: Staff
    cookie: str
    inbox: Inbox = field(default_factory=Inbox)
    times_connected: int = 0

    async def listen(self, url: str) -> None:
        """Stay connected until cancelled."""
        while True:
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                async with open_live(f"{url.replace('http', 'ws', 1)}/live", self.cookie, inbox=self.inbox) as live:
                    self.times_connected += 1
                    while True:
                        await live.hear(timeout=40)
            await asyncio.sleep(random.uniform(0, 0.3))


@asynccontextmanager
async def listening(house: House, tenant: uuid.UUID, url: str, people: list[Staff]) -> AsyncIterator[list[Listener]]:
    """These people, signed in and connected while the block runs."""
    listeners = [Listener(person, await signed_in_cookie(house, tenant, person)) for person in people]
    tasks = [asyncio.create_task(listener.listen(url)) for listener in listeners]
    try:
        await until(lambda: all(listener.inbox.cursor is not None for listener in listeners))
        yield listeners
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def signed_in_cookie(house: House, tenant: uuid.UUID, person: Staff) -> str:
    """The header of somebody who has signed in."""
    async with house.open_work(tenant, Actor("staff", person.id)) as work:
        return f"hub={await sessions.start(work, person.id, 'test')}"


async def until(holds: Callable[[], bool], timeout: float = 30) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout):
        while not holds():
            await asyncio.sleep(0.02)
