"""Writing a message: what it needs to be queued, over which channels and in which language, and what a person may do
with it afterwards."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub.audit import AuditEntry
from hub.channels.vendor import Channel, File
from hub.crypto import CannotOpen
from hub.errors import Conflict, Invalid, NotFound
from hub.messages.by_hand import cancel, retry, update_status
from hub.messages.compose import (
    LONGEST_FILE_NAME,
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    MOST_FILE_BYTES,
    MOST_FILES,
    Sending,
    send_from_template,
    send_message,
    send_test,
)
from hub.messages.content import open_content, open_file
from hub.messages.states import ALLOWED, CANCELLABLE, RETRYABLE, State
from hub.messages.tables import Message, MessageAttachment
from hub.people.choices import Topic
from hub.people.tables import Patient
from hub.templates.render import Variable
from hub.templates.versions import Words, add_template, publish, save_draft, set_active
from hub.wiring import House
from hub.work import SYSTEM, Actor, Job
from tests.factories import Clinic, add_patient
from tests.messages.rows import make_message

CODE = "visit"
PATIENT = Variable("patient", "text", "personal", "Sara")
DAY = Variable("due_on", "date", "personal", "2026-11-22")
CLINIC = Variable("clinic", "text", "public", "Noor Clinic")
DOCTOR = Variable("doctor", "text", "personal", "Dr. Omar")
FILE = File("results.pdf", "application/pdf", b"%PDF-1.7")
OWN = Sending(uuid.UUID(int=0), topic=Topic.REMINDERS, text="Please come at nine.")


async def write(house: House, clinic: Clinic, channel: Channel, *named: Variable) -> uuid.UUID:
    """A published wording that names these variables."""
    said = " ".join(f"{{ ${each.name} }}" for each in named)
    words = Words(
        bodies={"en": f"Hello {said}", "ar": f"مرحبًا {said}"},
        subjects={"en": "Your visit", "ar": "زيارتك"} if channel is Channel.EMAIL else {},
        variables=named,
    )
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        version = await add_template(work, CODE, channel, "confirmations", words)
        await publish(work, version.template_id)
        return version.template_id


@pytest.fixture
async def patient(house: House, clinic: Clinic) -> Patient:
    """Sara, who reads English."""
    return await add_patient(house, clinic)


async def send(house: House, clinic: Clinic, sending: Sending) -> Message:
    verb = send_from_template if sending.code else send_message
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        return await verb(work, sending)


async def do(house: House, clinic: Clinic, verb: Any, *values: Any) -> Any:
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        return await verb(work, *values)


async def audited(house: House, clinic: Clinic, subject: uuid.UUID) -> list[tuple[str, Any, Any, uuid.UUID | None]]:
    async with house.database.of_tenant(clinic.id) as session:
        query = select(AuditEntry).where(AuditEntry.object_id == subject).order_by(AuditEntry.number)
        return [(row.action, row.before, row.after, row.actor_id) for row in (await session.execute(query)).scalars()]


async def test_a_template_is_queued_with_its_values_sealed(house: House, clinic: Clinic, patient: Patient) -> None:
    await write(house, clinic, Channel.SMS, PATIENT, DAY, CLINIC)
    message = await send(house, clinic, Sending(patient.id, CODE, {"due_on": "2026-11-23"}, department="Cardiology"))
    assert (message.state, message.topic, message.code) == (State.QUEUED, "confirmations", CODE)
    assert (message.channels, message.channel, message.language) == (["sms"], "sms", "en")
    assert (message.actor_kind, message.actor_id, message.department) == ("staff", clinic.desk.id, "Cardiology")
    assert open_content(house.keys, message.id, message.sealed) == {
        "values": {"patient": "Sara Doe", "due_on": "2026-11-23"}
    }
    with pytest.raises(CannotOpen):
        open_content(house.keys, uuid.uuid4(), message.sealed)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"variables.due_on", "variables.doctor"}),
        ({"due_on": "soon", "doctor": "Omar"}, {"variables.due_on"}),
        (
            {"due_on": "2026-11-23", "doctor": "Omar", "dcotor": "Omar", "room": "4"},
            {"variables.dcotor", "variables.room"},
        ),
        ({"due_on": "2026-11-23", "doctor": "Omar", "clinic": "Another"}, {"variables.clinic"}),
        (
            {"due_on": "2026-11-23", "doctor": "Omar", "preferences_link": "https://evil.example"},
            {"variables.preferences_link"},
        ),
    ],
)
async def test_values_are_checked_when_it_is_queued(
    house: House, clinic: Clinic, patient: Patient, values: dict[str, Any], fields: set[str]
) -> None:
    await write(house, clinic, Channel.SMS, PATIENT, DAY, DOCTOR, CLINIC)
    with pytest.raises(Invalid) as refused:
        await send(house, clinic, Sending(patient.id, CODE, values))
    assert {error.field for error in refused.value.errors} == fields
    async with house.database.of_tenant(clinic.id) as session:
        assert (await session.execute(select(Message))).first() is None


async def test_a_value_that_only_another_channels_wording_names_is_no_slip(
    house: House, clinic: Clinic, patient: Patient
) -> None:
    await write(house, clinic, Channel.SMS, DAY)
    await write(house, clinic, Channel.EMAIL, DAY, DOCTOR)
    values = {"due_on": "2026-11-23", "doctor": "Omar"}
    message = await send(house, clinic, Sending(patient.id, CODE, values, channels=(Channel.SMS,)))
    assert message.channels == ["sms"]
    with pytest.raises(Invalid, match="fit"):
        await send(
            house, clinic, Sending(patient.id, CODE, {"due_on": "2026-11-23"}, channels=(Channel.SMS, Channel.EMAIL))
        )


async def test_it_speaks_the_patients_language(house: House, clinic: Clinic) -> None:
    await write(house, clinic, Channel.SMS, PATIENT)
    huda = await add_patient(house, clinic, language="ar")
    assert (await send(house, clinic, Sending(huda.id, CODE))).language == "ar"


async def test_channels_go_by_the_patients_order_as_far_as_there_are_wordings(
    house: House, clinic: Clinic, patient: Patient
) -> None:
    for channel in (Channel.SMS, Channel.EMAIL):
        await write(house, clinic, channel, PATIENT)
    async with house.open_work(clinic.id, SYSTEM) as work:
        found = (await work.session.execute(select(Patient).where(Patient.id == patient.id))).scalar_one()
        found.channels = ["email", "whatsapp", "sms"]
    assert (await send(house, clinic, Sending(patient.id, CODE))).channels == ["email", "sms"]
    asked = Sending(patient.id, CODE, channels=(Channel.SMS, Channel.EMAIL, Channel.SMS))
    assert (await send(house, clinic, asked)).channels == ["sms", "email"]
    with pytest.raises(Invalid, match="no wording") as refused:
        await send(house, clinic, Sending(patient.id, CODE, channels=(Channel.WHATSAPP,)))
    assert refused.value.errors[0].accepted == ["email", "sms"]


async def test_only_what_is_published_and_switched_on_is_sent(house: House, clinic: Clinic, patient: Patient) -> None:
    with pytest.raises(Invalid, match="no active template"):
        await send(house, clinic, Sending(patient.id, CODE))
    template = await write(house, clinic, Channel.SMS, PATIENT)
    await do(house, clinic, set_active, template, False)
    with pytest.raises(Invalid, match="no active template"):
        await send(house, clinic, Sending(patient.id, CODE))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": "  \n"}, "text"),
        ({"text": "x" * (LONGEST_TEXT + 1)}, "text"),
        ({"topic": None}, "topic"),
        ({"subject": "two\nlines"}, "subject"),
        ({"subject": "a bell\x07"}, "subject"),
        ({"subject": "x" * (LONGEST_SUBJECT + 1)}, "subject"),
        ({"files": (FILE,) * (MOST_FILES + 1)}, "attachments"),
        ({"files": (replace(FILE, content=b"x" * (MOST_FILE_BYTES + 1)),)}, "attachments"),
        ({"files": (replace(FILE, content=b""),)}, "attachments"),
        ({"files": (replace(FILE, name=""),)}, "attachments"),
        ({"files": (replace(FILE, name="x" * (LONGEST_FILE_NAME + 1)),)}, "attachments"),
        ({"files": (FILE,), "channels": (Channel.SMS,)}, "attachments"),
    ],
)
async def test_words_of_ones_own_have_their_limits(
    house: House, clinic: Clinic, patient: Patient, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await send(house, clinic, replace(OWN, patient=patient.id, **changes))
    assert [error.field for error in refused.value.errors] == [field]


async def test_the_longest_text_is_taken(house: House, clinic: Clinic, patient: Patient) -> None:
    message = await send(house, clinic, replace(OWN, patient=patient.id, text="ض" * LONGEST_TEXT, subject=" Hello "))
    assert open_content(house.keys, message.id, message.sealed) == {"subject": "Hello", "text": "ض" * LONGEST_TEXT}


async def test_files_are_sealed_with_their_names(house: House, clinic: Clinic, patient: Patient) -> None:
    files = (FILE, replace(FILE, name="صورة.png", content=bytes(range(256))))
    message = await send(house, clinic, replace(OWN, patient=patient.id, files=files))
    async with house.database.of_tenant(clinic.id) as session:
        query = select(MessageAttachment).where(MessageAttachment.message_id == message.id)
        rows = list((await session.execute(query.order_by(MessageAttachment.place))).scalars())
    assert [open_file(house.keys, row.id, row.sealed, row.content_type) for row in rows] == list(files)
    assert not any(file.name.encode() in row.sealed for row in rows for file in files)
    with pytest.raises(CannotOpen):
        open_file(house.keys, rows[1].id, rows[0].sealed, "application/pdf")


async def test_nobody_is_written_to_who_is_not_a_patient_of_the_clinic(
    house: House, clinic: Clinic, other_clinic: Clinic, patient: Patient
) -> None:
    await write(house, clinic, Channel.SMS, PATIENT)
    for sending in (replace(OWN, patient=uuid.uuid4()), Sending(uuid.uuid4(), CODE)):
        with pytest.raises(NotFound):
            await send(house, clinic, sending)
    with pytest.raises(NotFound):
        await send(house, other_clinic, replace(OWN, patient=patient.id))


async def test_a_reference_is_one_message_of_one_clinic(
    house: House, clinic: Clinic, other_clinic: Clinic, patient: Patient
) -> None:
    sending = replace(OWN, patient=patient.id, reference="visit-7", files=(FILE,))
    first, again = await send(house, clinic, sending), await send(house, clinic, replace(sending, text="Later."))
    assert first.id == again.id
    async with house.database.of_tenant(clinic.id) as session:
        assert len((await session.execute(select(MessageAttachment.id))).all()) == 1
    theirs = await add_patient(house, other_clinic)
    assert (await send(house, other_clinic, replace(sending, patient=theirs.id))).id != first.id


async def test_a_reference_of_another_patients_message_is_refused_and_nobody_is_left_out_in_silence(
    house: House, clinic: Clinic, patient: Patient
) -> None:
    await write(house, clinic, Channel.SMS, PATIENT)
    await send(house, clinic, replace(OWN, patient=patient.id, reference="visit-7"))
    other = await add_patient(house, clinic)
    for sending in (replace(OWN, patient=other.id), Sending(patient.id, CODE)):
        with pytest.raises(Conflict):
            await send(house, clinic, replace(sending, reference="visit-7"))


async def test_workers_are_asked_at_once_only_for_what_is_due(house: House, clinic: Clinic, patient: Patient) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await send_message(work, replace(OWN, patient=patient.id, at=work.now + timedelta(hours=1)))
        assert not work.jobs
        late = await send_message(work, replace(OWN, patient=patient.id, lane="bulk", at=work.now - timedelta(days=1)))
        assert work.jobs == [Job("deliver", "bulk", (str(clinic.id),))]
        assert late.due_at == work.now


@pytest.mark.parametrize("state", State)
async def test_by_hand_one_tries_again_what_is_over_or_held_and_nothing_else(
    house: House, clinic: Clinic, patient: Patient, state: State
) -> None:
    leased: dict[str, Any] = {"lease_until": house.clock()} if state is State.SENDING else {}
    row: dict[str, Any] = {"channel": "email", "tries": 3, "attempt": 5, "reason": "because"} | leased
    message = await make_message(house, clinic, patient, state=state, **row)
    if state not in RETRYABLE:
        with pytest.raises(Conflict):
            await do(house, clinic, retry, message)
        return
    found = await do(house, clinic, retry, message)
    assert (found.state, found.channel, found.tries, found.attempt) == (State.QUEUED, "sms", 0, 5)
    before, after = {"state": state}, {"state": "queued"}
    assert await audited(house, clinic, message) == [("message.retried", before, after, clinic.admin.id)]


@pytest.mark.parametrize("state", State)
async def test_one_cancels_what_has_not_left_for_sure(
    house: House, clinic: Clinic, patient: Patient, state: State
) -> None:
    leased: dict[str, Any] = {"lease_until": house.clock()} if state is State.SENDING else {}
    message = await make_message(house, clinic, patient, state=state, **leased)
    if state not in CANCELLABLE:
        with pytest.raises(Conflict):
            await do(house, clinic, cancel, message)
        return
    assert (await do(house, clinic, cancel, message)).state == State.CANCELLED
    after = {"state": "cancelled"}
    assert await audited(house, clinic, message) == [("message.cancelled", {"state": state}, after, clinic.admin.id)]


@pytest.mark.parametrize("before", State)
async def test_what_is_known_from_elsewhere_is_recorded_and_sends_nothing(
    house: House, clinic: Clinic, patient: Patient, before: State
) -> None:
    leased: dict[str, Any] = {"lease_until": house.clock()} if before is State.SENDING else {}
    for after in State:
        message = await make_message(house, clinic, patient, state=before, **leased)
        allowed = before is not State.SENDING and after in ALLOWED[before] - {State.QUEUED, State.SENDING}
        if not allowed:
            with pytest.raises(Conflict):
                await do(house, clinic, update_status, message, after, "by telephone")
            continue
        found = await do(house, clinic, update_status, message, after, "by telephone")
        assert (found.state, found.reason) == (after, "by telephone")
        assert [row[0] for row in await audited(house, clinic, message)] == [f"message.{after}"]


async def test_anothers_messages_are_not_there(
    house: House, clinic: Clinic, other_clinic: Clinic, patient: Patient
) -> None:
    message = await make_message(house, clinic, patient, state="failed")
    for verb, *values in ((retry,), (cancel,), (update_status, State.DELIVERED, "x")):
        with pytest.raises(NotFound):
            await do(house, other_clinic, verb, message, *values)


async def test_a_test_goes_where_it_is_told_with_a_draft_too(house: House, clinic: Clinic) -> None:
    template = await write(house, clinic, Channel.SMS, PATIENT)
    words = Words(bodies={"en": "Draft { $patient }", "ar": "مسودة { $patient }"}, variables=(PATIENT,))
    draft = await do(house, clinic, save_draft, template, words)
    found = await do(house, clinic, send_test, draft.id, "ar", Channel.SMS, "+966500000001", {"patient": "Sara"})
    assert (found.patient_id, found.language, found.code, found.lane) == (None, "ar", CODE, "normal")
    asked = {"to": "+966500000001", "version": str(draft.id), "values": {"patient": "Sara"}}
    assert open_content(house.keys, found.id, found.sealed) == asked
    assert await audited(house, clinic, draft.id) == [("template.tested", None, {"channel": "sms"}, clinic.admin.id)]


async def test_a_test_needs_its_values_and_a_version_of_the_clinic(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    template = await write(house, clinic, Channel.SMS, PATIENT)
    words = Words(bodies={"en": "Draft { $patient }", "ar": "مسودة { $patient }"}, variables=(PATIENT,))
    draft = (await do(house, clinic, save_draft, template, words)).id
    for values in ({}, {"patient": "Sara", "typo": "x"}):
        with pytest.raises(Invalid):
            await do(house, clinic, send_test, draft, "en", Channel.SMS, "+966500000001", values)
    with pytest.raises(NotFound):
        await do(house, other_clinic, send_test, draft, "en", Channel.SMS, "+966500000001", {"patient": "Sara"})
