"""The one door to the live path: who is let in, by whichever way they come, and what they may do once inside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from hub.errors import HubError
from hub.realtime import frames
from hub.realtime.connection import Connection, Listener, Outlet
from hub.realtime.frames import Close, EndConnection, MarkFrame, ReadAll, Renewal
from hub.realtime.ledger import Asked, Greeting, Ledger
from hub.realtime.meters import METERS
from hub.realtime.reception import known, rows_of
from hub.realtime.switchboard import NOWHERE, Switchboard
from hub.realtime.wire import Frame

Scope = MutableMapping[str, Any]

# So many clients are sent away a second; but whoever stops us waits no longer than this, and a little.
DRAINED_A_SECOND = 250
LONGEST_DRAIN_S = 20.0
LEFT_BEHIND_AFTER_S = 4.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the hub waits for a client, and how much it takes from one."""

    hello_within_s: float = 5.0
    send_within_s: float = 10.0
    frames_per_second: int = 20
    frames_at_once: int = 40
    most_connections: int = 50


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """What a live connection asks of the rest of the house; each may raise when the database is away."""

    cookie_of: Callable[[Scope], str | None]
    mark: Callable[[Listener, MarkFrame | ReadAll], Awaitable[None]]
    may_watch: Callable[[Listener, str], bool]


@contextlib.contextmanager
def counting_refusals() -> Iterator[None]:
    """Count who is not let in, by why."""
    try:
        yield
    except EndConnection as end:
        METERS.refused[end.close.name.lower()] += 1
        raise


class Door:
    """What every way in shares."""

    def __init__(self, switchboard: Switchboard, ledger: Ledger, keeper: Doorkeeper, limits: Limits = Limits()) -> None:
        self.switchboard = switchboard
        self.limits = limits
        self._ledger = ledger
        self._keeper = keeper
        self._is_draining = False

    @property
    def is_shut(self) -> bool:
        """Whether nobody is let in for now: too many wait, or the hub is about to stop."""
        return self._is_draining or self.switchboard.reception.is_full

    async def drain(self) -> None:
        """Let nobody in any more, ask everybody to connect anew at a moment of their own, and wait until they have."""
        self._is_draining = True
        spread = min(LONGEST_DRAIN_S, len(self.switchboard) / DRAINED_A_SECOND)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(spread + min(LEFT_BEHIND_AFTER_S, 0.5 + spread)):
                await self.switchboard.drain(spread)

    async def greet(
        self,
        scope: Scope,
        token: str | None,
        outlet: Outlet,
        epoch: str | None,
        since: int | None,
        way: str = "websocket",
    ) -> Connection:
        """Let somebody in who stands at `since` of `epoch`; raises EndConnection. Whoever called removes them again."""
        with counting_refusals():
            return await self.switchboard.reception.greet(
                self._greeting(scope, token),
                lambda listener: self._let_in(Connection(listener, outlet, epoch, since, way)),
            )

    async def recognise(self, scope: Scope, token: str | None) -> Listener:
        """Who has something to say but does not stay; raises EndConnection when it is nobody."""
        greeting = self._greeting(scope, token)
        (listener,) = await self._ledger.recognise([greeting])
        return known(greeting, listener)

    def _greeting(self, scope: Scope, token: str | None) -> Greeting:
        return Greeting(self._keeper.cookie_of(scope) if token is None else None, token)

    def _let_in(self, connection: Connection) -> Connection:
        most = self.limits.most_connections
        if self.switchboard.connections_of(connection.listener.person) >= most:
            raise EndConnection(Close.TOO_MANY_CONNECTIONS, f"a person has at most {most} connections")
        self.switchboard.add(connection)
        return connection

    async def watch(self, connection: Connection, topic: str, version: int = -1) -> bool:
        """Begin telling a connection about a shared view; returns False when it may not see that."""
        if not self._keeper.may_watch(connection.listener, topic):
            return False
        with contextlib.suppress(HubError):
            await self.switchboard.watch(connection, topic, version)
        return True

    async def mark(self, listener: Listener, frame: MarkFrame | ReadAll) -> Frame:
        """Carry out what somebody asks for, and answer it."""
        try:
            await self._keeper.mark(listener, frame)
        except HubError as refused:
            return frames.refused(frame.nonce, refused.code, refused.detail)
        return frames.ok(frame.nonce)

    async def renew(self, listener: Listener, frame: Renewal) -> tuple[Listener, Frame]:
        """Read a new token; returns what the right to listen rests on now, and the answer.

        Raises EndConnection when it is somebody else's.
        """
        try:
            (found,) = await self._ledger.recognise([Greeting(token=frame.token)])
        except HubError as refused:
            return listener, frames.refused(frame.nonce, refused.code, refused.detail)
        if found is None:
            return listener, frames.token_refused(frame.nonce)
        if (found.tenant, found.person) != (listener.tenant, listener.person):
            raise EndConnection(Close.TOKEN_EXPIRED, "a token of somebody else")
        return found, frames.ok(frame.nonce)

    async def fill(self, listener: Listener, since: int) -> Frame:
        """What follows a number of the inbox as it is now."""
        person = listener.person.bytes
        heads = await self._ledger.heads({person: NOWHERE})
        epoch = heads[person].epoch if person in heads else None
        (gap,) = await self._ledger.missed([Asked(listener.tenant, listener.person, epoch, since)])
        return rows_of(gap)
