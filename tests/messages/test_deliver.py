"""Sending: once, over the right channel, for the right reason; and what happens when a vendor or a worker fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from hub.channels.vendor import AddressFault, Channel, Fate, Outcome, Outgoing
from hub.messages import claim as claims
from hub.messages.by_hand import cancel, retry
from hub.messages.claim import claim
from hub.messages.content import open_request
from hub.messages.deliver import deliver_due, read_due, send, take
from hub.messages.reconcile import ask_about_silent, read_in_doubt, reconcile
from hub.messages.settle import settle
from hub.messages.states import AttemptState, State
from hub.people.choices import Topic, choose, read_choices
from hub.people.contact_points import read_contacts
from tests.factories import Clinic
from tests.messages.post import NOON, Post
from tests.messages.vendors import ACCEPTED, BUSY, NEVER, REFUSED, SILENT, Scripted


async def test_a_message_is_sent_once_with_what_it_says(post: Post) -> None:
    message = await post.queue("Please come at 9")
    assert await post.send() == 1
    assert await post.send() == 0
    found, (attempt,) = await post.read(message), await post.attempts(message)
    assert (found.state, found.channel, found.attempt, found.lease_until) == (State.SENT, "sms", 1, None)
    assert (attempt.state, attempt.vendor, attempt.segments_estimated) == (AttemptState.SENT, post.vendor.name, 1)
    (outgoing,) = post.vendor.sent
    assert (outgoing.to, outgoing.text, outgoing.reference) == ("+966501234567", "Please come at 9", attempt.id)
    assert open_request(post.house.keys, attempt.id, attempt.sealed)["text"] == "Please come at 9"
    assert await post.steps(message) == [("queued", None), ("sending", None), ("sent", None)]


async def test_nothing_that_was_said_stands_in_the_database_in_clear(post: Post) -> None:
    message = await post.queue("secret words", subject="hidden subject", channels=(Channel.EMAIL,))
    await post.send()
    async with post.house.database.of_tenant(post.clinic.id) as session:
        rows = [
            str(row)
            for table in ("messages", "message_attempts", "message_steps")
            for row in (await session.execute(text(f"SELECT t::text FROM {table} AS t"))).scalars()
        ]
    assert any(str(message) in row for row in rows)
    for row in rows:
        for word in ("secret words", "hidden subject", "sara@example.org", "0501234567", "501234567"):
            assert word not in row
            assert word.encode().hex() not in row


async def test_a_reference_is_sent_once(post: Post) -> None:
    first, second = await post.queue(reference="visit-1"), await post.queue(reference="visit-1")
    assert first == second
    await post.send()
    assert len(post.vendor.sent) == 1


async def test_what_has_its_time_waits_for_it(post: Post) -> None:
    message = await post.queue(at=NOON + timedelta(minutes=5))
    await post.send()
    assert not post.vendor.sent
    await post.later(301)
    assert (await post.read(message)).state == State.SENT


async def test_what_became_worthless_after_it_was_claimed_is_not_asked_for(post: Post) -> None:
    """A reminder that waits for its turn may wait past the beginning of the visit."""
    message = await post.queue(expires_at=NOON + timedelta(seconds=3))
    parcels = await take(post.courier, post.clinic.id, "normal")
    post.clock.move(timedelta(seconds=3))
    await send(post.courier, post.clinic.id, parcels[0])
    await post.later(6)
    found = await post.read(message)
    assert (found.state, found.reason) == (State.SKIPPED, "expired")
    assert not post.vendor.sent


async def test_consent_is_read_at_the_moment_of_sending(post: Post) -> None:
    message = await post.queue()
    await post.do(choose, post.patient.id, topic=Topic.REMINDERS, allowed=False, source="desk")
    await post.send()
    found = await post.read(message)
    assert (found.state, found.reason) == (State.SKIPPED, "topic_refused")
    assert not post.vendor.sent


async def test_at_night_it_is_put_off_to_the_morning_and_never_dropped(post: Post) -> None:
    post.clock.stop(NOON + timedelta(hours=12))
    message = await post.queue()
    await post.send()
    found = await post.read(message)
    assert (found.state, found.reason) == (State.QUEUED, "quiet_hours")
    assert found.due_at == datetime(2026, 3, 2, 5, tzinfo=UTC)
    post.clock.stop(found.due_at)
    await post.send()
    assert (await post.read(message)).state == State.SENT


async def test_a_failure_that_may_pass_is_tried_after_one_two_and_four_minutes_and_then_by_email(post: Post) -> None:
    post.vendor.answers.extend([BUSY] * 4)
    message = await post.queue()
    await post.send()
    for pause in (60, 120, 240):
        await post.later(pause - 1)
        before = len(post.vendor.sent)
        await post.later(1)
        assert len(post.vendor.sent) == before + 1
    await post.send()
    assert [each.channel for each in post.vendor.sent] == [Channel.SMS] * 4 + [Channel.EMAIL]
    found = await post.read(message)
    assert (found.state, found.channel, found.attempt) == (State.SENT, "email", 5)
    reasons = [reason for state, reason in await post.steps(message) if state == "queued"]
    assert reasons == [None, "try_again", "try_again", "try_again", "gave_up"]


async def test_a_failure_for_good_goes_on_to_the_next_channel_and_ends_after_the_last(post: Post) -> None:
    post.vendor.answers.extend([NEVER, NEVER])
    message = await post.queue()
    await post.send()
    await post.send()
    assert [each.channel for each in post.vendor.sent] == [Channel.SMS, Channel.EMAIL]
    found = await post.read(message)
    assert (found.state, found.reason) == (State.FAILED, "refused")
    await post.do(retry, message)
    await post.send()
    assert (await post.read(message)).state == State.SENT


async def test_an_account_that_is_refused_is_spared_and_another_vendor_stands_in(post: Post) -> None:
    other = Scripted("other")
    post.vendor.answers.append(REFUSED)
    post.use(post.vendor, other)
    first = await post.queue()
    await post.send()
    assert (await post.read(first)).state == State.QUEUED
    second = await post.queue()
    await post.send()
    assert {(await post.read(each)).state for each in (first, second)} == {State.SENT}
    assert (len(post.vendor.sent), len(other.sent)) == (1, 2)
    assert (await post.read(first)).tries == 1
    await post.later(301)
    await post.queue()
    await post.send()
    assert len(post.vendor.sent) == 2, "it is tried again after a while"


async def test_with_every_account_refused_it_waits_and_is_lost_for_nobody(post: Post) -> None:
    post.vendor.answers.append(REFUSED)
    await post.queue()
    await post.send()
    message = await post.queue()
    await post.send()
    found = await post.read(message)
    assert (found.state, found.reason) == (State.QUEUED, "vendor_account")
    await post.later(301)
    assert (await post.read(message)).state == State.SENT


async def test_a_vendor_that_fails_again_and_again_is_left_alone_for_a_while(post: Post) -> None:
    post.vendor.answers.extend([BUSY] * 10)
    for _ in range(10):
        await post.queue()
    await post.send()
    before = len(post.vendor.sent)
    message = await post.queue()
    await post.send()
    assert len(post.vendor.sent) == before
    await post.later(31)
    assert (await post.read(message)).state == State.SENT


@pytest.mark.parametrize(
    ("known", "state", "requests"),
    [(ACCEPTED, State.SENT, 1), (BUSY, State.SENT, 2), (None, State.UNKNOWN, 1)],
)
async def test_without_an_answer_the_vendor_is_asked_before_anything_is_sent(
    post: Post, known: Outcome | None, state: State, requests: int
) -> None:
    post.vendor.answers.append(SILENT)
    post.vendor.asked = known
    message = await post.queue()
    await post.send()
    assert (await post.read(message)).state == State.UNKNOWN
    await reconcile(post.courier, post.clinic.id)
    assert (await post.read(message)).state == State.UNKNOWN, "the vendor may still be at it"
    post.clock.move(timedelta(seconds=61))
    await reconcile(post.courier, post.clinic.id)
    await post.send()
    assert (await post.read(message)).state == state
    assert len(post.vendor.sent) == requests


async def test_what_nobody_can_tell_after_a_day_waits_for_a_person(post: Post) -> None:
    post.vendor.answers.append(SILENT)
    message = await post.queue()
    await post.send()
    for _ in range(60):
        post.clock.move(timedelta(minutes=30))
        await reconcile(post.courier, post.clinic.id)
    found = await post.read(message)
    assert (found.state, found.reason) == (State.FAILED, "never_answered")
    assert len(post.vendor.sent) == 1


async def test_a_worker_that_dies_after_its_claim_leaves_no_second_request(post: Post) -> None:
    message = await post.queue()
    await post.do(claim, "normal", post.courier.vendors, "https://hub.example", 10)
    assert await post.send() == 0
    post.clock.move(claims.LEASE + timedelta(seconds=1))
    async with post.house.database.watching() as watch:
        assert post.clinic.id in await read_in_doubt(watch, post.house.clock())
    await reconcile(post.courier, post.clinic.id)
    assert (await post.read(message)).state == State.UNKNOWN
    post.vendor.asked = BUSY
    post.clock.move(timedelta(hours=1))
    await reconcile(post.courier, post.clinic.id)
    await post.send()
    assert (await post.read(message)).state == State.SENT
    assert [each.state for each in await post.attempts(message)] == [AttemptState.NEVER_SENT, AttemptState.SENT]


async def test_a_worker_that_comes_late_with_its_answer_is_believed_once(post: Post) -> None:
    message = await post.queue()
    parcels, _ = await post.do(claim, "normal", post.courier.vendors, "https://hub.example", 10)
    post.clock.move(claims.LEASE + timedelta(seconds=1))
    await reconcile(post.courier, post.clinic.id)
    await post.do(settle, [(parcels[0], Outcome(Fate.ACCEPTED, vendor_id="late"))])
    found, (attempt,) = await post.read(message), await post.attempts(message)
    assert (found.state, attempt.state, attempt.vendor_id) == (State.SENT, AttemptState.SENT, "late")
    await post.do(settle, [(parcels[0], BUSY)])
    assert (await post.read(message)).state == State.SENT


async def test_a_worker_that_was_held_up_for_longer_than_its_lease_sends_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await post.queue()
    monkeypatch.setattr("hub.messages.deliver.START_WITHIN_S", -1.0)
    await post.send()
    assert not post.vendor.sent
    assert (await post.read(message)).state == State.QUEUED


async def test_many_workers_at_once_send_each_message_once(post: Post) -> None:
    messages = [await post.queue(f"number {number}") for number in range(150)]

    async def slowly(_outgoing: Outgoing) -> None:
        await asyncio.sleep(0.01)

    post.vendor.before = slowly
    await asyncio.gather(*(deliver_due(post.courier, post.clinic.id, "normal", limit=20) for _ in range(12)))
    await post.send()
    assert sorted(each.text for each in post.vendor.sent) == sorted(f"number {number}" for number in range(150))
    assert {(await post.read(each)).state for each in messages} == {State.SENT}


async def test_what_a_vendor_says_of_a_number_is_kept(post: Post) -> None:
    post.vendor.answers.append(replace(NEVER, fault=AddressFault.OPTED_OUT))
    await post.queue()
    await post.send()
    async with post.house.database.of_tenant(post.clinic.id) as session:
        assert (await read_choices(session, [post.patient.id]))[post.patient.id].channels["sms"] is False
    post.vendor.answers.append(replace(NEVER, fault=AddressFault.INVALID))
    await post.queue(channels=(Channel.EMAIL,))
    await post.send()
    async with post.house.database.of_tenant(post.clinic.id) as session:
        contacts = (await read_contacts(session, [post.patient.id]))[post.patient.id]
    assert (contacts["phone"].flag, contacts["email"].flag) == (None, "invalid")


async def test_a_flagged_address_holds_what_has_no_other_way(post: Post) -> None:
    post.vendor.answers.append(replace(NEVER, fault=AddressFault.INVALID))
    await post.queue(channels=(Channel.SMS,))
    await post.send()
    held = await post.queue(channels=(Channel.SMS,))
    goes_on = await post.queue()
    await post.send()
    assert ((await post.read(held)).state, (await post.read(held)).reason) == (State.HELD, "address_flagged")
    assert ((await post.read(goes_on)).state, (await post.read(goes_on)).channel) == (State.SENT, "email")


async def test_a_cancelled_one_does_not_leave(post: Post) -> None:
    message = await post.queue()
    await post.do(cancel, message)
    await post.send()
    assert not post.vendor.sent
    assert (await post.read(message)).state == State.CANCELLED


async def test_lanes_do_not_see_each_others_messages(post: Post) -> None:
    await post.queue(lane="bulk")
    assert await post.send("critical") == 0
    async with post.house.database.watching() as watch:
        lanes = {due.lane for due in await read_due(watch, post.house.clock()) if due.tenant == post.clinic.id}
    assert lanes == {"bulk"}
    assert await post.send("bulk") == 1


async def test_a_rate_holds_back_what_is_too_much_and_loses_none(post: Post) -> None:
    post.vendor.per_second = 1.0
    messages = [await post.queue(f"number {number}") for number in range(12)]
    await post.send()
    sent = len(post.vendor.sent)
    assert 1 <= sent <= 8
    held = [await post.read(each) for each in messages]
    assert sum(each.state == State.QUEUED and each.reason == "rate_limit" for each in held) == 12 - sent
    post.vendor.per_second = 10_000.0
    await post.later(6)
    assert {(await post.read(each)).state for each in messages} == {State.SENT}
    assert len(post.vendor.sent) == 12


async def test_a_vendor_that_never_reports_is_asked_after_an_hour(post: Post) -> None:
    await post.queue()
    await post.send()
    assert await ask_about_silent(post.courier, post.clinic.id) == 0
    post.clock.move(timedelta(minutes=61))
    assert await ask_about_silent(post.courier, post.clinic.id) == 1
    assert await ask_about_silent(post.courier, post.clinic.id) == 0


async def test_another_clinics_messages_are_not_touched(post: Post, other_clinic: Clinic) -> None:
    message = await post.queue()
    assert await deliver_due(post.courier, other_clinic.id, "normal") == 0
    assert (await post.read(message)).state == State.QUEUED
