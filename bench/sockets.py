"""What the kernel says of a server's connections (Linux): which are open still, and which have bytes nobody takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.machine import PROC

ESTABLISHED, TIME_WAIT = 1, 6


@dataclass(frozen=True, slots=True)
class Held:
    """The server's end of a connection: its state, and how many bytes wait to be taken by the other end."""

    state: int
    waiting: int


def held_by(port: int) -> dict[int, Held]:
    """Connections of whoever listens on this port of this machine, by the port at the other end."""
    return dict(_lines(port))


def _lines(port: int) -> Iterator[tuple[int, Held]]:
    for line in (PROC / "net" / "tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port and int(state, 16) != TIME_WAIT:
            yield int(remote.rpartition(":")[2], 16), Held(int(state, 16), int(queues.partition(":")[0], 16))
