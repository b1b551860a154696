"""What is measured: an embedded PostgreSQL that keeps what it commits, Valkey, and the hub's own web process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

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
from hub.settings import Settings

DATABASE = "bench"
WEB_LOG = "web.log"
WEB_PROGRAM = ("hub", "web")
READY_WITHIN = 30.0
STOP = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))


@dataclass
class Web:
    """`python -m hub web`, on a port that stays its own over deaths."""

    log: Path
    env: Mapping[str, str]
    program: Sequence[str] = WEB_PROGRAM
    _child: Child | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.env["PORT"])

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid if self._child else 0

    @property
    def has_ended(self) -> bool:
        """Whether there is no such process, any more or yet."""
        return self._child is None or self._child.poll() is not None

    def start(self) -> None:
        """Start it, without waiting for it."""
        command = [sys.executable, "-m", *self.program]
        self._child = spawn(command, dies_by=signal.SIGKILL, log=self.log, env=self.env, cwd=ROOT)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._child is not None:
            self._child.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        stop(self._child)

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        stop(self._child, *STOP)

    def wait(self) -> None:
        """Wait until it can work."""
        is_ready = ready("127.0.0.1", self.port, READY_WITHIN)
        while not is_ready():
            if self.has_ended:
                raise BenchError("the web process ended")
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Stores:
    """The servers that keep things."""

    postgres: Postgres
    valkey: Valkey

    def env(self) -> dict[str, str]:
        """The environment of whatever joins them."""
        return {
            "PATH": os.defpath,
            "DATABASE_URL": self.postgres.url(DATABASE),
            "REDIS_URL": self.valkey.url(),
            "HUB_KEYS": new_keys(),
        }


@dataclass(frozen=True, slots=True)
class Running:
    """The servers' processes, and the environment of everything that joins them."""

    port: int
    env: dict[str, str]
    web: int
    postgres: int
    valkey: int
    stores: Stores
    process: Web


@contextmanager
def stores(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[Stores]:
    """PostgreSQL with the hub's schema, and Valkey, in this folder; `options` as in postgresql.conf."""
    postgres = Postgres(folder / "postgres", folder / "postgres.log", options=options or {})
    valkey = Valkey(folder / "valkey", folder / "valkey.log")
    with ExitStack() as stack:
        for server in (postgres, valkey):
            server.prepare()
        for server in (postgres, valkey):
            stack.callback(server.stop)
            server.start()
        postgres.ensure_database(DATABASE)
        asyncio.run(migrate(postgres.url(DATABASE)))
        yield Stores(postgres, valkey)


@contextmanager
def running(options: Mapping[str, str] | None = None, program: Sequence[str] = WEB_PROGRAM) -> Iterator[Running]:
    """Everything started in a new folder, on free ports; stopped and removed at the end."""
    with new_folder() as folder, ExitStack() as stack:
        try:
            yield _start(folder, stack, options, program)
        except StartError as error:
            raise BenchError(str(error)) from error
        except BenchError as error:
            raise BenchError(f"{error} (the web process last said: {last_words(folder / WEB_LOG)})") from error


def _start(folder: Path, stack: ExitStack, options: Mapping[str, str] | None, program: Sequence[str]) -> Running:
    kept = stack.enter_context(stores(folder, options))
    port = free_port()
    env = {**kept.env(), "PUBLIC_URL": f"http://127.0.0.1:{port}", "PORT": str(port)}
    web = Web(folder / WEB_LOG, env, program)
    stack.callback(web.stop)
    web.start()
    web.wait()
    return Running(port, env, web.pid, kept.postgres.pid, kept.valkey.pid, kept, web)


def settings_of(env: Mapping[str, str]) -> Settings:
    """The settings of a process with this environment."""
    return Settings(
        database_url=SecretStr(env["DATABASE_URL"]),
        redis_url=SecretStr(env["REDIS_URL"]),
        hub_keys=SecretStr(env["HUB_KEYS"]),
    )


@contextmanager
def new_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's stand-in for root may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
