"""Deciding what becomes of one message that is due, and preparing its request, with what was read for all of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from hub.channels.registry import Registry
from hub.channels.vendor import Channel, File, Outgoing, Vendor
from hub.crypto import CannotOpen
from hub.errors import Invalid
from hub.logs import get_logger
from hub.messages.compose import given_values, only
from hub.messages.content import open_content, open_file, seal_request
from hub.messages.decide import CONTACT_KIND, NO_VENDOR, Facts, Go, Stop, Wait, decide
from hub.messages.letter import write_letter
from hub.messages.states import AttemptState, State
from hub.messages.steps import step
from hub.messages.tables import MessageAttachment
from hub.people.choices import Choices, Topic
from hub.people.contact_points import open_contact
from hub.people.preference_links import make_link
from hub.people.tables import ContactPoint, Staff
from hub.people.tenants import Clinic
from hub.templates.render import Rendered, Wording, render
from hub.templates.segments import count_segments
from hub.templates.versions import wordings_by_id
from hub.work import Work

log = get_logger(__name__)

PERSON_INACTIVE = "person_inactive"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request that is about to be made."""

    message: uuid.UUID
    attempt: uuid.UUID
    number: int
    tries: int
    lane: str
    channels: tuple[Channel, ...]
    patient: uuid.UUID | None
    contact_point: uuid.UUID | None
    vendor: Vendor
    outgoing: Outgoing
    claimed: float
    claimed_at: datetime
    delay: float = 0.0


@dataclass(slots=True)
class Around:
    """What the messages of one claim have in common, read once."""

    work: Work
    clinic: Clinic
    vendors: Registry
    public_url: str
    spared: Mapping[str, datetime]
    zones: Mapping[uuid.UUID, ZoneInfo]
    contacts: Mapping[uuid.UUID, Mapping[str, ContactPoint]]
    choices: Mapping[uuid.UUID, Choices]
    staff: Mapping[uuid.UUID, Staff]
    wordings: Mapping[str, Mapping[Channel, Wording]]
    files: Mapping[uuid.UUID, list[MessageAttachment]]
    parcels: list[Parcel] = field(default_factory=list)
    attempts: dict[uuid.UUID, dict[str, Any]] = field(default_factory=dict)
    later: list[tuple[uuid.UUID, str, datetime]] = field(default_factory=list)
    stopped: list[tuple[uuid.UUID, str, str]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)


async def prepare(around: Around, row: asyncpg.Record) -> None:
    """One that cannot be prepared holds up no other."""
    try:
        await _decide_one(around, row)
    except CannotOpen:
        _stop(around, row, State.FAILED, "cannot_be_opened")
    except (SQLAlchemyError, OSError):
        raise
    except Exception as error:
        log.exception("a message was not prepared", message_id=str(row["id"]), error=type(error).__name__)
        _stop(around, row, State.FAILED, "fault")


async def _decide_one(around: Around, row: asyncpg.Record) -> None:
    work, message = around.work, row["id"]
    content = open_content(work.keys, message, row["sealed"])
    if row["patient_id"] is None and row["staff_id"] is None:
        await _prepare_test(around, row, content)
        return
    match decide(_facts(around, row), work.now):
        case Stop(state, reason):
            _stop(around, row, state, reason)
        case Wait(until, reason):
            _put_off(around, row, reason, until)
        case Go(channel):
            to, point = _address(around, row, channel)
            _prepare(around, row, channel, content, to, point)


def _facts(around: Around, row: asyncpg.Record) -> Facts:
    facts = Facts(
        withdrawn=row["withdrawn_by"] is not None,
        channels=[Channel(each) for each in row["channels"]],
        channel=Channel(row["channel"]),
        has_left_before=row["attempt"] > 0,
        # Nobody's sleep is worth an advertisement.
        is_critical=row["lane"] == "critical" and not _advertises(around, row),
        expires_at=row["expires_at"],
        zone=around.clinic.zone,
        allows=lambda _channel: None,
        contacts={},
        wordings=around.wordings.get(row["code"], {}) if row["code"] else tuple(Channel),
        vendors=[channel for channel in Channel if around.vendors.for_channel(channel)],
    )
    return _of_staff(facts, around.staff[row["staff_id"]]) if row["staff_id"] else _of_patient(facts, around, row)


