"""What people missed, read for many of them at once."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.inbox import feed
from hub.inbox.feed import Missed, read_head, read_missed_by_many, row_of
from hub.inbox.tables import Notification
from hub.people.tables import Staff
from hub.wiring import House
from tests.factories import Clinic, add_clinicians, tell
from tests.inbox.conftest import head_of, mark, read_all, rows_of


@dataclass(frozen=True)
class Asked:
    """Whose inbox is read, and from where."""

    tenant: uuid.UUID
    person: uuid.UUID
    epoch: str | None = None
    since: int | None = None


@contextmanager
def questions() -> Iterator[list[str]]:
    """Every statement about inboxes that goes to Postgres meanwhile."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "inbox_heads" in statement or "notifications" in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def epoch_of(house: House, person: Staff) -> str:
    async with house.database.of_tenant(person.tenant_id) as session:
        return (await read_head(session, person.id)).epoch


async def missed_by(house: House, person: Staff, since: int | None, epoch: str = "") -> Missed:
    epoch = epoch or await epoch_of(house, person)
    (missed,) = await read_missed_by_many(house.database, [Asked(person.tenant_id, person.id, epoch, since)])
    return missed


async def read_alone(session: AsyncSession, asked: Asked) -> Missed:
    """The same, said for one person and simply."""
    head = await read_head(session, asked.person)
    mine = select(Notification).where(Notification.person_id == asked.person)
    if asked.since is not None and asked.since <= head.seq and asked.epoch == head.epoch:
        changed = mine.where(Notification.seq > asked.since).order_by(Notification.seq, Notification.number)
        rows = list((await session.execute(changed)).scalars())
        if len(rows) <= feed.MOST_MISSED:
            return Missed(head, asked.since, [row_of(row) for row in rows])
    newest = mine.where(Notification.archived_at.is_(None)).order_by(Notification.number.desc())
    rows = list((await session.execute(newest)).scalars())
    items = [row_of(row) for row in rows[: feed.SNAPSHOT]]
    return Missed(head, 0, items, reset=True, more=len(rows) > feed.SNAPSHOT)


async def test_what_was_missed_comes_in_order_of_change_and_as_it_is_now(house: House, clinic: Clinic) -> None:
    ids = [(await tell(house, clinic, clinic.omar))[0] for _ in range(4)]
    await mark(house, clinic.omar, "archive", ids[:1])
    await mark(house, clinic.omar, "read", ids[2:3])
    missed = await missed_by(house, clinic.omar, 2)
    assert not missed.reset
    assert [(row["number"], row["seq"]) for row in missed.items] == [(4, 4), (1, 5), (3, 6)]
    assert missed.items[1]["archived_at"] is not None
    assert (missed.head.seq, missed.head.unread, missed.since) == (6, 2, 2)
    assert (await missed_by(house, clinic.omar, 6)).items == []


async def test_without_a_cursor_that_fits_the_newest_are_told(house: House, clinic: Clinic) -> None:
    ids = [(await tell(house, clinic, clinic.omar))[0] for _ in range(3)]
    await mark(house, clinic.omar, "archive", ids[:1])
    for since, epoch in ((None, ""), (5, ""), (1, str(uuid.uuid4())), (4, str(uuid.uuid4())), (1, "none")):
        missed = await missed_by(house, clinic.omar, since, epoch)
        assert (missed.reset, missed.more) == (True, False)
        assert [row["number"] for row in missed.items] == [3, 2]


