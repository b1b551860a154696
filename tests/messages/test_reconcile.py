"""What follows when a vendor is asked, beside what the tests of sending show."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from hub.channels.vendor import Channel, Fate, Outcome, Report, ReportKind
from hub.messages.by_hand import cancel
from hub.messages.claim import LEASE, claim
from hub.messages.fallback import ASK_AFTER
from hub.messages.receipts import apply_due_reports
from hub.messages.reconcile import reconcile
from hub.messages.settle import settle
from hub.messages.states import AttemptState, State
from hub.messages.tables import Attempt, VendorEvent
from hub.work import SYSTEM
from tests.messages.post import Post
from tests.messages.vendors import ACCEPTED, BUSY, NEVER, REFUSED, SILENT, Scripted

ASKED = ASK_AFTER + timedelta(seconds=1)


async def ask(post: Post, after: timedelta = ASKED) -> None:
    post.clock.move(after)
    await reconcile(post.courier, post.clinic.id)


@pytest.mark.parametrize("answer", [REFUSED, NEVER, SILENT, None])
async def test_only_a_vendor_that_never_had_it_is_sent_it_again(post: Post, answer: Outcome | None) -> None:
    post.vendor.answers.append(SILENT)
    post.vendor.asked = answer
    message = await post.queue()
    await post.send()
    await ask(post)
    await post.send()
    assert (await post.read(message)).state == State.UNKNOWN
    assert len(post.vendor.sent) == 1


async def test_a_vendor_that_never_answers_and_never_has_it_gives_way_to_the_next_channel(post: Post) -> None:
    other = Scripted(channels=frozenset({Channel.EMAIL}))
    post.vendor.channels = frozenset({Channel.SMS})
    post.use(post.vendor, other)
    post.vendor.answers.extend([SILENT] * 10)
    post.vendor.asked = BUSY
    message = await post.queue()
    for _ in range(8):
        await post.send()
        await ask(post)
    assert len(post.vendor.sent) == 4
    assert [each.channel for each in other.sent] == [Channel.EMAIL]
    assert (await post.read(message)).state == State.SENT


async def test_over_the_last_channel_it_ends_as_failed(post: Post) -> None:
    post.vendor.answers.extend([SILENT] * 10)
    post.vendor.asked = BUSY
    message = await post.queue(channels=(Channel.SMS,))
    for _ in range(8):
        await post.send()
        await ask(post)
    assert len(post.vendor.sent) == 4
    found = await post.read(message)
    assert (found.state, found.reason) == (State.FAILED, "gave_up")


async def test_workers_that_die_cost_a_message_no_try(post: Post) -> None:
    post.vendor.asked = BUSY
    message = await post.queue()
    for _ in range(6):
        await post.do(claim, "normal", post.courier.vendors, "https://hub.example", 10)
        await ask(post, LEASE + timedelta(seconds=1))
        await ask(post)
    found = await post.read(message)
    assert (found.state, found.channel, found.tries, found.attempt) == (State.QUEUED, "sms", 0, 6)


async def test_a_lease_that_is_over_is_not_asked_about_at_once(post: Post) -> None:
    post.vendor.asked = BUSY
    message = await post.queue()
    await post.do(claim, "normal", post.courier.vendors, "https://hub.example", 10)
    await ask(post, LEASE + timedelta(seconds=1))
    found = await post.read(message)
    assert (found.state, found.reason, found.due_at) == (State.UNKNOWN, "interrupted", post.clock() + ASK_AFTER)


async def test_what_the_vendor_reports_when_it_is_asked_counts(post: Post) -> None:
    post.vendor.answers.append(SILENT)
    message = await post.queue()
    await post.send()
    (attempt,) = await post.attempts(message)
    report = Report(
        vendor=post.vendor.name,
        transport_id=f"asked-{attempt.id}",
        semantic_key=f"asked-{attempt.id}",
        kind=ReportKind.FAILED,
        occurred_at=post.clock(),
        channel=Channel.SMS,
        reference=attempt.id,
    )
    post.vendor.asked = Outcome(Fate.ACCEPTED, vendor_id="found", foretold=(report,))
    await ask(post)
    await apply_due_reports(post.house.database, post.house.open_work, post.house.keys, post.clock)
    found = await post.read(message)
    assert (found.state, found.channel) == (State.QUEUED, "email"), "it failed there: the next channel has its turn"


async def test_a_request_that_cannot_be_opened_holds_up_no_other(post: Post) -> None:
    post.vendor.answers.extend([SILENT, SILENT])
    post.vendor.asked = ACCEPTED
    messages = [await post.queue(f"number {number}") for number in range(2)]
    await post.send()
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        broken = update(Attempt).where(Attempt.message_id == messages[0])
        await work.session.execute(broken.values(sealed=b"k1:nonsense"))
    await ask(post)
    assert (await post.read(messages[0])).state == State.UNKNOWN
    assert (await post.read(messages[1])).state == State.SENT


async def test_what_was_cancelled_meanwhile_stays_so(post: Post) -> None:
    post.vendor.answers.append(SILENT)
    message = await post.queue()
    await post.send()
    await post.do(cancel, message)
    post.vendor.asked = BUSY
    await ask(post)
    await post.send()
    assert (await post.read(message)).state == State.CANCELLED
    assert len(post.vendor.sent) == 1


async def test_an_answer_from_before_the_second_try_changes_nothing(post: Post) -> None:
    message = await post.queue()
    (late,), _ = await post.do(claim, "normal", post.courier.vendors, "https://hub.example", 10)
    post.vendor.asked = BUSY
    await ask(post, LEASE + timedelta(seconds=1))
    await ask(post)
    await post.do(claim, "normal", post.courier.vendors, "https://hub.example", 10)
    await post.do(settle, [(late, NEVER)])
    found = await post.read(message)
    assert (found.state, found.attempt) == (State.SENDING, 2)
    assert [each.state for each in await post.attempts(message)] == [AttemptState.NEVER_SENT, AttemptState.SENDING]


async def test_reports_of_an_asked_vendor_are_stored_once(post: Post) -> None:
    post.vendor.answers.append(SILENT)
    message = await post.queue()
    await post.send()
    (attempt,) = await post.attempts(message)
    key = f"asked-{attempt.id}"
    report = Report(post.vendor.name, key, key, ReportKind.DELIVERED, post.clock(), Channel.SMS, reference=attempt.id)
    post.vendor.asked = Outcome(Fate.ACCEPTED, vendor_id="found", foretold=(report, report))
    await ask(post)
    await ask(post)
    async with post.house.database.of_nobody() as session:
        stored = (await session.execute(select(VendorEvent.id).where(VendorEvent.semantic_key == key))).all()
    assert len(stored) == 1