def _of_patient(facts: Facts, around: Around, row: asyncpg.Record) -> Facts:
    patient = row["patient_id"]
    choices = around.choices[patient]
    return replace(
        facts,
        zone=around.zones.get(patient, facts.zone),
        allows=lambda channel: _refusal(around, row, choices, channel),
        contacts={kind: point.flag is not None for kind, point in around.contacts.get(patient, {}).items()},
    )


def _of_staff(facts: Facts, person: Staff) -> Facts:
    """Who works here is told of the work as it comes, at the address they sign in with, for as long as they may."""
    allows = None if person.active else PERSON_INACTIVE
    return replace(
        facts,
        has_left_before=False,
        is_critical=True,
        allows=lambda _channel: allows,
        contacts={"email": False},
    )


def _address(around: Around, row: asyncpg.Record, channel: Channel) -> tuple[str, uuid.UUID | None]:
    if row["staff_id"]:
        return around.staff[row["staff_id"]].email, None
    point = around.contacts[row["patient_id"]][CONTACT_KIND[channel]]
    return open_contact(around.work.keys, point), point.id


def _topics(around: Around, row: asyncpg.Record, channel: Channel) -> set[str]:
    """What it is about: as it was asked for, and as the channel's template says now."""
    wording = around.wordings.get(row["code"], {}).get(channel)
    return {row["topic"], wording.topic} if wording else {row["topic"]}


def _advertises(around: Around, row: asyncpg.Record) -> bool:
    return any(Topic.MARKETING in _topics(around, row, channel) for channel in map(Channel, row["channels"]))


def _refusal(around: Around, row: asyncpg.Record, choices: Choices, channel: Channel) -> str | None:
    refusals = (choices.allows(topic, channel) for topic in sorted(_topics(around, row, channel)))
    return next(filter(None, refusals), None)


def _prepare(
    around: Around,
    row: asyncpg.Record,
    channel: Channel,
    content: Mapping[str, Any],
    to: str,
    point: uuid.UUID | None,
) -> None:
    wording = around.wordings[row["code"]][channel] if row["code"] else None
    if wording is None:
        rendered = write_letter(content["subject"], content["text"], channel, row["language"], around.clinic.name)
    else:
        values = content["values"] | given_values(around.clinic, _preferences_url(around, row))
        try:
            rendered = _render(around, wording, channel, row["language"], values)
        except Invalid:
            _stop(around, row, State.FAILED, "wording_does_not_fit")
            return
    _send_to(around, row, channel, to, rendered, wording, point)


def _preferences_url(around: Around, row: asyncpg.Record) -> str | None:
    if row["patient_id"] is None:
        return None
    work = around.work
    link = make_link(work.keys, work.tenant, row["patient_id"], "preferences", None, work.now)
    return f"{around.public_url}/p/{link}"


async def _prepare_test(around: Around, row: asyncpg.Record, content: Mapping[str, Any]) -> None:
    version, channel = uuid.UUID(content["version"]), Channel(row["channel"])
    wording = (await wordings_by_id(around.work.session, [version])).get(version)
    if wording is None:
        _stop(around, row, State.FAILED, "wording_is_gone")
        return
    try:
        rendered = _render(around, wording, channel, row["language"], content["values"])
    except Invalid:
        _stop(around, row, State.FAILED, "wording_does_not_fit")
        return
    _send_to(around, row, channel, content["to"], rendered, wording, None)


