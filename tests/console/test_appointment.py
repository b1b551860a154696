"""One visit's own page: its story for the desk and for its clinician, and what may be done from there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from hub.appointments import lifecycle
from hub.appointments.due import tell_due
from hub.appointments.lifecycle import Booking, NewTime
from hub.appointments.switches import switch
from hub.appointments.tables import Appointment
from hub.appointments.tellings import Event, Recipient, Way
from hub.people.patients import Arriving
from hub.people.tables import Patient
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock, RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, add_patient, open_clinic
from tests.visitors import browser_of

NOON = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1, hours=2)


@pytest.fixture(scope="module")
async def known(hub: RunningHub) -> tuple[Clinic, Patient]:
    """A clinic with the usual words, and a patient with a number and an address."""
    clinic = await open_clinic(hub.house)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    return clinic, await add_patient(hub.house, clinic)


@pytest.fixture
async def visit(hub: RunningHub, known: tuple[Clinic, Patient], clock: MovableClock) -> Appointment:
    """A visit for tomorrow with Omar, of which he was told."""
    clock.stop(NOON)
    clinic, patient = known
    async with hub.house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        return await lifecycle.book(work, Booking(Arriving(id=patient.id), clinic.omar.id, TOMORROW))


def path_of(visit: Appointment) -> str:
    return f"/console/appointments/{visit.id}"


def words(page: Html) -> str:
    """What the page says, in one line."""
    return re.sub(r"\s+", " ", page.words)


def actions(page: Html) -> set[str]:
    """What may be done from here, as the last part of an address."""
    posted = {tag.attributes["action"] for tag in page.all("form") if "/arrivals/" in tag.attributes.get("action", "")}
    linked = {link.partition("?")[0] for link in page.links if "/console/arrivals/" in link}
    return {each.rpartition("/")[2] for each in posted | linked}


async def test_both_reminders_are_ahead_with_their_times(
    hub: RunningHub, known: tuple[Clinic, Patient], visit: Appointment
) -> None:
    clinic, patient = known
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(path_of(visit)))
    assert breaches(page) == []
    said = words(page)
    assert "Reminder the day before, at the same hour Planned 14:00 Saturday 21 November" in said
    assert "Reminder 2 hours before Planned 12:00 Sunday 22 November" in said
    assert actions(page) == {"arrive", "confirm", "move", "cancel"}
    assert f"/console/patients/{patient.id}" in page.links
    assert "/console/appointment-rules" in page.links
    link = next(tag for tag in page.with_attribute("id") if tag.attributes["id"] == "visit-link")
    assert link.name == "code"
    async with browser_of(hub, None) as patients_phone:
        token = re.search(r"/v/[\w~.-]+", page.words)
        assert token is not None
        assert (await patients_phone.get(token[0])).status_code == 200


async def test_a_story_says_what_was_told_over_what_and_what_was_held_back(
    hub: RunningHub, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    admin = Actor("staff", clinic.admin.id)
    async with hub.house.open_work(clinic.id, admin) as work:
        await switch(work, Event.RESCHEDULED, Recipient.CLINICIAN, Way.EMAIL, enabled=False)
    clock.stop(NOON.replace(hour=20))
    async with hub.house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await lifecycle.move(work, visit.id, NewTime(TOMORROW + timedelta(days=2)), reason="Dr. Omar is away")
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(path_of(visit)))
        said = words(page)
        assert "Moved" in said
        assert "14:00 Sunday 22 November to 14:00 Tuesday 24 November" in said
        assert "Time it was before: 14:00 Sunday 22 November" in said
        assert "Dr. Omar is away" in said
        assert "Layla Haddad" in said
        assert "SMS Sara Doe Waiting" in said
        assert said.count("Dropped The visit has another time") == 2
        messages = [link for link in page.links if link.startswith("/console/messages/")]
        assert len(messages) == 3, "two to the patient, and the clinician's of the booking"
        for link in messages:
            read(await client.get(link))
        assert "undo" in actions(page)
    async with hub.house.open_work(clinic.id, admin) as work:
        await switch(work, Event.RESCHEDULED, Recipient.CLINICIAN, Way.EMAIL, enabled=True)


async def test_what_is_undone_is_said_to_be_and_the_button_leads_back_here(
    hub: RunningHub, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    here = path_of(visit)
    async with browser_of(hub, clinic.desk) as client:
        answer = await client.post(f"/console/arrivals/{visit.id}/confirm", data={"next": here})
        assert (answer.status_code, answer.headers["location"]) == (303, here)
        clock.move(timedelta(seconds=5))
        page = read(await client.get(here))
        (change,) = (tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == "change")
        answer = await client.post(f"/console/arrivals/{visit.id}/undo", data={"next": here, "change": change})
        assert (answer.status_code, answer.headers["location"]) == (303, here)
        page = read(await client.get(here))
    assert "undo" not in actions(page)
    assert "Undone: Confirmed" in words(page)
    assert [tag.attributes["data-event"] for tag in page.with_attribute("data-event")] == [
        "booked",
        "confirmed",
        "undone",
    ]


async def test_a_clinician_sees_what_became_of_their_visit_and_no_more(
    hub: RunningHub, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, patient = known
    async with hub.house.open_work(clinic.id, Actor("patient", patient.id)) as work:
        await lifecycle.ask_for_another_time(work, visit.id, "After four, please")
    clock.stop(TOMORROW - timedelta(days=1))
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await tell_due(work)
    async with browser_of(hub, clinic.omar) as client:
        page = read(await client.get(path_of(visit)))
        said = words(page)
        for each in ("Another time asked for", "The patient", "After four, please", "SMS Sara Doe Waiting"):
            assert each in said
        assert actions(page) == set()
        assert not [link for link in page.links if link.startswith(("/console/messages", "/console/patients"))]
        assert "/v/" not in page.words
        assert "/console/appointment-rules" not in page.links
    async with browser_of(hub, clinic.huda) as client:
        read(await client.get(path_of(visit)), 404)


@pytest.mark.parametrize("role", ["desk", "omar"])
async def test_another_clinics_visit_is_not_there(
    hub: RunningHub, other_clinic: Clinic, visit: Appointment, role: str
) -> None:
    async with browser_of(hub, getattr(other_clinic, role)) as client:
        read(await client.get(path_of(visit)), 404)


async def test_each_state_offers_what_may_come_next(
    hub: RunningHub, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    here = path_of(visit)
    clock.stop(TOMORROW + timedelta(minutes=5))
    async with browser_of(hub, clinic.desk) as client:
        assert "no-show" in actions(read(await client.get(here)))
        for verb, left in (
            ("arrive", {"start", "complete", "cancel", "undo"}),
            ("start", {"complete", "undo"}),
            ("complete", {"undo"}),
        ):
            clock.move(timedelta(minutes=1))
            answer = await client.post(
                f"/console/arrivals/{visit.id}/{verb}", data={"next": here, "next_steps": "Rest."}
            )
            assert answer.status_code == 303, answer.text
            assert actions(read(await client.get(here))) == left
        page = read(await client.get(here))
    assert "Rest." in page.words
    assert "data-goes-on" in {name for tag in page.tags for name in tag.attributes}, "its thanks have not left yet"
