"""Who is told what: the whole table, cell by cell, and everything that keeps a cell from being told."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from hub.appointments.changes import News
from hub.appointments.lifecycle import NewTime
from hub.appointments.switches import switch
from hub.appointments.tell import tell
from hub.appointments.tellings import TELLINGS, Event, Recipient, Way
from hub.channels.vendor import Channel
from hub.inbox.tables import Notification
from hub.messages.tables import Message
from hub.people.patients import Change, change_patient
from hub.people.staff import change_staff
from hub.people.tenants import LANGUAGES
from hub.templates.catalogue import VARIABLES
from hub.templates.history import Filters, read_templates
from hub.templates.versions import Words, publish, save_draft, set_active
from hub.wiring import House
from hub.work import SYSTEM
from tests.appointments.telling import (
    BY_THE_PATIENT,
    NOON,
    NOTE,
    REASON,
    TOMORROW,
    TUESDAY,
    Everything,
    Telling,
    Visits,
    happen,
    plain,
)
from tests.conftest import MovableClock
from tests.factories import Clinic, add_clinicians, add_patient

HAPPENINGS = (*(event.value for event in Event), BY_THE_PATIENT)


@cache
def cells() -> dict[tuple[str, str, str, str], str]:
    """What is told of an event, to whom, over what, in which language, word for word."""
    told = (Path(__file__).parent / "told.txt").read_text(encoding="utf-8")
    _, *parts = re.split(r"^== (.*) / (.*) / (.*) / (.*)$", told, flags=re.MULTILINE)
    places = zip(parts[::5], parts[1::5], parts[2::5], parts[3::5], strict=True)
    return dict(zip(places, (words.strip() for words in parts[4::5]), strict=True))


def test_every_row_of_the_table_has_its_cells_and_no_cell_is_without_row() -> None:
    of_the_patient = {(BY_THE_PATIENT, *key[1:]) for key in (row.key for row in TELLINGS) if key[0] == Event.CANCELLED}
    rows = {row.key for row in TELLINGS if not row.of_the_patient} | of_the_patient
    assert set(cells()) == {(*row, language) for row in rows for language in LANGUAGES}


@pytest.mark.parametrize(
    "cell", cells(), ids=lambda cell: f"{cell[0]} is told to the {cell[1]} by {cell[2]} in {cell[3]}"
)
async def test_a_cell(everything: Everything, clock: MovableClock, cell: tuple[str, str, str, str]) -> None:
    event, to, over, language = cell
    assert plain((await everything.heard(clock, event, language))[to, over]) == cells()[cell]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("event", HAPPENINGS)
async def test_nobody_else_hears_of_it(everything: Everything, clock: MovableClock, event: str, language: str) -> None:
    heard = await everything.heard(clock, event, language)
    assert set(heard) == {cell[1:3] for cell in cells() if (cell[0], cell[3]) == (event, language)}


async def test_nobody_hears_what_the_patient_wrote(everything: Everything, clock: MovableClock) -> None:
    for event in (BY_THE_PATIENT, Event.WISH):
        assert not [said for said in (await everything.heard(clock, event, "en")).values() if NOTE in said]


async def test_another_clinic_hears_nothing(house: House, other_clinic: Clinic, visits: Visits) -> None:
    await (await visits()).desk("confirm")
    async with house.database.of_tenant(other_clinic.id) as session:
        for table in (Notification, Message):
            assert (await session.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_what_is_switched_off_is_not_told_and_needs_no_reason(own: Telling) -> None:
    async with own.house.open_work(own.clinic.id, SYSTEM) as work:
        await switch(work, Event.CONFIRMED, Recipient.PATIENT, Way.TEXT, enabled=False)
        await switch(work, Event.CONFIRMED, Recipient.CLINICIAN, Way.IN_APP, enabled=False)
    await happen(own, Event.CONFIRMED)
    assert (set(await own.heard()), await own.held()) == ({("patient", "email")}, [])


async def test_another_template_says_it_in_its_words(own: Telling) -> None:
    async with own.house.open_work(own.clinic.id, SYSTEM) as work:
        await switch(work, Event.CONFIRMED, Recipient.PATIENT, Way.TEXT, enabled=True, code="appointment_reminder_day")
    await happen(own, Event.CONFIRMED)
    said = (await own.heard())["patient", "text"]
    assert said.startswith("appointment_reminder_day by sms\nNoor Clinic: a reminder of your appointment")


@pytest.mark.parametrize(
    ("gone", "why"),
    [([Channel.SMS, Channel.WHATSAPP], "no_wording"), ([*Channel], "no_template")],
    ids=["over sms and whatsapp", "altogether"],
)
async def test_a_template_that_is_gone_is_a_reason_and_no_error(own: Telling, gone: list[Channel], why: str) -> None:
    async with own.house.open_work(own.clinic.id, SYSTEM) as work:
        for channel in gone:
            (found,) = await read_templates(
                work.session, Filters(search="appointment_confirmed", channel=channel), None, 2
            )
            await set_active(work, found.template.id, False)
    await happen(own, Event.CONFIRMED)
    ways = ["email", "text"] if len(gone) == len(Channel) else ["text"]
    assert await own.held() == [("patient", way, why) for way in ways]
    assert ("clinician", "in_app") in await own.heard()


async def test_words_that_want_more_than_there_is_are_a_reason_and_no_error(own: Telling) -> None:
    wants = Words(dict.fromkeys(LANGUAGES, "{ $amount }"), (VARIABLES["amount"],))
    async with own.house.open_work(own.clinic.id, SYSTEM) as work:
        (found,) = await read_templates(
            work.session, Filters(search="appointment_confirmed", channel=Channel.SMS), None, 2
        )
        await save_draft(work, found.template.id, wants)
        await publish(work, found.template.id)
    await happen(own, Event.CONFIRMED)
    assert await own.held() == [("patient", "text", "does_not_fit")]
    assert set(await own.heard()) == {("patient", "email"), ("clinician", "in_app")}


async def test_a_patient_without_number_or_address_is_skipped_where_it_shows(
    house: House, everything: Everything, visits: Visits
) -> None:
    telling = await visits(await add_patient(house, everything.clinic, phone=None, email=None))
    await happen(telling, Event.CONFIRMED)
    heard = await telling.heard()
    assert heard["patient", "text"] == "appointment_confirmed: skipped no_contact"
    assert heard["patient", "email"] == "appointment_confirmed: skipped no_contact"


@pytest.mark.parametrize(
    ("order", "channels", "held"),
    [
        (["whatsapp", "email", "sms"], [["email"], ["whatsapp", "sms"]], []),
        (["email"], [["email"]], [("patient", "text", "no_text_channel")]),
        (["sms"], [["sms"]], [("patient", "email", "no_email_channel")]),
    ],
    ids=["in the patient's own order", "by email alone", "by sms alone"],
)
async def test_a_patient_is_told_over_what_they_chose(
    house: House, everything: Everything, visits: Visits, order: list[str], channels: list[list[str]], held: list[Any]
) -> None:
    patient = await add_patient(house, everything.clinic)
    async with house.open_work(everything.clinic.id, SYSTEM) as work:
        await change_patient(work, patient.id, Change(channels=order))
    telling = await visits(patient)
    await telling.desk("confirm")
    assert [message.channels for message in await telling.messages()] == channels
    assert await telling.held() == held


async def test_of_a_clinician_who_left_the_administrators_hear(
    house: House, everything: Everything, visits: Visits
) -> None:
    (leaving,) = await add_clinicians(house, everything.clinic, 1)
    telling = await visits(clinician=leaving)
    async with house.open_work(everything.clinic.id, SYSTEM) as work:
        await change_staff(work, leaving.id, active=False)
    await telling.desk("cancel")
    await telling.deliver()
    heard = await telling.heard()
    assert set(heard) == {("admin", "in_app"), ("patient", "text"), ("patient", "email")}
    assert plain(heard["admin", "in_app"]).endswith("Appointment on Mon 2 Mar 2026 at 10:00 · with Dr. Number 0")
    assert await telling.held() == [("clinician", "email", "nobody")]


async def test_where_nobody_is_at_the_desk_that_is_said(own: Telling) -> None:
    async with own.house.open_work(own.clinic.id, SYSTEM) as work:
        await change_staff(work, own.clinic.desk.id, active=False)
    await happen(own, Event.WISH)
    assert set(await own.heard()) == {("clinician", "in_app")}
    assert await own.held() == [("front_desk", "in_app", "nobody")]


async def test_a_visit_that_goes_to_another_clinician_is_news_to_both(everything: Everything, visits: Visits) -> None:
    telling = await visits()
    await telling.desk("move", NewTime(TUESDAY, clinician_id=everything.clinic.huda.id))
    await telling.deliver()
    heard = {key: plain(said) for key, said in (await telling.heard()).items()}
    moved = "Mon 2 Mar 2026 at 10:00 → Tue 3 Mar 2026 at 14:30 · with د. هدى المنصور"
    assert heard["clinician", "in_app"] == f"New time: Sara Doe\n{moved}"
    assert heard["other clinician", "in_app"].startswith("تغيير موعد Sara Doe\nمن الاثنين")
    (mail,) = [message for message in await telling.messages() if message.staff_id]
    assert (mail.staff_id, mail.language) == (everything.clinic.huda.id, "ar")


async def test_a_visit_that_stays_at_its_time_is_no_news_to_the_patient(everything: Everything, visits: Visits) -> None:
    telling = await visits()
    await telling.desk("move", NewTime(TOMORROW, clinician_id=everything.clinic.huda.id))
    await telling.deliver()
    assert await telling.held() == [("patient", "email", "same_time"), ("patient", "text", "same_time")]
    heard = {key: plain(said) for key, said in (await telling.heard()).items()}
    assert heard["clinician", "in_app"].endswith("Appointment on Mon 2 Mar 2026 at 10:00 · with د. هدى المنصور")
    assert "الوقت السابق" not in heard["clinician", "email"]


@pytest.mark.parametrize("event", [Event.BOOKED, Event.CONFIRMED, Event.RESCHEDULED])
async def test_what_is_past_is_not_announced(visits: Visits, event: Event) -> None:
    past = NOON - timedelta(minutes=1)
    telling = await visits(at=past if event is not Event.RESCHEDULED else TOMORROW, tell=True)
    if event is Event.CONFIRMED:
        await telling.desk("confirm")
    if event is Event.RESCHEDULED:
        await telling.desk("move", NewTime(past))
    assert await telling.heard() == {}
    assert {why for _, _, why in await telling.held()} == {"already_past"}
    assert len(await telling.held()) == sum(row.event is event for row in TELLINGS)


@pytest.mark.parametrize(
    ("hours", "verb", "lane"),
    [(7, "cancel", "critical"), (13, "cancel", "normal"), (11, "confirm", "normal")],
    ids=["a cancellation of this morning", "a cancellation of this afternoon", "a confirmation"],
)
async def test_at_night_only_who_would_travel_for_nothing_is_woken(
    visits: Visits, clock: MovableClock, hours: int, verb: str, lane: str
) -> None:
    midnight = NOON + timedelta(hours=12)
    telling = await visits(at=midnight + timedelta(hours=hours))
    clock.stop(midnight)
    await telling.desk(verb)
    await telling.deliver()
    (text,) = [message for message in await telling.messages() if message.channels[0] == "sms"]
    assert text.lane == lane
    assert (text.state, text.reason) == (("sent", None) if lane == "critical" else ("queued", "quiet_hours"))


async def test_what_is_worth_nothing_later_expires(visits: Visits) -> None:
    telling = await visits()
    await telling.desk("confirm")
    await telling.desk("move", NewTime(TUESDAY))
    await telling.desk("cancel")
    expiries = {message.code: message.expires_at for message in await telling.messages()}
    day_later = NOON + timedelta(days=1)
    assert expiries == {
        "appointment_confirmed": TOMORROW,
        "appointment_rescheduled": TUESDAY,
        "staff_appointment_rescheduled": TUESDAY,
        "appointment_cancelled": day_later,
        "staff_appointment_cancelled": day_later,
    }


async def test_telling_a_change_again_sends_nothing_again(everything: Everything, visits: Visits) -> None:
    telling = await visits()
    await telling.desk("cancel", reason=REASON)
    before = [message.id for message in await telling.messages()]
    news = News((await telling.changes())[-1].id, Event.CANCELLED, REASON)
    async with everything.house.open_work(everything.clinic.id, SYSTEM) as work:
        await tell(work, telling.visit, news)
    assert [message.id for message in await telling.messages()] == before
