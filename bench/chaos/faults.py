"""Which faults strike when (pure): drawn from a seed, the same ones for the same seed.

When is counted in notices, not in seconds: so they strike amid the same work on a slow machine and on a fast one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

MOST_FAULTS = 9
FEWEST_FAULTS = 5
TRIES = 40
# A process that was killed needs about so long to be back.
BACK_AFTER_S = 2.0
QUIET_TAILS = 0.15
CRITICAL = 0.1


class Kind(StrEnum):
    """What happens."""

    KILL_WEB = "kill web"
    STOP_WEB = "stop web"
    HALT_WEB = "halt web"
    KILL_PUBLISHER = "kill publisher"
    FLUSH_VALKEY = "flush valkey"
    RESTART_VALKEY = "restart valkey"
    KILL_VALKEY = "kill valkey"
    FREEZE_BUS = "freeze bus"
    RESTART_POSTGRES = "restart postgres"
    KILL_POSTGRES = "kill postgres"
    CUT_LINKS = "cut links"
    FREEZE_LINKS = "freeze links"
    DROP_FRAMES = "drop frames"


class Moment(StrEnum):
    """Where in its work a publisher is killed."""

    ANY = "at any moment"
    WRITTEN = "before the commit"
    COMMITTED = "after the commit"


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them: before which notice, for how many seconds, and which one, of how much, in which way."""

    kind: Kind
    at: int
    lasts: float
    which: int
    share: float
    how: str

    @property
    def strikes(self) -> str:
        """What it strikes; one thing is struck by one fault at a time."""
        match self.kind:
            case Kind.KILL_WEB | Kind.STOP_WEB | Kind.HALT_WEB:
                return f"web {self.which}"
            case Kind.FREEZE_BUS:
                return f"bus {self.which}"
            case Kind.FLUSH_VALKEY | Kind.RESTART_VALKEY | Kind.KILL_VALKEY:
                return "valkey"
            case Kind.RESTART_POSTGRES | Kind.KILL_POSTGRES:
                return "postgres"
        return self.kind

    def __str__(self) -> str:
        words = [f"@{self.at}", self.kind]
        if self.kind in (Kind.KILL_WEB, Kind.STOP_WEB, Kind.HALT_WEB, Kind.FREEZE_BUS):
            words.append(str(self.which))
        if self.kind in (Kind.CUT_LINKS, Kind.FREEZE_LINKS, Kind.DROP_FRAMES):
            words.append(f"{self.share:.0%}")
        if self.how:
            words.append(self.how)
        if self.lasts:
            words.append(f"for {self.lasts:.1f}s")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Sort:
    """How a kind is drawn: how often, for how long, in which ways."""

    weight: int
    lasts: tuple[float, float] = (0.0, 0.0)
    ways: tuple[str, ...] = ("",)


ENDS = ("then thaw", "then cut")
SORTS: dict[Kind, Sort] = {
    Kind.KILL_WEB: Sort(4, (0.1, 1.0)),
    Kind.STOP_WEB: Sort(1, (2.0, 4.0)),
    Kind.HALT_WEB: Sort(2, (0.5, 3.0)),
    Kind.KILL_PUBLISHER: Sort(3, ways=tuple(Moment)),
    Kind.FLUSH_VALKEY: Sort(2),
    Kind.RESTART_VALKEY: Sort(1, (0.1, 1.5)),
    Kind.KILL_VALKEY: Sort(2, (0.1, 1.5)),
    Kind.FREEZE_BUS: Sort(3, (1.0, 4.0), ENDS),
    Kind.RESTART_POSTGRES: Sort(1, (0.0, 0.5)),
    Kind.KILL_POSTGRES: Sort(2, (0.0, 0.5)),
    Kind.CUT_LINKS: Sort(3),
    Kind.FREEZE_LINKS: Sort(3, (0.5, 3.0), ENDS),
    Kind.DROP_FRAMES: Sort(4, (0.3, 2.5)),
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a seed stands for. A quiet tail: nothing is published after the faults, so only heartbeats tell."""

    seed: int
    faults: tuple[Fault, ...]
    quiet_tail: bool

    def __str__(self) -> str:
        return ", ".join([*(str(fault) for fault in self.faults), *(["quiet tail"] if self.quiet_tail else [])])


def draw(seed: int, notices: int, per_second: float, webs: int = 2) -> Schedule:
    """The schedule of a seed, for so many notices at that rate."""
    dice = random.Random(seed)
    found: list[Fault] = []
    wanted = dice.randint(FEWEST_FAULTS, MOST_FAULTS)
    for _ in range(TRIES):
        fault = _fault(dice, notices, webs)
        if len(found) < wanted and not any(_clash(fault, other, per_second) for other in found):
            found.append(fault)
    return Schedule(seed, tuple(sorted(found, key=lambda fault: fault.at)), dice.random() < QUIET_TAILS)


def _fault(dice: random.Random, notices: int, webs: int) -> Fault:
    kind = dice.choices(list(SORTS), [sort.weight for sort in SORTS.values()])[0]
    sort = SORTS[kind]
    return Fault(
        kind=kind,
        at=dice.randrange(notices // 20, notices),
        lasts=round(dice.uniform(*sort.lasts), 2),
        which=dice.randrange(webs),
        share=round(dice.uniform(0.05, 1.0), 2),
        how=dice.choice(sort.ways),
    )


def _clash(one: Fault, other: Fault, per_second: float) -> bool:
    def over(fault: Fault) -> float:
        return fault.at + (fault.lasts + BACK_AFTER_S) * per_second

    return one.strikes == other.strikes and one.at < over(other) and other.at < over(one)


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice: to whom, by their places in the crowd (nobody named: to all), and whether it is critical."""

    number: int
    to: tuple[int, ...]
    critical: bool


def notices_of(seed: int, count: int, people: int, to_all: float) -> list[Notice]:
    """What is published under a seed: that share to everybody, the others to a tenth or to one, two or three."""
    dice = random.Random(f"notices of {seed}")
    return [_notice(dice, number, people, to_all) for number in range(count)]


def _notice(dice: random.Random, number: int, people: int, to_all: float) -> Notice:
    size = 0 if dice.random() < to_all else dice.choice((max(1, people // 10), dice.randint(1, 3)))
    to = tuple(sorted(dice.sample(range(people), min(size, people))))
    return Notice(number, to, dice.random() < CRITICAL)
