"""Taking notifications back: what nobody has read goes, who has read is named, and both at once end in order."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from hub.inbox.kinds import Kind
from hub.inbox.marks import Mark
from hub.inbox.notify import Notice, Related, Wording, notify
from hub.inbox.retract import retract
from hub.people.tables import Staff
from hub.realtime.pushes import InboxMoved, Push
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, tell
from tests.inbox.conftest import head_of, mark, rows_of

THIS = {"change": 7}


async def ring(
    house: House, clinic: Clinic, about: uuid.UUID, *people: Staff, change: int = 7, title: str = "Cancelled"
) -> list[uuid.UUID]:
    """One notification about an object to each of these, in order of person."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        notice = Notice(
            Kind.SYSTEM, Wording(title), related=Related("appointment", about), facts={"change": change, "time": "9:00"}
        )
        return await notify(work, [person.id for person in people], notice)


async def take_back(house: House, clinic: Clinic, about: uuid.UUID) -> tuple[list[uuid.UUID], list[Push]]:
    """Who had read it, and what was announced."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        return await retract(work, about, THIS), list(work.pushes)


@pytest.fixture
def about() -> uuid.UUID:
    return uuid.uuid4()


async def test_what_nobody_has_read_goes_under_the_next_number(house: House, clinic: Clinic, about: uuid.UUID) -> None:
    await tell(house, clinic, clinic.omar)
    (id_,) = await ring(house, clinic, about, clinic.omar)
    readers, (push,) = await take_back(house, clinic, about)
    assert readers == []
    other, gone = await rows_of(house, clinic.omar)
    assert (other.read_at, other.archived_at, other.seq) == (None, None, 1)
    assert (gone.archived_at is not None, gone.read_at is not None, gone.seq) == (True, True, 3)
    assert await head_of(house, clinic.omar) == (3, 1)
    assert isinstance(push, InboxMoved)
    assert (push.person, push.moves_to, push.unread) == (clinic.omar.id.bytes, 3, 1)
    assert [row["id"] for row in json.loads(push.data)["items"]] == [str(id_)]


@pytest.mark.parametrize("as_", ["read", "archive"])
async def test_who_has_seen_it_is_named_and_keeps_it(house: House, clinic: Clinic, about: uuid.UUID, as_: Mark) -> None:
    await ring(house, clinic, about, clinic.omar, clinic.desk)
    (seen,) = await rows_of(house, clinic.omar)
    await mark(house, clinic.omar, as_, [seen.id])
    before = await rows_of(house, clinic.omar)
    readers, pushes = await take_back(house, clinic, about)
    assert readers == [clinic.omar.id]
    assert [row.seq for row in await rows_of(house, clinic.omar)] == [row.seq for row in before]
    assert [row.archived_at is not None for row in await rows_of(house, clinic.desk)] == [True]
    assert [push.person for push in pushes if isinstance(push, InboxMoved)] == [clinic.desk.id.bytes]


async def test_what_is_of_something_else_stays(
    house: House, clinic: Clinic, other_clinic: Clinic, about: uuid.UUID
) -> None:
    await ring(house, clinic, about, clinic.omar, change=8)
    await ring(house, clinic, uuid.uuid4(), clinic.omar)
    await ring(house, other_clinic, about, other_clinic.omar)
    assert await take_back(house, clinic, about) == ([], [])
    for person in (clinic.omar, other_clinic.omar):
        assert all(row.archived_at is None for row in await rows_of(house, person))


async def test_a_second_time_nothing_changes(house: House, clinic: Clinic, about: uuid.UUID) -> None:
    await ring(house, clinic, about, clinic.omar)
    await take_back(house, clinic, about)
    before = await head_of(house, clinic.omar)
    _, pushes = await take_back(house, clinic, about)
    assert (pushes, await head_of(house, clinic.omar)) == ([], before)


async def test_whoever_reads_it_at_that_moment_either_keeps_it_or_never_saw_it(house: House, clinic: Clinic) -> None:
    for _ in range(6):
        about = uuid.uuid4()
        await ring(house, clinic, about, *clinic.staff)
        mine = {person.id: [row.id for row in await rows_of(house, person)][-1] for person in clinic.staff}
        taking = asyncio.create_task(take_back(house, clinic, about))
        await asyncio.gather(
            *(mark(house, person, "read", [mine[person.id]]) for person in clinic.staff),
            ring(house, clinic, uuid.uuid4(), *reversed(clinic.staff)),
            taking,
        )
        readers, _ = taking.result()
        for person in clinic.staff:
            (now,) = [row for row in await rows_of(house, person) if row.id == mine[person.id]]
            assert (now.archived_at is None) == (person.id in readers)
            seq, _ = await head_of(house, person)
            assert seq == max(row.seq for row in await rows_of(house, person))
