"""A live token reads and marks its own person's inbox over HTTP, and is good for nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from httpx import AsyncClient

from hub.people.live_tokens import LIFE
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, make_key, tell
from tests.test_surface import PAGES, PROGRAMS, Ask, ask_as
from tests.visitors import client_of, problem, program_of

INBOX = "/api/v1/notifications"
OWN = [ask for ask in PROGRAMS if ask.path.startswith(INBOX) and not (ask.path == INBOX and ask.method == "POST")]
OTHERS = [ask for ask in PROGRAMS if ask not in OWN]


async def token_for(hub: RunningHub, clinic: Clinic, person: Staff) -> str:
    async with program_of(hub, await make_key(hub.house, clinic)) as client:
        answer = await client.post("/api/v1/live-tokens", json={"staff_id": str(person.id)})
    return str(answer.json()["token"])


def bell_of(hub: RunningHub, token: str) -> AsyncClient:
    return client_of(hub, {"authorization": f"Bearer {token}", "origin": "https://practice.example"})


@pytest.mark.parametrize("ask", OWN, ids=str)
async def test_it_reads_and_marks_its_own_persons_inbox(hub: RunningHub, clinic: Clinic, ask: Ask) -> None:
    async with bell_of(hub, await token_for(hub, clinic, clinic.omar)) as bell:
        answer = await ask_as(hub, clinic, ask, clinic.omar, bell, form=False)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("ask", OTHERS, ids=str)
async def test_it_is_good_for_nothing_else(hub: RunningHub, clinic: Clinic, ask: Ask) -> None:
    async with bell_of(hub, await token_for(hub, clinic, clinic.admin)) as bell:
        problem(await ask_as(hub, clinic, ask, clinic.admin, bell, form=False), 401)


@pytest.mark.parametrize("ask", PAGES, ids=str)
async def test_it_shows_no_page(hub: RunningHub, clinic: Clinic, ask: Ask) -> None:
    async with bell_of(hub, await token_for(hub, clinic, clinic.admin)) as bell:
        answer = await ask_as(hub, clinic, ask, clinic.admin, bell, form=True)
        assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in")


async def test_nobody_elses_rows_are_to_be_had(hub: RunningHub, clinic: Clinic) -> None:
    (theirs,) = await tell(hub.house, clinic, clinic.huda, title="For Huda")
    async with bell_of(hub, await token_for(hub, clinic, clinic.omar)) as bell:
        assert (await bell.get(INBOX)).json()["items"] == []
        problem(await bell.get(f"{INBOX}/{theirs}"), 404)
        await bell.post(f"{INBOX}/read", json={"ids": [str(theirs)]})
    async with bell_of(hub, await token_for(hub, clinic, clinic.huda)) as bell:
        assert (await bell.get(f"{INBOX}/count")).json()["unread"] == 1


async def test_one_that_has_ended_or_is_not_ours_is_refused(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    token = await token_for(hub, clinic, clinic.omar)
    before = await count_rows(hub.house, clinic)
    for wrong in ("x", f"{token}x", token[:-4], f"hub_{token}"):
        async with bell_of(hub, wrong) as bell:
            problem(await bell.get(INBOX), 401)
    async with bell_of(hub, token) as bell:
        assert (await bell.get(INBOX)).status_code == 200
        clock.move(LIFE + timedelta(seconds=1))
        problem(await bell.get(INBOX), 401)
        problem(await bell.post(f"{INBOX}/read-all", json={}), 401)
    assert await count_rows(hub.house, clinic) == before


async def test_it_ends_with_the_persons_access(hub: RunningHub, clinic: Clinic) -> None:
    async with bell_of(hub, await token_for(hub, clinic, clinic.omar)) as bell:
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await change_staff(work, clinic.omar.id, active=False)
        problem(await bell.get(INBOX), 401)
