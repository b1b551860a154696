"""The database: engines, sessions that name their tenant, and the base of all tables.

Two database roles, both without ownership. `hub_app` sees one tenant's rows, the one the transaction names as it
begins. `hub_watch` may only look, across tenants, at the few columns that tell whose a caller is and who is behind.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, ClassVar

import asyncpg
from sqlalchemy import DateTime, Uuid, event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from hub.errors import Unavailable

APP_ROLE = "hub_app"
WATCH_ROLE = "hub_watch"

STATEMENT_TIMEOUT_MS = 10_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000
CONNECT_TIMEOUT_S = 5.0
# Above the server's own limit: a server that does not even say so is frozen, or the network to it is cut.
ANSWER_TIMEOUT_S = 12
# A burst waits its turn, as long as somebody at a desk would; then it is told to try again.
POOL_TIMEOUT_S = 15
# A connection that lay idle for so long is tried before it is used: in less, no server is gone and back. Trying it
# every time takes three round trips; ringing a bell takes five.
TRIED_AFTER_S = 1.0

AWAY = "The database does not answer. Nothing was changed; try again in a moment."
# Connection lost, server shutting down or starting, too many connections, a statement that took too long.
AWAY_STATES = ("08", "57", "53")
# Two wait for each other, and one of them had to give way.
BUSY = "Somebody else did something with the same at this moment. Nothing was changed; try again in a moment."
BUSY_STATES = ("40",)
REFUSED = "The database refuses this hub: check the user, password and name in DATABASE_URL."
REFUSED_STATES = ("28", "3D")


class BadAddress(ValueError):
    """DATABASE_URL cannot be read."""


class Base(DeclarativeBase):
    """The base of all tables; times are always aware."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: DateTime(timezone=True), uuid.UUID: Uuid(as_uuid=True)}


class OfTenant:
    """A row that belongs to a tenant; row-level security hides it from every other one."""

    tenant_id: Mapped[uuid.UUID] = mapped_column(index=False)


class Database:
    """One process's connections to Postgres."""

    def __init__(self, url: str, process: str) -> None:
        self._app = make_engine(url, APP_ROLE, process, size=10)
        # Each look is one statement, which needs no transaction around it.
        self._watch = make_engine(url, WATCH_ROLE, process, size=2).execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def of_tenant(self, tenant: uuid.UUID) -> AsyncIterator[AsyncSession]:
        """A session that sees this tenant's rows alone, in one transaction: committed at the end, or rolled back."""
        async with (
            speaking_plainly(),
            AsyncSession(self._app, expire_on_commit=False, info={"tenant": tenant}) as session,
            session.begin(),
        ):
            yield session

    @asynccontextmanager
    async def at_one_moment(self, tenant: uuid.UUID) -> AsyncIterator[AsyncSession]:
        """Like `of_tenant`, for reading only: every query sees the same moment (REPEATABLE READ)."""
        async with self.of_tenant(tenant) as session:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @asynccontextmanager
    async def of_nobody(self) -> AsyncIterator[AsyncSession]:
        """A session for the few tables that belong to no tenant; it sees no tenant's rows."""
        async with speaking_plainly(), AsyncSession(self._app, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[AsyncConnection]:
        """A read-only look across tenants, at what `hub_watch` may see."""
        async with speaking_plainly(), self._watch.connect() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise Unavailable when Postgres does not answer."""
        async with speaking_plainly(), self._app.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back."""
        await self._app.dispose()
        await self._watch.dispose()


@asynccontextmanager
async def speaking_plainly() -> AsyncIterator[None]:
    """Turn what the driver says of a database that is away, overloaded or in a knot into Unavailable."""
    try:
        yield
    except (OSError, PoolTimeout, asyncpg.InterfaceError) as error:
        raise Unavailable(AWAY) from error
    except asyncpg.PostgresError as error:
        # While connecting, the driver's errors come as they are.
        if (refusal := _refusal_of(error)) is None:
            raise
        raise refusal from error
    except DBAPIError as error:
        refusal = _refusal_of(error.orig)
        if refusal is None and not error.connection_invalidated and not isinstance(error, InterfaceError):
            raise
        raise refusal or Unavailable(AWAY) from error


async def fetch_directly(session: AsyncSession, statement: str, *values: Any) -> list[asyncpg.Record]:
    """Run a statement by the driver itself, in the session's transaction: for the one that rings bells.

    What lies between takes more of our time than the statement does. Parameters are `$1` and so on.
    """
    connection = await session.connection()
    driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
    found: list[asyncpg.Record] = await driver.fetch(statement, *values)
    return found


def _refusal_of(error: BaseException | None) -> Unavailable | None:
    state = str(getattr(error, "sqlstate", None) or "")
    if state.startswith(REFUSED_STATES):
        return Unavailable(REFUSED)
    if state.startswith(BUSY_STATES):
        return Unavailable(BUSY)
    return Unavailable(AWAY) if state.startswith(AWAY_STATES) else None


def make_engine(url: str, role: str | None, process: str, size: int) -> AsyncEngine:
    """An engine whose connections act as `role`, with time-outs that free a stuck one."""
    server_settings = {
        "application_name": f"hub {process}",
        "timezone": "UTC",
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
    }
    if role:
        server_settings["role"] = role
    engine = create_async_engine(
        async_url(url),
        pool_size=size,
        max_overflow=size,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=1800,
        # An error's message goes to logs; it says which statement, never with whose values.
        hide_parameters=True,
        connect_args={
            "server_settings": server_settings,
            "timeout": CONNECT_TIMEOUT_S,
            # A migration may take as long as it takes.
            "command_timeout": ANSWER_TIMEOUT_S if role else None,
        },
    )
    _try_idle_connections(engine)
    return engine


def _try_idle_connections(engine: AsyncEngine) -> None:
    """Have the pool replace a connection that broke while nobody used it."""
    dialect = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def note_use(_connection: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def try_it(connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - entry.info.get("used_at", time.monotonic()) < TRIED_AFTER_S:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def async_url(url: str) -> URL:
    """The address with the driver named that we use; raises BadAddress."""
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        # Its words may quote the password.
        found = None
    if found is None or found.get_backend_name() not in ("postgresql", "postgres"):
        raise BadAddress("DATABASE_URL must be postgresql://user:password@host/name")
    return found.set(drivername="postgresql+asyncpg")


@event.listens_for(Session, "after_begin")
def _name_the_tenant(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    """Local to the transaction: a setting of the session would leak to the connection's next user."""
    tenant: Any = session.info.get("tenant")
    if tenant is not None:
        connection.exec_driver_sql("SELECT set_config('hub.tenant', $1, true)", (str(tenant),))
