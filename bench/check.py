"""What a client must hold in the end, beside what Postgres holds (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.inbox import Inbox

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """A notification as it is stored."""

    id: str
    number: int
    seq: int
    is_unread: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """A person's inbox as it is stored."""

    seq: int
    unread: int
    rows: Sequence[Stored]


def violations(inbox: Inbox, truth: Truth, answered: Collection[str] = ()) -> list[str]:
    """What is wrong with a client's inbox; `answered`: notifications it was told it has read."""
    return [
        *_position(inbox, truth),
        *_shown(inbox, truth),
        *_list(inbox, truth),
        *_named("read, says an answer, but not in Postgres", _unread(truth) & set(answered)),
    ]


def _position(inbox: Inbox, truth: Truth) -> list[str]:
    found = []
    if inbox.cursor != truth.seq:
        found.append(f"stands at {inbox.cursor}, Postgres at {truth.seq}")
    if inbox.unread != truth.unread:
        found.append(f"badge {inbox.unread}, by its head {truth.unread}")
    if truth.unread != len(_unread(truth)):
        found.append(f"head says {truth.unread} unread, the rows {len(_unread(truth))}")
    return found


def _shown(inbox: Inbox, truth: Truth) -> list[str]:
    """Every row once, in order; save those that a snapshot passed over."""
    numbers = {row.id: row.number for row in truth.rows}
    strangers = {*inbox.shown, *inbox.ahead} - numbers.keys()
    order = [numbers[each] for each in inbox.shown if each in numbers]
    twice = {each for each in inbox.shown if inbox.shown.count(each) > 1} if len(set(order)) < len(order) else set()
    seen = set(inbox.shown)
    lost = [row.id for row in truth.rows if row.id not in seen and not any(row.number in gap for gap in inbox.skipped)]
    return [
        *_named("shown, but never committed", strangers),
        *_named("shown twice", twice),
        *([] if all(a < b for a, b in pairwise(order)) else ["shown out of order"]),
        *_named("lost", lost),
    ]


def _list(inbox: Inbox, truth: Truth) -> list[str]:
    """Every row it still holds, and every one above the last snapshot's oldest, as stored."""
    stored = {row.id: (row.number, row.seq, row.is_unread) for row in truth.rows}
    held = {each: (row["number"], row["seq"], row["read_at"] is None) for each, row in inbox.rows.items()}
    wanted = {each for each, (number, _, _) in stored.items() if number > inbox.floor}
    return [
        *_named("not in the list", wanted - held.keys()),
        *_named("other than stored", {each for each, row in held.items() if stored.get(each) != row}),
    ]


def _unread(truth: Truth) -> set[str]:
    return {row.id for row in truth.rows if row.is_unread}


def _named(what: str, ids: Collection[str]) -> list[str]:
    if not ids:
        return []
    return [f"{len(ids)} {what}: {', '.join(sorted(ids)[:MOST_NAMED])}"]