def _render(around: Around, wording: Wording, channel: Channel, language: str, values: Mapping[str, Any]) -> Rendered:
    clinic = around.clinic
    return render(wording, channel, language, only(wording, values), clinic=clinic.name, zone=clinic.zone)


def _send_to(
    around: Around,
    row: asyncpg.Record,
    channel: Channel,
    to: str,
    rendered: Rendered,
    wording: Wording | None,
    point: uuid.UUID | None,
) -> None:
    vendors = around.vendors.for_channel(channel)
    vendor = next((each for each in vendors if each.account not in around.spared), None)
    if not vendors:
        _stop(around, row, State.FAILED, NO_VENDOR)
        return
    if vendor is None:
        _put_off(around, row, "vendor_account", min(around.spared[each.account] for each in vendors))
        return
    work, attempt, number = around.work, uuid.uuid4(), row["attempt"] + 1
    tries = row["tries"] + 1 if channel == row["channel"] else 1
    outgoing = Outgoing(
        reference=attempt,
        tenant=work.tenant,
        channel=channel,
        to=to,
        text=rendered.text,
        subject=rendered.subject,
        html=rendered.html,
        language=row["language"],
        sender_name=around.clinic.name,
        unsubscribe_url=_unsubscribe_url(around, row, channel),
        valid_until=row["expires_at"],
        files=_files(around, row["id"]) if channel is Channel.EMAIL else (),
        approved=_approved(wording, vendor, row["language"]) if channel is Channel.WHATSAPP else None,
        approved_values=rendered.values,
    )
    request = {"to": to, "subject": rendered.subject, "text": rendered.text, "html": rendered.html}
    around.attempts[attempt] = {
        "id": attempt,
        "tenant_id": work.tenant,
        "message_id": row["id"],
        "number": number,
        "channel": channel,
        "vendor": vendor.name,
        "contact_point_id": point,
        "template_version_id": wording.version_id if wording else None,
        "sealed": seal_request(work.keys, attempt, request),
        "state": AttemptState.SENDING,
        "segments_estimated": count_segments(rendered.text).parts if channel is Channel.SMS else None,
        "started_at": work.now,
    }
    channels = tuple(Channel(each) for each in row["channels"])
    around.parcels.append(
        Parcel(
            message=row["id"],
            attempt=attempt,
            number=number,
            tries=tries,
            lane=row["lane"],
            channels=channels,
            patient=row["patient_id"],
            contact_point=point,
            vendor=vendor,
            outgoing=outgoing,
            claimed=time.monotonic(),
            claimed_at=work.now,
        )
    )


def _approved(wording: Wording | None, vendor: Vendor, language: str) -> str | None:
    return wording.vendor_refs.get(f"{vendor.name}:{language}") if wording else None


def _unsubscribe_url(around: Around, row: asyncpg.Record, channel: Channel) -> str:
    if (
        channel is not Channel.EMAIL
        or row["patient_id"] is None
        or Topic.MARKETING not in _topics(around, row, channel)
    ):
        return ""
    work = around.work
    link = make_link(work.keys, work.tenant, row["patient_id"], "unsubscribe", Topic.MARKETING, work.now)
    return f"{around.public_url}/u/{link}"


def _files(around: Around, message: uuid.UUID) -> tuple[File, ...]:
    keys = around.work.keys
    return tuple(open_file(keys, file.id, file.sealed, file.content_type) for file in around.files.get(message, ()))


def _put_off(around: Around, row: asyncpg.Record, reason: str, until: datetime) -> None:
    around.later.append((row["id"], reason, until))
    detail = {"until": until.isoformat()}
    around.steps.append(
        step(around.work, row["id"], State.QUEUED, channel=row["channel"], reason=reason, detail=detail)
    )


def _stop(around: Around, row: asyncpg.Record, state: State, reason: str) -> None:
    around.stopped.append((row["id"], state, reason))
    around.steps.append(step(around.work, row["id"], state, channel=row["channel"], reason=reason))
