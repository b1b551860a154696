"""Many at once, and in any order: numbers without a gap, one visit to a key, and the newest word that counts."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.appointments.lifecycle import Booking, book
from hub.people.patients import Arriving
from hub.wiring import House
from hub.work import SYSTEM
from tests.api.requests import booking
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic, make_key, open_clinic
from tests.visitors import program_of

PATH = "/api/v1/appointments"
MORNING = datetime(2031, 3, 1, 6, 30, tzinfo=UTC)


async def test_five_hundred_bookings_at_once_have_five_hundred_numbers_without_a_gap(
    house: House, clinic: Clinic
) -> None:
    # Fewer than the pool has connections; some come to nothing after they had their number.
    turns = asyncio.Semaphore(8)

    async def take(index: int) -> str | None:
        async with turns:
            try:
                async with house.open_work(clinic.id, SYSTEM) as work:
                    at = MORNING + timedelta(minutes=index)
                    visit = await book(work, Booking(Arriving(f"Patient {index}"), clinic.omar.id, at, tell=False))
                    if index % 26 == 25:
                        raise RuntimeError("the power goes out")
            except RuntimeError:
                return None
            return visit.number

    numbers = [number for number in await asyncio.gather(*(take(index) for index in range(520))) if number]
    assert sorted(numbers) == [f"2031-{number:06}" for number in range(1, 501)]
    assert (await count_rows(house, clinic))["appointments"] == 500


async def test_the_same_key_fifty_times_at_once_is_one_visit(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    headers = {"idempotency-key": "booking-1"}
    body = booking(clinic, patient={"name": "Sara Doe", "phone": "+966501234567"})
    answers = await asyncio.gather(*(program.post(PATH, json=body, headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    rows = await count_rows(hub.house, clinic)
    assert (rows["appointments"], rows["patients"], rows["appointment_changes"]) == (1, 1, 1)


@pytest.fixture(scope="module")
async def streamed(hub: RunningHub) -> tuple[Clinic, str]:
    """A clinic whose practice system says everything at least once, in any order."""
    clinic = await open_clinic(hub.house)
    return clinic, await make_key(hub.house, clinic)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    order=st.permutations(range(4)).flatmap(
        lambda order: st.lists(st.sampled_from(order), max_size=2).map(lambda again: [*order, *again])
    )
)
async def test_what_a_practice_system_says_in_any_order_ends_in_the_newest(
    hub: RunningHub, streamed: tuple[Clinic, str], order: list[int]
) -> None:
    clinic, key = streamed
    name = str(uuid.uuid4())
    async with program_of(hub, key) as program:
        for place, version in enumerate(order):
            at = (MORNING + timedelta(days=version)).isoformat()
            said = booking(clinic, external_id=name, version=version, starts_at=at, minutes=10 + version)
            shown = (await program.post(PATH, json=said)).json()
            newest = max(order[: place + 1])
            assert (shown["version"], shown["minutes"]) == (newest, 10 + newest)
            assert shown["starts_at"] == (MORNING + timedelta(days=newest)).isoformat()
        story = (await program.get(f"{PATH}/{shown['id']}")).json()
    stands = [each["due_at"] for each in story["planned"] if each["state"] == "planned"]
    last = MORNING + timedelta(days=3)
    assert stands == [(last - timedelta(days=1)).isoformat(), (last - timedelta(hours=2)).isoformat()]


async def test_a_late_word_never_brings_back_what_was_cancelled(clinic: Clinic, program: httpx.AsyncClient) -> None:
    first = (await program.post(PATH, json=booking(clinic, external_id="E-1", version=1))).json()
    address = f"{PATH}/{first['id']}"
    await program.post(f"{address}/cancel", json={"reason": "Ill", "version": 5})
    for version in (0, 1, 4, 5):
        moved = booking(clinic, external_id="E-1", version=version, starts_at="2031-03-01T07:00:00Z")
        for answer in (
            await program.post(PATH, json=moved),
            await program.post(f"{address}/move", json={"starts_at": "2031-03-01T07:00:00Z", "version": version}),
            await program.post(f"{address}/confirm", json={"version": version}),
        ):
            assert answer.is_success
            assert (answer.json()["state"], answer.json()["starts_at"]) == ("cancelled", first["starts_at"])
    newer = booking(clinic, external_id="E-1", version=6, starts_at="2031-03-01T07:00:00Z")
    assert (await program.post(PATH, json=newer)).status_code == 409
    assert (await program.get(address)).json()["version"] == 5
