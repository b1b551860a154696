"""Taking back what was told of a change: as much of it as has not reached anybody; the rest is put right."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import select

from hub.appointments.switches import switch
from hub.appointments.tellings import Event, Recipient, Way
from hub.messages.by_hand import cancel
from hub.messages.tables import Message
from hub.work import SYSTEM
from tests.appointments.telling import NOON, Telling, Visits, happen, plain
from tests.conftest import MovableClock


async def test_before_it_has_left_nobody_ever_hears_of_it(visits: Visits, clock: MovableClock) -> None:
    telling = await visits()
    await telling.desk("cancel", hold=timedelta(minutes=2))
    await telling.deliver()
    await telling.undo()
    clock.move(timedelta(minutes=3))
    await telling.deliver()
    assert {(message.state, message.reason) for message in await telling.messages()} == {("cancelled", "withdrawn")}
    ((ring, _),) = await telling.rings()
    assert ring.archived_at == NOON
    assert await telling.held() == []


async def test_what_has_left_cannot_come_back_and_that_is_said(visits: Visits) -> None:
    telling = await visits()
    await happen(telling, Event.CANCELLED)
    await telling.undo()
    assert await telling.held() == [("patient", "email", "already_left"), ("patient", "text", "already_left")]
    heard = {key: plain(said) for key, said in (await telling.heard()).items()}
    # The mail has left, though nobody looked at the bell.
    said = "Not cancelled after all · Appointment on Mon 2 Mar 2026 at 10:00 · booked"
    assert heard == {("clinician", "in_app"): f"Taken back: Sara Doe\n{said}"}


async def test_who_has_not_read_it_hears_nothing_of_it(visits: Visits) -> None:
    telling = await visits()
    await telling.desk("arrive")
    await telling.undo()
    assert await telling.heard() == {}
    ((ring, _),) = await telling.rings()
    assert ring.archived_at is not None


async def test_who_has_read_it_is_told_how_it_stands(visits: Visits) -> None:
    telling = await visits()
    await telling.desk("confirm")
    await telling.desk("arrive")
    await telling.read("clinician")
    await telling.undo()
    said = "Not here after all · Appointment on Mon 2 Mar 2026 at 10:00 · confirmed"
    heard = {key: plain(said) for key, said in (await telling.heard()).items()}
    assert heard == {("clinician", "in_app"): f"Taken back: Sara Doe\n{said}"}


async def test_a_clinic_may_switch_that_off(own: Telling) -> None:
    async with own.house.open_work(own.clinic.id, SYSTEM) as work:
        await switch(work, Event.UNDONE, Recipient.CLINICIAN, Way.IN_APP, enabled=False)
    await own.desk("arrive")
    await own.read("clinician")
    await own.undo()
    assert (await own.heard(), await own.held()) == ({}, [])


async def test_a_change_and_a_click_on_one_of_its_messages_do_not_wait_for_each_other(visits: Visits) -> None:
    telling = await visits()
    await telling.desk("confirm", hold=timedelta(minutes=2))
    (message, *_) = await telling.messages()
    async with telling.house.open_work(telling.clinic.id, SYSTEM) as work:
        await work.session.execute(select(Message).where(Message.id == message.id).with_for_update())
        cancelling = asyncio.create_task(telling.desk("cancel"))
        await asyncio.sleep(0.1)
        assert not cancelling.done()
        await cancel(work, message.id)
    assert (await cancelling).state == "cancelled"
    assert {(each.state, each.reason) for each in await telling.messages() if each.id == message.id} == {
        ("cancelled", "by_hand")
    }


async def test_two_clicks_at_once_take_back_once(visits: Visits) -> None:
    telling = await visits()
    await telling.desk("arrive")
    await telling.read("clinician")
    answers = await asyncio.gather(telling.undo(), telling.undo(), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Appointment", "Conflict"]
    assert [ring.kind for ring, _ in await telling.rings()] == ["patient_arrived", "appointment_undone"]
