"""Our own programs, web and worker, as children."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hub.local.children import Child, Step, spawn, stop
from hub.local.processes import PidFile

STEPS: tuple[Step, ...] = ((signal.SIGTERM, 4.0), (signal.SIGKILL, 2.0))


@dataclass
class Program:
    """A child that runs for as long as we do."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    pid_file: PidFile
    child: Child | None = field(default=None, init=False)

    def end_leftover(self) -> None:
        """End what an earlier start left running."""
        self.pid_file.end_leftover(*STEPS)

    def start(self) -> None:
        """Start it."""
        self.child = spawn(self.command, dies_by=signal.SIGKILL, log=self.log, env=self.env, cwd=self.cwd)
        self.pid_file.write(self.child.pid)

    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self.child.poll() if self.child else None

    def stop(self) -> None:
        """Ask it to end, then make it."""
        stop(self.child, *STEPS)
        self.pid_file.forget()
