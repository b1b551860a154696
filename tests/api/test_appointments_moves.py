"""Every step of a visit over the API: from each state to each other, undone, refused, and in versions."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from hub.appointments import lifecycle
from hub.appointments.board import read_version
from hub.appointments.lifecycle import NewTime
from hub.appointments.states import MOVES, State
from hub.appointments.tables import Appointment
from hub.appointments.undo import UNDO_WITHIN
from hub.wiring import House
from hub.work import SYSTEM, Work
from tests.api.requests import booking
from tests.api.rows import count_rows
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, book_visit
from tests.visitors import browser_of, problem

PATH = "/api/v1/appointments"
LATER = "2031-03-01T07:00:00Z"
VERBS: dict[str, tuple[State, dict[str, Any]]] = {
    "confirm": (State.CONFIRMED, {}),
    "move": (State.RESCHEDULED, {"starts_at": LATER, "reason": "The doctor is away.\nSorry."}),
    "arrive": (State.ARRIVED, {"clearance": "cleared"}),
    "start": (State.IN_PROGRESS, {}),
    "complete": (State.COMPLETED, {"next_steps": "Rest.\nCome back in May."}),
    "cancel": (State.CANCELLED, {"reason": "As the patient wishes."}),
    "no-show": (State.NO_SHOW, {}),
}
WAY: dict[State, tuple[State, ...]] = {
    State.BOOKED: (),
    State.CONFIRMED: (State.CONFIRMED,),
    State.RESCHEDULED: (State.RESCHEDULED,),
    State.ARRIVED: (State.ARRIVED,),
    State.IN_PROGRESS: (State.ARRIVED, State.IN_PROGRESS),
    State.COMPLETED: (State.ARRIVED, State.COMPLETED),
    State.CANCELLED: (State.CANCELLED,),
    State.NO_SHOW: (State.NO_SHOW,),
}


async def visit_in(house: House, clinic: Clinic, state: State) -> Appointment:
    """A visit that began a while ago, led to this state."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        at = work.now - timedelta(minutes=20)
    visit = await book_visit(house, clinic, at=at)
    async with house.open_work(clinic.id, SYSTEM) as work:
        for step in WAY[state]:
            visit = await lead(work, visit, step)
    return visit


async def lead(work: Work, visit: Appointment, to: State) -> Appointment:
    if to == State.RESCHEDULED:
        return await lifecycle.move(work, visit.id, NewTime(visit.starts_at + timedelta(minutes=5)))
    verbs: dict[State, Callable[[Work, uuid.UUID], Awaitable[Appointment]]] = {
        State.CONFIRMED: lifecycle.confirm,
        State.ARRIVED: lifecycle.arrive,
        State.IN_PROGRESS: lifecycle.start,
        State.COMPLETED: lifecycle.complete,
        State.CANCELLED: lifecycle.cancel,
        State.NO_SHOW: lifecycle.miss,
    }
    return await verbs[to](work, visit.id)


async def board_version(house: House, clinic: Clinic) -> int:
    async with house.database.of_tenant(clinic.id) as session:
        return await read_version(session)


@pytest.mark.parametrize("state", list(State), ids=str)
async def test_from_each_state_exactly_the_moves_of_the_table_are_possible(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, state: State
) -> None:
    for verb, (to, body) in VERBS.items():
        visit = await visit_in(hub.house, clinic, state)
        address = f"{PATH}/{visit.id}"
        before = (await program.get(address)).json()
        rows, version = await count_rows(hub.house, clinic), await board_version(hub.house, clinic)
        assert before["state"] == state
        answer = await program.post(f"{address}/{verb}", json=body)
        after = (await program.get(address)).json()
        if to in MOVES[state]:
            assert answer.status_code == 200, answer.text
            assert answer.json()["state"] == after["state"] == to
            assert await board_version(hub.house, clinic) == version + 1
        else:
            said = str(problem(answer, 409)["detail"])
            assert said.endswith(f"Possible from here: {', '.join(sorted(MOVES[state])) or 'none'}."), verb
            assert after == before
            assert await count_rows(hub.house, clinic) == rows, f"{verb} left a trace"
            assert await board_version(hub.house, clinic) == version


async def test_a_visit_goes_its_whole_way_and_every_moment_is_kept(
    clinic: Clinic, program: httpx.AsyncClient, clock: MovableClock
) -> None:
    booked = (await program.post(PATH, json=booking(clinic))).json()
    address = f"{PATH}/{booked['id']}"
    assert [booked[name] for name in ("confirmed_at", "arrived_at", "started_at", "ended_at", "wish")] == [None] * 5
    moved = (
        await program.post(f"{address}/move", json=VERBS["move"][1] | {"clinician_id": str(clinic.huda.id)})
    ).json()
    assert (moved["starts_at"], moved["clinician"]["id"]) == ("2031-03-01T07:00:00+00:00", str(clinic.huda.id))
    assert moved["minutes"] == booked["minutes"]
    for verb, moment in (
        ("confirm", "confirmed_at"),
        ("arrive", "arrived_at"),
        ("start", "started_at"),
        ("complete", "ended_at"),
    ):
        shown = (await program.post(f"{address}/{verb}", json=VERBS[verb][1])).json()
        assert shown[moment] == shown["updated_at"]
    assert (await program.get(address)).json()["state"] == "completed"


