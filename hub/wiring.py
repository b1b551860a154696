"""Builds the house once: the same for the web process, the worker, the command line and the tests."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.appointments.board import TOPIC, read_versions
from hub.clock import Clock, system_clock
from hub.crypto import Keys
from hub.db import Database
from hub.inbox.feed import Head, Missed, read_heads_elsewhere, read_missed_by_many
from hub.people.greetings import Known, recognise, still_valid
from hub.people.sign_in import FrontDoor
from hub.queue import Queue
from hub.realtime.bus import Bus
from hub.realtime.connection import Connection, Listener
from hub.realtime.frames import Close
from hub.realtime.ledger import Asked, Greeting, Ledger
from hub.realtime.pushes import Push
from hub.realtime.switchboard import Switchboard
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
    ledger: Ledger
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
    ledger = ledger_of(database, keys, clock, idle)
    switchboard = Switchboard(ledger, clock, bus.interest, lambda: bus.is_listening)

    async def announce(pushes: list[Push]) -> None:
        # Those connected here hear at once; Redis carries it to the other processes.
        switchboard.deliver(pushes)
        await bus.publish(pushes)

    queue = Queue(settings.redis_url.get_secret_value())
    open_work = work_opener(database, clock, keys, announce, queue.ask_for)
    front_door = FrontDoor(database, clock, keys, open_work)
    try:
        yield House(settings, clock, keys, database, bus, ledger, switchboard, open_work, front_door)
    finally:
        await queue.close()
        await bus.close()
        await database.close()


def ledger_of(database: Database, keys: Keys, clock: Clock, idle: timedelta) -> Ledger:
    """How a switchboard asks this database."""

    async def recognised(greetings: Sequence[Greeting]) -> list[Listener | None]:
        async with database.watching() as watch:
            found = await recognise(watch, keys, greetings, clock(), idle)
        return [_listener(known) if known else None for known in found]

    async def missed(asked: Sequence[Asked]) -> list[Missed]:
        return await read_missed_by_many(database, asked)

    async def heads(people: Mapping[uuid.UUID, tuple[int, str]]) -> dict[uuid.UUID, Head]:
        async with database.watching() as watch:
            return await read_heads_elsewhere(watch, people)

    async def versions(topics: Collection[tuple[uuid.UUID, str]]) -> dict[tuple[uuid.UUID, str], int]:
        tenants = {tenant for tenant, topic in topics if topic == TOPIC}
        async with database.watching() as watch:
            found = await read_versions(watch, tenants)
        return {(tenant, TOPIC): version for tenant, version in found.items()}

    async def lapsed(connections: Sequence[Connection]) -> dict[Connection, Close]:
        now = clock()
        async with database.watching() as watch:
            valid = await still_valid(watch, [connection.listener for connection in connections], now, idle)
        return {
            connection: _why_lapsed(connection.listener, now)
            for connection, counts in zip(connections, valid, strict=True)
            if not counts
        }

    return Ledger(recognised, missed, heads, versions, lapsed)


def _listener(known: Known) -> Listener:
    return Listener(
        tenant=known.tenant,
        person=known.person,
        role=known.role,
        name=known.name,
        language=known.language,
        session=known.session,
        expires_at=known.expires_at,
        key=known.key,
        token=known.token,
        era=known.era,
    )


def _why_lapsed(listener: Listener, now: datetime) -> Close:
    over = listener.expires_at is not None and listener.expires_at <= now
    return Close.TOKEN_EXPIRED if over else Close.SESSION_ENDED
