"""Who is connected to this process, and who of them hears what.

Pushes come from this process's own commits, from other processes over the bus, or from its own look at Postgres:
whichever comes first wins, the others are repeats. A connection that misses a number is caught up from the database.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic

from hub.endless import rest
from hub.errors import HubError
from hub.logs import get_logger
from hub.realtime import frames, wire
from hub.realtime.broadcasts import Broadcasts, Part
from hub.realtime.connection import Connection, Offered, Stage
from hub.realtime.frames import Close
from hub.realtime.ledger import Ledger
from hub.realtime.meters import GONE, METERS
from hub.realtime.pushes import STANDING, AccessEnded, InboxMoved, Push, Rang, TopicChanged
from hub.realtime.reception import Reception
from hub.realtime.together import Together
from hub.realtime.wire import Frame

log = get_logger(__name__)

LOOK_EVERY_S = 2.0
ACCESS_LOOK_EVERY_S = 20.0
# However many reasons there are to look sooner, the database has a rest between two looks.
REST_S = 0.2
HEARTBEAT_TURNS = 60
# A single bell is timed no sooner than so long after another one: where there are many, some stand for all.
TIMED_EVERY_S = 0.01
# Where no inbox stands.
NOWHERE = (-1, "nowhere")


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
        self._hears_others = hears_others
        self._look_every = look_every
        self._access_look_every = access_look_every
        self._heartbeat_every = heartbeat_every
        # Both by the bytes of an id. Tuples, for most people have one connection, and a set takes ten times the room.
        self._people: dict[bytes, tuple[Connection, ...]] = {}
        self._tenants: dict[bytes, set[Connection]] = {}
        self._turns: tuple[set[Connection], ...] = tuple(set() for _ in range(HEARTBEAT_TURNS))
        self._broadcasts = Broadcasts(self._ring)
        self.reception = Reception(ledger, clock, self.remove, self.is_told_meanwhile, lambda: len(self._people))
        self._versions = Together(ledger.versions)
        self._left = asyncio.Event()
        self._look_now = asyncio.Event()
        self._looking_in_earnest = False
        self._heads_before: dict[bytes, int] = {}
        self._times_again_at = 0.0
        self._beats = 0
        self._turn = 0

    def __len__(self) -> int:
        return sum(len(turn) for turn in self._turns)

    def __iter__(self) -> Iterator[Connection]:
        for turn in self._turns:
            yield from turn

    def connections_of(self, person: uuid.UUID) -> int:
        """How many connections a person holds here."""
        return len(self._people.get(person.bytes, ()))

    def add(self, connection: Connection) -> None:
        """Register before rows are read: what is pushed from now on is held for it."""
        person, tenant = connection.person, connection.tenant
        if tenant not in self._tenants:
            self._interest(connection.listener.tenant, True)
            self._tenants[tenant] = set()
        neighbours = self._tenants[tenant]
        if neighbours:
            # One object for all, so that telling thousands does not look into as many corners of the memory.
            connection.tenant = next(iter(neighbours)).tenant
        neighbours.add(connection)
        self._people[person] = (*self._people.get(person, ()), connection)
        self._turns[connection.number % HEARTBEAT_TURNS].add(connection)

    def remove(self, connection: Connection, code: int = GONE) -> None:
        """Forget a connection that has ended, with this close code unless the hub closed it with another one."""
        METERS.ended[connection.way, connection.closing or code] += 1
        connection.left()
        others = tuple(each for each in self._people.get(connection.person, ()) if each is not connection)
        if others:
            self._people[connection.person] = others
        else:
            self._people.pop(connection.person, None)
        neighbours = self._tenants.get(connection.tenant, set())
        neighbours.discard(connection)
        if not neighbours and self._tenants.pop(connection.tenant, None) is not None:
            self._interest(connection.listener.tenant, False)
        self._turns[connection.number % HEARTBEAT_TURNS].discard(connection)
        self.reception.forget(connection)
        self._left.set()

    def deliver(self, pushes: Iterable[Push]) -> None:
        """Send pushes to whoever is connected here; never waits for a client."""
        people = self._people
        for push in pushes:
            match push:
                case InboxMoved():
                    # Here, for it is what comes most: each call costs more than what it does, when bells ring singly.
                    for connection in people.get(push.person, ()):
                        if connection.tenant == push.tenant.bytes:
                            if not connection.offer(push.moves_to, push.unread, push):
                                self._noticed_a_gap(connection)
                            if push.rang_at and monotonic() >= self._times_again_at:
                                self._time(push.rang_at, push.moves_to, connection)
                            elif push.rang_at and connection.rang_seq == push.moves_to - 1:
                                # Of a burst, the client's receipt is for the last.
                                connection.rang_seq, connection.rang_at = push.moves_to, push.rang_at
                case Rang():
                    self._broadcasts.add(push)
                case TopicChanged():
                    self._deliver_state(push)
                case AccessEnded():
                    self._end_access(push)

    def _time(self, rang_at: float, seq: int, connection: Connection) -> None:
        self._times_again_at = monotonic() + TIMED_EVERY_S
        METERS.commit_to_send.add_time(self._clock().timestamp() - rang_at)
        connection.rang_seq, connection.rang_at = seq, rang_at

    def _ring(self, part: Part) -> None:
        if len(part) > 1:
            self._ring_several(part)
            return
        ((push, standings),) = part
        people, tenant, shared, urgent, at = self._people, push.tenant.bytes, push.shared, push.urgent, push.rang_at
        event = None
        for person, seq, unread, notification in STANDING.iter_unpack(standings):
            listening = people.get(person)
            if listening is None:
                continue
            event = Frame(wire.ring(seq, unread, notification, shared), seq, urgent)
            for connection in listening:
                if connection.tenant == tenant and not connection.offer(seq, unread, event):
                    self._noticed_a_gap(connection)
        if event is not None:
            # The last one stands for all: to note it for everybody costs some hundredths of telling them.
            self._time(at, event.moves_to or 0, connection)

    def _ring_several(self, part: Part) -> None:
        pushes = [push for push, _ in part]
        tenant, rang_at = pushes[0].tenant.bytes, pushes[-1].rang_at
        events: list[Offered] = []
        for rows in zip(*(STANDING.iter_unpack(standings) for _, standings in part), strict=True):
            listening = self._people.get(rows[0][0])
            if listening is None:
                continue
            events = [
                (seq, unread, Frame(wire.ring(seq, unread, notification, push.shared), seq, push.urgent))
                for push, (_, seq, unread, notification) in zip(pushes, rows, strict=True)
            ]
            for connection in listening:
                if connection.tenant == tenant and not connection.offer_together(events):
                    self._noticed_a_gap(connection)
        if events:
            self._time(rang_at, events[-1][0], connection)

    def is_told_meanwhile(self, connection: Connection) -> bool:
        """Whether a broadcast to its tenant is under way."""
        return self._broadcasts.is_told_meanwhile(connection.tenant)

    def received(self, person: uuid.UUID, seq: int, held_ms: int) -> None:
        """A client of this person's says that it had everything up to `seq`, so many milliseconds ago."""
        for connection in self._people.get(person.bytes, ()):
            if connection.rang_seq == seq:
                METERS.commit_to_receipt.add_time(self._clock().timestamp() - connection.rang_at - held_ms / 1000)
                return

    def _noticed_a_gap(self, connection: Connection) -> None:
        METERS.gaps_found["event"] += 1
        self.reception.catch_up(connection)

    def _end_access(self, push: AccessEnded) -> None:
        near = self._people.get(push.person.bytes, ()) if push.person else self._tenants.get(push.tenant.bytes, ())
        for connection in tuple(near):
            if connection.listener.ends_with(push):
                connection.close(Close.SESSION_ENDED)
        self.reception.access_ended(push)

    def _deliver_state(self, push: TopicChanged) -> None:
        frame = frames.state(push)
        for connection in tuple(self._tenants.get(push.tenant.bytes, ())):
            connection.topic_changed(push.topic, push.version, frame)

    async def watch(self, connection: Connection, topic: str, version: int = -1) -> None:
        """Begin telling a connection about a shared view, with the version it has now if that is newer.

        When the database is away that raises, but the next look at it tells the version.
        """
        connection.watch(topic, version)
        key = (connection.listener.tenant, topic)
        now = (await self._versions.ask(key)).get(key, 0)
        connection.topic_changed(topic, now, frames.state(TopicChanged(*key, now)))

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
        told = {connection: connection.sent for connection in self}
        try:
            heads = await self._ledger.heads(self._standings())
        except Exception:
            # The reason to look still stands.
            self._looking_in_earnest = self._looking_in_earnest or in_earnest
            raise
        before, self._heads_before = self._heads_before, {person: head.seq for person, head in heads.items()}
        lost: dict[uuid.UUID, dict[uuid.UUID, tuple[int, str]]] = defaultdict(dict)
        for person, head in heads.items():
            due = head.seq if certain else min(head.seq, before.get(person, 0))
            for connection in self._people.get(person, ()):
                if connection.epoch == head.epoch and told.get(connection, -1) > head.seq:
                    lost[connection.listener.tenant][connection.listener.person] = told[connection], head.epoch
                elif connection.stage is Stage.LIVE and (connection.sent < due or connection.epoch != head.epoch):
                    connection.stage = Stage.BEHIND
                    METERS.gaps_found["look"] += 1
        # Also those who stand where their inbox does, and asked for more while the database was away.
        for connection in self:
            if connection.stage is Stage.BEHIND:
                self.reception.catch_up(connection)
        watched = {(c.listener.tenant, topic) for c in self if c.topics for topic in c.topics}
        if watched:
            versions = await self._ledger.versions(watched)
            self.deliver(TopicChanged(*key, version) for key, version in versions.items())
        for tenant, people in lost.items():
            log.error("Postgres lost what was told, inboxes begin anew", tenant=str(tenant), people=len(people))
            await self._ledger.begin_anew(tenant, people)

    def _standings(self) -> dict[bytes, tuple[int, str]]:
        """Where everybody connected here stands; of whose connections do not stand alike, nowhere."""
        standings = {}
        for person, connections in self._people.items():
            first, alike = connections[0], True
            for other in connections[1:]:
                alike = alike and (other.sent, other.epoch) == (first.sent, first.epoch)
            # Before it is greeted, a connection's epoch is whatever its client says.
            standings[person] = (first.sent, str(first.epoch)) if alike and first.sent >= 0 else NOWHERE
        return standings

    async def look_at_access(self) -> None:
        """Close the connections whose right to listen has ended, however it did, and have tokens renewed in time."""
        connections = list(self)
        if not connections:
            return
        asked = {connection: connection.listener for connection in connections}
        for connection, code in (await self._ledger.lapsed(connections)).items():
            # It may have shown a new token meanwhile.
            if connection.listener is asked[connection]:
                connection.close(code)
        soon = self._clock() + timedelta(seconds=frames.RENEW_WITHIN_S + self._access_look_every)
        for connection in connections:
            if connection.listener.expires_at is not None and connection.listener.expires_at < soon:
                connection.send(frames.renew())

    def beat(self, turn: int = 0, turns: int = 1) -> None:
        """Send a heartbeat to everybody, or to those whose turn it is: all at once would stop everything else."""
        self._beats += 1
        now = self._clock().isoformat()
        for bucket in self._turns[turn::turns]:
            for connection in tuple(bucket):
                if connection.is_greeted and connection.stage is not Stage.RESYNC:
                    connection.send(self._heartbeat(connection, now))

    def heartbeat_of(self, connection: Connection) -> Frame:
        """Where everything stands, for one connection."""
        return self._heartbeat(connection, self._clock().isoformat())

    def _heartbeat(self, connection: Connection, now: str) -> Frame:
        return frames.heartbeat(self._beats, connection.sent, connection.unread, connection.topics, now)

    async def drain(self, spread_s: float) -> None:
        """Ask every client to connect anew, each at its own moment within `spread_s` seconds; wait until all left."""
        connections = list(self)
        for place, connection in enumerate(connections):
            connection.send(frames.drain(int(spread_s * 1000 * place / len(connections))))
        while self._people:
            self._left.clear()
            await self._left.wait()

    async def run(self) -> None:
        """Greet, look, check access and beat until cancelled; a database that is away is asked again later."""
        await asyncio.gather(
            self.reception.run(),
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
        pause = min(REST_S, every / 10)
        while True:
            # Not wait_for: in Python 3.11 it may swallow a cancellation, and this would go on for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(every - pause):
                    await sooner.wait()
            sooner.clear()
            try:
                await act()
            except HubError as error:
                METERS.failed_turns[act.__name__] += 1
                log.warning("turn failed, trying again", turn=act.__name__, error=type(error).__name__)
            except Exception:
                METERS.failed_turns[act.__name__] += 1
                log.warning("turn failed, trying again", turn=act.__name__, exc_info=True)
            await rest(pause)
