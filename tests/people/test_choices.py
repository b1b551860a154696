"""What a patient allows: everything of their care unless they say otherwise, advertising only when they say so."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from hub.audit import AuditEntry
from hub.channels.vendor import Channel
from hub.errors import Invalid, NotFound
from hub.people.choices import (
    CHANNEL_REFUSED,
    NO_OPT_IN,
    TOPIC_REFUSED,
    Choices,
    Source,
    Topic,
    choose,
    read_choices,
    read_consents,
    read_history,
)
from hub.people.tables import PatientChoice
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.factories import Clinic, add_patient, open_clinic

EVERYTHING = {topic.value: True for topic in Topic}, {channel.value: True for channel in Channel}
about = st.sampled_from([*Topic, *Channel])


async def decide(house: House, clinic: Clinic, patient: uuid.UUID, what: Topic | Channel, allowed: bool) -> None:
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        topic, channel = (what, None) if isinstance(what, Topic) else (None, what)
        await choose(work, patient, topic=topic, channel=channel, allowed=allowed, source=Source.DESK)


async def choices_of(house: House, clinic: Clinic, *patients: uuid.UUID) -> list[Choices]:
    async with house.database.of_tenant(clinic.id) as session:
        found = await read_choices(session, patients)
    return [found[patient] for patient in patients]


@given(topics=st.fixed_dictionaries(dict.fromkeys(Topic, st.booleans())), channels=st.fixed_dictionaries(
    dict.fromkeys(Channel, st.booleans())
))  # fmt: skip
def test_a_message_goes_when_topic_and_channel_are_both_allowed(
    topics: dict[str, bool], channels: dict[str, bool]
) -> None:
    choices = Choices(topics, channels)
    for topic in Topic:
        for channel in Channel:
            reason = choices.allows(topic, channel)
            assert (reason is None) == (topics[topic] and channels[channel])
            if not topics[topic]:
                assert reason == (NO_OPT_IN if topic is Topic.MARKETING else TOPIC_REFUSED)
            elif not channels[channel]:
                assert reason == CHANNEL_REFUSED


async def test_who_never_chose_gets_all_but_advertising(house: House, clinic: Clinic) -> None:
    patient, nobody = (await add_patient(house, clinic)).id, uuid.uuid4()
    for found in await choices_of(house, clinic, patient, nobody):
        assert found == Choices(EVERYTHING[0] | {"marketing": False}, EVERYTHING[1])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 1), about, st.booleans()), max_size=12))
async def test_the_last_word_about_each_counts(house: House, steps: list[tuple[int, Topic | Channel, bool]]) -> None:
    clinic = await open_clinic(house)
    patients = [(await add_patient(house, clinic, phone=None, email=None)).id for _ in range(2)]
    wanted = [dict(EVERYTHING[0] | EVERYTHING[1]) | {"marketing": False} for _ in patients]
    rows = [0, 0]
    for who, what, allowed in steps:
        rows[who] += wanted[who][what] != allowed
        wanted[who][what] = allowed
        await decide(house, clinic, patients[who], what, allowed)
    for found, expected in zip(await choices_of(house, clinic, *patients), wanted, strict=True):
        assert found.topics | found.channels == expected
    async with house.database.of_tenant(clinic.id) as session:
        for patient, count in zip(patients, rows, strict=True):
            history = await read_history(session, patient)
            assert len(history) == count, "what is so already is not written again"
            for name, row in (await read_consents(session, patient)).items():
                assert row.id == next(each.id for each in history if (each.topic or each.channel) == name)


async def test_a_choice_says_who_when_and_how(house: House, clinic: Clinic) -> None:
    patient = (await add_patient(house, clinic)).id
    await decide(house, clinic, patient, Topic.MARKETING, allowed=True)
    async with house.database.of_tenant(clinic.id) as session:
        row = (await read_consents(session, patient))["marketing"]
        entry = (await session.execute(select(AuditEntry).filter_by(action="patient.chose"))).scalar_one()
    assert (row.allowed, row.source, row.actor_kind, row.actor_id) == (True, "desk", "staff", clinic.desk.id)
    assert entry.object_id == patient
    assert entry.before == {"topic": "marketing", "allowed": False}
    assert entry.after == {"topic": "marketing", "allowed": True, "source": "desk"}


async def test_the_same_choice_at_once_is_written_once(house: House, clinic: Clinic) -> None:
    patient = (await add_patient(house, clinic)).id
    await asyncio.gather(*(decide(house, clinic, patient, Channel.SMS, allowed=False) for _ in range(8)))
    async with house.database.of_tenant(clinic.id) as session:
        assert (await session.execute(select(func.count()).select_from(PatientChoice))).scalar_one() == 1


async def test_a_choice_is_about_one_thing(house: House, clinic: Clinic) -> None:
    patient = (await add_patient(house, clinic)).id
    for both in ({}, {"topic": Topic.BILLING, "channel": Channel.SMS}):
        async with house.open_work(clinic.id, SYSTEM) as work:
            with pytest.raises(Invalid):
                await choose(work, patient, **both, allowed=True, source="api")  # type: ignore[arg-type]


async def test_nobody_chooses_for_another_clinics_patient(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    patient = (await add_patient(house, other_clinic)).id
    with pytest.raises(NotFound):
        await decide(house, clinic, patient, Channel.SMS, allowed=False)
    assert (await choices_of(house, other_clinic, patient))[0].channels["sms"]
