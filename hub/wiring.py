"""Builds the house once: the same for the web process, the worker, the command line and the tests."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr

from hub.appointments.board import TOPIC, read_versions
from hub.channels.limits import Limits
from hub.channels.registry import Registry, build_vendors
from hub.channels.sns import SnsDoor
from hub.clock import Clock, system_clock
from hub.crypto import Keys
from hub.db import Database
from hub.demo_clock import DemoClock, following
from hub.inbox import epochs
from hub.inbox.feed import Head, Missed, read_heads_elsewhere, read_missed_by_many
from hub.messages.deliver import Courier
from hub.messages.intake import Intake
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
    vendors: Registry
    courier: Courier
    intake: Intake
    sns: SnsDoor | None

    @property
    def idle(self) -> timedelta:
        """How long a session lasts without use."""
        return timedelta(minutes=self.settings.idle_minutes)


@asynccontextmanager
async def build(settings: Settings, process: str, clock: Clock | None = None) -> AsyncIterator[House]:
    """The house of one process; its connections are closed at the end. Without a `clock` it goes by the system's.

    A demo's own clock can be moved by a command.
    """
    keys = Keys.parse(settings.hub_keys.get_secret_value())
    database = Database(settings.database_url.get_secret_value(), process)
    clock = clock or (DemoClock() if settings.demo else system_clock)
    bus = Bus(settings.redis_url.get_secret_value(), keys)
    idle = timedelta(minutes=settings.idle_minutes)
    ledger = ledger_of(database, keys, clock, idle)
    switchboard = Switchboard(ledger, clock, bus.interest, lambda: bus.is_listening)

    async def announce(pushes: list[Push]) -> None:
        # Those connected here hear at once; Redis carries it to the other processes.
        switchboard.deliver(pushes)
        await bus.publish(pushes)

    queue = Queue(settings.redis_url.get_secret_value())
    open_work = work_opener(database, clock, keys, settings.public_url, announce, queue.ask_for)
    front_door = FrontDoor(database, clock, keys, open_work)
    vendors = build_vendors(settings, clock)
    limits = Limits(settings.redis_url.get_secret_value())
    courier = Courier(
        database, open_work, clock, keys, vendors, limits, settings.public_url, settings.tenant_per_second
    )
    intake = Intake(database, keys, clock, queue.ask_for)
    sns = sns_door(settings)
    try:
        async with following(clock, database):
            yield House(
                settings=settings,
                clock=clock,
                keys=keys,
                database=database,
                bus=bus,
                ledger=ledger,
                switchboard=switchboard,
                open_work=open_work,
                front_door=front_door,
                vendors=vendors,
                courier=courier,
                intake=intake,
                sns=sns,
            )
    finally:
        await intake.close()
        if sns:
            await sns.close()
        await vendors.close()
        await limits.close()
        await queue.close()
        await bus.close()
        await database.close()


def sns_door(settings: Settings) -> SnsDoor | None:
    """The door for the events of SES, where topics are named; raises ValueError for what is no topic."""
    if not settings.ses_topics:
        return None
    return SnsDoor(
        topics=settings.ses_topics,
        accepts_subscriptions=settings.ses_accepts_subscription,
        access_key_id=settings.ses_access_key_id,
        secret_access_key=settings.ses_secret_access_key or SecretStr(""),
    )


def ledger_of(database: Database, keys: Keys, clock: Clock, idle: timedelta) -> Ledger:
    """How a switchboard asks this database."""

    async def recognised(greetings: Sequence[Greeting]) -> list[Listener | None]:
        async with database.watching() as watch:
            found = await recognise(watch, keys, greetings, clock(), idle)
        return [_listener(known) if known else None for known in found]

    async def missed(asked: Sequence[Asked]) -> list[Missed]:
        return await read_missed_by_many(database, asked)

    async def heads(people: Mapping[bytes, tuple[int, str]]) -> dict[bytes, Head]:
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

    async def begin_anew(tenant: uuid.UUID, told: Mapping[uuid.UUID, tuple[int, str]]) -> None:
        async with database.of_tenant(tenant) as session:
            await epochs.begin_anew(session, told)

    return Ledger(recognised, missed, heads, versions, lapsed, begin_anew)


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
