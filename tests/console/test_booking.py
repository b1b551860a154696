"""The board's forms, by plain forms and as dialogs: booking, moving, cancelling, completing with next steps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from hub.appointments.changes import read_changes, said_with
from hub.appointments.tables import Appointment
from hub.people.staff import change_staff
from hub.people.tables import Patient
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub
from tests.console.html import Html, breaches, read
from tests.console.test_arrivals import BOARD, NOON, PATH, rows
from tests.factories import Clinic, add_patient, book_visit, open_clinic
from tests.visitors import browser_of

TOMORROW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)  # 10:30 in Riyadh


def booking(clinic: Clinic, **changes: str) -> dict[str, str]:
    """A form that is filled in well, but for the changes."""
    form = {"who": "Nora Al-Harbi", "day": "2026-11-22", "time": "10:30", "minutes": "20"}
    return form | {"clinician": str(clinic.omar.id), "language": "ar", "next": f"{PATH}?day=2026-11-21"} | changes


def moving(visit: Appointment, **changes: str) -> dict[str, str]:
    form = {"day": "2026-11-22", "time": "10:30", "minutes": "30", "clinician": str(visit.clinician_id)}
    return form | changes


async def patients_of(hub: RunningHub, clinic: Clinic) -> list[Patient]:
    async with hub.house.database.of_tenant(clinic.id) as session:
        return list((await session.execute(select(Patient).order_by(Patient.created_at))).scalars())


async def last_words(hub: RunningHub, clinic: Clinic, visit: Appointment) -> str | None:
    async with hub.house.database.of_tenant(clinic.id) as session:
        return said_with(hub.house.keys, (await read_changes(session, visit.id))[-1])


def values(page: Html) -> dict[str, str]:
    """What the fields of the form hold."""
    return {
        tag.attributes["name"]: tag.attributes.get("value", "") for tag in page.all("input") if "id" in tag.attributes
    }


def chosen(page: Html) -> set[str]:
    return {tag.attributes["value"] for tag in page.all("option") if "selected" in tag.attributes}


async def test_a_visit_is_booked_for_somebody_new_and_shown_on_its_day(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(f"{PATH}/new?day=2026-11-22&clinician={clinic.huda.id}"))
        assert values(page)["day"] == "2026-11-22"
        assert str(clinic.huda.id) in chosen(page)
        form = booking(clinic, phone="050 123 4567", clearance="cleared", once="the same")
        both = await asyncio.gather(*(client.post(PATH, data=form) for _ in range(2)))
        assert len({answer.headers["location"] for answer in both}) == 1, "two clicks are one visit"
        ((row, state),) = rows(read(await client.get(both[0].headers["location"])))
        assert both[0].headers["location"] == f"{PATH}?day=2026-11-22#row-{row}"
        found = (await client.get(f"/api/v1/appointments/{row}")).json()
    assert (state, found["minutes"], found["clearance"]) == ("booked", 20, "cleared")
    assert datetime.fromisoformat(found["starts_at"]) == TOMORROW
    (patient,) = await patients_of(hub, clinic)
    assert (patient.name, patient.language) == ("Nora Al-Harbi", "ar")


async def test_who_is_known_is_offered_before_a_second_file_is_opened(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    known = await add_patient(hub.house, clinic, name="Nora Al-Harbi", email="nora@example.org")
    await add_patient(hub.house, other_clinic, name="Nora Elsewhere")
    async with browser_of(hub, clinic.desk) as client:
        for asked, count in {"nora": 1, "NORA@example.org": 1, "0501234567": 1, "n": 0, "elsewhere": 0}.items():
            found = read(await client.get(f"{PATH}/new", params={"who": asked}, headers={"X-Fragment": "found"}))
            assert len(found.with_attribute("data-known")) == count, asked
        assert found.all("html") == []
        page = read(await client.post(PATH, data=booking(clinic, phone="0509999999")), 422)
        assert "Somebody like this is known." in page.words
        assert "4567" in page.words, "what tells two of the same name apart"
        assert values(page)["phone"] == "0509999999", "nothing is lost"
        answer = await client.post(PATH, data=booking(clinic, patient=str(known.id), phone="0509999999"))
        assert answer.status_code == 303
        found = read(await client.get(f"{PATH}/new", params={"who": "0501234567"}, headers={"X-Fragment": "found"}))
        assert len(found.with_attribute("data-known")) == 1, "their number is still theirs"
        assert len(await patients_of(hub, clinic)) == 1
        assert (await client.post(PATH, data=booking(clinic, patient="new"))).status_code == 303
    assert len(await patients_of(hub, clinic)) == 2


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("who", "", "Give a name of 1 to 200 characters."),
        ("patient", "00000000-0000-4000-8000-000000000000", "There is no such patient."),
        ("patient", "me", "Choose one of these."),
        ("day", "", "Choose a day."),
        ("day", "2026-11-20", "This day is past."),
        ("day", "9999-12-31", "Choose a day within the next ten years."),
        ("time", "25:00", "Give a time, like 09:30."),
        ("time", "10:30+03:00", "Give a time, like 09:30."),
        ("minutes", "0", "Give whole minutes, from 1 to 1440."),
        ("minutes", "0000015000000000", "Give whole minutes, from 1 to 1440."),
        ("minutes", "a while", "Give whole minutes, from 1 to 1440."),
        ("clinician", "", "Choose a clinician."),
        ("clinician", "00000000-0000-4000-8000-000000000000", "Choose a clinician."),
        ("phone", "12", "This is no telephone number."),
        ("email", "nora", "This is no email address."),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    hub: RunningHub, clinic: Clinic, clock: MovableClock, field: str, value: str, error: str
) -> None:
    clock.stop(NOON)
    given = booking(clinic, **{field: value})
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.post(PATH, data=given), 422)
        part = read(await client.post(PATH, data=given, headers=BOARD), 422)
    beside = "who" if field == "patient" else field
    assert error in page.words
    assert f"{beside}-error" in {tag.attributes["id"] for tag in page.with_attribute("id")}
    assert {name: values(page)[name] for name in ("who", "day", "time", "minutes")} == {
        name: given[name] for name in ("who", "day", "time", "minutes")
    }
    assert breaches(page) == []
    assert part.all("html") == []
    assert len(part.with_attribute("data-visit-form")) == 1
    assert await patients_of(hub, clinic) == []


async def test_a_time_that_the_clock_skips_is_refused(hub: RunningHub, clock: MovableClock) -> None:
    clock.stop(datetime(2026, 3, 1, 12, tzinfo=UTC))
    clinic = await open_clinic(hub.house, zone="America/Chicago")
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.post(PATH, data=booking(clinic, day="2026-03-08", time="02:30")), 422)
        assert "the clocks change" in page.words
        assert (await client.post(PATH, data=booking(clinic, day="2026-03-08", time="03:00"))).status_code == 303


async def test_a_visit_moves_with_its_reason_and_the_desk_goes_along(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(f"{PATH}/{visit.id}/move"))
        assert (values(page)["day"], values(page)["time"]) == ("2026-11-21", "12:00")
        form = moving(visit, clinician=str(clinic.huda.id), occurrence="1", why="delay")
        part = read(await client.post(f"{PATH}/{visit.id}/move", data=form, headers=BOARD))
        (board,) = part.with_attribute("data-board")
        assert (board.attributes["data-day"], rows(part)) == ("2026-11-22", [(str(visit.id), "rescheduled")])
        assert await last_words(hub, clinic, visit) == "The clinic is running late"
        again = await client.post(f"{PATH}/{visit.id}/move", data=form | {"time": "11:30"})
        assert "Somebody was quicker" in read(again, 409).words, "the form is of the time before"
        read(await client.post(f"{PATH}/{visit.id}/move", data=moving(visit, day="2026-11-01")), 422)


async def test_cancelling_takes_a_reason_which_the_patient_reads_in_their_language(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    one, two = [await book_visit(hub.house, clinic, at=NOON) for _ in range(2)]
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        (await work.session.get_one(Patient, one.patient_id)).language = "ar"
    async with browser_of(hub, clinic.desk) as client:
        for form in ({}, {"why": "own"}, {"why": "own", "reason": "\x00"}, {"why": "own", "reason": "x" * 501}):
            page = read(await client.post(f"{PATH}/{one.id}/cancel", data=form), 422)
            assert page.with_attribute("data-visit-form")
        await client.post(f"{PATH}/{one.id}/cancel", data={"why": "closed"})
        await client.post(f"{PATH}/{two.id}/cancel", data={"why": "own", "reason": "The roof leaks"})
        assert {state for _, state in rows(read(await client.get(PATH)))} == {"cancelled"}
        read(await client.get(f"{PATH}/{two.id}/cancel"), 409)
        read(await client.post(f"{PATH}/{two.id}/cancel", data={"why": "closed"}), 409)
    assert (await last_words(hub, clinic, one) or "")[:1] > "z", "not in Latin letters"
    assert await last_words(hub, clinic, two) == "The roof leaks"


async def test_completing_takes_next_steps_or_none(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk, **BOARD) as client:
        read(await client.get(f"{PATH}/{visit.id}/complete"), 409)
        await client.post(f"{PATH}/{visit.id}/arrive")
        form = read(await client.get(f"{PATH}/{visit.id}/complete"))
        assert len(form.all("textarea")) == 1
        read(await client.post(f"{PATH}/{visit.id}/complete", data={"next_steps": "x" * 2001}), 422)
        steps = "Drink water.\r\nCome back in June."
        assert rows(read(await client.post(f"{PATH}/{visit.id}/complete", data={"next_steps": steps})))[0][1] == (
            "completed"
        )
    assert await last_words(hub, clinic, visit) == "Drink water.\nCome back in June."


async def test_the_forms_are_whole_pages_in_arabic_and_nobodys_but_the_desks(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    visit, theirs = await book_visit(hub.house, clinic, at=NOON), await book_visit(hub.house, other_clinic, at=NOON)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.desk.id, language="ar")
    paths = [f"{PATH}/new", f"{PATH}/{visit.id}/move", f"{PATH}/{visit.id}/cancel"]
    async with browser_of(hub, clinic.desk) as client, browser_of(hub, clinic.omar) as clinician:
        for path in paths:
            page = read(await client.get(path))
            assert page.all("html")[0].attributes["dir"] == "rtl"
            assert breaches(page) == []
            read(await clinician.get(path), 403)
        await gone(client, f"{PATH}/{theirs.id}/move", moving(theirs))
        await gone(client, f"{PATH}/{theirs.id}/cancel", {"why": "closed"})


async def gone(client: httpx.AsyncClient, path: str, form: dict[str, str]) -> None:
    read(await client.get(path), 404)
    read(await client.post(path, data=form), 404)


async def test_the_form_offers_the_next_five_minutes_of_today(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON + timedelta(minutes=1, seconds=30))
    async with browser_of(hub, clinic.desk) as client:
        assert values(read(await client.get(f"{PATH}/new")))["time"] == "12:05"
        assert values(read(await client.get(f"{PATH}/new?day=2026-11-20")))["day"] == "2026-11-21"
        assert values(read(await client.get(f"{PATH}/new?day=2026-11-25")))["time"] == ""
