"""A notification to nobody, every so often, from every web process to itself: written, announced and heard like others.

It takes the whole way: the verb, the commit, the announcement, the switchboard, a live connection with a token. So a
hub that has fallen silent is noticed before its people notice. Canaries are a tenant of their own that no list shows.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hub.endless import rest
from hub.errors import HubError
from hub.inbox.kinds import Kind, Priority
from hub.inbox.notify import Notice, Wording, notify
from hub.inbox.tables import InboxHead, Notification
from hub.logs import get_logger
from hub.people.live_tokens import sign_token
from hub.people.roles import Role
from hub.people.tables import Staff, Tenant
from hub.people.tenants import CANARY
from hub.realtime.connection import Connection, Listener
from hub.realtime.frames import Close, EndConnection
from hub.realtime.ledger import Greeting
from hub.realtime.meters import METERS
from hub.wiring import House
from hub.work import SYSTEM

log = get_logger(__name__)

# Each process draws one of so many birds. Two may draw the same: they hear each other, and that is all.
BIRDS = 64
KEPT = timedelta(minutes=1)
MISSED_IN_A_ROW = 2
SONG = Notice(Kind.SYSTEM, Wording("Canary"), priority=Priority.LOW)
# No password has this hash, and no address is written like this.
NO_PASSWORD, NO_ADDRESS = "!", "canary {}"


class Ear:
    """The outlet of a canary's connection: it takes everything, and listens for one notification."""

    def __init__(self) -> None:
        self._expected = b""
        self._heard_at: asyncio.Future[float] | None = None

    def listen_for(self, notification: uuid.UUID) -> asyncio.Future[float]:
        """What will be the moment at which it is heard, by the loop's clock."""
        self._expected = str(notification).encode()
        self._heard_at = asyncio.get_running_loop().create_future()
        return self._heard_at

    def carry(self, connection: Connection) -> None:
        """Part of Outlet: hear whatever is sent."""
        connection.write = self._hear

    def _hear(self, message: bytes) -> None:
        if self._heard_at is not None and not self._heard_at.done() and self._expected in message:
            self._heard_at.set_result(self._heard_at.get_loop().time())

    def has_news(self) -> None:
        """Part of Outlet: nothing ever waits."""

    def end(self, code: Close) -> None:
        """Part of Outlet; the connection itself says that it is closed."""


class Canary:
    """The canary of one process, which sings every so many seconds."""

    def __init__(self, house: House, every: float, bird: int | None = None) -> None:
        self._house = house
        self._every = every
        self._bird = random.randrange(BIRDS) if bird is None else bird  # noqa: S311 - it guards nothing
        self.person = uuid.uuid5(CANARY, str(self._bird))
        self._ear = Ear()
        self.connection: Connection | None = None

    async def run(self) -> None:
        """Sing until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                await self.sing()
                await rest(began + self._every - loop.time())
        finally:
            self.leave()

    async def sing(self) -> None:
        """Sing once, and count whether it was heard before the next time."""
        try:
            async with asyncio.timeout(self._every):
                took = await self._sing_and_listen()
        except (HubError, EndConnection, TimeoutError, OSError) as error:
            self._missed(type(error).__name__)
        except Exception as error:
            log.warning("canary: fell off its perch", exc_info=True)
            self._missed(type(error).__name__)
        else:
            self._heard(took)

    async def _sing_and_listen(self) -> float:
        if self.connection is None or self.connection.closing is not None:
            await self._connect()
        async with self._house.open_work(CANARY, SYSTEM) as work:
            await _forget_old_songs(work.session, self.person, work.now - KEPT)
            (song,) = await notify(work, [self.person], SONG)
            heard_at = self._ear.listen_for(song)
            sang_at = asyncio.get_running_loop().time()
        return await heard_at - sang_at

    async def _connect(self) -> None:
        """Connect anew, like a bell on another application's page: with a token, which ends every few minutes."""
        self.leave()
        async with self._house.open_work(CANARY, SYSTEM) as work:
            await _settle(work.session, self.person, self._bird, work.now)
        token, _ = sign_token(self._house.keys, CANARY, self.person, self._house.clock())
        self.connection = await self._house.switchboard.reception.greet(Greeting(token=token), self._let_in)

    def _let_in(self, listener: Listener) -> Connection:
        connection = Connection(listener, self._ear, way="canary")
        self._house.switchboard.add(connection)
        return connection

    def leave(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self._house.switchboard.remove(self.connection)
            self.connection = None

    def _heard(self, took: float) -> None:
        METERS.canary_heard.add(took)
        METERS.canary_heard_at = time.time()
        if METERS.canary_missed_in_a_row >= MISSED_IN_A_ROW:
            log.info("canary: heard again", missed=METERS.canary_missed_in_a_row)
        METERS.canary_missed_in_a_row = 0

    def _missed(self, why: str) -> None:
        METERS.canary_missed += 1
        METERS.canary_missed_in_a_row += 1
        if METERS.canary_missed_in_a_row == MISSED_IN_A_ROW:
            log.error("canary: not heard", missed=MISSED_IN_A_ROW, error=why)


async def _settle(session: AsyncSession, person: uuid.UUID, bird: int, now: datetime) -> None:
    """Have the canaries' tenant, and this bird in it; nobody can sign in as it."""
    tenant = {"id": CANARY, "slug": "canary", "name": "Canary", "zone": "UTC", "languages": ["en"], "created_at": now}
    staff = {
        "id": person,
        "tenant_id": CANARY,
        "email": NO_ADDRESS.format(bird),
        "name": "Canary",
        "role": Role.PROVIDER,
        "language": "en",
        "password_hash": NO_PASSWORD,
        "created_at": now,
    }
    await session.execute(insert(Tenant).values(tenant).on_conflict_do_nothing())
    await session.execute(insert(Staff).values(staff).on_conflict_do_nothing())


async def _forget_old_songs(session: AsyncSession, person: uuid.UUID, before: datetime) -> None:
    """Delete them; the head, which is locked first as always, goes on saying how many are unread."""
    theirs = Notification.person_id == person
    # By a statement of its own: what is counted is what others of the same kind had committed when it was locked.
    await session.execute(select(InboxHead.seq).where(InboxHead.person_id == person).with_for_update())
    kept = select(func.count()).where(theirs, Notification.created_at >= before).scalar_subquery()
    await session.execute(update(InboxHead).where(InboxHead.person_id == person).values(unread=kept))
    await session.execute(delete(Notification).where(theirs, Notification.created_at < before))
