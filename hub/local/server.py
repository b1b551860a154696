"""What a database server of our own does, whichever it is: start, wait until it answers, stop, and start again."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hub.local.children import Child, Pause, stop
from hub.local.errors import StartError
from hub.local.folder import new_password, secret
from hub.local.logfiles import last_words

START_WITHIN_S = 90.0
# Right after one was killed, the first tries may find its port or its memory still held.
TRIES = 5


@dataclass
class Server(ABC):
    """One server with its data under `home`; `options` are settings as in its own configuration."""

    name: ClassVar[str]

    home: Path
    log: Path
    options: Mapping[str, str] = field(default_factory=dict)
    pause: Pause = time.sleep
    port: int = field(default=0, init=False)
    _child: Child | None = field(default=None, init=False)
    _sockets: Path = field(default=Path("/nowhere"), init=False)

    @abstractmethod
    def prepare(self) -> None:
        """Find the programs, and make the data folder if there is none."""

    @abstractmethod
    def launch(self) -> None:
        """Start the server without waiting for it; after an end again on the same port."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it, with its data kept."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server that was launched is ready."""

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._child.pid if self._child else 0

    def start(self) -> None:
        """Start the server and wait until it answers."""
        if self._child is None:
            self.prepare()
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers; raises StartError with the server's last words."""
        deadline = time.monotonic() + START_WITHIN_S
        for _ in range(TRIES):
            if self._answers_before(deadline):
                return
            if self.exit_code() is None:
                break
            self.pause(0.3)
            self.launch()
        self.stop()
        raise StartError(f"{self.name} does not start: {last_words(self.log)} ({self.log})")

    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._child.poll() if self._child else None

    def kill(self) -> None:
        """End it as a power cut would."""
        stop(self._child)

    def password(self) -> str:
        """The server's password, made once."""
        return secret(self.home / "password", new_password)

    def _answers_before(self, deadline: float) -> bool:
        while self.exit_code() is None and time.monotonic() < deadline:
            if self.answers():
                return True
            self.pause(0.01)
        return False
