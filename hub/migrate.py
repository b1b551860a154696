"""Bringing a database to the newest schema, or back; safe to run twice and by several machines at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from hub.db import make_engine, speaking_plainly
from hub.errors import HubError

ROOT = Path(__file__).resolve().parent.parent
# Any fixed number; one lock for all who migrate this database.
LOCK = 7_431_001
# A migration that has to wait longer for a table is given up rather than queueing everybody behind it.
LOCK_TIMEOUT = "10s"


class NoWayThere(HubError):
    """The revision asked for is unknown, or was not passed yet."""

    code = "invalid"


async def migrate(database_url: str, target: str = "head") -> None:
    """Go to revision `target`, upwards or to one already passed (`base` for an empty database).

    Raises NoWayThere.
    """
    engine = make_engine(database_url, None, "migrate", size=1)
    try:
        async with speaking_plainly(), engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.run_sync(_run, target)
    finally:
        await engine.dispose()


def _run(connection: Connection, target: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("prepend_sys_path", str(ROOT))
    config.attributes["connection"] = connection
    try:
        if target == "head":
            command.upgrade(config, target)
        else:
            command.downgrade(config, target)
    except CommandError as error:
        raise NoWayThere(str(error)) from error
