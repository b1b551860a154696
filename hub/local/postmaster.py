"""PostgreSQL's own pid file: whether our server is ready, and what a server that ended badly left behind."""

import signal
from dataclasses import dataclass
from pathlib import Path

from hub.local.processes import command_line, end

STOP = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 2.0))


@dataclass(frozen=True)
class Postmaster:
    """What postmaster.pid says."""

    pid: int
    ready: bool


def parse(text: str) -> Postmaster | None:
    """Read the file's text: the process on line 1, its state on line 8. Nothing when it is half-written."""
    lines = text.splitlines()
    if not lines or not lines[0].strip().isdigit():
        return None
    return Postmaster(pid=int(lines[0]), ready=len(lines) > 7 and lines[7].strip() == "ready")


def read(data: Path) -> Postmaster | None:
    """What the data folder's pid file says now."""
    try:
        return parse((data / "postmaster.pid").read_text())
    except OSError:
        return None


def clear_leftover(data: Path) -> None:
    """End a server that still runs on `data`, and remove the file of one that does not.

    PostgreSQL itself would refuse to start as long as any process has that id.
    """
    found = read(data)
    if found and is_server(found.pid, data):
        end(found.pid, marks(data), *STOP)
    (data / "postmaster.pid").unlink(missing_ok=True)


def is_server(pid: int, data: Path) -> bool:
    """Whether that process is a PostgreSQL server of that folder."""
    words = command_line(pid)
    return all(mark in words for mark in marks(data))


def marks(data: Path) -> tuple[str, ...]:
    """What the command line of a server of ours holds."""
    return ("postgres", f"-D {data} ")
