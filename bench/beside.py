"""Django Channels beside the hub: same servers, in a database of its own, and the same clients."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.helpers import ROOT
from bench.servers import READY_WITHIN, STOP, Running
from bench.venvs import python_with
from hub.local.children import Child, spawn, stop
from hub.local.ports import free_port

REQUIREMENTS = ROOT / "bench" / "channels_peer" / "requirements.txt"
DATABASE = "channels"
PUBLISHER = "bench.channels_peer.publisher"
# The shape that does best of those that Channels' documentation names.
SERVER = ("uvicorn", "bench.channels_peer.asgi:app", "--ws", "websockets-sansio", "--loop", "uvloop")
QUIET = ("--ws-per-message-deflate", "false", "--backlog", "4096", "--log-level", "warning", "--no-access-log")


@dataclass(frozen=True, slots=True)
class Channels:
    """Its web process, and what the publisher needs."""

    python: Path
    env: dict[str, str]
    port: int
    web: int


@contextmanager
def channels(servers: Running) -> Iterator[Channels]:
    """Channels, running."""
    python = python_with(REQUIREMENTS)
    postgres = servers.stores.postgres
    postgres.ensure_database(DATABASE)
    env = {
        **servers.env,
        "CHANNELS_DATABASE_URL": postgres.url(DATABASE),
        "DJANGO_SETTINGS_MODULE": "bench.channels_peer.settings",
    }
    make: list[str | Path] = [python, "-m", "django", "migrate", "--run-syncdb", "--verbosity", "0"]
    if subprocess.run(make, env=env, cwd=ROOT, check=False).returncode:
        raise BenchError("Django does not make its tables")
    port, log = free_port(), servers.process.log.with_name("channels.log")
    command: list[str | Path] = [python, "-m", *SERVER, "--port", str(port), *QUIET]
    web = spawn(command, dies_by=signal.SIGKILL, log=log, env=env, cwd=ROOT)
    try:
        _wait(web, port)
        yield Channels(python, env, port, web.pid)
    finally:
        stop(web, *STOP)


def _wait(web: Child, port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while web.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BenchError("Channels does not start")
