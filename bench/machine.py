"""What the kernel counts (Linux): CPU time of processes, their memory, and what else the machine is busy with."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.errors import BenchError

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# In /proc/PID/stat, after the name in brackets.
PARENT, REAPED_USER, REAPED_SYSTEM = 1, 13, 14
# In the first line of /proc/stat: user, nice, system, and both kinds of interrupts.
BUSY, STOLEN = (0, 1, 2, 5, 6), 7
PIECES, PIECE = 5, 150_000


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU that were used, and seconds that a process was ready to run and had no core."""

    ran: float
    waited: float

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.ran - other.ran, self.waited - other.waited)


@dataclass(frozen=True, slots=True)
class Moment:
    """All counters at one moment."""

    at: float
    cpu: Mapping[str, Cpu]
    busy: float
    stolen: float

    def until(self, later: Moment) -> Moment:
        """What was counted from here to `later`."""
        cpu = {name: later.cpu[name] - used for name, used in self.cpu.items()}
        return Moment(later.at - self.at, cpu, later.busy - self.busy, later.stolen - self.stolen)

    @property
    def others(self) -> float:
        """How many cores other programs kept busy, on average (of a difference)."""
        return max(0.0, self.busy - sum(used.ran for used in self.cpu.values())) / self.at


def look(roots: Mapping[str, int]) -> Moment:
    """The counters of these processes, with all below them, and of the machine."""
    parents = _parents()
    cpu = {name: _cpu_of_tree(root, parents) for name, root in roots.items()}
    columns = [int(word) for word in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]]
    busy = sum(columns[index] for index in BUSY) / TICKS_PER_SECOND
    return Moment(time.monotonic(), cpu, busy, columns[STOLEN] / TICKS_PER_SECOND)


def resident_bytes(pid: int) -> int:
    """The memory a process holds now."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid} has ended")


def memory(pid: int) -> tuple[int, int]:
    """The memory a process holds now, and its fair share of what it shares with others (bytes)."""
    rollup = (PROC / str(pid) / "smaps_rollup").read_text()
    sizes = {name: int(rest.split()[0]) * 1024 for name, rest in re.findall(r"^(Rss|Pss):(.*)$", rollup, re.MULTILINE)}
    return sizes["Rss"], sizes["Pss"]


def lift_file_limit() -> None:
    """Let this process, and those it starts, open as many files as it may: a connection is one on each side."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def fixed_work() -> float:
    """Milliseconds that a piece of work takes which is always the same: how fast the machine is just now."""
    return median(_piece() for _ in range(PIECES))


def _piece() -> float:
    began = time.perf_counter()
    sum(number * number for number in range(PIECE))
    return (time.perf_counter() - began) * 1000


def _cpu_of_tree(root: int, parents: Mapping[int, int]) -> Cpu:
    """Counted by the scheduler for what runs; for children that have ended, by their parent."""
    stat = _stat(root)
    reaped = (int(stat[REAPED_USER]) + int(stat[REAPED_SYSTEM])) / TICKS_PER_SECOND
    ran = waited = 0
    for pid in _tree(root, parents):
        for task in (PROC / str(pid) / "task").glob("*/schedstat"):
            with suppress(OSError):
                words = task.read_text().split()
                ran, waited = ran + int(words[0]), waited + int(words[1])
    return Cpu(ran / 1e9 + reaped, waited / 1e9)


def _tree(root: int, parents: Mapping[int, int]) -> Iterator[int]:
    yield root
    for pid, parent in parents.items():
        if parent == root:
            yield from _tree(pid, parents)


def _parents() -> dict[int, int]:
    found: dict[int, int] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):
                found[int(folder.name)] = int(_stat(int(folder.name))[PARENT])
    return found


def _stat(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
