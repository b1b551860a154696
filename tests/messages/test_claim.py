"""What holds up what: a faulty message, a limit, a wording that changed; and by whose consent it leaves."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from hub.channels.vendor import Channel, Fate, Outcome
from hub.errors import Conflict, Unavailable
from hub.messages import deliver, parcels
from hub.messages.by_hand import send_now
from hub.messages.claim import claim
from hub.messages.compose import Sending, send_from_template, send_test
from hub.messages.settle import settle
from hub.messages.states import AttemptState, State
from hub.messages.tables import Attempt, Message, MessageStep
from hub.people.choices import Topic, choose
from hub.people.tables import ContactPoint
from hub.templates.render import Variable
from hub.templates.versions import Words, add_template, publish
from hub.work import SYSTEM, Work
from tests.factories import add_patient, write_template
from tests.messages.post import NOON, Post
from tests.messages.rows import make_message
from tests.messages.vendors import ACCEPTED, Scripted

NIGHT = NOON + timedelta(hours=12)


async def queue_by_template(post: Post, **changes: Any) -> uuid.UUID:
    sending = Sending(post.patient.id, code="news", channels=(Channel.SMS, Channel.EMAIL))
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        return (await send_from_template(work, replace(sending, **changes))).id


async def add_wording(post: Post, channel: Channel, topic: str) -> None:
    words = Words(
        bodies={"en": "News: { $preferences_link }", "ar": "أخبار: { $preferences_link }"},
        subjects={"en": "News", "ar": "أخبار"} if channel is Channel.EMAIL else {},
        variables=(Variable("preferences_link", "link", "personal", "https://example.org/p/1"),),
    )
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        await publish(work, (await add_template(work, "news", channel, topic, words)).template_id)


async def test_one_that_cannot_be_opened_holds_up_no_other(post: Post) -> None:
    broken = await make_message(post.house, post.clinic, post.patient)
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        await work.session.execute(update(Message).where(Message.id == broken).values(sealed=b"k1:nonsense"))
    sound = await post.queue()
    await post.send()
    assert (await post.read(broken)).reason == "cannot_be_opened"
    assert (await post.read(sound)).state == State.SENT


async def test_an_address_that_cannot_be_opened_holds_up_nobody_else(post: Post) -> None:
    other = await add_patient(post.house, post.clinic, phone="+966501112223")
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        theirs = update(ContactPoint).where(ContactPoint.patient_id == other.id)
        await work.session.execute(theirs.values(sealed=b"k1:nonsense"))
    broken = await make_message(post.house, post.clinic, other)
    sound = await post.queue()
    await post.send()
    assert ((await post.read(broken)).state, (await post.read(broken)).reason) == (State.FAILED, "cannot_be_opened")
    assert (await post.read(sound)).state == State.SENT


async def test_one_that_makes_the_hub_stumble_fails_alone_and_says_so(post: Post) -> None:
    broken = await make_message(post.house, post.clinic, post.patient, asked={"nothing": "that is known"})
    sound = await post.queue()
    await post.send()
    assert ((await post.read(broken)).state, (await post.read(broken)).reason) == (State.FAILED, "fault")
    assert (await post.read(sound)).state == State.SENT


async def test_a_test_over_a_channel_without_a_vendor_holds_up_nothing(post: Post) -> None:
    template = await write_template(post.house, post.clinic)
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        version = (
            await work.session.execute(
                text("SELECT id FROM template_versions WHERE template_id = :id AND state = 'published'"),
                {"id": template},
            )
        ).scalar_one()
        test = (await send_test(work, version, "en", Channel.SMS, "+966500000009", {"patient": "Sara"})).id
    post.use(Scripted(channels=frozenset({Channel.EMAIL})))
    sound = await post.queue(channels=(Channel.EMAIL,))
    await post.send()
    assert ((await post.read(test)).state, (await post.read(test)).reason) == (State.FAILED, "no_vendor")
    assert (await post.read(sound)).state == State.SENT


async def test_what_the_limits_hold_back_is_as_if_it_had_not_been_looked_at(post: Post) -> None:
    post.vendor.per_second = 1.0
    messages = [await post.queue(f"number {number}") for number in range(30)]
    dealt_with = await post.send()
    assert dealt_with == len(post.vendor.sent) < 10, "the lane does not go round and round"
    async with post.house.database.of_tenant(post.clinic.id) as session:
        requests = (await session.execute(select(func.count()).select_from(Attempt))).scalar_one()
    assert requests == dealt_with
    held = [each for each in messages if (await post.read(each)).state == State.QUEUED]
    assert {(each.attempt, each.tries) for each in [await post.read(each) for each in held]} == {(0, 0)}
    await post.later(6)
    waiting = [each for each in held if (await post.read(each)).state == State.QUEUED]
    assert await post.steps(waiting[0]) == [("queued", None), ("queued", "rate_limit")]


async def test_a_template_that_became_advertising_needs_the_consent_for_it(post: Post) -> None:
    await add_wording(post, Channel.SMS, "reminders")
    await add_wording(post, Channel.EMAIL, "marketing")
    await post.do(choose, post.patient.id, channel=Channel.SMS, allowed=False, source="desk")
    message = await queue_by_template(post)
    await post.send()
    assert ((await post.read(message)).state, (await post.read(message)).reason) == (State.SKIPPED, "channel_refused")
    assert not post.vendor.sent
    await post.do(choose, post.patient.id, topic=Topic.MARKETING, allowed=True, source="desk")
    await queue_by_template(post)
    await post.send()
    (outgoing,) = post.vendor.sent
    assert outgoing.channel is Channel.EMAIL
    assert "/u/" in outgoing.unsubscribe_url


async def test_advertising_wakes_nobody_however_urgent_it_is_said_to_be(post: Post) -> None:
    await post.do(choose, post.patient.id, topic=Topic.MARKETING, allowed=True, source="desk")
    post.clock.stop(NIGHT)
    advert = await post.queue(topic=Topic.MARKETING, lane="critical")
    urgent = await post.queue(lane="critical")
    await post.send("critical")
    assert ((await post.read(advert)).state, (await post.read(advert)).reason) == (State.QUEUED, "quiet_hours")
    assert (await post.read(urgent)).state == State.SENT
    with pytest.raises(Conflict):
        await post.do(send_now, advert)


async def test_the_hubs_own_values_cannot_be_given_by_a_caller_who_writes_rows(post: Post) -> None:
    await add_wording(post, Channel.SMS, "reminders")
    asked = {"values": {"patient": "Sara", "preferences_link": "https://evil.example/"}}
    await make_message(post.house, post.clinic, post.patient, code="news", asked=asked)
    await post.send()
    (outgoing,) = post.vendor.sent
    assert "evil.example" not in outgoing.text
    assert "/p/" in outgoing.text


async def test_words_of_ones_own_go_by_email_as_a_letter_with_the_clinics_name(post: Post) -> None:
    words = "See <b>us</b> at https://noor.example/visit?a=1&b=2.\r\n\r\n\r\nGoodbye\ufdd0javascript:1\ufdd1"
    await post.queue(words, channels=(Channel.EMAIL,))
    await post.queue(words, channels=(Channel.EMAIL,), subject="Your visit")
    await post.send()
    first, second = sorted(post.vendor.sent, key=lambda each: each.subject)
    assert (first.subject, second.subject) == ("Noor Clinic", "Your visit")
    assert 'href="https://noor.example/visit?a=1&amp;b=2"' in first.html
    assert "&lt;b&gt;us&lt;/b&gt;" in first.html
    assert 'href="javascript' not in first.html
    assert (
        first.text == "See <b>us</b> at https://noor.example/visit?a=1&b=2.\n\nGoodbyejavascript:1\n\n-- \nNoor Clinic"
    )


async def test_an_arabic_letter_runs_from_right_to_left(post: Post) -> None:
    post.patient = await add_patient(post.house, post.clinic, language="ar", phone=None, email="huda@example.org")
    await post.queue("مرحبًا", channels=(Channel.EMAIL,))
    await post.send()
    assert 'dir="rtl"' in post.vendor.sent[0].html


async def test_whoever_slept_through_its_lease_by_the_clock_on_the_wall_sends_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await post.queue()

    async def claim_and_sleep(*values: Any) -> Any:
        found = await claim(*values)
        post.clock.move(timedelta(seconds=21))
        return found

    monkeypatch.setattr(deliver, "claim", claim_and_sleep)
    await post.send()
    assert not post.vendor.sent
    found = await post.read(message)
    assert (found.state, found.reason, found.tries) == (State.QUEUED, "too_late_to_begin", 0)
    monkeypatch.undo()
    await post.later(6)
    assert (await post.read(message)).state == State.SENT


async def test_answers_are_written_down_as_soon_as_the_database_is_back(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [await post.queue(f"number {number}") for number in range(5)]
    failures = iter([True, True, False])

    async def settle_later(work: Work, answered: Any) -> None:
        if next(failures, False):
            raise Unavailable("away")
        await settle(work, answered)

    monkeypatch.setattr(deliver, "settle", settle_later)
    await post.send()
    assert {(await post.read(each)).state for each in messages} == {State.SENT}
    assert None not in {(await post.attempts(each))[0].vendor_id for each in messages}


async def test_an_answer_that_cannot_be_written_down_spoils_no_other(post: Post) -> None:
    post.vendor.answers.extend([Outcome(Fate.PERMANENT, code="no\x00"), ACCEPTED, ACCEPTED])
    messages = [await post.queue(f"number {number}") for number in range(3)]
    await post.send()
    states = sorted([(await post.read(each)).state for each in messages])
    assert states == [State.SENDING, State.SENT, State.SENT], "its vendor is asked when the lease is over"


async def test_each_request_stands_in_the_log_before_it_is_made(post: Post) -> None:
    found: list[tuple[str, str | None]] = []

    async def look(_outgoing: Any) -> None:
        async with post.house.database.of_tenant(post.clinic.id) as session:
            rows = await session.execute(
                select(MessageStep.state, Attempt.state)
                .join(Attempt, Attempt.message_id == MessageStep.message_id)
                .order_by(MessageStep.id.desc())
            )
            found.extend((row[0], row[1]) for row in rows.all()[:1])

    post.vendor.before = look
    await post.queue()
    await post.send()
    assert found == [(State.SENDING, AttemptState.SENDING)]


async def test_a_fault_of_the_database_is_no_fault_of_the_message(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    message = await post.queue()

    def away(*_values: Any) -> Any:
        raise ConnectionResetError

    monkeypatch.setattr(parcels, "open_content", away)
    with pytest.raises(Unavailable):
        await post.send()
    monkeypatch.undo()
    await post.send()
    assert (await post.read(message)).state == State.SENT
