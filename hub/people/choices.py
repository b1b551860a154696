"""What patients allow and refuse, by topic and by channel: each choice is a row with its source and time."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.channels.vendor import Channel
from hub.errors import FieldError, Invalid
from hub.people.contact_points import lock_patient
from hub.people.tables import PatientChoice
from hub.work import Work

TOPIC_REFUSED = "topic_refused"
CHANNEL_REFUSED = "channel_refused"
NO_OPT_IN = "no_opt_in"

MOST_TOLD = 50


class Topic(StrEnum):
    """What a message is about, as far as a patient chooses."""

    REMINDERS = "reminders"
    CONFIRMATIONS = "confirmations"
    RESULTS = "results"
    BILLING = "billing"
    MARKETING = "marketing"


class Source(StrEnum):
    """How a choice came to us."""

    DESK = "desk"
    API = "api"
    LINK = "link"  # the patient's own page
    REPLY = "reply"  # STOP or START, as an answer to a message
    UNSUBSCRIBE = "unsubscribe"
    VENDOR = "vendor"  # the company behind a channel says so


# What somebody gets who never chose: everything that belongs to their care, and no advertising.
BY_ITSELF: dict[Topic | Channel, bool] = {each: each is not Topic.MARKETING for each in (*Topic, *Channel)}


@dataclass(frozen=True, slots=True)
class Choices:
    """What one patient allows, each topic and each channel named."""

    topics: dict[str, bool]
    channels: dict[str, bool]

    def allows(self, topic: str, channel: str) -> str | None:
        """None when a message about `topic` may go over `channel`, else the reason why not."""
        if not self.topics[topic]:
            return NO_OPT_IN if topic == Topic.MARKETING else TOPIC_REFUSED
        return None if self.channels[channel] else CHANNEL_REFUSED


async def read_choices(session: AsyncSession, patients: Collection[uuid.UUID]) -> dict[uuid.UUID, Choices]:
    """What each of these patients allows; everybody asked for is in the answer."""
    found = {
        patient: Choices(
            {topic.value: BY_ITSELF[topic] for topic in Topic}, {channel.value: True for channel in Channel}
        )
        for patient in patients
    }
    for row in await _latest(session, patients):
        if row.topic is not None:
            found[row.patient_id].topics[row.topic] = row.allowed
        elif row.channel is not None:
            found[row.patient_id].channels[row.channel] = row.allowed
    return found


async def read_consents(session: AsyncSession, patient: uuid.UUID) -> dict[str, PatientChoice]:
    """The choice that counts for each topic and channel about which the patient ever chose, by its name."""
    return {row.topic or row.channel or "": row for row in await _latest(session, [patient])}


async def read_history(session: AsyncSession, patient: uuid.UUID) -> list[PatientChoice]:
    """The patient's choices, newest first."""
    query = select(PatientChoice).where(PatientChoice.patient_id == patient)
    return list((await session.execute(query.order_by(PatientChoice.id.desc()).limit(MOST_TOLD))).scalars())


async def choose(
    work: Work,
    patient: uuid.UUID,
    *,
    topic: Topic | None = None,
    channel: Channel | None = None,
    allowed: bool,
    source: str,
) -> None:
    """Write down a choice about one topic or one channel; what is so already is not written again.

    Raises Invalid unless exactly one of both is named, and NotFound when there is no such patient.
    """
    if (topic is None) == (channel is None):
        either = [*Topic, *Channel]
        raise Invalid("Choose about one topic, or about one channel.", [FieldError("topic", "one of both", [*either])])
    # One after the other, so that two at once cannot both see what was before.
    await lock_patient(work, patient)
    before = (await read_choices(work.session, [patient]))[patient]
    was = before.topics[topic] if topic is not None else before.channels[channel or ""]
    if was == allowed:
        return
    chosen = PatientChoice(
        tenant_id=work.tenant,
        patient_id=patient,
        topic=topic,
        channel=channel,
        allowed=allowed,
        source=source,
        actor_kind=work.actor.kind,
        actor_id=work.actor.id,
        at=work.now,
    )
    work.session.add(chosen)
    await work.session.flush()
    about = {"topic": topic} if topic is not None else {"channel": channel}
    after = about | {"allowed": allowed, "source": source}
    await audit.record(work, "patient.chose", "patient", patient, about | {"allowed": was}, after)


async def choose_each(work: Work, patient: uuid.UUID, wanted: Mapping[Topic | Channel, bool], source: str) -> None:
    """Write down several choices at once; raises NotFound."""
    for about, allowed in wanted.items():
        topic, channel = (about, None) if isinstance(about, Topic) else (None, about)
        await choose(work, patient, topic=topic, channel=channel, allowed=allowed, source=source)


async def _latest(session: AsyncSession, patients: Collection[uuid.UUID]) -> list[PatientChoice]:
    about = (PatientChoice.patient_id, PatientChoice.topic, PatientChoice.channel)
    query = select(PatientChoice).ext(distinct_on(*about)).where(PatientChoice.patient_id.in_(patients))
    return list((await session.execute(query.order_by(*about, PatientChoice.id.desc()))).scalars())
