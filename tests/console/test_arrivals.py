"""The arrivals board and its clicks by plain forms: no script needed. Its larger forms: test_booking.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from hub.appointments.lifecycle import Booking, book
from hub.appointments.states import State
from hub.messages.tables import Message
from hub.people.patients import Arriving
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.conftest import MovableClock, RunningHub
from tests.console.day import fill_a_day
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, add_patient, book_visit, open_clinic
from tests.visitors import browser_of

PATH = "/console/arrivals"
BOARD = {"X-Fragment": "board"}
NOON = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def rows(page: Html) -> list[tuple[str, str]]:
    """Every visit on the board, and its state."""
    return [(tag.attributes["data-row"], tag.attributes["data-state"]) for tag in page.with_attribute("data-row")]


async def click(client: httpx.AsyncClient, visit: object, step: str, **form: str) -> httpx.Response:
    return await client.post(f"{PATH}/{visit}/{step}", data=form)


async def arrive(client: httpx.AsyncClient, visit: object, **form: str) -> httpx.Response:
    return await click(client, visit, "arrive", **form)


async def test_the_board_shows_todays_visits_by_clinician(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    huda = await book_visit(hub.house, clinic, clinic.huda, patient="Late", at=NOON - timedelta(minutes=20))
    omar = await book_visit(hub.house, clinic, clinic.omar, patient="Soon", at=NOON + timedelta(minutes=20))
    await book_visit(hub.house, clinic, clinic.omar, patient="Tomorrow", at=NOON + timedelta(days=1))
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(PATH))
    assert rows(page) == [(str(omar.id), "booked"), (str(huda.id), "booked")]
    assert "20 min late" in page.words
    assert "Tomorrow" not in page.words
    assert [tag.attributes["datetime"] for tag in page.all("time")][:1] == ["2026-11-21T09:20:00+00:00"]


async def test_arrival_by_a_plain_form_leads_back_to_the_visit(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk) as client:
        answer = await arrive(client, visit.id, clearance="cleared", consent="signed", next="https://elsewhere.example")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}?day=2026-11-21#row-{visit.id}")
        page = read(await client.get(answer.headers["location"].partition("#")[0]))
        assert rows(page) == [(str(visit.id), "arrived")]
        found = (await client.get(f"/api/v1/appointments/{visit.id}")).json()
    assert (found["clearance"], found["consent"]) == ("cleared", "signed")


async def test_a_script_gets_the_board_itself(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk) as client:
        whole = read(await client.get(PATH))
        packed = await client.get(PATH, headers=BOARD)
        plain = await client.get(PATH, headers=BOARD | {"Accept-Encoding": "identity"})
        assert (packed.headers["content-encoding"], plain.headers.get("content-encoding")) == ("gzip", None)
        assert packed.text == plain.text
        part = read(packed)
        assert part.all("html") == []
        assert breaches(part) == []
        assert rows(part) == rows(whole)
        (before,) = part.with_attribute("data-board")
        answer = await client.post(f"{PATH}/{visit.id}/arrive", data={}, headers=BOARD)
        part = read(answer)
        (after,) = part.with_attribute("data-board")
    assert part.all("html") == []
    assert rows(part) == [(str(visit.id), "arrived")]
    assert int(after.attributes["data-version"]) == int(before.attributes["data-version"]) + 1


@pytest.mark.parametrize("headers", [{}, BOARD], ids=["form", "script"])
async def test_two_desks_at_once_are_one_arrival_and_one_refusal(
    hub: RunningHub, clinic: Clinic, headers: dict[str, str]
) -> None:
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk, **headers) as one, browser_of(hub, clinic.admin, **headers) as two:
        answers = await asyncio.gather(arrive(one, visit.id), arrive(two, visit.id))
    assert sorted(answer.status_code for answer in answers) == [200 if headers else 303, 409]
    (refused,) = (answer for answer in answers if answer.status_code == 409)
    page = read(refused, 409)
    assert (
        "Somebody was quicker: the visit of \u2068Sara Doe\u2069 is now “Arrived”, Saturday 21 November 12:00."
        in page.words
    )
    assert rows(page) == [(str(visit.id), "arrived")], "the board of the visit's own day, as it is now"
    assert (await count_rows(hub.house, clinic))["notifications"] == 1


async def test_a_status_that_there_is_not_marks_nothing(hub: RunningHub, clinic: Clinic) -> None:
    visit = await book_visit(hub.house, clinic)
    before = await count_rows(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client:
        for form in ({"clearance": "perhaps"}, {"consent": "<script>"}):
            read(await arrive(client, visit.id, **form), 422)
    assert (await count_rows(hub.house, clinic))["notifications"] == before["notifications"] == 0


async def test_another_clinics_visit_is_not_there(hub: RunningHub, clinic: Clinic, other_clinic: Clinic) -> None:
    visit = await book_visit(hub.house, other_clinic)
    async with browser_of(hub, clinic.desk) as client:
        read(await arrive(client, visit.id), 404)
        read(await client.get(f"/console/appointments/{visit.id}"), 404)


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0001-01-01", "9999-12-31", "2026-11-21T00:00", "%00", "1"])
async def test_a_day_that_there_is_not_is_refused(hub: RunningHub, clinic: Clinic, day: str) -> None:
    async with browser_of(hub, clinic.desk) as client:
        read(await client.get(f"{PATH}?day={day}"), 422)


@pytest.mark.parametrize(
    ("zone", "day", "midnight", "hours"),
    [
        ("America/Chicago", date(2026, 3, 8), datetime(2026, 3, 8, 6, tzinfo=UTC), 23),
        ("America/Chicago", date(2026, 11, 1), datetime(2026, 11, 1, 5, tzinfo=UTC), 25),
        ("Asia/Riyadh", date(2026, 11, 21), datetime(2026, 11, 20, 21, tzinfo=UTC), 24),
    ],
)
async def test_the_days_before_and_after_are_the_clinics_also_when_clocks_change(
    hub: RunningHub, clock: MovableClock, zone: str, day: date, midnight: datetime, hours: int
) -> None:
    clinic = await open_clinic(hub.house, zone=zone)
    at = [midnight - timedelta(minutes=1), midnight, midnight + timedelta(hours=hours, minutes=-1)]
    visits = [await book_visit(hub.house, clinic, at=moment) for moment in (*at, midnight + timedelta(hours=hours))]
    clock.stop(midnight + timedelta(hours=hours, minutes=-1))
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(PATH))
        assert [row for row, _ in rows(page)] == [str(visits[1].id), str(visits[2].id)]
        steps = [f"{PATH}?day={day - timedelta(days=1)}", f"{PATH}?day={day + timedelta(days=1)}"]
        assert set(steps) <= set(page.links)
        for step, visit in zip(steps, (visits[0], visits[3]), strict=True):
            assert [row for row, _ in rows(read(await client.get(step)))] == [str(visit.id)]


async def test_a_clinician_sees_their_own_visits_and_marks_none(hub: RunningHub, clinic: Clinic) -> None:
    mine, theirs = await book_visit(hub.house, clinic, clinic.omar), await book_visit(hub.house, clinic, clinic.huda)
    async with browser_of(hub, clinic.omar) as client:
        page = read(await client.get(f"/console/appointments/{mine.id}"))
        assert not any("arrive" in tag.attributes.get("action", "") for tag in page.all("form"))
        read(await client.get(f"/console/appointments/{theirs.id}"), 404)
        read(await arrive(client, mine.id), 403)
        read(await client.get(PATH), 403)


async def test_a_board_whose_session_has_ended_says_so_to_a_script(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        read(await client.get(PATH, headers=BOARD), 401)


# --- every step ---------------------------------------------------------------------------------------


async def test_a_visit_goes_all_its_way_by_plain_forms(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    seen = []
    async with browser_of(hub, clinic.desk) as client:
        for step in ("confirm", "arrive", "start", "complete"):
            answer = await click(client, visit.id, step)
            assert answer.headers["location"] == f"{PATH}?day=2026-11-21#row-{visit.id}"
            page = read(await client.get(PATH))
            seen += [state for _, state in rows(page)]
    assert seen == ["confirmed", "arrived", "in_progress", "completed"]
    assert "1 of 1 arrived" in page.words


async def test_the_way_back_is_where_the_click_came_from(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    filtered = f"{PATH}?day=2026-11-21&clinician={clinic.omar.id}&state=expected"
    backs = {
        f"/console/appointments/{visit.id}": f"/console/appointments/{visit.id}",
        filtered: f"{filtered}#row-{visit.id}",
        f"{PATH}?day=2020-01-01&state=lost": f"{PATH}?day=2026-11-21#row-{visit.id}",
    }
    async with browser_of(hub, clinic.desk) as client:
        for came_from, back in backs.items():
            answer = await click(client, visit.id, "confirm", next=came_from)
            assert answer.headers["location"] == back
            await click(client, visit.id, "undo")


@pytest.mark.parametrize("step", ["confirm", "arrive", "start", "complete", "cancel", "no-show"])
async def test_each_click_is_undone_in_place(hub: RunningHub, clinic: Clinic, clock: MovableClock, step: str) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON - timedelta(minutes=30))
    async with browser_of(hub, clinic.desk, **BOARD) as client, browser_of(hub, clinic.admin, **BOARD) as other:
        for before in {"start": ["arrive"], "complete": ["arrive", "start"]}.get(step, []):
            await click(client, visit.id, before)
        ((_, was),) = rows(read(await client.get(PATH)))
        page = read(await click(client, visit.id, step, why="patient"))
        ((_, done),) = rows(page)
        assert done != was
        assert page.with_attribute("data-board")[0].attributes["data-focus"] == f"row-{visit.id}"
        assert len(page.with_attribute("data-fresh")) == 1
        assert read(await other.get(PATH)).with_attribute("data-fresh") == [], "it stands out for who has clicked"
        (offered,) = [tag for tag in page.all("button") if tag.attributes.get("name") == "change"]
        refused = await click(client, visit.id, "undo", change="1")
        assert "There is nothing to undo any more" in read(refused, 409).words
        clock.move(timedelta(minutes=1))
        assert read(await client.get(PATH)).with_attribute("data-fresh") == []
        page = read(await click(client, visit.id, "undo", change=offered.attributes["value"]))
        assert rows(page) == [(str(visit.id), was)]
        assert (
            page.with_attribute("data-board")[0].attributes["data-said"].startswith("\u2068Sara Doe\u2069: Undone; now")
        )


async def test_undo_is_offered_for_a_quarter_of_an_hour(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk, **BOARD) as client:
        await arrive(client, visit.id)
        clock.move(timedelta(minutes=15))
        assert "z" in keys(read(await client.get(PATH)))
        clock.move(timedelta(seconds=1))
        assert "z" not in keys(read(await client.get(PATH)))
        read(await click(client, visit.id, "undo"), 409)


async def test_what_leaves_the_house_waits_for_the_undo_of_a_click(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    patient = await add_patient(hub.house, clinic)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
        visit = await book(work, Booking(Arriving(id=patient.id), clinic.omar.id, NOON + timedelta(days=1), tell=False))
    async with browser_of(hub, clinic.desk) as client:
        await click(client, visit.id, "cancel", why="patient")
        messages = await written(hub, clinic)
        assert {message.scheduled_at for message in messages} == {NOON + timedelta(seconds=15)}
        assert {message.code for message in messages} == {"appointment_cancelled", "staff_appointment_cancelled"}
        await click(client, visit.id, "undo")
    assert {message.state for message in await written(hub, clinic)} == {"cancelled"}


async def test_nobody_has_missed_what_has_not_begun(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON + timedelta(minutes=1))
    async with browser_of(hub, clinic.desk, **BOARD) as client:
        assert "n" not in keys(read(await client.get(PATH)))
        page = read(await click(client, visit.id, "no-show"), 409)
        assert "This visit has not begun yet" in page.words
        clock.move(timedelta(minutes=1))
        assert "n" in keys(read(await client.get(PATH)))


async def test_on_a_later_day_the_next_step_is_to_confirm(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON + timedelta(days=1))
    async with browser_of(hub, clinic.desk, **BOARD) as client:
        page = read(await client.get(f"{PATH}?day=2026-11-22"))
        assert f"{PATH}/{visit.id}/confirm" in [tag.attributes.get("action") for tag in page.all("form")]


# --- what is shown ------------------------------------------------------------------------------------


async def test_the_board_shows_every_state_and_what_a_patient_asks_for(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    day = await fill_a_day(hub.house, clinic, NOON)
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(PATH))
        assert {state for _, state in rows(page)} == set(State)
        assert len(rows(page)) == len(day)
        for words in ("34 min long wait", "12 min late", "not confirmed", "Tuesday or Wednesday afternoon, please"):
            assert words in page.words
        form = read(await client.get(f"{PATH}/{day['wish'].id}/move"))
        assert "Tuesday or Wednesday afternoon, please" in form.words
        await click(client, day["wish"].id, "confirm")
        assert "Tuesday or Wednesday" not in read(await client.get(PATH)).words


async def test_the_board_is_sifted_by_clinician_and_state_in_the_address(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    day = await fill_a_day(hub.house, clinic, NOON)
    async with browser_of(hub, clinic.admin) as client:

        async def shown(**view: str) -> set[str]:
            found = rows(read(await client.get(PATH, params=view)))
            return {name for name, visit in day.items() if str(visit.id) in {row for row, _ in found}}

        assert await shown(state="expected") == {"late", "booked", "confirmed", "rescheduled", "wish"}
        assert await shown(state="arrived") == {"waiting", "arrived"}
        assert await shown(state="wish") == {"wish"}
        for state in ("in_progress", "completed", "cancelled", "no_show"):
            assert await shown(state=state) == {state}
        assert await shown(clinician=str(clinic.huda.id), state="expected") == {"confirmed", "rescheduled", "wish"}
        page = read(await client.get(PATH, params={"state": "no_show", "clinician": str(clinic.huda.id)}))
        assert "Nothing in this view" in page.words
        for view in ({"state": "lost"}, {"clinician": "huda"}):
            read(await client.get(PATH, params=view), 422)


async def test_what_was_just_done_stays_in_sight_for_its_undo(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    view = f"{PATH}?day=2026-11-21&state=expected"
    async with browser_of(hub, clinic.desk, **BOARD) as client:
        page = read(await click(client, visit.id, "arrive", next=view))
        assert rows(page) == [(str(visit.id), "arrived")]
        assert page.with_attribute("data-board")[0].attributes["data-url"] == view
        clock.move(timedelta(minutes=2))
        assert rows(read(await client.get(view))) == []


def keys(page: Html) -> set[str]:
    return {tag.attributes["data-key"] for tag in page.with_attribute("data-key")}


async def written(hub: RunningHub, clinic: Clinic) -> list[Message]:
    async with hub.house.database.of_tenant(clinic.id) as session:
        return list((await session.execute(select(Message))).scalars())
