"""An account that takes nothing is spared for a while, by every worker; one that takes something is not."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from hub.channels.vendor import Fate, Outcome
from hub.messages.circuits import MOST_FAILURES, OPEN_AFTER_FAILURES, OPEN_AFTER_REFUSAL, note_outcomes, read_open
from hub.wiring import House
from tests.messages.vendors import ACCEPTED, BUSY, NEVER, REFUSED, SILENT

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.fixture
def account() -> str:
    return f"account-{uuid.uuid4().hex}"


async def note(house: House, account: str, *outcomes: Outcome, at: datetime = NOW) -> None:
    async with house.database.of_nobody() as session:
        await note_outcomes(session, account, outcomes, at)


async def open_until(house: House, account: str, at: datetime = NOW) -> datetime | None:
    async with house.database.of_nobody() as session:
        return (await read_open(session, at)).get(account)


async def test_an_account_nothing_is_known_of_is_used(house: House, account: str) -> None:
    await note(house, account, ACCEPTED, NEVER)
    assert await open_until(house, account) is None


async def test_a_refusal_spares_it_at_once_and_for_minutes(house: House, account: str) -> None:
    await note(house, account, ACCEPTED, REFUSED, BUSY)
    assert await open_until(house, account) == NOW + OPEN_AFTER_REFUSAL
    assert await open_until(house, account, NOW + OPEN_AFTER_REFUSAL) is None


@pytest.mark.parametrize("failure", [BUSY, SILENT])
async def test_failures_spare_it_once_they_are_many_in_a_row(house: House, account: str, failure: Outcome) -> None:
    await note(house, account, *[failure] * (MOST_FAILURES - 1))
    assert await open_until(house, account) is None
    await note(house, account, failure)
    assert await open_until(house, account) == NOW + OPEN_AFTER_FAILURES


async def test_many_failures_at_once_spare_it_at_once(house: House, account: str) -> None:
    await note(house, account, *[BUSY] * MOST_FAILURES)
    assert await open_until(house, account) == NOW + OPEN_AFTER_FAILURES


async def test_one_that_is_taken_ends_the_row(house: House, account: str) -> None:
    await note(house, account, *[BUSY] * (MOST_FAILURES - 1))
    await note(house, account, BUSY, ACCEPTED)
    await note(house, account, *[BUSY] * (MOST_FAILURES - 1))
    assert await open_until(house, account) is None


async def test_what_is_refused_for_good_says_nothing_of_the_account(house: House, account: str) -> None:
    await note(house, account, *[NEVER] * (3 * MOST_FAILURES))
    assert await open_until(house, account) is None


async def test_after_the_while_the_next_failure_spares_it_again(house: House, account: str) -> None:
    await note(house, account, *[BUSY] * MOST_FAILURES)
    later = NOW + OPEN_AFTER_FAILURES + timedelta(seconds=1)
    await note(house, account, BUSY, at=later)
    assert await open_until(house, account, later) == later + OPEN_AFTER_FAILURES


async def test_a_failure_that_comes_late_does_not_shorten_what_a_refusal_began(house: House, account: str) -> None:
    await note(house, account, REFUSED)
    await note(house, account, SILENT, at=NOW + timedelta(seconds=1))
    assert await open_until(house, account) == NOW + OPEN_AFTER_REFUSAL


async def test_workers_that_fail_at_once_are_all_counted(house: House, account: str) -> None:
    await asyncio.gather(*(note(house, account, BUSY) for _ in range(MOST_FAILURES)))
    assert await open_until(house, account) == NOW + OPEN_AFTER_FAILURES


async def test_each_account_has_its_own(house: House, account: str) -> None:
    await note(house, account, Outcome(Fate.OPERATOR))
    assert await open_until(house, f"{account}-other") is None
