"""What tests of appointments stand on."""

from __future__ import annotations

from typing import Any

import pytest

from hub.appointments.switches import switch
from hub.appointments.tellings import Event, Recipient, Way
from hub.people.tables import Patient
from hub.templates.defaults import install_defaults
from hub.wiring import House
from hub.work import SYSTEM
from tests.appointments.diary import Diary, open_diary
from tests.appointments.telling import NOON, Everything, Telling, Visits, book
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient, open_clinic


@pytest.fixture
async def diary(house: House, clinic: Clinic, clock: MovableClock) -> Diary:
    """A clinic's diary, in the morning."""
    return await open_diary(house, clinic, clock)


@pytest.fixture(scope="session")
async def everything(house: House) -> Everything:
    """The clinic that tells every row."""
    clinic = await open_clinic(house, "tells")
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
        for over in (Way.TEXT, Way.EMAIL):
            await switch(work, Event.BOOKED, Recipient.PATIENT, over, enabled=True)
    return Everything(house, clinic)


@pytest.fixture
def visits(house: House, everything: Everything, clock: MovableClock) -> Visits:
    """Opens a visit in the clinic that tells everything, of a patient of its own."""

    async def opened(patient: Patient | None = None, **named: Any) -> Telling:
        clock.stop(NOON)
        someone = patient or await add_patient(house, everything.clinic)
        clinician = named.pop("clinician", everything.clinic.omar)
        return await book(house, everything.clinic, clock, someone, clinician, **named)

    return opened


@pytest.fixture
async def own(house: House, clinic: Clinic, clock: MovableClock) -> Telling:
    """A visit in a clinic that may be switched about."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    return await book(house, clinic, clock, await add_patient(house, clinic), clinic.omar)
