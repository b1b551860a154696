"""The command line: `python -m hub COMMAND`; every command is configured by the environment.

Each command imports what it needs when it runs: a start is five processes, and half of a start would be imports.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from hub.crypto import BadKeys, Keys
from hub.errors import HubError
from hub.settings import Settings


def main() -> None:
    """Run a command; what can be expected to go wrong ends in one line."""
    try:
        hub(standalone_mode=True)
    except ValidationError as error:
        sys.exit(f"hub: settings: {'; '.join(_in_words(each) for each in error.errors())}")
    except (HubError, BadSetting) as error:
        sys.exit(f"hub: {error}")
    except OSError as error:
        sys.exit(f"hub: {error.strerror or error}")


class BadSetting(Exception):
    """A setting that is of the right type, and yet cannot be used."""


def _in_words(error: Mapping[str, Any]) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else ""
    return f"{name} {error['msg'].removeprefix('Value error, ')}".strip()


@click.group()
def hub() -> None:
    """A self-hosted, real-time notification hub for clinics and credentialing offices."""


@hub.command()
def start() -> None:
    """Everything on this machine: embedded Postgres and Valkey, web and worker, with a demo inside."""
    from hub.local.start import start as start_everything

    sys.exit(start_everything())


@hub.command()
@click.option("--to", "target", default="head", help="a revision already passed, to go back to; `base` for none")
def migrate(target: str) -> None:
    """Bring the database to the newest schema; run again, it changes nothing."""
    from hub.migrate import migrate as migrate_database

    asyncio.run(migrate_database(read_settings().database_url.get_secret_value(), target))


@hub.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="where to write logins and key, as JSON")
def demo(out: Path) -> None:
    """Fill the database with a believable clinic; run again, it adds today's visits."""
    from hub.demo.files import kept_key, write_demo
    from hub.demo.fill import fill
    from hub.wiring import build

    settings = read_settings()

    async def fill_and_write() -> None:
        async with build(settings, "demo") as house:
            write_demo(out, settings.public_url, await fill(house, kept_key(out)))

    asyncio.run(fill_and_write())


@hub.command("time-travel")
@click.argument("by", required=False)
@click.option("--back", is_flag=True, help="back to the true time")
def time_travel(by: str | None, back: bool) -> None:
    """Move a demo's clock ahead: by 90s, 2m, 1h30m, 3d. Sign-ins stay valid.

    Without DATABASE_URL it is the demo that `make start` runs on this machine.
    """
    from hub.demo.travel import read_span, travel
    from hub.wiring import build

    if (by is None) != back:
        raise click.UsageError("Say how far to travel (90s, 2m, 1h30m, 3d), or --back.")
    span = None if by is None else read_span(by)

    async def move() -> None:
        async with build(read_local_settings(), "cli") as house:
            ahead = await travel(house, span)
            now = f"{house.clock():%A %d %B %Y, %H:%M:%S} UTC"
        click.echo(f"It is {now}: {ahead} ahead of the true time." if ahead else f"It is {now}, the true time.")

    asyncio.run(move())


@hub.command("add-clinic")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--zone", required=True, help="an IANA time zone: Asia/Riyadh")
@click.option(
    "--language", "languages", multiple=True, default=("en", "ar"), help="the clinic's languages, default first"
)
@click.option("--admin-email", required=True)
@click.option("--admin-name", required=True)
@click.password_option("--admin-password")
def add_clinic(
    slug: str, name: str, zone: str, languages: tuple[str, ...], admin_email: str, admin_name: str, admin_password: str
) -> None:
    """Open a clinic with its first administrator, and with words for everything that patients and staff are told."""
    from hub.people.roles import Role
    from hub.people.staff import add_staff
    from hub.people.tenants import open_tenant
    from hub.templates.defaults import install_defaults
    from hub.wiring import build
    from hub.work import SYSTEM

    async def add() -> None:
        async with build(read_settings(), "cli") as house, house.open_work(uuid.uuid4(), SYSTEM) as work:
            await open_tenant(work.session, slug, name, zone, list(languages), work.now)
            await add_staff(
                work,
                email=admin_email,
                name=admin_name,
                role=Role.ADMIN,
                language=languages[0],
                password=admin_password,
            )
            await install_defaults(work)

    asyncio.run(add())


@hub.command()
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="how many processes serve; one for each core")
@click.option("--listening", type=int, hidden=True, help="the file descriptor of a socket that listens already")
def web(workers: int, listening: int | None) -> None:
    """Serve pages, API and live connections on HOST:PORT. SIGHUP replaces the processes of several one by one."""
    from hub.logs import configure_logs

    settings = read_settings()
    configure_logs("web")
    if workers > 1:
        import os
        from tempfile import TemporaryDirectory

        from hub.local.workers import Workers
        from hub.serve import bind

        with bind(settings.host, settings.port) as shared, TemporaryDirectory(prefix="hub-") as figures:
            os.environ["METRICS_FOLDER"] = figures
            Workers(shared, workers).run()
        return

    import gc
    import socket

    # Hardly anything that imports make is garbage, and looking for it took a seventh of a start.
    gc.disable()
    from hub.app import make_app
    from hub.serve import bind, serve

    open_socket = bind(settings.host, settings.port) if listening is None else socket.socket(fileno=listening)
    serve(make_app(settings), open_socket)


@hub.command()
def worker() -> None:
    """Do what is due."""
    from hub.logs import configure_logs
    from hub.scheduler.worker import run_worker

    settings = read_settings()
    configure_logs("worker")
    asyncio.run(run_worker(settings))


def read_local_settings() -> Settings:
    """The settings in the environment, or else those of the hub that `make start` runs on this machine."""
    import os

    from hub.local.errors import StartError
    from hub.local.plan import read_plan
    from hub.local.told import read_told

    if not os.environ.get("DATABASE_URL"):
        try:
            os.environ.update(read_told(read_plan(os.environ).told))
        except StartError as error:
            raise BadSetting(str(error)) from error
    return read_settings()


def read_settings() -> Settings:
    """The settings in the environment; raises BadSetting before anything is started with one that cannot work."""
    from redis.asyncio.connection import parse_url

    from hub.db import BadAddress, async_url

    settings = Settings()
    try:
        Keys.parse(settings.hub_keys.get_secret_value())
        async_url(settings.database_url.get_secret_value())
    except (BadKeys, BadAddress) as error:
        raise BadSetting(str(error)) from error
    try:
        parse_url(settings.redis_url.get_secret_value())
    except ValueError as error:
        raise BadSetting("REDIS_URL must be redis://[:password@]host:port/number") from error
    return settings
