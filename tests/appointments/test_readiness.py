"""Clearance and consent before a visit: noted, shown on every board, told to nobody."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select

from hub.appointments.board import read_version
from hub.appointments.changes import read_changes
from hub.appointments.lifecycle import arrive, cancel, complete, confirm
from hub.appointments.readiness import note_readiness
from hub.appointments.states import Clearance, Consent
from hub.appointments.tables import Appointment
from hub.appointments.undo import undo
from hub.audit import AuditEntry
from hub.errors import Conflict, NotFound
from hub.inbox.tables import Notification
from hub.realtime.pushes import TopicChanged
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock
from tests.factories import Clinic, book_visit


async def audited(house: House, clinic: Clinic) -> list[AuditEntry]:
    async with house.database.of_tenant(clinic.id) as session:
        query = select(AuditEntry).where(AuditEntry.action == "appointment.readiness").order_by(AuditEntry.number)
        return list((await session.execute(query)).scalars())


async def test_what_is_noted_is_on_the_board_and_in_the_audit_log_and_rings_nowhere(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    visit = await book_visit(house, clinic)
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        noted = await note_readiness(work, visit.id, Clearance.ISSUE)
        assert (noted.clearance, noted.consent, noted.updated_at) == ("issue", "missing", work.now)
        assert [type(push) for push in work.pushes] == [TopicChanged]
    async with house.open_work(clinic.id, SYSTEM) as work:
        noted = await note_readiness(work, visit.id, consent=Consent.SIGNED)
        assert (noted.clearance, noted.consent) == ("issue", "signed")
    first, second = await audited(house, clinic)
    assert (first.actor_id, first.object_id) == (clinic.desk.id, visit.id)
    for entry, name, words in ((first, "clearance", ("pending", "issue")), (second, "consent", ("missing", "signed"))):
        assert entry.before is not None
        assert entry.after is not None
        assert {key for key in entry.after if entry.after[key] != entry.before[key]} == {name}
        assert (entry.before[name], entry.after[name]) == words
    async with house.database.of_tenant(clinic.id) as session:
        assert await read_version(session) == 3
        assert [change.event for change in await read_changes(session, visit.id)] == ["booked"]
        assert (await session.execute(select(Notification))).first() is None


async def test_what_stands_so_already_is_not_written_down_again(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    for clearance, consent in ((None, None), (Clearance.PENDING, Consent.MISSING)):
        async with house.open_work(clinic.id, SYSTEM) as work:
            assert (await note_readiness(work, visit.id, clearance, consent)).updated_at == visit.updated_at
    assert await audited(house, clinic) == []


async def test_a_patient_who_is_here_may_still_sign(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await arrive(work, visit.id)
        assert (await note_readiness(work, visit.id, consent=Consent.SIGNED)).state == "arrived"


async def test_what_was_noted_outlives_the_click_before_it(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    desk = Actor("staff", clinic.desk.id)
    async with house.open_work(clinic.id, desk) as work:
        await confirm(work, visit.id)
    async with house.open_work(clinic.id, desk) as work:
        await arrive(work, visit.id, Clearance.ISSUE)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await note_readiness(work, visit.id, consent=Consent.SIGNED)
    for state in ("confirmed", "booked"):
        async with house.open_work(clinic.id, desk) as work:
            undone = await undo(work, visit.id)
            assert (undone.state, undone.clearance, undone.consent) == (state, "pending", "signed")


@pytest.mark.parametrize("ending", ["cancelled", "completed"])
async def test_what_is_over_stays_as_it_was(house: House, clinic: Clinic, ending: str) -> None:
    visit = await book_visit(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        if ending == "cancelled":
            await cancel(work, visit.id)
        else:
            await arrive(work, visit.id)
            await complete(work, visit.id)
    with pytest.raises(Conflict, match=f"{visit.number} is {ending}"):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await note_readiness(work, visit.id, Clearance.CLEARED)
    async with house.database.of_tenant(clinic.id) as session:
        assert (await session.get_one(Appointment, visit.id)).clearance == "pending"
    assert await audited(house, clinic) == []


async def test_another_clinics_visit_is_not_there(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    theirs = await book_visit(house, other_clinic)
    for visit in (theirs.id, uuid.UUID(int=0)):
        with pytest.raises(NotFound):
            async with house.open_work(clinic.id, SYSTEM) as work:
                await note_readiness(work, visit, Clearance.CLEARED)
