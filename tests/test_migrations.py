"""Migrations go up, down, twice and at once, and arrive at the schema the code maps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hub.db import make_engine
from hub.migrate import NoWayThere, migrate
from hub.tables import metadata
from tests.servers import fresh_database

ROOT = Path(__file__).resolve().parent.parent

# Everything that makes up the schema, in an order of its own.
SHAPE = """
SELECT 'column', table_name, column_name, data_type, is_nullable, coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'policy', tablename, policyname, cmd || roles::text, coalesce(qual, ''), coalesce(with_check, '')
    FROM pg_policies WHERE schemaname = 'public'
UNION ALL SELECT 'security', relname, relrowsecurity::text, relforcerowsecurity::text, '', ''
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
UNION ALL SELECT 'right', table_name, grantee, privilege_type, '', ''
    FROM information_schema.role_table_grants WHERE table_schema = 'public'
UNION ALL SELECT 'column right', table_name, grantee, privilege_type, column_name, ''
    FROM information_schema.column_privileges WHERE table_schema = 'public'
ORDER BY 1, 2, 3, 4, 5, 6
"""


@pytest.fixture
async def empty_url() -> AsyncIterator[str]:
    async with fresh_database(migrated=False) as url:
        yield url


async def shape_of(url: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(SHAPE)]
    finally:
        await connection.close()


def revisions() -> Iterator[tuple[str, str]]:
    """Every revision and the one before it, newest first."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("path_separator", "os")
    for script in ScriptDirectory.from_config(config).walk_revisions():
        assert isinstance(script.down_revision, str | None), "the history is one line"
        yield script.revision, script.down_revision or "base"


async def test_the_schema_is_what_the_code_maps(empty_url: str) -> None:
    await migrate(empty_url)
    engine = make_engine(empty_url, None, "test", size=1)

    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


async def test_going_up_twice_changes_nothing(empty_url: str) -> None:
    await migrate(empty_url)
    before = await shape_of(empty_url)
    assert before
    await migrate(empty_url)
    assert await shape_of(empty_url) == before


async def test_all_the_way_down_leaves_nothing_and_up_again_works(empty_url: str) -> None:
    await migrate(empty_url)
    before = await shape_of(empty_url)
    await migrate(empty_url, "base")
    assert {row[1] for row in await shape_of(empty_url)} == {"alembic_version"}
    await migrate(empty_url)
    assert await shape_of(empty_url) == before


async def test_two_machines_at_once_end_with_one_schema(empty_url: str) -> None:
    async with fresh_database(migrated=False) as other:
        await migrate(other)
        expected = await shape_of(other)
    await asyncio.gather(migrate(empty_url), migrate(empty_url), migrate(empty_url))
    assert await shape_of(empty_url) == expected


async def test_every_revision_goes_down_and_up_again(empty_url: str) -> None:
    await migrate(empty_url)
    before = await shape_of(empty_url)
    for _, previous in revisions():
        await migrate(empty_url, previous)
        assert await shape_of(empty_url) != before
        await migrate(empty_url)
        assert await shape_of(empty_url) == before


async def test_revisions_are_numbered_and_named_in_words() -> None:
    names = [revision for revision, _ in revisions()][::-1]
    assert [int(name.split("_")[0]) for name in names] == list(range(1, len(names) + 1))
    assert all((ROOT / "migrations" / "versions" / f"{name}.py").is_file() for name in names)


@pytest.mark.parametrize("target", ["nowhere", "9999_no_such"])
async def test_an_unknown_revision_is_refused_and_changes_nothing(empty_url: str, target: str) -> None:
    await migrate(empty_url)
    before = await shape_of(empty_url)
    with pytest.raises(NoWayThere):
        await migrate(empty_url, target)
    assert await shape_of(empty_url) == before


async def test_a_migration_that_fails_leaves_the_schema_it_found(empty_url: str) -> None:
    connection = await asyncpg.connect(empty_url)
    await connection.execute("CREATE TABLE appointments (id int)")
    await connection.close()
    with pytest.raises(Exception, match="appointments"):
        await migrate(empty_url)
    assert {row[1] for row in await shape_of(empty_url)} == {"appointments"}
