"""Marking notifications: each change takes one number, and the count is exact at every moment."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from hub.errors import NotFound
from hub.inbox import marks
from hub.inbox.marks import Mark
from hub.people.tables import Staff
from hub.realtime.pushes import InboxMoved, Push
from hub.wiring import House
from hub.work import Actor
from tests.conftest import MovableClock
from tests.factories import Clinic, tell
from tests.inbox.conftest import head_of, mark, read_all, rows_of

KINDS: tuple[Mark, ...] = ("read", "unread", "archive")


async def tell_times(house: House, clinic: Clinic, person: Staff, count: int) -> list[uuid.UUID]:
    return [(await tell(house, clinic, person, title=f"Number {index}"))[0] for index in range(count)]


async def pushes_of(house: House, person: Staff, as_: Mark, ids: Sequence[uuid.UUID]) -> list[Push]:
    """What a mark announces."""
    async with house.open_work(person.tenant_id, Actor("staff", person.id)) as work:
        await marks.mark(work, person.id, ids, as_)
        return list(work.pushes)


async def test_reading_takes_one_number_for_all_it_changes(house: House, clinic: Clinic, clock: MovableClock) -> None:
    ids = await tell_times(house, clinic, clinic.omar, 4)
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    clock.stop(now)
    head = await mark(house, clinic.omar, "read", ids[1:3])
    assert (head.seq, head.unread) == (5, 2)
    rows = await rows_of(house, clinic.omar)
    assert [row.seq for row in rows] == [1, 5, 5, 4]
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert [row.read_at for row in rows] == [None, now, now, None]
    assert rows[1].updated_at == now


async def test_a_mark_announces_the_rows_that_changed_and_no_others(house: House, clinic: Clinic) -> None:
    ids = await tell_times(house, clinic, clinic.omar, 3)
    await mark(house, clinic.omar, "read", ids[:1])
    (push,) = await pushes_of(house, clinic.omar, "read", ids)
    assert isinstance(push, InboxMoved)
    assert (push.moves_to, push.unread) == (5, 0)
    assert [row["id"] for row in json.loads(push.data)["items"]] == [str(each) for each in ids[1:]]


@pytest.mark.parametrize("as_", KINDS)
async def test_a_mark_made_again_changes_and_announces_nothing(house: House, clinic: Clinic, as_: Mark) -> None:
    ids = await tell_times(house, clinic, clinic.omar, 2)
    await mark(house, clinic.omar, "archive" if as_ == "unread" else "unread", ids)
    await mark(house, clinic.omar, as_, ids)
    before = await rows_of(house, clinic.omar)
    head = await head_of(house, clinic.omar)
    assert await pushes_of(house, clinic.omar, as_, ids) == []
    assert await rows_of(house, clinic.omar) == before
    assert await head_of(house, clinic.omar) == head


async def test_archiving_counts_as_reading_and_keeps_when_it_was_read(house: House, clinic: Clinic) -> None:
    ids = await tell_times(house, clinic, clinic.omar, 2)
    await mark(house, clinic.omar, "read", ids[:1])
    read_at = (await rows_of(house, clinic.omar))[0].read_at
    head = await mark(house, clinic.omar, "archive", ids)
    assert head.unread == 0
    first, second = await rows_of(house, clinic.omar)
    assert first.read_at == read_at
    assert second.read_at == second.archived_at is not None
    assert (await mark(house, clinic.omar, "unread", ids)).unread == 2
    assert [(row.read_at, row.archived_at) for row in await rows_of(house, clinic.omar)] == [(None, None)] * 2


async def test_ids_given_twice_count_once(house: House, clinic: Clinic) -> None:
    (one,) = await tell_times(house, clinic, clinic.omar, 1)
    assert (await mark(house, clinic.omar, "read", [one, one, one])).unread == 0
    assert await head_of(house, clinic.omar) == (2, 0)


@pytest.mark.parametrize("as_", KINDS)
async def test_ids_of_others_are_not_found_and_nothing_is_marked(
    house: House, clinic: Clinic, other_clinic: Clinic, as_: Mark
) -> None:
    own = await tell_times(house, clinic, clinic.omar, 2)
    (colleagues,) = await tell_times(house, clinic, clinic.huda, 1)
    (tenants,) = await tell_times(house, other_clinic, other_clinic.omar, 1)
    before = await rows_of(house, clinic.omar)
    for foreign in (colleagues, tenants, uuid.uuid4()):
        with pytest.raises(NotFound):
            await mark(house, clinic.omar, as_, [*own, foreign])
    assert await rows_of(house, clinic.omar) == before
    for person in (clinic.huda, other_clinic.omar):
        assert await head_of(house, person) == (1, 1)


async def test_an_inbox_without_notifications_can_be_read(house: House, clinic: Clinic) -> None:
    assert (await read_all(house, clinic.omar, 2**53)).unread == 0
    with pytest.raises(NotFound):
        await mark(house, clinic.omar, "read", [uuid.uuid4()])


async def test_reading_all_leaves_what_came_or_changed_after_it_was_seen(house: House, clinic: Clinic) -> None:
    ids = await tell_times(house, clinic, clinic.omar, 3)
    await mark(house, clinic.omar, "read", ids[:1])
    await mark(house, clinic.omar, "unread", ids[:1])
    head = await read_all(house, clinic.omar, 2)
    assert (head.seq, head.unread) == (6, 2)
    rows = await rows_of(house, clinic.omar)
    assert [row.read_at is not None for row in rows] == [False, True, False]
    assert [row.seq for row in rows] == [5, 6, 3]
    assert (await read_all(house, clinic.omar, 2)).seq == 6
    assert (await read_all(house, clinic.omar, 6)).unread == 0


async def test_reading_all_announces_how_far_and_no_rows(house: House, clinic: Clinic) -> None:
    await tell_times(house, clinic, clinic.omar, 3)
    async with house.open_work(clinic.id, Actor("staff", clinic.omar.id)) as work:
        await marks.read_all(work, clinic.omar.id, 2)
        (push,) = work.pushes
    assert isinstance(push, InboxMoved)
    told = {"t": "ev", "seq": 4, "prev": 3, "unread": 1, "read_upto": 2, "at": work.now.isoformat()}
    assert (push.moves_to, push.unread, json.loads(push.data)) == (4, 1, told)


async def test_the_count_stays_exact_whatever_happens_at_once(house: House, clinic: Clinic) -> None:
    lottery = random.Random(11)
    ids = await tell_times(house, clinic, clinic.omar, 8)

    async def something() -> None:
        match lottery.randrange(5):
            case 0:
                await tell(house, clinic, clinic.omar, clinic.huda)
            case 1:
                await read_all(house, clinic.omar, lottery.randint(0, 40))
            case which:
                await mark(house, clinic.omar, KINDS[which - 2], lottery.sample(ids, 3))

    for _ in range(4):
        await asyncio.gather(*(something() for _ in range(15)))
        seq, _ = await head_of(house, clinic.omar)
        assert max(row.seq for row in await rows_of(house, clinic.omar)) == seq
