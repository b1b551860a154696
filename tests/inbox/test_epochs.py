"""What was lost is told apart from what comes under its number."""

from __future__ import annotations

import uuid

from hub.inbox import epochs
from hub.inbox.feed import Head, read_heads
from hub.wiring import House
from tests.factories import Clinic, tell


async def test_an_inbox_begins_anew_once_where_it_stands_below_what_was_told(house: House, clinic: Clinic) -> None:
    people = [clinic.omar.id, clinic.huda.id]
    await tell(house, clinic, clinic.omar, clinic.huda)

    async def begun(told: dict[uuid.UUID, int], of: dict[uuid.UUID, Head]) -> dict[uuid.UUID, Head]:
        async with house.database.of_tenant(clinic.id) as session:
            await epochs.begin_anew(session, {person: (seq, of[person].epoch) for person, seq in told.items()})
        async with house.database.watching() as watch:
            return await read_heads(watch, people)

    async with house.database.watching() as watch:
        before = await read_heads(watch, people)
    omar, huda = people
    after = await begun({omar: 2, huda: 1}, before)
    assert (after[omar].seq, after[omar].unread, after[huda]) == (1, 1, before[huda])
    assert after[omar].epoch != before[omar].epoch
    # Another process has seen the same.
    assert await begun({omar: 2}, before) == after
