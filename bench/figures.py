"""What a run found, and how the figures come from what was counted (pure)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bench.machine import Moment

WEB = "web"
NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Spread:
    """How some times, in milliseconds, are spread."""

    p50: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True, slots=True)
class Noise:
    """What else went on: a fixed piece of work just before (ms), the load of others, and waiting for a core."""

    fixed_work_ms: float
    other_cores: float
    stolen_cores: float
    web_waited: float


@dataclass(frozen=True, slots=True)
class Connecting:
    """Opening the connections: greeted, signed in and brought up to date."""

    count: int
    per_second: float
    each_ms: Spread
    cpu_ms: Mapping[str, float]
    noise: Noise


@dataclass(frozen=True, slots=True)
class Idle:
    """Connections on which nothing happens but heartbeats, and the hub's own looking."""

    seconds: float
    base_mb: float
    kb_per_connection: float
    cpu_ms_per_second: Mapping[str, float]
    noise: Noise


@dataclass(frozen=True, slots=True)
class Repeat:
    """Notifications at a rate, for a while."""

    wanted_rate: float
    rate: float
    sent: int
    delivered: int
    failed: int
    caught_up: int
    repeated: int
    closed: Sequence[str]
    to_socket_ms: Spread
    writing_ms: Spread
    cpu_us: Mapping[str, float]
    noise: Noise

    @property
    def problems(self) -> list[str]:
        """What must not happen."""
        found = {
            "lost": self.sent - self.delivered,
            "not written": self.failed,
            "connections closed": len(self.closed),
        }
        return [f"{count} {what} at {self.wanted_rate:g}/s" for what, count in found.items() if count]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a run found."""

    connections: int
    seconds: float
    cores: int
    load_average: float
    connecting: Connecting
    idle: Idle
    warm_ups: list[Repeat] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    beside: list[Repeat] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What must not happen, warm-ups included; what others lose is in their own rows."""
        return [problem for repeat in (*self.warm_ups, *self.repeats) for problem in repeat.problems]


def spread(times: Collection[float]) -> Spread:
    """The spread of times; of none, nothing but NaN."""
    ordered = sorted(times) or [math.nan]

    def at(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Spread(at(0.5), at(0.99), at(0.999), ordered[-1])


def noise(counted: Moment, fixed_work_ms: float) -> Noise:
    """The noise in a stretch of time."""
    web = counted.cpu[WEB]
    wanted = web.ran + web.waited
    return Noise(fixed_work_ms, counted.others, counted.stolen / counted.at, web.waited / wanted if wanted else 0.0)


def cpu_each(counted: Moment, count: float, unit: float) -> dict[str, float]:
    """CPU of each process per one of `count`, in units of which a second has `unit`."""
    return {name: used.ran * unit / count for name, used in counted.cpu.items()} if count else {}
