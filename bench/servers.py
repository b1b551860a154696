"""What is measured: an embedded PostgreSQL that keeps what it commits, Valkey, and the hub's own web process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from hub.local.children import Child, spawn, stop
from hub.local.errors import StartError
from hub.local.folder import new_keys
from hub.local.logfiles import last_words
from hub.local.ports import free_port
from hub.local.postgres import Postgres
from hub.local.probe import ready
from hub.local.valkey import Valkey
from hub.migrate import ROOT, migrate

DATABASE = "bench"
WEB_LOG = "web.log"
READY_WITHIN = 30.0
STOP = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))


@dataclass(frozen=True, slots=True)
class Running:
    """The servers' processes, and the environment of everything that joins them."""

    port: int
    env: dict[str, str]
    web: int
    postgres: int
    valkey: int


@contextmanager
def running() -> Iterator[Running]:
    """Everything started in a new folder, on free ports; stopped and removed at the end."""
    with _folder() as folder, ExitStack() as stack:
        try:
            yield _start(folder, stack)
        except StartError as error:
            raise BenchError(str(error)) from error
        except BenchError as error:
            raise BenchError(f"{error} (the web process last said: {last_words(folder / WEB_LOG)})") from error


def _start(folder: Path, stack: ExitStack) -> Running:
    postgres = Postgres(folder / "postgres", folder / "postgres.log")
    valkey = Valkey(folder / "valkey", folder / "valkey.log")
    for server in (postgres, valkey):
        server.prepare()
    for server in (postgres, valkey):
        stack.callback(server.stop)
        server.start()
    postgres.ensure_database(DATABASE)
    asyncio.run(migrate(postgres.url(DATABASE)))
    port = free_port()
    env = {
        "PATH": os.defpath,
        "DATABASE_URL": postgres.url(DATABASE),
        "REDIS_URL": valkey.url(),
        "HUB_KEYS": new_keys(),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
    }
    web = _web(folder / WEB_LOG, env)
    stack.callback(stop, web, *STOP)
    _wait(web, port)
    return Running(port, env, web.pid, postgres.pid, valkey.pid)


def _web(log: Path, env: dict[str, str]) -> Child:
    return spawn([sys.executable, "-m", "hub", "web"], dies_by=signal.SIGKILL, log=log, env=env, cwd=ROOT)


def _wait(web: Child, port: int) -> None:
    is_ready = ready("127.0.0.1", port, READY_WITHIN)
    while not is_ready():
        if web.poll() is not None:
            raise BenchError("the web process ended")
        time.sleep(0.05)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that PostgreSQL's stand-in for root may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
