"""What the faults strike: real servers, two web processes, a publisher, and a bad line wherever two of them talk."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos.faults import Fault, Kind, Moment, Notice
from bench.errors import BenchError
from bench.helpers import Helper, helper
from bench.proxy import Link, Proxy
from bench.servers import Stores, Web
from hub.local import probe
from hub.local.ports import free_port
from hub.local.server import Server

WEBS = 2
READY_WITHIN_S = 30.0
ANSWER_WITHIN_S = 30.0
TERM_S = 4.0


@dataclass
class Publishing:
    """The publisher, whichever process it is just now."""

    env: dict[str, str]
    log: Path
    committed: list[str] = field(default_factory=list)
    deaths: int = 0
    dies_next: Moment | None = None
    _helper: Helper | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def ring(self, tenant: Any, notices: Sequence[Notice], people: Sequence[Any]) -> None:
        """Ring all of these; when the publisher dies of it, the next one rings them again."""
        wanted = [
            {"number": each.number, "critical": each.critical, "people": [str(people[index]) for index in each.to]}
            for each in notices
        ]
        for notice in wanted:
            notice["people"] = notice["people"] or [str(person) for person in people]
        while True:
            die, self.dies_next = self.dies_next, None
            publisher = await self._present()
            try:
                told = await publisher.ask("ring", ANSWER_WITHIN_S, tenant=str(tenant), notices=wanted, die=die)
            except (BenchError, BrokenPipeError, ConnectionResetError):
                if not publisher.has_ended:
                    raise
                self._helper = None
                self.deaths += 1
            else:
                self.committed += told
                return

    def kill(self) -> None:
        """kill -9, whatever it is doing."""
        if self._helper is not None:
            self._helper.kill()

    async def close(self) -> None:
        """End it."""
        await self._stack.aclose()

    async def _present(self) -> Helper:
        if self._helper is None or self._helper.has_ended:
            await self._stack.aclose()
            self._helper = await self._stack.enter_async_context(
                helper("bench.chaos.publisher", self.env, log=self.log)
            )
        return self._helper


@dataclass
class World:
    """Everything that can break, and how it does."""

    stores: Stores
    webs: list[Web]
    fronts: list[Proxy]
    buses: list[Proxy]
    publishing: Publishing
    _busy: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _struck: dict[Kind, Callable[[Fault], Awaitable[None]]] = field(init=False)

    def __post_init__(self) -> None:
        self._struck = {
            Kind.KILL_WEB: self._kill_web,
            Kind.STOP_WEB: self._stop_web,
            Kind.HALT_WEB: self._halt_web,
            Kind.KILL_PUBLISHER: self._kill_publisher,
            Kind.FLUSH_VALKEY: self._flush_valkey,
            Kind.RESTART_VALKEY: lambda fault: self._restart(self.stores.valkey, fault, kill=False),
            Kind.KILL_VALKEY: lambda fault: self._restart(self.stores.valkey, fault, kill=True),
            Kind.FREEZE_BUS: self._freeze_bus,
            Kind.RESTART_POSTGRES: lambda fault: self._restart(self.stores.postgres, fault, kill=False),
            Kind.KILL_POSTGRES: lambda fault: self._restart(self.stores.postgres, fault, kill=True),
            Kind.CUT_LINKS: self._cut_links,
            Kind.FREEZE_LINKS: self._freeze_links,
            Kind.DROP_FRAMES: self._drop_frames,
        }

    @property
    def database_url(self) -> str:
        """The database, past everything."""
        return self.publishing.env["DATABASE_URL"]

    async def strike(self, fault: Fault) -> None:
        """Let it happen, and be over."""
        async with self._busy[fault.strikes]:
            await self._struck[fault.kind](fault)

    async def until_ready(self) -> None:
        """Wait until every web process can work."""
        async with asyncio.timeout(READY_WITHIN_S):
            for web in self.webs:
                while await asyncio.to_thread(probe.answer, "127.0.0.1", web.port) != "200":
                    if web.has_ended:
                        raise BenchError("a web process ended by itself")
                    await asyncio.sleep(0.05)

    async def _kill_web(self, fault: Fault) -> None:
        web = self.webs[fault.which]
        web.kill()
        await asyncio.sleep(fault.lasts)
        web.start()

    async def _stop_web(self, fault: Fault) -> None:
        web = self.webs[fault.which]
        web.signal(signal.SIGTERM)
        await asyncio.sleep(fault.lasts)
        web.kill()
        web.start()

    async def _halt_web(self, fault: Fault) -> None:
        web = self.webs[fault.which]
        web.signal(signal.SIGSTOP)
        await asyncio.sleep(fault.lasts)
        web.signal(signal.SIGCONT)

    async def _kill_publisher(self, fault: Fault) -> None:
        if fault.how == Moment.ANY:
            self.publishing.kill()
        else:
            self.publishing.dies_next = Moment(fault.how)

    async def _flush_valkey(self, _fault: Fault) -> None:
        valkey = self.stores.valkey
        reader, writer = await asyncio.open_connection("127.0.0.1", valkey.port)
        writer.write(f"AUTH {valkey.password()}\r\nFLUSHALL\r\n".encode())
        await reader.readline()
        await reader.readline()
        writer.close()

    async def _restart(self, server: Server, fault: Fault, *, kill: bool) -> None:
        await asyncio.to_thread(server.kill if kill else server.stop)
        await asyncio.sleep(fault.lasts)
        server.launch()
        async with asyncio.timeout(READY_WITHIN_S):
            while not server.answers():
                if server.exit_code() is not None:
                    server.launch()
                await asyncio.sleep(0.05)

    async def _freeze_bus(self, fault: Fault) -> None:
        bus = self.buses[fault.which]
        bus.freeze()
        await asyncio.sleep(fault.lasts)
        if fault.how.endswith("cut"):
            bus.cut()
        bus.thaw()

    async def _cut_links(self, fault: Fault) -> None:
        for link in self._some_links(fault):
            link.cut()

    async def _freeze_links(self, fault: Fault) -> None:
        links = self._some_links(fault)
        for link in links:
            link.freeze()
        await asyncio.sleep(fault.lasts)
        for link in links:
            (link.cut if fault.how.endswith("cut") else link.thaw)()

    async def _drop_frames(self, fault: Fault) -> None:
        links = self._some_links(fault)
        for link in links:
            assert link.sieve is not None
            link.sieve.lost_share = fault.share / 2
        await asyncio.sleep(fault.lasts)
        for link in links:
            assert link.sieve is not None
            link.sieve.lost_share = 0.0

    def _some_links(self, fault: Fault) -> list[Link]:
        links = [link for front in self.fronts for link in front.links]
        return random.Random(f"{fault.kind} at {fault.at}").sample(links, round(fault.share * len(links)))


@asynccontextmanager
async def world(stores: Stores, folder: Path) -> AsyncIterator[World]:
    """Two web processes and a publisher on these stores; each has its own line to Valkey, each client to its web."""
    dice = random.Random(1)
    env = stores.env() | {"PUBLIC_URL": "http://127.0.0.1"}
    async with AsyncExitStack() as stack:
        buses = [Proxy(stores.valkey.port, dice) for _ in range(WEBS)]
        webs, fronts = [], []
        for number, bus in enumerate(buses):
            await stack.enter_async_context(bus.listening())
            own = {"REDIS_URL": _at(env["REDIS_URL"], stores.valkey.port, bus.port), "PORT": str(free_port())}
            web = Web(folder / f"web-{number}.log", env | own)
            stack.callback(web.kill)
            web.start()
            front = Proxy(web.port, dice, websockets=True)
            await stack.enter_async_context(front.listening())
            webs.append(web)
            fronts.append(front)
        publishing = Publishing(env, folder / "publisher.log")
        stack.push_async_callback(publishing.close)
        found = World(stores, webs, fronts, buses, publishing)
        await found.until_ready()
        yield found


def _at(url: str, port: int, other: int) -> str:
    return url.replace(f":{port}/", f":{other}/")
