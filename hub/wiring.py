"""Builds the house once: the same for the web process, the worker, the command line and the tests."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.appointments.board import TOPIC, read_versions
from hub.clock import Clock, system_clock
from hub.crypto import Keys
from hub.db import Database
from hub.inbox.feed import NO_HEAD, Head, Missed, open_inbox, read_heads, read_missed
from hub.people import sessions
from hub.people.sign_in import FrontDoor
from hub.people.staff import still_active
from hub.realtime.bus import Bus
from hub.realtime.connection import Connection
from hub.realtime.frames import Close
from hub.realtime.pushes import Push
from hub.realtime.switchboard import Ledger, Switchboard
from hub.settings import Settings
from hub.work import OpenWork, work_opener


@dataclass(frozen=True, slots=True)
class House:
    """Everything a process needs, built once."""

    settings: Settings
    clock: Clock
    keys: Keys
    database: Database
    bus: Bus
    switchboard: Switchboard
    open_work: OpenWork
    front_door: FrontDoor

    @property
    def idle(self) -> timedelta:
        """How long a session lasts without use."""
        return timedelta(minutes=self.settings.idle_minutes)


@asynccontextmanager
async def build(settings: Settings, process: str, clock: Clock = system_clock) -> AsyncIterator[House]:
    """The house of one process; its connections are closed at the end."""
    keys = Keys.parse(settings.hub_keys.get_secret_value())
    database = Database(settings.database_url.get_secret_value(), process)
    bus = Bus(settings.redis_url.get_secret_value(), keys)
    idle = timedelta(minutes=settings.idle_minutes)
    switchboard = Switchboard(ledger_of(database, clock, idle), clock, bus.interest, lambda: bus.is_listening)

    async def announce(pushes: list[Push]) -> None:
        # Those connected here hear at once; Redis carries it to the other processes.
        switchboard.deliver(pushes)
        await bus.publish(pushes)

    open_work = work_opener(database, clock, announce)
    front_door = FrontDoor(database, clock, keys, open_work)
    try:
        yield House(settings, clock, keys, database, bus, switchboard, open_work, front_door)
    finally:
        await bus.close()
        await database.close()


def ledger_of(database: Database, clock: Clock, idle: timedelta) -> Ledger:
    """How a switchboard asks this database."""

    async def missed(tenant: uuid.UUID, person: uuid.UUID, epoch: str | None, since: int | None) -> Missed:
        async with database.at_one_moment(tenant) as session:
            found = await read_missed(session, person, epoch, since)
        if found.head != NO_HEAD:
            return found
        async with database.of_tenant(tenant) as session:
            await open_inbox(session, tenant, person)
        return await missed(tenant, person, epoch, since)

    async def heads(people: Collection[uuid.UUID]) -> dict[uuid.UUID, Head]:
        async with database.watching() as watch:
            return await read_heads(watch, people)

    async def versions(topics: Collection[tuple[uuid.UUID, str]]) -> dict[tuple[uuid.UUID, str], int]:
        tenants = {tenant for tenant, topic in topics if topic == TOPIC}
        async with database.watching() as watch:
            found = await read_versions(watch, tenants)
        return {(tenant, TOPIC): version for tenant, version in found.items()}

    async def lapsed(connections: Iterable[Connection]) -> dict[str, Close]:
        return await _lapsed(database, list(connections), clock(), idle)

    return Ledger(missed, heads, versions, lapsed)


async def _lapsed(
    database: Database, connections: list[Connection], now: datetime, idle: timedelta
) -> dict[str, Close]:
    by_session = {c.listener.session for c in connections if c.listener.session}
    by_token = {c.listener.person for c in connections if not c.listener.session}
    async with database.watching() as watch:
        open_sessions = await sessions.still_open(watch, by_session, now, idle) if by_session else set()
        active = await still_active(watch, by_token) if by_token else set()
    lapsed: dict[str, Close] = {}
    for connection in connections:
        listener = connection.listener
        if listener.session:
            if listener.session not in open_sessions:
                lapsed[connection.id] = Close.SESSION_ENDED
        elif listener.person not in active:
            lapsed[connection.id] = Close.SESSION_ENDED
        elif listener.expires_at and listener.expires_at <= now:
            lapsed[connection.id] = Close.TOKEN_EXPIRED
    return lapsed
