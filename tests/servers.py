"""Real servers for the tests, as a pytest plugin.

One PostgreSQL and one Valkey per run, started before xdist's workers and shared by them: each worker has a
database made from a migrated template, and a logical database of Valkey. DATABASE_URL and REDIS_URL name
other servers to use: that user may create databases and roles, and Redis databases after the named one are
emptied.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from hub.local.postgres import Postgres
from hub.local.valkey import Valkey

Migrate = Callable[[str], Awaitable[None]]

RUN, POSTGRES, VALKEY = "HUB_TEST_RUN", "HUB_TEST_POSTGRES", "HUB_TEST_VALKEY"
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "300"}
VOLATILE = {"appendonly": "no"}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start what the run shares; workers learn the addresses through the environment."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    os.environ[RUN] = secrets.token_hex(4)
    servers = contextlib.ExitStack()
    config.add_cleanup(servers.close)
    folder = servers.enter_context(_folder())
    os.environ[POSTGRES] = _given("DATABASE_URL") or servers.enter_context(_postgres(folder)).url("postgres")
    os.environ[VALKEY] = _given("REDIS_URL") or servers.enter_context(_valkey(folder, VOLATILE)).url()
    if _given("DATABASE_URL"):
        servers.callback(lambda: asyncio.run(_drop_databases()))


@pytest.fixture(scope="session")
async def database_url() -> AsyncIterator[str]:
    """A migrated database that only this worker uses."""
    async with fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A logical database of Valkey that only this worker uses; its number is in the names of the hub's channels."""
    server = urlsplit(os.environ[VALKEY])
    number = int(server.path.strip("/") or 0) + 1 + _worker()
    url = server._replace(path=f"/{number}").geturl()
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@asynccontextmanager
async def fresh_database(*, migrated: bool = True) -> AsyncIterator[str]:
    """A new database, migrated or empty, dropped at the end."""
    name = f"{_prefix()}_{secrets.token_hex(4)}"
    template = await make_template() if migrated else "template0"
    async with _maintenance() as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _named(name)
    finally:
        async with _maintenance() as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def make_template(migrate: Migrate | None = None) -> str:
    """The name of the run's migrated database; the first worker to ask makes it while the others wait."""
    name = f"{_prefix()}_template"
    async with _maintenance() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", zlib.crc32(name.encode()))
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f"DROP DATABASE IF EXISTS {name}_new WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name}_new TEMPLATE template0")
            await (migrate or _migrate)(_named(f"{name}_new"))
            await connection.execute(f"ALTER DATABASE {name}_new RENAME TO {name}")
    return name


@contextmanager
def own_postgres(**options: str) -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, to kill, stop and start again on the same port."""
    with _folder() as folder, _postgres(folder, **options) as server:
        yield server


@contextmanager
def own_valkey(**options: str) -> Iterator[Valkey]:
    """A Valkey of the test's own, which keeps its data, to flush, kill and start again on the same port."""
    with _folder() as folder, _valkey(folder, options) as server:
        yield server


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that PostgreSQL's stand-in for root may pass through, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="hub-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _postgres(folder: Path, **options: str) -> Iterator[Postgres]:
    server = Postgres(folder / "postgres", folder / "postgres.log", options=FAST | options, durable=False)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def _valkey(folder: Path, options: dict[str, str]) -> Iterator[Valkey]:
    server = Valkey(folder / "valkey", folder / "valkey.log", options={"databases": "64"} | options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def _maintenance() -> AsyncIterator["asyncpg.Connection"]:
    connection = await asyncpg.connect(os.environ[POSTGRES])
    try:
        yield connection
    finally:
        await connection.close()


async def _drop_databases() -> None:
    async with _maintenance() as connection:
        for row in await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", _prefix()):
            await connection.execute(f"DROP DATABASE {row['datname']} WITH (FORCE)")


async def _migrate(url: str) -> None:
    from hub.migrate import migrate

    await migrate(url)


def _given(variable: str) -> str:
    """The address of a server that somebody else runs, as asyncpg and redis-py write it."""
    return os.environ.get(variable, "").replace("postgresql+asyncpg:", "postgresql:", 1)


def _named(database: str) -> str:
    return urlsplit(os.environ[POSTGRES])._replace(path=f"/{database}").geturl()


def _prefix() -> str:
    return f"hub_test_{os.environ[RUN]}"


def _worker() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
