"""Who is connected to this process, and who of them hears what.

Pushes come from this process's own commits, from other processes over the bus, or from its own look at Postgres:
whichever comes first wins, the others are repeats. A connection that misses a number is caught up from the database.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from hub.errors import HubError
from hub.logs import get_logger
from hub.realtime import frames
from hub.realtime.connection import Connection, Stage
from hub.realtime.frames import Close, encode
from hub.realtime.pushes import AccessEnded, InboxMoved, Push, TopicChanged

log = get_logger(__name__)

LOOK_EVERY_S = 2.0
ACCESS_LOOK_EVERY_S = 20.0
MOST_CATCHING_UP = 8
HEARTBEAT_TURNS = 60
# An event may slip in at each reading; whoever is still behind then is taken up by the next look.
MOST_READS = 3


class Standing(Protocol):
    """Where an inbox stands in the database."""

    @property
    def seq(self) -> int:
        """The number of its last change."""
        ...

    @property
    def unread(self) -> int:
        """How many are unread."""
        ...

    @property
    def epoch(self) -> str:
        """Which life of the inbox it is."""
        ...


class Gap(Protocol):
    """What a client has to be told to stand at the head."""

    @property
    def head(self) -> Standing:
        """Where the inbox stands."""
        ...

    @property
    def since(self) -> int:
        """The number after which rows are told."""
        ...

    @property
    def items(self) -> list[dict[str, Any]]:
        """The rows."""
        ...

    @property
    def reset(self) -> bool:
        """Whether the client forgets what it has."""
        ...

    @property
    def more(self) -> bool:
        """Whether there are older rows than these."""
        ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """How the switchboard asks the rest of the house; each may raise when the database is away."""

    missed: Callable[[uuid.UUID, uuid.UUID, str | None, int | None], Awaitable[Gap]]
    heads: Callable[[Collection[uuid.UUID]], Awaitable[dict[uuid.UUID, Any]]]
    versions: Callable[[Collection[tuple[uuid.UUID, str]]], Awaitable[dict[tuple[uuid.UUID, str], int]]]
    lapsed: Callable[[Iterable[Connection]], Awaitable[dict[str, Close]]]


class Switchboard:
    """The open connections of one process."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], datetime],
        interest: Callable[[uuid.UUID, bool], None] = lambda _tenant, _on: None,
        hears_others: Callable[[], bool] = lambda: True,
        look_every: float = LOOK_EVERY_S,
        access_look_every: float = ACCESS_LOOK_EVERY_S,
        heartbeat_every: float = frames.HEARTBEAT_S,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._interest = interest
        self._look_every = look_every
        self._access_look_every = access_look_every
        self._heartbeat_every = heartbeat_every
        self._people: dict[uuid.UUID, set[Connection]] = defaultdict(set)
        self._tenants: dict[uuid.UUID, set[Connection]] = defaultdict(set)
        self._catching_up: dict[Connection, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(MOST_CATCHING_UP)
        self._hears_others = hears_others
        self._look_now = asyncio.Event()
        self._looking_in_earnest = False
        self._heads_before: dict[uuid.UUID, int] = {}
        self._beats = 0
        self._turn = 0

    def __len__(self) -> int:
        return sum(len(connections) for connections in self._people.values())

    def connections_of(self, person: uuid.UUID) -> int:
        """How many connections a person holds here."""
        return len(self._people.get(person, ()))

    def add(self, connection: Connection) -> None:
        """Register before rows are read: what is pushed from now on is held for it."""
        self._people[connection.listener.person].add(connection)
        tenant = connection.listener.tenant
        if tenant not in self._tenants:
            self._interest(tenant, True)
        self._tenants[tenant].add(connection)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        for registry, key in (
            (self._people, connection.listener.person),
            (self._tenants, connection.listener.tenant),
        ):
            registry[key].discard(connection)
            if not registry[key]:
                del registry[key]
        if connection.listener.tenant not in self._tenants:
            self._interest(connection.listener.tenant, False)
        if task := self._catching_up.pop(connection, None):
            task.cancel()

    def deliver(self, pushes: Iterable[Push]) -> None:
        """Queue pushes for whoever is connected here; never waits for a socket."""
        for push in pushes:
            match push:
                case InboxMoved():
                    self._deliver_event(push)
                case TopicChanged():
                    self._deliver_state(push)
                case AccessEnded():
                    self._end_access(push)

    def _deliver_event(self, push: InboxMoved) -> None:
        listening = self._people.get(push.person)
        if not listening:
            return
        text = encode(frames.event(push))
        for connection in listening:
            if connection.listener.tenant == push.tenant and not connection.offer(push.seq, push.unread, text):
                self.catch_up(connection)

    def _end_access(self, push: AccessEnded) -> None:
        for connection in self._people.get(push.person, ()):
            listener = connection.listener
            if listener.tenant == push.tenant and push.session in (None, listener.session):
                connection.close(Close.SESSION_ENDED)

    def _deliver_state(self, push: TopicChanged) -> None:
        text = encode(frames.state(push))
        for connection in self._tenants.get(push.tenant, ()):
            if push.topic in connection.topics:
                connection.topic_changed(push.topic, push.version, text)

    async def watch(self, connection: Connection, topic: str) -> None:
        """Begin telling a connection about a shared view, with the version it has now.

        When the database is away that raises, but the next look at it tells the version.
        """
        connection.topics[topic] = -1
        key = (connection.listener.tenant, topic)
        version = (await self._ledger.versions([key])).get(key, 0)
        self._deliver_state(TopicChanged(*key, version))

    def catch_up(self, connection: Connection) -> None:
        """Read what the connection misses, unless that is under way."""
        if connection not in self._catching_up and connection.stage is Stage.BEHIND:
            self._catching_up[connection] = asyncio.create_task(self._catch_up(connection))

    async def _catch_up(self, connection: Connection) -> None:
        try:
            async with self._slots:
                for _ in range(MOST_READS):
                    await self.resume(connection, connection.epoch, connection.begin_reading())
                    if connection.stage is not Stage.BEHIND:
                        return
        except HubError as error:
            # The database is away; the next look at it starts this again.
            log.warning("could not catch up", error=type(error).__name__)
        except Exception:
            log.warning("could not catch up", exc_info=True)
        finally:
            self._catching_up.pop(connection, None)

    async def resume(self, connection: Connection, epoch: str | None, since: int | None) -> Gap:
        """Bring a connection to the head from `since`; it is behind again when more came meanwhile."""
        missed = await self._ledger.missed(connection.listener.tenant, connection.listener.person, epoch, since)
        head = missed.head
        frame = (
            frames.snap(head.seq, head.unread, missed.items, more=missed.more)
            if missed.reset
            else frames.fill(missed.since, head.seq, head.unread, missed.items)
        )
        connection.caught_up(head.seq, head.unread, head.epoch, encode(frame))
        return missed

    def look_soon(self) -> None:
        """Look at Postgres now rather than at the next turn: something may have been missed."""
        self._looking_in_earnest = True
        self._look_now.set()

    async def look(self) -> None:
        """Ask Postgres where everybody connected here stands, and catch up whoever is behind.

        What was committed since the look before is probably on its way: it counts as missed only at the next look,
        unless there is a reason to think that it will not come.
        """
        if not self._people:
            return
        in_earnest, self._looking_in_earnest = self._looking_in_earnest, False
        certain = in_earnest or not self._hears_others()
        try:
            heads = await self._ledger.heads(list(self._people))
        except Exception:
            # The reason to look still stands.
            self._looking_in_earnest = self._looking_in_earnest or in_earnest
            raise
        before, self._heads_before = self._heads_before, {person: head.seq for person, head in heads.items()}
        for person, head in heads.items():
            due = head.seq if certain else min(head.seq, before.get(person, 0))
            for connection in self._people.get(person, ()):
                if connection.stage is Stage.LIVE and (connection.sent < due or connection.epoch != head.epoch):
                    connection.stage = Stage.BEHIND
                self.catch_up(connection)
        watched = {(c.listener.tenant, topic) for each in self._tenants.values() for c in each for topic in c.topics}
        if watched:
            versions = await self._ledger.versions(watched)
            self.deliver(TopicChanged(*key, version) for key, version in versions.items())

    async def look_at_access(self) -> None:
        """Close the connections whose right to listen has ended, however it did."""
        connections = {connection.id: connection for each in self._people.values() for connection in each}
        if not connections:
            return
        for connection_id, code in (await self._ledger.lapsed(connections.values())).items():
            connections[connection_id].close(code)

    def beat(self, turn: int = 0, turns: int = 1) -> None:
        """Send a heartbeat to everybody, or to those whose turn it is: all at once would stop everything else."""
        self._beats += 1
        now = self._clock()
        for each in self._people.values():
            for connection in each:
                if connection.number % turns != turn:
                    continue
                if connection.stage in (Stage.LIVE, Stage.BEHIND):
                    beat = frames.heartbeat(self._beats, connection.sent, connection.unread, connection.topics, now)
                    connection.send(encode(beat))

    async def run(self) -> None:
        """Look, check access and beat until cancelled; a database that is away is asked again at the next turn."""
        await asyncio.gather(
            self._repeat(self._look_every, self.look, self._look_now),
            self._repeat(self._access_look_every, self.look_at_access),
            self._repeat(self._heartbeat_every / HEARTBEAT_TURNS, self._beat),
        )

    async def _beat(self) -> None:
        self._turn = (self._turn + 1) % HEARTBEAT_TURNS
        self.beat(self._turn, HEARTBEAT_TURNS)

    async def _repeat(
        self, every: float, act: Callable[[], Awaitable[None]], sooner: asyncio.Event | None = None
    ) -> None:
        sooner = sooner or asyncio.Event()
        while True:
            # Not wait_for: in Python 3.11 it may swallow a cancellation, and this would go on for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await sooner.wait()
            sooner.clear()
            try:
                await act()
            except HubError as error:
                log.warning("turn failed, trying again", turn=act.__name__, error=type(error).__name__)
            except Exception:
                log.warning("turn failed, trying again", turn=act.__name__, exc_info=True)
