"""Mail to the staff: in their language, at any hour, while they work here; never taken for a patient's or a test."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.errors import Conflict, Invalid, NotFound
from hub.messages.by_hand import retry
from hub.messages.compose import Sending, send_from_template, send_message
from hub.messages.figures import statistics
from hub.messages.log import Filters, read_messages, read_story
from hub.messages.outbox import read_outbox
from hub.messages.reconcile import reconcile
from hub.messages.states import State
from hub.messages.tables import Attempt, Message
from hub.people.choices import Topic, choose
from hub.people.contact_points import read_contacts
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.templates.render import Variable
from hub.templates.versions import Words, add_template, publish
from hub.wiring import House
from tests.factories import Clinic, add_patient
from tests.messages.post import NOON, Post
from tests.messages.reported import apply, store
from tests.messages.vendors import BUSY, NEVER, SILENT, Scripted

NIGHT = NOON + timedelta(hours=12)
CODE = "staff_news"
PATIENT = Variable("patient", "text", "personal", "Sara")
CLINIC = Variable("clinic", "text", "public", "Noor Clinic")
CHOICES = Variable("preferences_link", "link", "personal", "https://example.org/p/1")


@pytest.fixture
async def post(post: Post) -> Post:
    """With a template that names the patient."""
    await write(post, CODE, Channel.EMAIL, PATIENT, CLINIC)
    return post


async def write(post: Post, code: str, channel: Channel, *named: Variable, topic: str = "confirmations") -> None:
    said = " ".join(f"{{ ${each.name} }}" for each in named)
    words = Words(
        bodies={"en": f"A visit: {said}", "ar": f"موعد: {said}"},
        subjects={"en": "A visit", "ar": "موعد"} if channel is Channel.EMAIL else {},
        variables=named,
    )
    await post.do(publish, (await post.do(add_template, code, channel, topic, words)).template_id)


async def queue(post: Post, person: Staff, **changes: Any) -> uuid.UUID:
    sending = Sending(staff=person.id, code=CODE, values={"patient": "Sara Doe"})
    found: Message = await post.do(send_from_template, replace(sending, **changes))
    return found.id


async def outbox_of(post: Post, search: str = "") -> list[tuple[str | None, str | None, str]]:
    async with post.house.database.of_tenant(post.clinic.id) as session:
        page = await read_outbox(session, post.house.keys, limit=10, search=search)
    return [(each.patient, each.staff, each.to) for each in page.items]


async def found_by(post: Post, search: str) -> list[tuple[str | None, str | None]]:
    async with post.house.database.of_tenant(post.clinic.id) as session:
        page = await read_messages(session, post.house.keys, Filters(search=search), limit=10)
    return [(each.patient, each.staff) for each in page.items]


def bounced(post: Post, attempt: Attempt, kind: ReportKind, to: str) -> Report:
    return Report(
        vendor=attempt.vendor,
        transport_id=uuid.uuid4().hex,
        semantic_key=uuid.uuid4().hex,
        kind=kind,
        occurred_at=post.clock(),
        channel=Channel.EMAIL,
        reference=attempt.id,
        address=to,
        fault=AddressFault.INVALID if kind is ReportKind.BOUNCED else None,
    )


@pytest.mark.parametrize(("who", "language", "subject"), [("omar", "en", "A visit"), ("huda", "ar", "موعد")])
async def test_it_goes_to_where_they_sign_in_in_their_language(
    post: Post, who: str, language: str, subject: str
) -> None:
    person: Staff = getattr(post.clinic, who)
    message = await queue(post, person, reference="news/1", department="Dental")
    await post.send()
    (outgoing,) = post.vendor.sent
    assert (outgoing.to, outgoing.subject, outgoing.language) == (person.email, subject, language)
    assert "Sara Doe" in outgoing.text
    assert "Noor Clinic" in outgoing.text
    assert not outgoing.unsubscribe_url
    found, (attempt,) = await post.read(message), await post.attempts(message)
    assert (found.state, found.patient_id, found.staff_id) == (State.SENT, None, person.id)
    assert (found.channels, found.topic) == (["email"], "confirmations")
    assert attempt.contact_point_id is None
    assert await queue(post, person, reference="news/1") == message
    for other in (Sending(post.patient.id, CODE), Sending(staff=post.clinic.desk.id, code=CODE)):
        with pytest.raises(Conflict):
            values = {"patient": "Sara Doe"}
            await post.do(send_from_template, replace(other, values=values, reference="news/1"))


async def test_neither_quiet_hours_nor_a_patients_choices_hold_it_up(post: Post) -> None:
    for topic in Topic:
        await post.do(choose, post.patient.id, topic=topic, allowed=False, source="desk")
    post.clock.stop(NIGHT)
    message = await queue(post, post.clinic.omar)
    await post.send()
    assert (await post.read(message)).state == State.SENT


@pytest.mark.parametrize("tried", [False, True], ids=["before it left", "after a first try"])
async def test_who_does_not_work_here_any_more_gets_nothing(post: Post, tried: bool) -> None:
    message = await queue(post, post.clinic.omar)
    if tried:
        post.vendor.answers.append(BUSY)
        await post.send()
    await post.do(change_staff, post.clinic.omar.id, active=False)
    await post.later(61)
    found = await post.read(message)
    assert (found.state, found.reason) == (State.SKIPPED, "person_inactive")
    assert len(post.vendor.sent) == tried
    await post.do(change_staff, post.clinic.omar.id, active=True)
    await post.do(retry, message)
    await post.send()
    assert (await post.read(message)).state == State.SENT


async def test_it_fails_waits_and_is_asked_about_like_any_other(post: Post) -> None:
    post.vendor.answers.extend([NEVER, SILENT])
    refused = await queue(post, post.clinic.omar)
    await post.send()
    assert ((await post.read(refused)).state, (await post.read(refused)).reason) == (State.FAILED, "refused")
    silent = await queue(post, post.clinic.omar)
    await post.send()
    post.vendor.asked = BUSY
    post.clock.move(timedelta(seconds=61))
    await reconcile(post.courier, post.clinic.id)
    await post.send()
    assert (await post.read(silent)).state == State.SENT
    post.use(Scripted(channels=frozenset({Channel.SMS})))
    nowhere = await queue(post, post.clinic.omar)
    await post.send()
    assert ((await post.read(nowhere)).state, (await post.read(nowhere)).reason) == (State.SKIPPED, "no_vendor")


async def test_what_does_not_fit_is_refused(post: Post, other_clinic: Clinic) -> None:
    await write(post, CODE, Channel.SMS, PATIENT)
    await write(post, "with_choices", Channel.EMAIL, CHOICES)
    omar = post.clinic.omar
    for channels in ((Channel.SMS,), (Channel.EMAIL, Channel.SMS)):
        with pytest.raises(Invalid, match="email alone"):
            await queue(post, omar, channels=channels)
    for code, values in ((CODE, {}), ("unknown", {"patient": "Sara"}), ("with_choices", {})):
        with pytest.raises(Invalid):
            await queue(post, omar, code=code, values=values)
    for nobody in (other_clinic.omar, post.patient):
        with pytest.raises(NotFound):
            await post.do(send_from_template, Sending(staff=nobody.id, code=CODE, values={"patient": "Sara"}))
    with pytest.raises(ValueError, match="to a patient or"):
        Sending(post.patient.id, CODE, staff=omar.id)


async def test_words_of_ones_own_reach_staff_too(post: Post) -> None:
    message = await post.do(
        send_message, Sending(staff=post.clinic.huda.id, topic=Topic.REMINDERS, text="See you at nine.")
    )
    await post.send()
    assert post.vendor.sent[0].to == post.clinic.huda.email
    assert (await post.read(message.id)).language == "ar"


@pytest.mark.parametrize("kind", [ReportKind.BOUNCED, ReportKind.COMPLAINED, ReportKind.SOFT_BOUNCED])
async def test_a_patient_with_the_same_address_is_somebody_else(post: Post, kind: ReportKind) -> None:
    omar = post.clinic.omar
    double = await add_patient(post.house, post.clinic, phone=None, email=omar.email)
    await post.do(choose, double.id, channel=Channel.EMAIL, allowed=False, source="desk")
    message = await queue(post, omar)
    await post.send()
    assert [each.to for each in post.vendor.sent] == [omar.email], "what the patient refused is the patient's"
    (attempt,) = await post.attempts(message)
    report = bounced(post, attempt, kind, omar.email)
    await store(post.house, [report])
    await apply(post.house)
    ended = {ReportKind.BOUNCED: State.BOUNCED, ReportKind.COMPLAINED: State.DELIVERED}.get(kind, State.FAILED)
    assert (await post.read(message)).state == ended
    async with post.house.database.of_tenant(post.clinic.id) as session:
        point = (await read_contacts(session, [double.id]))[double.id]["email"]
    assert (point.flag, point.soft_failures) == (None, 0)


async def test_everywhere_it_is_shown_as_mail_to_staff(post: Post, house: House) -> None:
    post.courier = house.courier  # the sandbox, whose outbox is read
    omar = post.clinic.omar
    message = await queue(post, omar)
    await post.queue()
    await post.send()
    assert await outbox_of(post, "farouk") == [(None, omar.name, omar.email)]
    assert await found_by(post, "farouk") == [(None, omar.name)]
    assert await found_by(post, omar.email.upper()) == [(None, omar.name)]
    assert await found_by(post, "sara") == [("Sara Doe", None)]
    async with house.database.of_tenant(post.clinic.id) as session:
        story = await read_story(session, house.keys, message)
        day = NOON.date()
        figures = await statistics(session, day, day, ZoneInfo("UTC"))
    assert (story.patient, story.staff, story.actor) == (None, omar.name, None)
    assert figures.all.total == 2
