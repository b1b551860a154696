"""The command line as somebody types it: real processes, and one line for what goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from hub.serve import bind
from hub.templates.defaults import defaults
from tests.conftest import HUB_KEYS
from tests.servers import fresh_database

ROOT = Path(__file__).resolve().parent.parent
ADD = ("add-clinic", "elm", "--name", "Elm", "--zone", "Europe/Berlin", "--admin-email", "a@elm.example")
ADMIN = ("--admin-name", "Ada", "--admin-password", "long enough, this")

Environment = dict[str, str]


@pytest.fixture
async def environment(redis_url: str) -> AsyncIterator[Environment]:
    """What an installation sets, with an empty database."""
    async with fresh_database(migrated=False) as url:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
        }
        with bind("127.0.0.1", 0) as probe:
            port = str(probe.getsockname()[1])
        yield kept | {
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
            "HUB_KEYS": HUB_KEYS,
            "PORT": port,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
        }


async def start(environment: Environment, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hub",
        *words,
        env=environment,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(environment: Environment, *words: str) -> tuple[int, str]:
    """The exit code and everything said."""
    process = await start(environment, *words)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


async def fetch(environment: Environment, query: str) -> object:
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_database_is_migrated_filled_and_given_a_clinic(environment: Environment, tmp_path: Path) -> None:
    for _ in range(2):
        assert (await run(environment, "migrate")) == (0, "")
    out = tmp_path / "demo.json"
    told = []
    for _ in range(2):
        assert (await run(environment, "demo", "--out", str(out)))[0] == 0
        assert out.stat().st_mode & 0o777 == 0o600
        told.append(json.loads(out.read_text()))
    assert told[0] == told[1]
    assert told[0]["address"] == environment["PUBLIC_URL"]
    assert told[0]["api_key"].startswith("hub_")
    assert await fetch(environment, "SELECT count(*) FROM tenants") == 2
    assert await fetch(environment, "SELECT count(*) FROM api_keys") == 1
    assert (await run(environment, *ADD, *ADMIN)) == (0, "")
    assert await fetch(environment, "SELECT name FROM staff WHERE email = 'a@elm.example'") == "Ada"
    of_elm = "SELECT count(DISTINCT code) FROM templates JOIN tenants ON tenants.id = tenant_id WHERE slug = 'elm'"
    assert await fetch(environment, of_elm) == len({each.code for each in defaults()})
    code, said = await run(environment, *ADD, *ADMIN)
    assert (code, said) == (1, "hub: There is a clinic 'elm' already.\n")


async def test_what_cannot_be_added_is_one_line(environment: Environment) -> None:
    assert (await run(environment, "migrate"))[0] == 0
    short = ("--admin-name", "Ada", "--admin-password", "short")
    code, said = await run(environment, *ADD, *short)
    assert (code, said) == (1, "hub: This password is too short or too long.\n")
    assert await fetch(environment, "SELECT count(*) FROM tenants") == 0, "no clinic without its administrator"
    code, said = await run(environment, "migrate", "--to", "nowhere")
    assert code == 1
    assert said.startswith("hub: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["web", "worker", "migrate"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"HUB_KEYS": "k1:c2hvcnQ="}, "HUB_KEYS"),
        ({"REDIS_URL": "somewhere"}, "REDIS_URL"),
        ({"PUBLIC_URL": "http://hub.example"}, "https"),
        ({"PORT": "many"}, "PORT"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else each,
)
def test_a_bad_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, command: str, change: Environment, words: str
) -> None:
    from hub.cli import main

    right = {
        "DATABASE_URL": "postgresql://u:geheim@127.0.0.1:1/x",
        "REDIS_URL": "redis://127.0.0.1:1",
        "HUB_KEYS": HUB_KEYS,
    }
    for name, value in (right | change).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["hub", command])
    with pytest.raises(SystemExit) as end:
        main()
    said = str(end.value.code)
    assert said.startswith("hub: ")
    assert words in said
    assert "\n" not in said
    assert "geheim" not in said


async def test_what_is_missing_is_named_at_once(environment: Environment) -> None:
    code, said = await run({"PATH": environment["PATH"]}, "web")
    assert code == 1
    assert all(name in said for name in ("DATABASE_URL", "REDIS_URL", "HUB_KEYS"))
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://postgres:wrong@{host}/hub", "DATABASE_URL"),
        ("postgresql://nobody@127.0.0.1:1/hub", "does not answer"),
    ],
)
async def test_a_database_that_is_not_there_is_one_line(environment: Environment, address: str, words: str) -> None:
    host = environment["DATABASE_URL"].rpartition("@")[2].partition("/")[0]
    there = environment | {"DATABASE_URL": address.format(host=host)}
    for command in (("migrate",), ("demo", "--out", os.devnull)):
        code, said = await run(there, *command)
        assert (code, said.count("\n")) == (1, 1), said
        assert words in said


async def test_web_and_worker_run_until_they_are_told_to_stop(environment: Environment) -> None:
    assert (await run(environment, "migrate"))[0] == 0
    web, worker = await start(environment, "web"), await start(environment, "worker")
    try:
        await until_ready(environment["PUBLIC_URL"])
        code, said = await run(environment, "web")
        assert (code, said.count("\n")) == (1, 1), said
        assert "in use" in said
        await until_swept(environment)
    finally:
        for process in (web, worker):
            process.send_signal(signal.SIGTERM)
        ends = await asyncio.gather(web.communicate(), worker.communicate())
    for process, (out, err) in zip((web, worker), ends, strict=True):
        assert out == b""
        lines = [json.loads(line) for line in err.splitlines()]
        assert all(line["level"] == "info" for line in lines), err.decode()
        assert process.returncode in (0, -signal.SIGTERM)


async def until_ready(address: str) -> None:
    async with asyncio.timeout(30), httpx.AsyncClient(verify=False) as client:
        while True:
            try:
                if (await client.get(f"{address}/health/ready")).status_code == 200:
                    return
            except httpx.ConnectError:
                pass
            await asyncio.sleep(0.05)


async def until_swept(environment: Environment) -> None:
    async with asyncio.timeout(30):
        while not await fetch(environment, "SELECT count(*) FROM sweeps"):
            await asyncio.sleep(0.05)
