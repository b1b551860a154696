"""Reading an inbox page by page, and what somebody missed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from hub.errors import NotFound
from hub.inbox import feed
from hub.inbox.feed import Filters, Page
from hub.inbox.kinds import Kind, Level
from hub.inbox.notify import Notice, Wording, notify
from hub.people.tables import Staff
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, tell
from tests.inbox.conftest import mark

EVERYTHING = Filters()


async def page_of(
    house: House,
    person: Staff,
    filters: Filters = EVERYTHING,
    limit: int = 3,
    *,
    before: int | None = None,
    after: int | None = None,
) -> Page:
    async with house.database.at_one_moment(person.tenant_id) as session:
        return await feed.read_page(session, person.id, filters, limit=limit, before=before, after=after)


async def tell_words(house: House, clinic: Clinic, *words: Wording, kind: Kind = Kind.SYSTEM) -> list[uuid.UUID]:
    """Notifications to Omar in one transaction."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        return [(await notify(work, [clinic.omar.id], Notice(kind, each)))[0] for each in words]


async def tell_count(house: House, clinic: Clinic, count: int) -> list[uuid.UUID]:
    return await tell_words(house, clinic, *(Wording(f"Number {index + 1}") for index in range(count)))


def numbers(page: Page) -> list[int]:
    return [item.number for item in page.items]


async def test_pages_lead_from_the_newest_to_the_oldest_and_back(house: House, clinic: Clinic) -> None:
    await tell_count(house, clinic, 8)
    await tell(house, clinic, clinic.huda)
    down: list[list[int]] = []
    page = await page_of(house, clinic.omar)
    assert page.newer is None
    while True:
        down.append(numbers(page))
        if page.older is None:
            break
        page = await page_of(house, clinic.omar, before=page.older)
    assert down == [[8, 7, 6], [5, 4, 3], [2, 1]]
    up = [numbers(page)]
    while page.newer is not None:
        page = await page_of(house, clinic.omar, after=page.newer)
        up.append(numbers(page))
    assert up == [[2, 1], [5, 4, 3], [8, 7, 6]]


async def test_pages_stay_as_they_are_while_new_ones_arrive(house: House, clinic: Clinic) -> None:
    await tell_count(house, clinic, 6)
    newest = await page_of(house, clinic.omar)
    await tell_count(house, clinic, 4)
    older = await page_of(house, clinic.omar, before=newest.older)
    assert numbers(newest) + numbers(older) == [6, 5, 4, 3, 2, 1]
    assert older.newer == 3
    back = await page_of(house, clinic.omar, after=older.newer)
    assert numbers(back) == [6, 5, 4]
    assert numbers(await page_of(house, clinic.omar, after=back.newer)) == [9, 8, 7]


async def test_every_state_has_pages_of_its_own(house: House, clinic: Clinic) -> None:
    ids = await tell_count(house, clinic, 6)
    await mark(house, clinic.omar, "read", [ids[0], ids[3]])
    await mark(house, clinic.omar, "archive", [ids[1], ids[3]])
    expected: dict[feed.State, list[int]] = {
        "all": [6, 5, 3, 1],
        "unread": [6, 5, 3],
        "read": [1],
        "archived": [4, 2],
    }
    for state, found in expected.items():
        assert numbers(await page_of(house, clinic.omar, Filters(state), limit=10)) == found
    first = await page_of(house, clinic.omar, Filters("unread"), limit=2)
    assert (numbers(first), first.older) == ([6, 5], 5)
    assert numbers(await page_of(house, clinic.omar, Filters("unread"), limit=2, before=5)) == [3]


async def test_kind_and_level_narrow_a_page(house: House, clinic: Clinic) -> None:
    await tell_words(house, clinic, Wording("a"), Wording("b"), kind=Kind.LICENSE_EXPIRY)
    await tell_words(house, clinic, Wording("c"))
    assert numbers(await page_of(house, clinic.omar, Filters(kind=Kind.LICENSE_EXPIRY))) == [2, 1]
    assert numbers(await page_of(house, clinic.omar, Filters(level=Level.WARNING), limit=1)) == [2]
    assert numbers(await page_of(house, clinic.omar, Filters(kind=Kind.SYSTEM, level=Level.WARNING))) == []


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("sara", [1]),
        ("SARA", [1]),
        ("%", [3]),
        ("_", [4]),
        ("100%", [3]),
        ("a_b", [4]),
        ("\\", [5]),
        ("سارة", [2]),
        ("' OR 1=1 --", []),
        ("in the body", [1]),
    ],
)
async def test_search_takes_every_character_as_itself(
    house: House, clinic: Clinic, search: str, found: Sequence[int]
) -> None:
    words = [Wording("Sara Doe", "In the body"), Wording("وصول سارة"), Wording("100% done"), Wording("a_b")]
    await tell_words(house, clinic, *words, Wording("C:\\patients"))
    assert numbers(await page_of(house, clinic.omar, Filters(search=search))) == found


async def test_one_is_shown_to_its_owner_alone(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    (own,) = await tell(house, clinic, clinic.omar, title="Own")
    async with house.database.of_tenant(clinic.id) as session:
        assert (await feed.read_one(session, clinic.omar.id, own)).title == "Own"
        with pytest.raises(NotFound):
            await feed.read_one(session, clinic.huda.id, own)
    async with house.database.of_tenant(other_clinic.id) as session:
        with pytest.raises(NotFound):
            await feed.read_one(session, clinic.omar.id, own)


async def test_heads_of_many_are_read_at_once_across_clinics(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    await tell(house, clinic, clinic.omar, clinic.huda)
    await tell(house, other_clinic, other_clinic.omar)
    nobody = [uuid.uuid4() for _ in range(40_000)]
    async with house.database.watching() as watch:
        heads = await feed.read_heads(watch, [clinic.omar.id, clinic.desk.id, other_clinic.omar.id, *nobody])
    assert {person: (head.seq, head.unread) for person, head in heads.items()} == {
        clinic.omar.id: (1, 1),
        other_clinic.omar.id: (1, 1),
    }


async def test_heads_are_told_of_those_who_stand_elsewhere_than_is_known(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    people = [clinic.omar.id, clinic.huda.id, other_clinic.omar.id]
    for each in (clinic, other_clinic):
        await tell(house, each, each.omar, each.huda)
    async with house.database.watching() as watch:
        heads = await feed.read_heads(watch, people)
        known = {person.bytes: (head.seq, head.epoch) for person, head in heads.items()}
        assert await feed.read_heads_elsewhere(watch, known) == {}
        assert await feed.read_heads_elsewhere(watch, {}) == {}
        huda, omar = clinic.huda.id, other_clinic.omar.id
        ahead = {huda.bytes: (2, known[huda.bytes][1])}
        assert await feed.read_heads_elsewhere(watch, known | ahead) == {huda.bytes: heads[huda]}
        known |= {huda.bytes: (0, known[huda.bytes][1]), omar.bytes: (1, "")}
        known |= {uuid.uuid4().bytes: (1, "") for _ in range(feed.MOST_ROWS)}
        elsewhere = await feed.read_heads_elsewhere(watch, known)
    assert elsewhere == {person.bytes: heads[person] for person in (huda, omar)}