async def test_too_much_missed_is_told_as_the_newest(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_MISSED", 4)
    monkeypatch.setattr(feed, "SNAPSHOT", 3)
    for _ in range(5):
        await tell(house, clinic, clinic.omar)
    assert [row["number"] for row in (await missed_by(house, clinic.omar, 1)).items] == [2, 3, 4, 5]
    missed = await missed_by(house, clinic.omar, 0)
    assert (missed.reset, missed.more) == (True, True)
    assert [row["number"] for row in missed.items] == [5, 4, 3]


async def test_who_has_no_inbox_gets_one(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    people = [clinic.omar, other_clinic.omar, clinic.huda, clinic.omar]
    missed = await read_missed_by_many(house.database, [Asked(each.tenant_id, each.id) for each in people])
    assert [each.head.epoch for each in missed] == [await epoch_of(house, person) for person in people]
    assert len({each.head.epoch for each in missed}) == 3
    assert all((each.head.seq, each.items, each.reset) == (0, [], True) for each in missed)
    assert await read_missed_by_many(house.database, []) == []


async def test_who_has_missed_nothing_costs_one_query_for_all(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    people = [*clinic.staff, *other_clinic.staff]
    for each in (clinic, other_clinic):
        await tell(house, each, *each.staff)
    asked = [Asked(each.tenant_id, each.id, await epoch_of(house, each), 1) for each in people]
    with questions() as asked_of_postgres:
        missed = await read_missed_by_many(house.database, asked)
    assert [(each.head.seq, each.since, each.items, each.reset) for each in missed] == [(1, 1, [], False)] * 8
    assert len(asked_of_postgres) == 1


async def test_one_more_query_for_each_clinic_where_something_was_missed(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    people = await add_clinicians(house, clinic, 300)
    await tell(house, clinic, *people)
    asked = [Asked(clinic.id, each.id, await epoch_of(house, people[0]), 0) for each in people[:1]]
    with questions() as asked_of_postgres:
        await read_missed_by_many(house.database, asked)
    few = len(asked_of_postgres)
    asked = [Asked(clinic.id, each.id, await epoch_of(house, each), 0) for each in people[: feed.MOST_AT_ONCE]]
    with questions() as asked_of_postgres:
        missed = await read_missed_by_many(house.database, asked)
    assert [len(each.items) for each in missed] == [1] * feed.MOST_AT_ONCE
    assert len(asked_of_postgres) == few


async def test_rows_and_head_are_of_one_moment_while_much_happens(house: House, clinic: Clinic) -> None:
    people = [clinic.omar, clinic.huda]
    await tell(house, clinic, *people)
    asked = [Asked(clinic.id, each.id, await epoch_of(house, each), 0) for each in people]

    async def tell_on() -> None:
        for _ in range(30):
            await tell(house, clinic, *people)

    telling = asyncio.create_task(tell_on())
    while not telling.done():
        omar, huda = await read_missed_by_many(house.database, asked)
        for missed in (omar, huda):
            assert [row["seq"] for row in missed.items] == list(range(1, missed.head.seq + 1))
            assert missed.head.unread == len(missed.items)
        assert omar.head.seq == huda.head.seq, "both were told in one transaction"
    await telling


@pytest.mark.parametrize("seed", range(8))
async def test_many_read_together_read_what_each_would_alone(
    house: House, clinic: Clinic, other_clinic: Clinic, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(feed, "MOST_MISSED", chance.randint(2, 8))
    monkeypatch.setattr(feed, "SNAPSHOT", chance.randint(1, 6))
    monkeypatch.setattr(feed, "MOST_ROWS", 9 + chance.randint(1, 10))
    monkeypatch.setattr(feed, "MOST_AT_ONCE", chance.randint(2, 12))
    for _ in range(40):
        await something_happens(house, chance.choice([clinic, other_clinic]), chance)
    asked = []
    for person in (*clinic.staff, *other_clinic.staff):
        seq, _ = await head_of(house, person)
        epochs = [await epoch_of(house, person), str(uuid.uuid4()), None]
        for _ in range(6):
            since = chance.choice([None, *range(max(0, seq - 9), seq + 2)])
            asked.append(Asked(person.tenant_id, person.id, chance.choices(epochs, (8, 1, 1))[0], since))
    chance.shuffle(asked)
    together = await read_missed_by_many(house.database, asked)
    for each, missed in zip(asked, together, strict=True):
        async with house.database.at_one_moment(each.tenant) as session:
            assert missed == await read_alone(session, each)


async def something_happens(house: House, clinic: Clinic, chance: random.Random) -> None:
    person = chance.choice(clinic.staff)
    ids = [row.id for row in await rows_of(house, person)]
    what = chance.choice(["tell", "tell", "read", "unread", "archive", "read_all"])
    if what == "tell" or not ids:
        for _ in range(chance.randint(1, 4)):
            await tell(house, clinic, *chance.sample(clinic.staff, 2))
    elif what == "read_all":
        await read_all(house, person, chance.randint(0, 20))
    else:
        await mark(house, person, what, chance.choices(ids, k=3))  # type: ignore[arg-type]
