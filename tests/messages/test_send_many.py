"""Queueing many at once: each as if it were alone, and one that does not fit holds up none."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from hub.channels.vendor import Channel, File
from hub.errors import Conflict, HubError, Invalid, NotFound
from hub.messages.compose import Sending, send_many, send_message
from hub.messages.content import open_content
from hub.messages.states import State
from hub.messages.tables import Message, MessageAttachment
from hub.people.choices import Topic
from hub.templates.render import Variable
from hub.templates.versions import Words, add_template, publish
from hub.work import SYSTEM, Job
from tests.factories import Clinic, add_patient
from tests.messages.post import NOON, Post

CODE = "reminder"
NAMED = (
    Variable("patient", "text", "personal", "Sara"),
    Variable("due_on", "date", "personal", "2026-11-22"),
)
DAY = {"due_on": "2026-11-22"}


@pytest.fixture
async def post(post: Post) -> Post:
    """With a template for SMS and email."""
    said = " ".join(f"{{ ${each.name} }}" for each in NAMED)
    for channel in (Channel.SMS, Channel.EMAIL):
        words = Words(
            bodies={"en": f"Hello {said}", "ar": f"مرحبًا {said}"},
            subjects={"en": "Your visit", "ar": "زيارتك"} if channel is Channel.EMAIL else {},
            variables=NAMED,
        )
        await post.do(publish, (await post.do(add_template, CODE, channel, "reminders", words)).template_id)
    return post


async def count(post: Post) -> int:
    async with post.house.database.of_tenant(post.clinic.id) as session:
        return (await session.execute(select(func.count()).select_from(Message))).scalar_one()


async def test_each_is_queued_as_if_it_were_alone(post: Post) -> None:
    huda = await add_patient(post.house, post.clinic, name="هدى", language="ar")
    file = File("map.pdf", "application/pdf", b"%PDF-1.7")
    at = NOON + timedelta(hours=1)
    sendings = [
        Sending(post.patient.id, CODE, DAY, reference="b", related=("appointment", uuid.uuid4())),
        Sending(huda.id, CODE, DAY, channels=(Channel.EMAIL,), at=at, reference="a", files=(file,), lane="bulk"),
        Sending(staff=post.clinic.huda.id, code=CODE, values=DAY | {"patient": "هدى"}, department="Dental"),
    ]
    async with post.house.open_work(post.clinic.id, SYSTEM) as work:
        sara, hudas, staff = await send_many(work, sendings)
        assert work.jobs == [Job("deliver", "normal", (str(post.clinic.id),))], "what has its time is found by then"
    assert isinstance(sara, Message)
    assert isinstance(hudas, Message)
    assert isinstance(staff, Message)
    assert (sara.patient_id, sara.language, sara.channels) == (post.patient.id, "en", ["sms", "email"])
    assert sendings[0].related == (sara.related_type, sara.related_id)
    assert (hudas.patient_id, hudas.language, hudas.due_at, hudas.lane) == (huda.id, "ar", at, "bulk")
    assert (staff.staff_id, staff.channels, staff.department) == (post.clinic.huda.id, ["email"], "Dental")
    assert open_content(post.house.keys, hudas.id, hudas.sealed) == {"values": {"patient": "هدى"} | DAY}
    assert [await post.steps(each.id) for each in (sara, hudas)] == [[("queued", None)], [("queued", "scheduled")]]
    async with post.house.database.of_tenant(post.clinic.id) as session:
        files = (await session.execute(select(MessageAttachment.message_id))).scalars().all()
    assert files == [hudas.id]


async def test_one_that_does_not_fit_is_an_error_in_its_place(post: Post, other_clinic: Clinic) -> None:
    theirs = await add_patient(post.house, other_clinic)
    own = await post.do(
        send_message, Sending(post.patient.id, topic=Topic.REMINDERS, text="See you.", reference="taken")
    )
    fits = Sending(post.patient.id, CODE, DAY)
    sendings = [
        replace(fits, values={}),
        fits,
        replace(fits, patient=theirs.id),
        replace(fits, code="unknown"),
        replace(fits, channels=(Channel.WHATSAPP,)),
        replace(fits, reference="taken"),
        replace(fits, values=DAY | {"typo": "x"}),
        Sending(code=CODE, values=DAY),
        fits,
    ]
    found = await post.do(send_many, sendings)
    kinds = [type(each) for each in found]
    assert kinds == [Invalid, Message, NotFound, Invalid, Invalid, Conflict, Invalid, NotFound, Message]
    assert await count(post) == 3
    assert (await post.read(own.id)).code is None
    assert await post.do(send_many, []) == []


async def test_what_the_hubs_events_bring_and_no_wording_names_is_left_out_in_peace(post: Post) -> None:
    (found,) = await post.do(send_many, [Sending(post.patient.id, CODE, DAY | {"reason": "Closed"})])
    assert isinstance(found, Message)
    (refused,) = await post.do(send_many, [Sending(post.patient.id, CODE, DAY | {"clinic": "Mine"})])
    assert isinstance(refused, Invalid)


async def test_the_same_reference_is_the_same_message_in_one_call_and_the_next(post: Post) -> None:
    other = await add_patient(post.house, post.clinic)
    one = Sending(post.patient.id, CODE, DAY, reference="visit-1")
    first, same, others = await post.do(send_many, [one, one, replace(one, patient=other.id)])
    assert first.id == same.id
    assert isinstance(others, Conflict)
    again, new = await post.do(send_many, [one, replace(one, reference="visit-2")])
    assert (again.id, await count(post)) == (first.id, 2)
    assert await post.steps(first.id) == [("queued", None)]
    assert new.id != first.id


async def test_two_workers_with_the_same_ones_in_another_order_queue_each_once(post: Post) -> None:
    people = [await add_patient(post.house, post.clinic, phone=None, email=None) for _ in range(20)]
    sendings = [Sending(each.id, CODE, DAY, reference=f"visit/{number}") for number, each in enumerate(people)]
    orders = (sendings, sendings[::-1], sendings)
    found = await asyncio.gather(*(post.do(send_many, order) for order in orders))
    counted = Counter(each.id for each in (*found[0], *found[1], *found[2]))
    assert set(counted.values()) == {3}
    assert await count(post) == 20
    assert [each.id for each in found[0]] == [each.id for each in reversed(found[1])]


async def test_many_take_as_many_statements_as_a_few(post: Post) -> None:
    patients = [post.patient, *[await add_patient(post.house, post.clinic) for _ in range(9)]]
    statements = {}
    for size in (2, 10):
        async with post.house.open_work(post.clinic.id, SYSTEM) as work:
            engine = (await work.session.connection()).engine.sync_engine
            seen: list[str] = []

            def note(_connection: object, _cursor: object, statement: str, *_: object, seen: list[str] = seen) -> None:
                seen.append(statement)

            event.listen(engine, "before_cursor_execute", note)
            found = await send_many(work, [Sending(each.id, CODE, DAY) for each in patients[:size]])
            event.remove(engine, "before_cursor_execute", note)
        assert not any(isinstance(each, HubError) for each in found)
        statements[size] = len(seen)
    assert statements[2] == statements[10] <= 8


async def test_what_was_queued_together_leaves_together(post: Post) -> None:
    other = await add_patient(post.house, post.clinic, name="Noor")
    found = await post.do(send_many, [Sending(each.id, CODE, DAY) for each in (post.patient, other)])
    await post.send()
    assert {(await post.read(each.id)).state for each in found} == {State.SENT}
    assert sorted(each.text.split()[1] for each in post.vendor.sent) == ["Noor", "Sara"]
