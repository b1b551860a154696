"""What else runs on this machine: whose a process id is, and how to end what an earlier start left behind."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from hub.local.errors import StartError

PROC = Path("/proc")
PS = Path("/bin/ps")
ZOMBIE = "Z"


def command_line(pid: int) -> str:
    """The words `pid` was started with, or nothing when it has ended (a zombie has)."""
    return _from_proc(PROC / str(pid)) if (PROC / "self").exists() else _from_ps(pid)


def _from_proc(folder: Path) -> str:
    try:
        # The name stands in brackets and may hold any character, so the state is what follows the last one.
        state = folder.joinpath("stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        words = folder.joinpath("cmdline").read_bytes().decode(errors="replace")
    except (OSError, IndexError):
        return ""
    return "" if state == ZOMBIE else words.replace("\0", " ").strip()


def _from_ps(pid: int) -> str:
    found = subprocess.run(
        [PS, "-ww", "-o", "stat=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, words = found.stdout.strip().partition(" ")
    return "" if state.startswith(ZOMBIE) else words.strip()


def end(pid: int, marks: tuple[str, ...], *steps: tuple[signal.Signals, float]) -> None:
    """Signal `pid` until its command line no longer holds all `marks`, waiting as long as each step says."""

    def ours() -> bool:
        words = command_line(pid)
        return all(mark in words for mark in marks)

    for number, patience in steps:
        if not ours():
            return
        os.kill(pid, number)
        deadline = time.monotonic() + patience
        while ours() and time.monotonic() < deadline:
            time.sleep(0.02)
    if ours():
        raise StartError(f"process {pid}, left by an earlier start, does not stop; end it and start again")


@dataclass(frozen=True)
class PidFile:
    """Remembers a child, so that the next start ends it should it have outlived us.

    Linux ends our children with us; other systems do not.
    """

    path: Path
    marks: tuple[str, ...]

    def write(self, pid: int) -> None:
        """Remember `pid`."""
        self.path.write_text(f"{pid}\n")

    def end_leftover(self, *steps: tuple[signal.Signals, float]) -> None:
        """End the remembered process if it still runs and is what we started."""
        try:
            pid = int(self.path.read_text())
        except (OSError, ValueError):
            return
        end(pid, self.marks, *steps)
        self.forget()

    def forget(self) -> None:
        """The remembered process is known to have ended."""
        self.path.unlink(missing_ok=True)