async def test_nobody_can_have_missed_what_has_not_begun(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    visit = await book_visit(hub.house, clinic)
    rows = await count_rows(hub.house, clinic)
    assert "has not begun yet" in str(problem(await program.post(f"{PATH}/{visit.id}/no-show"), 409)["detail"])
    assert await count_rows(hub.house, clinic) == rows


async def test_a_wrong_click_is_taken_back_once(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, clock: MovableClock
) -> None:
    visit = await book_visit(hub.house, clinic)
    address = f"{PATH}/{visit.id}"
    before = (await program.get(address)).json()
    async with browser_of(hub, clinic.desk) as desk:
        assert (await desk.post(f"{address}/cancel", json={"reason": "Wrong row"})).json()["state"] == "cancelled"
        key = {"idempotency-key": "undo-1"}
        undone = await desk.post(f"{address}/undo", headers=key)
        assert undone.json() | {"updated_at": ""} == {name: before[name] for name in undone.json()} | {"updated_at": ""}
        assert (await desk.post(f"{address}/undo", headers=key)).json() == undone.json()
        problem(await desk.post(f"{address}/undo"), 409)
        await desk.post(f"{address}/arrive")
        clock.move(UNDO_WITHIN + timedelta(seconds=1))
        assert "nothing to take back" in str(problem(await desk.post(f"{address}/undo"), 409)["detail"])


async def test_what_a_program_said_is_not_a_click_to_take_back(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    visit = await book_visit(hub.house, clinic)
    await program.post(f"{PATH}/{visit.id}/confirm")
    async with browser_of(hub, clinic.desk) as desk:
        problem(await desk.post(f"{PATH}/{visit.id}/undo"), 409)


@pytest.mark.parametrize("verb", sorted(VERBS))
async def test_the_same_key_again_does_it_once(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, verb: str
) -> None:
    state = next(state for state in State if VERBS[verb][0] in MOVES[state])
    visit = await visit_in(hub.house, clinic, state)
    headers = {"idempotency-key": "once"}
    first = await program.post(f"{PATH}/{visit.id}/{verb}", json=VERBS[verb][1], headers=headers)
    rows = await count_rows(hub.house, clinic)
    assert first.status_code == 200, first.text
    again = await program.post(f"{PATH}/{visit.id}/{verb}", json=VERBS[verb][1], headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    problem(await program.post(f"{PATH}/{visit.id}/{verb}", json={"version": 7}, headers=headers), 422)
    assert await count_rows(hub.house, clinic) == rows


@pytest.mark.parametrize("verb", sorted(VERBS))
async def test_a_version_that_is_not_newer_changes_nothing(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, verb: str
) -> None:
    to, body = VERBS[verb]
    visit, unversioned = [
        await visit_in(hub.house, clinic, next(state for state in State if to in MOVES[state])) for _ in range(2)
    ]
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        for each in (visit, unversioned):
            (await work.session.get_one(Appointment, each.id)).source_version = 5
    address = f"{PATH}/{visit.id}"
    before, rows = (await program.get(address)).json(), await count_rows(hub.house, clinic)
    for version in (0, 4, 5):
        answer = await program.post(f"{address}/{verb}", json=body | {"version": version})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {name: before[name] for name in answer.json()}
    assert await count_rows(hub.house, clinic) == rows
    applied = (await program.post(f"{address}/{verb}", json=body | {"version": 6})).json()
    assert (applied["state"], applied["version"]) == (to, 6)
    applied = (await program.post(f"{PATH}/{unversioned.id}/{verb}", json=body)).json()
    assert (applied["state"], applied["version"]) == (to, 5), "what the desk does has no version"


async def test_two_clerks_who_give_another_time_at_once_leave_one_time(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    visit = await book_visit(hub.house, clinic)
    address = f"{PATH}/{visit.id}"
    times = ["2031-03-01T07:00:00+00:00", "2031-03-02T08:00:00+00:00"]
    async with browser_of(hub, clinic.desk) as desk, browser_of(hub, clinic.admin) as admin:
        answers = await asyncio.gather(
            *(
                clerk.post(f"{address}/move", json={"starts_at": at})
                for clerk, at in zip((desk, admin), times, strict=True)
            )
        )
    assert [answer.status_code for answer in answers] == [200, 200]
    after = (await program.get(address)).json()
    assert after["starts_at"] in times
    stands = {each["due_at"][:10] for each in after["planned"] if each["state"] == "planned"}
    assert stands == {"2031-02-28" if after["starts_at"] == times[0] else "2031-03-01", after["starts_at"][:10]}


async def test_of_two_clerks_at_once_the_one_who_cancels_is_right(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    for _ in range(3):
        visit = await book_visit(hub.house, clinic)
        address = f"{PATH}/{visit.id}"
        async with browser_of(hub, clinic.desk) as desk, browser_of(hub, clinic.admin) as admin:
            moved, cancelled = await asyncio.gather(
                desk.post(f"{address}/move", json={"starts_at": LATER}),
                admin.post(f"{address}/cancel", json={"reason": "Ill"}),
            )
        assert (moved.status_code, cancelled.status_code) in {(200, 200), (409, 200)}
        after = (await program.get(address)).json()
        assert after["state"] == "cancelled"
        assert not [each for each in after["planned"] if each["state"] == "planned"]


async def test_clearance_and_consent_are_noted_without_a_bell(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    visit = await book_visit(hub.house, clinic)
    answer = await program.patch(f"{PATH}/{visit.id}", json={"clearance": "cleared"})
    assert (answer.status_code, answer.json()["clearance"], answer.json()["consent"]) == (200, "cleared", "missing")
    assert (await count_rows(hub.house, clinic))["notifications"] == 0
    await program.post(f"{PATH}/{visit.id}/cancel", json={"reason": "Ill"})
    problem(await program.patch(f"{PATH}/{visit.id}", json={"consent": "signed"}), 409)


BAD: list[tuple[str, Any, str]] = [
    ("confirm", {"version": -1}, "version"),
    ("confirm", {"version": 2**63}, "version"),
    ("confirm", {"version": "1"}, "version"),
    ("confirm", {"version": True}, "version"),
    ("confirm", {"surprise": 1}, "surprise"),
    ("confirm", [], "body"),
    ("move", {}, "starts_at"),
    ("move", {"starts_at": "tomorrow"}, "starts_at"),
    ("move", {"starts_at": "2031-03-01T07:00:00"}, "starts_at"),
    ("move", {"starts_at": "2200-01-01T00:00:00Z"}, "starts_at"),
    ("move", {"starts_at": LATER, "minutes": 0}, "minutes"),
    ("move", {"starts_at": LATER, "minutes": 1441}, "minutes"),
    ("move", {"starts_at": LATER, "clinician_id": "nobody"}, "clinician_id"),
    ("move", {"starts_at": LATER, "clinician_id": "7d97be40-4231-46e6-8494-6aa323d8f595"}, "clinician_id"),
    ("move", {"starts_at": LATER, "reason": "x" * 501}, "reason"),
    ("move", {"starts_at": LATER, "reason": "a\x00b"}, "reason"),
    ("move", {"starts_at": LATER, "reason": None}, "reason"),
    ("arrive", {"clearance": "maybe"}, "clearance"),
    ("arrive", {"consent": True}, "consent"),
    ("start", {"next_steps": "x"}, "next_steps"),
    ("complete", {"next_steps": "x" * 2001}, "next_steps"),
    ("complete", {"next_steps": "\x1b[31m"}, "next_steps"),
    ("cancel", {}, "reason"),
    ("cancel", {"reason": " \n"}, "reason"),
    ("cancel", {"reason": "x" * 501}, "reason"),
    ("cancel", {"reason": 5}, "reason"),
    ("no-show", {"reason": "x"}, "reason"),
    ("undo", {"version": 1}, "version"),
    ("", {"clearance": ""}, "clearance"),
    ("", {"version": 1}, "version"),
]


@pytest.mark.parametrize(("verb", "body", "field"), BAD, ids=lambda each: json.dumps(each)[:60])
async def test_a_step_that_cannot_be_accepted_is_named_and_not_taken(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, verb: str, body: Any, field: str
) -> None:
    visit = await book_visit(hub.house, clinic)
    before = await count_rows(hub.house, clinic)
    address = f"{PATH}/{visit.id}/{verb}" if verb else f"{PATH}/{visit.id}"
    found = problem(await program.request("POST" if verb else "PATCH", address, json=body), 422)
    assert field in {error["field"] for error in found["errors"]}  # type: ignore[attr-defined]
    assert await count_rows(hub.house, clinic) == before


async def test_no_step_of_another_clinics_visit_is_there(
    hub: RunningHub, other_clinic: Clinic, program: httpx.AsyncClient
) -> None:
    theirs = await book_visit(hub.house, other_clinic)
    before = await count_rows(hub.house, other_clinic)
    for visit in (theirs.id, uuid.UUID(int=0)):
        problem(await program.get(f"{PATH}/{visit}"), 404)
        problem(await program.patch(f"{PATH}/{visit}", json={"consent": "signed"}), 404)
        problem(await program.post(f"{PATH}/{visit}/undo"), 404)
        for verb, (_, body) in VERBS.items():
            problem(await program.post(f"{PATH}/{visit}/{verb}", json=body), 404)
    assert await count_rows(hub.house, other_clinic) == before
