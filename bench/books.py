"""What patients should have been told and what the vendor took, side by side: missing, twice, dead, late."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from bench.expected import Slip
from bench.lives import Visit
from bench.town import Town, TownClinic

DAY_WORDS, HOURS_WORDS = "a reminder of your appointment on", "your appointment begins soon"
WHEN = re.compile(r"(\d+ \w+ \d{4}) at (\d\d:\d\d)")
SENT = ("sent", "delivered", "read")

MESSAGES = text("""
SELECT message.state, message.reference, array_remove(array_agg(attempt.id), NULL) AS attempts
FROM messages AS message LEFT JOIN message_attempts AS attempt ON attempt.message_id = message.id
WHERE message.reference LIKE 'reminder/%' GROUP BY message.id
""")
DOUBTS = text("""
SELECT reason, count(*) FROM message_steps
WHERE reason IN ('interrupted', 'no_answer', 'vendor_has_it', 'vendor_never_had_it') GROUP BY reason
""")
TOLD = text("SELECT count(*) FROM planned_notices WHERE kind = 'reminder' AND state = 'told'")


class Key(NamedTuple):
    """What a reminder can be told by: whose number, which words, and the start on the clinic's wall that it names."""

    phone: str
    words: str
    wall: datetime


@dataclass
class Books:
    """Both sides, and what is wrong between them."""

    visits: dict[str, Visit] = field(default_factory=dict)
    expected: Counter[Key] = field(default_factory=Counter)
    received: Counter[Key] = field(default_factory=Counter)
    references: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    others: int = 0
    raced: int = 0
    overtaken: int = 0
    doubts: Counter[str] = field(default_factory=Counter)

    def compare(
        self,
        town: Town,
        left: Iterable[tuple[Visit, Slip]],
        taken: Sequence[dict[str, Any]],
        raced: Collection[Visit] = (),
    ) -> None:
        """At one stop of the clock, what left is what was to leave; of those `raced`, what may have left."""
        left = list(left)
        may = Counter(_key(visit, slip) for visit, slip in left if visit in raced)
        wanted = Counter(_key(visit, slip) for visit, slip in left)
        came = Counter[Key]()
        for each in taken:
            self.references[each["reference"]] += 1
            key = read_words(each["to"], each["words"])
            if key is None:
                self.others += 1
                continue
            came[key] += 1
            self._check_hour(key, town.clock.at(each["at"]))
        self.raced += may.total()
        self.overtaken += (may - came).total()
        wanted -= may - came
        self.expected += wanted
        self.received += came
        for key in wanted - came:
            self._say("missing", key, town.clock())
        for key in came - wanted:
            is_twice = 0 < self.expected[key] < self.received[key]
            self._say("twice" if is_twice else "dead", key, town.clock())

    async def agree(self, town: Town, clinic: TownClinic) -> None:
        """What the clinic says it sent is what the vendor has; what it says it told became a message."""
        async with town.house.database.of_tenant(clinic.tenant) as session:
            messages = (await session.execute(MESSAGES)).all()
            told = (await session.execute(TOLD)).scalar_one()
            self.doubts += Counter(dict((await session.execute(DOUBTS)).tuples().all()))
        if told != len(messages):
            self.wrong["disagree"] += 1
            self.problems.append(f"disagree: {told} told at {clinic.zone.key}, {len(messages)} messages")
        for message in messages:
            had = sum(self.references[attempt.hex] for attempt in message.attempts)
            if had != (message.state in SENT):
                self.wrong["disagree"] += 1
                self.problems.append(f"disagree: {message.reference} is {message.state}, the vendor had {had}")

    def _check_hour(self, key: Key, at: datetime) -> None:
        zone = self.visits[key.phone].clinic.zone
        if at >= key.wall.replace(tzinfo=zone, fold=1).astimezone(UTC):
            self._say("late", key, at)

    def _say(self, kind: str, key: Key, at: datetime) -> None:
        self.wrong[kind] += 1
        visit = self.visits[key.phone]
        life = visit.life
        told = ", ".join(f"{each.verb} {each.at:%d %H:%M}{' undone' * each.is_undone}" for each in life.changes)
        slips = ", ".join(f"{each.version}/{each.ahead} due {each.due:%d %H:%M} {each.state}" for each in life.slips)
        self.problems.append(
            f"{kind} at {at:%d %b %H:%M:%S}: {key.words} for {key.wall:%d %b %H:%M} ({visit.clinic.zone.key}), "
            f"appointment {visit.id}, {life.state}, version {life.version}, starts {life.start:%d %b %H:%M}; "
            f"{told}; {slips}"
        )


def read_words(to: str, words: str) -> Key | None:
    """Which reminder a text message is, or None when it is something else."""
    kind = "day" if DAY_WORDS in words else "hours" if HOURS_WORDS in words else None
    found = WHEN.search(words)
    if kind is None or found is None:
        return None
    wall = datetime.strptime(f"{found[1]} {found[2]}", "%d %b %Y %H:%M")  # noqa: DTZ007 - a wall has no zone
    return Key(to.removeprefix("+"), kind, wall)


def _key(visit: Visit, slip: Slip) -> Key:
    wall = slip.start.astimezone(visit.clinic.zone).replace(tzinfo=None)
    return Key(visit.patient.phone, "hours" if slip.ahead.startswith("PT") else "day", wall)
