"""Lets in those who say hello, and brings up those who fell behind: many at a time, by few questions to Postgres.

In a storm thousands come at once. They are recognised together and read up together, in ten turns a second of a few
questions each, however many they are; alone, a client does not wait for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.endless import rest
from hub.errors import HubError
from hub.logs import get_logger
from hub.realtime import frames
from hub.realtime.connection import Connection, Listener, Stage
from hub.realtime.frames import Close, EndConnection
from hub.realtime.ledger import Asked, Gap, Greeting, Ledger
from hub.realtime.meters import METERS
from hub.realtime.pushes import AccessEnded
from hub.realtime.wire import Frame

log = get_logger(__name__)

# Two or three questions each: one who is there, one where they stand, and one for each tenant that has news for them.
TURNS_EVERY_S = 0.1
MOST_AT_ONCE = 800
MOST_WAITING = 5_000


@dataclass(slots=True)
class Arrival:
    """Somebody who said hello: what they show, how they are let in once known, and the connection that comes of it."""

    greeting: Greeting
    let_in: Callable[[Listener], Connection]
    answer: asyncio.Future[Connection]
    connection: Connection | None = None


class Reception:
    """The arrivals and the stragglers of one process."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], datetime],
        let_out: Callable[[Connection], None] = lambda _connection: None,
        is_told_meanwhile: Callable[[Connection], bool] = lambda _connection: False,
        connected: Callable[[], int] = lambda: 0,
        turns_every: float = TURNS_EVERY_S,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._let_out = let_out
        self._is_told_meanwhile = is_told_meanwhile
        self._connected = connected
        self._turns_every = turns_every
        self._arrivals: list[Arrival] = []
        self._stragglers: dict[Connection, None] = {}
        self._news = asyncio.Event()
        self._ended: list[AccessEnded] | None = None

    @property
    def is_full(self) -> bool:
        """Whether so many wait that more would only wait in vain."""
        return len(self._arrivals) >= MOST_WAITING

    async def greet(self, greeting: Greeting, let_in: Callable[[Listener], Connection]) -> Connection:
        """Wait for one's turn; returns the connection, welcomed and up to date, or raises EndConnection."""
        arrival = Arrival(greeting, let_in, asyncio.get_running_loop().create_future())
        self._arrivals.append(arrival)
        self._news.set()
        try:
            return await arrival.answer
        except BaseException:
            if arrival.connection is not None:
                self._let_out(arrival.connection)
            raise
        finally:
            # An exception refers to this frame, and the answer to the exception.
            del arrival

    def catch_up(self, connection: Connection) -> None:
        """Read what the connection misses, at the next turn."""
        if connection.stage is Stage.BEHIND:
            self._stragglers[connection] = None
            self._news.set()

    def forget(self, connection: Connection) -> None:
        """Nothing is read for a connection that has ended."""
        self._stragglers.pop(connection, None)

    def access_ended(self, push: AccessEnded) -> None:
        """Whoever is just being recognised may have lost the right to listen since Postgres was asked."""
        if self._ended is not None:
            self._ended.append(push)

    async def run(self) -> None:
        """Take turns until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            next_turn = loop.time() + self._turns_every
            try:
                await self.take_turn()
            except Exception:
                log.exception("a turn failed")
            if self._arrivals or self._stragglers:
                self._news.set()
            await rest(next_turn - loop.time())

    async def take_turn(self) -> None:
        """Serve those who wait, up to a number."""
        arrivals, self._arrivals = self._arrivals[:MOST_AT_ONCE], self._arrivals[MOST_AT_ONCE:]
        try:
            newcomers = await self._recognise(arrivals) if arrivals else {}
            await self._read([*newcomers, *self._take_stragglers()], newcomers)
        finally:
            for arrival in arrivals:
                _refuse(arrival, EndConnection(Close.BUSY, "come back later"))

    def _take_stragglers(self) -> list[Connection]:
        taken = [each for each in self._stragglers if not self._is_told_meanwhile(each)][:MOST_AT_ONCE]
        for connection in taken:
            del self._stragglers[connection]
        return [connection for connection in taken if connection.stage is Stage.BEHIND and connection.closing is None]

    async def _recognise(self, arrivals: Sequence[Arrival]) -> dict[Connection, Arrival]:
        ended: list[AccessEnded] = []
        self._ended = ended
        try:
            listeners = await self._ledger.recognise([arrival.greeting for arrival in arrivals])
            answers = list(zip(arrivals, listeners, strict=True))
        except Exception as error:
            _warn("could not recognise", error)
            for arrival in arrivals:
                _refuse(arrival, EndConnection(Close.DATABASE_AWAY, "the database is away"))
            return {}
        finally:
            self._ended = None
        newcomers = {}
        for arrival, listener in answers:
            if arrival.answer.done():
                continue
            try:
                arrival.connection = arrival.let_in(_still(known(arrival.greeting, listener), ended))
                newcomers[arrival.connection] = arrival
            except EndConnection as end:
                _refuse(arrival, end)
            except Exception:
                log.exception("could not let in")
                _refuse(arrival, EndConnection(Close.BUSY, "come back later"))
        return newcomers

    async def _read(self, connections: list[Connection], newcomers: dict[Connection, Arrival]) -> None:
        if not connections:
            return
        asked = [
            Asked(c.listener.tenant, c.listener.person, c.epoch, since)
            for c, since in [(c, c.begin_reading()) for c in connections]
        ]
        METERS.read_together.add(len(asked))
        began = asyncio.get_running_loop().time()
        try:
            missed = await self._ledger.missed(asked)
            answers = list(zip(connections, asked, missed, strict=True))
        except Exception as error:
            # The next look at the database starts this again for those who are in.
            _warn("could not catch up", error)
            for connection, each in zip(connections, asked, strict=True):
                connection.read_in_vain(each.since)
            for arrival in newcomers.values():
                _refuse(arrival, EndConnection(Close.DATABASE_AWAY, "the database is away"))
            return
        METERS.read_in.add(asyncio.get_running_loop().time() - began)
        for connection, each, gap in answers:
            if connection.is_greeted:
                METERS.gaps_filled += 1
            else:
                METERS.resumed[connection.way, outcome_of(each, gap)] += 1
            try:
                self._bring_up(connection, gap)
            except Exception:
                log.exception("could not bring up")
                connection.read_in_vain(each.since)
            else:
                newcomer = newcomers.get(connection)
                if newcomer is not None and not newcomer.answer.done():
                    newcomer.answer.set_result(connection)

    def _bring_up(self, connection: Connection, gap: Gap) -> None:
        head = gap.head
        first = [] if connection.is_greeted else [self._welcome(connection, gap)]
        connection.caught_up(head.seq, head.unread, head.epoch, *first, rows_of(gap))
        self.catch_up(connection)

    def _welcome(self, connection: Connection, gap: Gap) -> Frame:
        listener, head = connection.listener, gap.head
        return frames.welcome(
            str(connection.number),
            head.epoch,
            head.seq,
            head.unread,
            reset=gap.reset,
            you={"id": str(listener.person), "name": listener.name, "language": listener.language},
            first_retry=frames.first_retry_s(self._connected()),
            now=self._clock(),
        )


def rows_of(gap: Gap) -> Frame:
    """The frame that brings a client to the head."""
    head = gap.head
    if gap.reset:
        return frames.snap(head.seq, head.unread, gap.items, more=gap.more)
    return frames.fill(gap.since, head.seq, head.unread, gap.items)


def outcome_of(asked: Asked, gap: Gap) -> str:
    """What became of the cursor that a client came with; `reset` is followed by why."""
    if not gap.reset:
        return "current" if asked.since == gap.head.seq else "filled"
    if asked.since is None:
        return "new"
    if asked.epoch != gap.head.epoch:
        return "reset_epoch"
    return "reset_ahead" if asked.since > gap.head.seq else "reset_far"


def _still(listener: Listener, ended: Sequence[AccessEnded]) -> Listener:
    if any(listener.ends_with(push) for push in ended):
        # Whether that was this right or one before it, Postgres knows when it is asked again.
        raise EndConnection(Close.BUSY, "come back later")
    return listener


def known(greeting: Greeting, listener: Listener | None) -> Listener:
    """Whoever was recognised; raises EndConnection when what they show is worth nothing (any more)."""
    if listener is not None:
        return listener
    if greeting.token is not None:
        raise EndConnection(Close.TOKEN_EXPIRED, "get a new token")
    raise EndConnection(Close.NOT_SIGNED_IN, "sign in")


def _refuse(arrival: Arrival, end: EndConnection) -> None:
    if not arrival.answer.done():
        # Without where it came from: that refers to all who arrived with them.
        arrival.answer.set_exception(end.with_traceback(None))


def _warn(event: str, error: Exception) -> None:
    log.warning(event, error=type(error).__name__, exc_info=not isinstance(error, HubError))
