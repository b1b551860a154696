"""A request with an Idempotency-Key acts once; the same again gets the same answer, another one is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from hub.errors import Invalid
from hub.idempotency import KEPT, LONGEST_KEY, IdempotencyKey, IdempotentRequest, forget_old, recall, remember
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.api.requests import NOTICE, booking
from tests.api.rows import count_rows
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, book_visit, make_key
from tests.visitors import browser_of, problem, program_of

PATH = "/api/v1/appointments"


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def test_the_same_request_again_is_the_same_answer_and_acts_once(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        body = booking(clinic, starts_at="2026-11-21T09:30:00+03:00")
        first = await program.post(PATH, json=body, headers=keyed("a"))
        before = await count_rows(hub.house, clinic)
        again = await program.post(PATH, json=body, headers=keyed("a"))
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["location"] == first.headers["location"]
        assert await count_rows(hub.house, clinic) == before
        other = await program.post(PATH, json=body, headers=keyed("b"))
        assert other.json()["id"] != first.json()["id"]


async def test_twenty_at_once_are_one_appointment(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        several = (program.post(PATH, json=booking(clinic), headers=keyed("a")) for _ in range(20))
        answers = await asyncio.gather(*several)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (await count_rows(hub.house, clinic))["appointments"] == 1


async def test_twenty_notices_at_once_ring_once(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        several = (program.post("/api/v1/notifications", json=NOTICE, headers=keyed("a")) for _ in range(20))
        answers = await asyncio.gather(*several)
    assert len({answer.content for answer in answers}) == 1
    assert (await count_rows(hub.house, clinic))["notifications"] == 2


async def test_another_body_under_the_same_key_is_refused(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        await program.post(PATH, json=booking(clinic), headers=keyed("a"))
        before = await count_rows(hub.house, clinic)
        found = problem(await program.post(PATH, json=booking(clinic, minutes=60), headers=keyed("a")), 422)
        assert found["errors"][0]["field"] == "Idempotency-Key"  # type: ignore[index]
        problem(await program.post("/api/v1/notifications", json=NOTICE, headers=keyed("a")), 422)
        assert await count_rows(hub.house, clinic) == before


async def test_one_key_is_not_used_for_two_visits(hub: RunningHub, clinic: Clinic) -> None:
    one, two = await book_visit(hub.house, clinic), await book_visit(hub.house, clinic)
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        first = await program.post(f"{PATH}/{one.id}/arrive", json={}, headers=keyed("a"))
        again = await program.post(f"{PATH}/{one.id}/arrive", json={}, headers=keyed("a"))
        assert (again.status_code, again.content) == (200, first.content)
        problem(await program.post(f"{PATH}/{two.id}/arrive", json={}, headers=keyed("a")), 422)
    assert (await count_rows(hub.house, clinic))["notifications"] == 1


async def test_a_refused_request_leaves_its_key_unused(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        body = booking(clinic, clinician_id=str(clinic.desk.id))
        problem(await program.post(PATH, json=body, headers=keyed("a")), 422)
        assert (await program.post(PATH, json=booking(clinic), headers=keyed("a"))).status_code == 201


async def test_a_key_is_the_callers_own(hub: RunningHub, clinic: Clinic) -> None:
    async with (
        program_of(hub, await make_key(hub.house, clinic)) as one,
        program_of(hub, await make_key(hub.house, clinic)) as two,
        browser_of(hub, clinic.desk) as desk,
    ):
        answers = [await client.post(PATH, json=booking(clinic), headers=keyed("a")) for client in (one, two, desk)]
    assert len({answer.json()["id"] for answer in answers}) == 3


@pytest.mark.parametrize("key", ["", "x" * (LONGEST_KEY + 1), "schlüssel".encode().decode("latin-1"), "a\tb"])
async def test_a_key_that_cannot_be_used_is_refused(hub: RunningHub, clinic: Clinic, key: str) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        headers = httpx.Headers([(b"Idempotency-Key", key.encode("latin-1"))])
        problem(await program.post(PATH, json=booking(clinic), headers=headers), 422)
    assert (await count_rows(hub.house, clinic))["appointments"] == 0


async def test_what_is_kept_holds_no_words_of_the_request(house: House, hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        await program.post(PATH, json=booking(clinic), headers=keyed("a"))
    async with house.database.of_tenant(clinic.id) as session:
        row = (await session.execute(select(IdempotencyKey))).scalar_one()
        assert set(row.answer or {}) == {"id"}
        assert len(row.fingerprint) == 32


async def test_a_key_is_forgotten_after_a_day(house: House, clinic: Clinic, clock: MovableClock) -> None:
    request = IdempotentRequest.of("a", "POST /", b"")

    async def use() -> object:
        async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
            answer = await recall(work, request)
            if answer is None:
                await remember(work, request, {"id": "1"})
            return answer

    clock.stop(datetime(2026, 11, 21, 6, 30, tzinfo=UTC))
    assert await use() is None
    assert await use() == {"id": "1"}
    clock.move(KEPT)
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await forget_old(work) == 0
    clock.move(timedelta(seconds=1))
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await forget_old(work) == 1
    assert await use() is None


async def test_without_a_key_nothing_is_kept(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await recall(work, None) is None
        await remember(work, None, {"id": "1"})
    assert (await count_rows(house, clinic))["idempotency_keys"] == 0


def test_route_and_body_make_the_fingerprint() -> None:
    prints = {
        IdempotentRequest.of("a", route, body).fingerprint
        for route, body in (("POST /a", b""), ("POST /a", b"x"), ("POST /b", b""), ("POST /", b"a"))
    }
    assert len(prints) == 4
    with pytest.raises(Invalid):
        IdempotentRequest.of("a\n", "POST /", b"")
