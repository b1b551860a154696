"""Taking back what became untrue: at every moment of a message's way, and giving it back when that was wrong."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from hub.channels.vendor import Channel, Fate, Outcome, ReportKind
from hub.errors import Conflict
from hub.messages.by_hand import cancel, retry, send_now
from hub.messages.claim import LEASE, claim
from hub.messages.fallback import ASK_AFTER
from hub.messages.reconcile import reconcile
from hub.messages.states import State
from hub.messages.withdraw import restore, withdraw
from hub.wiring import House
from hub.work import SYSTEM, Job
from tests.factories import Clinic
from tests.messages.post import BOTH, NOON, Post
from tests.messages.reported import taken
from tests.messages.rows import make_message
from tests.messages.vendors import ACCEPTED, BUSY, NEVER, SILENT

BY = 7
# Nobody sends these again, in whatever way.
DONE_WITH = (State.READ, State.CANCELLED)
NEVER_HAD_IT = Outcome(Fate.PASSING)
HAS_IT = Outcome(Fate.ACCEPTED, vendor_id="v-1")


@pytest.fixture
def visit() -> uuid.UUID:
    return uuid.uuid4()


def of(visit: uuid.UUID, reference: str | None = None) -> dict[str, Any]:
    return {"related": ("appointment", visit), "reference": reference}


async def told(post: Post, message: uuid.UUID) -> tuple[str, str | None, int | None]:
    found = await post.read(message)
    return found.state, found.reason, found.withdrawn_by


@pytest.mark.parametrize("state", State)
async def test_what_waits_is_cancelled_what_is_under_way_is_marked_and_what_is_over_stays(
    post: Post, visit: uuid.UUID, state: State
) -> None:
    leased: dict[str, Any] = {"lease_until": NOON + LEASE} if state is State.SENDING else {}
    row: dict[str, Any] = {"state": state, "reason": "because", "related_type": "appointment", "related_id": visit}
    message = await make_message(post.house, post.clinic, post.patient, **(row | leased))
    other = await make_message(post.house, post.clinic, post.patient, **(row | leased | {"related_id": uuid.uuid4()}))
    waits = state in (State.QUEUED, State.HELD)
    assert await post.do(withdraw, about=visit, by=BY) == waits
    if waits:
        assert await told(post, message) == (State.CANCELLED, "withdrawn", BY)
        assert await post.steps(message) == [(state, "because"), ("cancelled", "withdrawn")]
    else:
        assert await told(post, message) == (state, "because", None if state in DONE_WITH else BY)
        assert await post.steps(message) == [(state, "because")]
    assert await told(post, other) == (state, "because", None)


@pytest.mark.parametrize("state", [State.FAILED, State.BOUNCED, State.SKIPPED])
async def test_what_failed_before_it_became_untrue_is_not_sent_again_by_hand(
    post: Post, visit: uuid.UUID, state: State
) -> None:
    row: dict[str, Any] = {"state": state, "related_type": "appointment", "related_id": visit}
    message = await make_message(post.house, post.clinic, post.patient, **row)
    await post.do(withdraw, about=visit, by=BY)
    with pytest.raises(Conflict, match="not true any more"):
        await post.do(retry, message)
    await post.do(restore, about=visit, withdrawn_by=BY)
    assert (await post.do(retry, message)).state == State.QUEUED


async def test_one_that_is_tried_again_at_the_same_moment_is_taken_back(post: Post, visit: uuid.UUID) -> None:
    row: dict[str, Any] = {"state": State.FAILED, "related_type": "appointment", "related_id": visit}
    message = await make_message(post.house, post.clinic, post.patient, **row)
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        await retry(work, message)
        withdrawing = asyncio.create_task(post.do(withdraw, about=visit, by=BY))
        await asyncio.sleep(0.1)
        assert not withdrawing.done()
    assert await withdrawing == 1
    assert await told(post, message) == (State.CANCELLED, "withdrawn", BY)


async def test_only_what_its_reference_names_is_taken_back_and_signs_in_it_are_signs(
    post: Post, visit: uuid.UUID
) -> None:
    wanted = await post.queue(**of(visit, "a_%/7/patient/text"))
    longer = await post.queue(**of(visit, "a_%/70/patient/text"))
    similar = await post.queue(**of(visit, "abc/7/patient/text"))
    nameless = await post.queue(**of(visit))
    assert await post.do(withdraw, about=visit, by=BY, prefix="a_%/7/") == 1
    assert (await told(post, wanted))[0] == State.CANCELLED
    assert {(await told(post, each))[0] for each in (longer, similar, nameless)} == {State.QUEUED}


async def test_another_clinic_takes_back_nothing_and_gives_nothing_back(
    post: Post, other_clinic: Clinic, house: House, visit: uuid.UUID
) -> None:
    message = await post.queue(**of(visit))
    async with house.open_work(other_clinic.id, SYSTEM) as work:
        assert await withdraw(work, about=visit, by=BY) == 0
    assert (await told(post, message))[0] == State.QUEUED
    await post.do(withdraw, about=visit, by=BY)
    async with house.open_work(other_clinic.id, SYSTEM) as work:
        assert await restore(work, about=visit, withdrawn_by=BY) == 0
    assert (await told(post, message))[0] == State.CANCELLED


@pytest.mark.parametrize(
    ("answers", "asked", "ends"),
    [
        pytest.param([ACCEPTED], None, State.SENT, id="the vendor takes it"),
        pytest.param([BUSY, ACCEPTED], None, State.CANCELLED, id="the vendor is busy"),
        pytest.param([NEVER, ACCEPTED], None, State.CANCELLED, id="the vendor refuses it, another channel is next"),
        pytest.param([SILENT, ACCEPTED], NEVER_HAD_IT, State.CANCELLED, id="no answer, and it never had it"),
        pytest.param([SILENT, ACCEPTED], HAS_IT, State.SENT, id="no answer, and it has it"),
    ],
)
async def test_withdrawn_while_its_vendor_is_asked_it_is_never_sent_again(
    post: Post, visit: uuid.UUID, answers: list[Outcome], asked: Outcome | None, ends: State
) -> None:
    message = await post.queue(**of(visit))

    async def meanwhile(_outgoing: Any) -> None:
        assert await post.do(withdraw, about=visit, by=BY) == 0

    post.vendor.before, post.vendor.asked = meanwhile, asked
    post.vendor.answers.extend(answers)
    await post.send()
    await post.later(ASK_AFTER.total_seconds() + 1)
    await reconcile(post.courier, post.clinic.id)
    for _ in range(3):
        await post.later(300)
    assert len(post.vendor.sent) == 1
    found = await told(post, message)
    assert found == (ends, "withdrawn" if ends is State.CANCELLED else found[1], BY)


async def test_withdrawn_while_nobody_knows_what_became_of_it(post: Post, visit: uuid.UUID) -> None:
    post.vendor.answers.append(SILENT)
    message = await post.queue(**of(visit))
    await post.send()
    await post.do(withdraw, about=visit, by=BY)
    assert await told(post, message) == (State.UNKNOWN, "no_answer", BY)
    post.vendor.asked = NEVER_HAD_IT
    post.clock.move(ASK_AFTER + timedelta(seconds=1))
    await reconcile(post.courier, post.clinic.id)
    await post.later(300)
    assert (await told(post, message))[:2] == (State.CANCELLED, "withdrawn")
    assert len(post.vendor.sent) == 1


async def test_the_worker_that_had_it_died_before_it_asked(post: Post, visit: uuid.UUID) -> None:
    message = await post.queue(**of(visit))
    await post.do(claim, "normal", post.courier.vendors, post.courier.public_url, 10)
    await post.do(withdraw, about=visit, by=BY)
    post.vendor.asked = NEVER_HAD_IT
    post.clock.move(LEASE + timedelta(seconds=1))
    await reconcile(post.courier, post.clinic.id)
    post.clock.move(ASK_AFTER + timedelta(seconds=1))
    await reconcile(post.courier, post.clinic.id)
    await post.later(1)
    assert (await told(post, message))[:2] == (State.CANCELLED, "withdrawn")
    assert not post.vendor.sent


async def test_withdrawn_while_it_waits_for_another_try(post: Post, visit: uuid.UUID) -> None:
    post.vendor.answers.append(BUSY)
    message = await post.queue(**of(visit))
    await post.send()
    assert await post.do(withdraw, about=visit, by=BY) == 1
    await post.later(300)
    assert (await told(post, message))[:2] == (State.CANCELLED, "withdrawn")
    assert len(post.vendor.sent) == 1


@pytest.mark.parametrize("kind", [ReportKind.FAILED, ReportKind.BOUNCED, ReportKind.SOFT_BOUNCED])
@pytest.mark.parametrize("state", ["sent", "delivered"])
async def test_what_had_left_and_came_back_is_not_told_over_the_next_channel(
    post: Post, visit: uuid.UUID, kind: ReportKind, state: str
) -> None:
    related = {"related_type": "appointment", "related_id": visit, "state": state}
    mail = await taken(
        post.house,
        post.clinic,
        channels=(Channel.EMAIL, Channel.SMS),
        patient=post.patient,
        message=related,
        state=state,
    )
    await post.do(withdraw, about=visit, by=BY)
    await mail.told(mail.report(kind))
    await post.later(1)
    came_back = state == "sent" or kind is ReportKind.BOUNCED
    assert (await mail.message()).state == (State.CANCELLED if came_back else State.DELIVERED)
    assert not post.vendor.sent


async def test_that_it_was_delivered_after_all_is_known_and_nothing_is_given_back_then(
    post: Post, visit: uuid.UUID
) -> None:
    related = {"related_type": "appointment", "related_id": visit, "state": "queued", "channel": "sms"}
    mail = await taken(
        post.house,
        post.clinic,
        channels=(Channel.EMAIL, Channel.SMS),
        message=related,
        state="unknown",
    )
    assert await post.do(withdraw, about=visit, by=BY) == 1
    await mail.told(mail.report(ReportKind.FAILED))
    assert (await mail.message()).state == State.CANCELLED
    await mail.told(mail.report(ReportKind.DELIVERED))
    assert (await mail.message()).state == State.DELIVERED
    assert await post.do(restore, about=visit, withdrawn_by=BY) == 0
    found = await mail.message()
    assert (found.state, found.withdrawn_by) == (State.DELIVERED, None)


async def test_by_hand_nobody_sends_what_is_not_true_any_more(post: Post, visit: uuid.UUID) -> None:
    post.vendor.answers.extend([NEVER, NEVER])
    failed = await post.queue(**of(visit))
    asked: list[int] = []

    async def meanwhile(_outgoing: Any) -> None:
        asked.append(await post.do(withdraw, about=visit, by=BY))

    await post.send()
    post.vendor.before = meanwhile
    await post.send()
    assert (asked, (await told(post, failed))[0]) == ([0], State.FAILED)
    waiting = await post.queue(channels=(Channel.SMS,), **of(visit))
    post.vendor.answers.append(BUSY)
    await post.send()
    for verb, message in ((retry, failed), (send_now, waiting)):
        with pytest.raises(Conflict, match="not true any more"):
            await post.do(verb, message)


async def test_given_back_it_is_sent_at_its_time_or_now(post: Post, visit: uuid.UUID) -> None:
    late = await post.queue(**of(visit))
    early = await post.queue(at=NOON + timedelta(hours=2), **of(visit))
    await post.do(withdraw, about=visit, by=BY)
    post.clock.move(timedelta(minutes=10))
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        assert await restore(work, about=visit, withdrawn_by=BY + 1) == 0
        assert not work.jobs
        assert await restore(work, about=visit, withdrawn_by=BY) == 2
        assert work.jobs == [Job("deliver", "normal", (str(post.clinic.id),))]
    assert (await post.read(late)).due_at == NOON + timedelta(minutes=10)
    assert (await post.read(early)).due_at == NOON + timedelta(hours=2)
    assert (await post.steps(late))[1:] == [("cancelled", "withdrawn"), ("queued", "restored")]
    await post.send()
    assert await told(post, late) == (State.SENT, None, None)
    await post.later(2 * 3600)
    assert await told(post, early) == (State.SENT, None, None)


async def test_given_back_while_its_vendor_is_asked_it_goes_its_usual_way(post: Post, visit: uuid.UUID) -> None:
    message = await post.queue(**of(visit))

    async def meanwhile(_outgoing: Any) -> None:
        post.vendor.before = None
        await post.do(withdraw, about=visit, by=BY)
        assert await post.do(restore, about=visit, withdrawn_by=BY) == 0

    post.vendor.before = meanwhile
    post.vendor.answers.append(NEVER)
    await post.send()
    await post.send()
    assert [each.channel for each in post.vendor.sent] == [*BOTH]
    assert await told(post, message) == (State.SENT, None, None)


async def test_what_somebody_cancelled_by_hand_is_not_given_back(post: Post, visit: uuid.UUID) -> None:
    message = await post.queue(**of(visit))
    await post.do(cancel, message)
    await post.do(withdraw, about=visit, by=BY)
    assert await post.do(restore, about=visit, withdrawn_by=BY) == 0
    assert await told(post, message) == (State.CANCELLED, "by_hand", None)


async def test_what_was_untrue_before_is_given_back_with_the_first_reason_alone(post: Post, visit: uuid.UUID) -> None:
    message = await post.queue(**of(visit))

    async def meanwhile(_outgoing: Any) -> None:
        for change in (BY, BY + 1):
            await post.do(withdraw, about=visit, by=change)

    post.vendor.before = meanwhile
    post.vendor.answers.append(BUSY)
    await post.send()
    await post.do(restore, about=visit, withdrawn_by=BY + 1)
    await post.later(61)
    assert await told(post, message) == (State.CANCELLED, "withdrawn", BY)
    assert await post.do(restore, about=visit, withdrawn_by=BY) == 1


async def test_it_waits_for_the_worker_that_is_taking_it_and_marks_what_it_took(post: Post, visit: uuid.UUID) -> None:
    message = await post.queue(**of(visit))
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        parcels, _ = await claim(work, "normal", post.courier.vendors, post.courier.public_url, 10)
        withdrawing = asyncio.create_task(post.do(withdraw, about=visit, by=BY))
        done, _ = await asyncio.wait([withdrawing], timeout=0.2)
        assert not done
    assert (await withdrawing, len(parcels)) == (0, 1)
    found = await post.read(message)
    assert (found.state, found.withdrawn_by) == (State.SENDING, BY)


async def test_a_worker_passes_by_what_is_being_taken_back_or_given_back(post: Post, visit: uuid.UUID) -> None:
    message = await post.queue(**of(visit))
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        await withdraw(work, about=visit, by=BY)
        assert await post.send() == 0
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        await restore(work, about=visit, withdrawn_by=BY)
        assert await post.send() == 0
    assert await post.send() == 1
    assert (await told(post, message))[0] == State.SENT
