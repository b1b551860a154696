"""Telling what happened to an appointment: each row of the table becomes a ring, a message, or a reason why not."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select

from hub.appointments.changes import News
from hub.appointments.confirmation import link_of
from hub.appointments.states import Clearance, Consent
from hub.appointments.switches import CHANNELS, Setting, read_settings
from hub.appointments.tables import Appointment, AppointmentChange
from hub.appointments.tellings import Event, Recipient, Telling, Way
from hub.appointments.wording import Heard, clock_at, event_wording
from hub.channels.vendor import Channel
from hub.errors import Conflict, HubError, Invalid
from hub.inbox.kinds import Kind, Level
from hub.inbox.notify import Notice, Related, notify
from hub.inbox.retract import retract
from hub.messages.compose import Sending, send_many
from hub.messages.states import State as MessageState
from hub.messages.tables import Message
from hub.messages.withdraw import withdraw
from hub.people.patients import read_patient
from hub.people.roles import Role
from hub.people.staff import get_staff
from hub.people.tables import Patient, Staff
from hub.people.tenants import Clinic, read_clinic
from hub.work import Work

# Why something was not told.
ALREADY_PAST = "already_past"
NOBODY = "nobody"
NO_TEMPLATE = "no_template"
NO_WORDING = "no_wording"
DOES_NOT_FIT = "does_not_fit"
NO_TEXT_CHANNEL = "no_text_channel"
NO_EMAIL_CHANNEL = "no_email_channel"
SAME_TIME = "same_time"
# Why something could not be taken back.
ALREADY_LEFT = "already_left"

# Whoever would travel for nothing within this time is told at night, too.
SOON = timedelta(hours=12)
A_DAY = timedelta(days=1)
# For so long it is worth something; what is not named here is worth nothing once the visit begins.
WORTH: dict[Event, timedelta] = {Event.CANCELLED: A_DAY, Event.COMPLETED: 3 * A_DAY, Event.NO_SHOW: A_DAY}
AHEAD_ONLY = frozenset({Event.BOOKED, Event.CONFIRMED, Event.RESCHEDULED})
KINDS: dict[Event, Kind] = {
    Event.BOOKED: Kind.APPOINTMENT_BOOKED,
    Event.CONFIRMED: Kind.APPOINTMENT_CONFIRMED,
    Event.RESCHEDULED: Kind.APPOINTMENT_RESCHEDULED,
    Event.ARRIVED: Kind.PATIENT_ARRIVED,
    Event.CANCELLED: Kind.APPOINTMENT_CANCELLED,
    Event.NO_SHOW: Kind.APPOINTMENT_NO_SHOW,
    Event.WISH: Kind.APPOINTMENT_WISH,
    Event.UNDONE: Kind.APPOINTMENT_UNDONE,
}
# Its vendor has it, or may have it.
LEFT = (
    MessageState.SENDING,
    MessageState.UNKNOWN,
    MessageState.SENT,
    MessageState.DELIVERED,
    MessageState.READ,
)


@dataclass(frozen=True, slots=True)
class _Matter:
    """An event of a visit, and everything about it that tellings need, read once."""

    work: Work
    appointment: Appointment
    news: News
    clinic: Clinic
    patient: Patient
    clinician: Staff

    @property
    def by_patient(self) -> bool:
        """Whether the patient did it, by their link."""
        return self.work.actor.kind == "patient"

    @property
    def old_start(self) -> datetime | None:
        """When the visit was before a move."""
        return self.news.before.get("starts_at") if self.news.event is Event.RESCHEDULED else None

    @property
    def stays(self) -> bool:
        """Whether a move was to another clinician, or of another length, alone."""
        return self.old_start == self.appointment.starts_at


@dataclass(frozen=True, slots=True)
class _Held:
    """A telling that does not happen, and why."""

    telling: Telling
    reason: str


async def tell(work: Work, appointment: Appointment, news: News) -> None:
    """Tell everybody whom the clinic's table names; what is not told, and why, is kept with the change.

    Nothing here refuses the change itself: a template that is gone or words that do not fit are a reason, not an error.
    Each change is told once, in the transaction that makes it true.
    """
    rows = [each for each in (await read_settings(work.session)).values() if _is_wanted(work, each, news.event)]
    if not rows:
        return
    if news.event in AHEAD_ONLY and appointment.starts_at <= work.now:
        held = [_Held(row.telling, ALREADY_PAST) for row in rows]
    else:
        matter = await _matter(work, appointment, news)
        held = await _ring(matter, [row.telling for row in rows if row.telling.over is Way.IN_APP])
        held += await _send(matter, [row for row in rows if row.telling.over is not Way.IN_APP])
    await _keep(work, news.change, held)


async def take_back(work: Work, appointment: Appointment, change: AppointmentChange, undoing: int) -> None:
    """Take back what was told of a change: unread rings go, what has not left stays; who has read it is told so.

    A patient to whom it has left is not written to again: that it is too late is kept with the undoing.
    """
    prefix = _reference(appointment, change.id)
    await withdraw(work, about=appointment.id, by=undoing, prefix=prefix)
    readers = await retract(work, appointment.id, {"change": change.id})
    left = select(Message.staff_id, Message.reference).where(
        Message.related_id == appointment.id,
        Message.reference.startswith(prefix, autoescape=True),
        Message.state.in_(LEFT),
    )
    gone = (await work.session.execute(left.order_by(Message.reference))).all()
    readers += [row.staff_id for row in gone if row.staff_id is not None]
    matter = await _matter(work, appointment, News(undoing, Event.UNDONE))
    telling = (await read_settings(work.session))[Event.UNDONE, Recipient.CLINICIAN, Way.IN_APP]
    if telling.enabled and (people := await _active(work, Staff.id.in_(readers))):
        await _notify(matter, people, undone=Event(change.event))
    await _keep(work, undoing, [_too_late(row.reference) for row in gone if row.staff_id is None])


def _is_wanted(work: Work, setting: Setting, event: Event) -> bool:
    telling = setting.telling
    return telling.event is event and setting.enabled and (work.actor.kind == "patient" or not telling.of_the_patient)


async def _matter(work: Work, appointment: Appointment, news: News) -> _Matter:
    return _Matter(
        work=work,
        appointment=appointment,
        news=news,
        clinic=await read_clinic(work.session, work.tenant),
        patient=await read_patient(work.session, appointment.patient_id),
        clinician=await get_staff(work.session, appointment.clinician_id),
    )


async def _ring(matter: _Matter, tellings: Sequence[Telling]) -> list[_Held]:
    """Ring everybody's bell at once: so heads are locked in one order, and who is named twice hears it once."""
    found = {telling: await _people(matter, telling.to) for telling in tellings}
    if people := sorted({person for each in found.values() for person in each}):
        await _notify(matter, people)
    return [_Held(telling, NOBODY) for telling, each in found.items() if not each]


async def _people(matter: _Matter, to: Recipient) -> list[uuid.UUID]:
    if to is Recipient.DESK:
        return await _active(matter.work, Staff.role == Role.FRONT_DESK)
    # Whose visit it was until now has to hear that it is not any more.
    present, before = matter.clinician.id, matter.news.before.get("clinician_id", matter.clinician.id)
    people = await _active(matter.work, Staff.id.in_({present, before}))
    if present not in people:
        # Somebody has to hear of a visit with a clinician who is no longer here.
        people += await _active(matter.work, Staff.role == Role.ADMIN)
    return people


async def _active(work: Work, which: ColumnElement[bool]) -> list[uuid.UUID]:
    """Those who are on the staff, and stay so until this is committed: ringing for anybody else is refused."""
    query = select(Staff.id).where(Staff.active, which).order_by(Staff.id).with_for_update(read=True)
    return list((await work.session.execute(query)).scalars())


async def _notify(matter: _Matter, people: Sequence[uuid.UUID], undone: Event | None = None) -> None:
    appointment, news = matter.appointment, matter.news
    is_with_another = news.before.get("clinician_id", appointment.clinician_id) != appointment.clinician_id
    heard = Heard(
        event=news.event,
        appointment=appointment,
        patient=matter.patient.name,
        now=matter.work.now,
        old_start=matter.old_start,
        clinician=matter.clinician.name if is_with_another or set(people) != {matter.clinician.id} else None,
        by_patient=matter.by_patient,
        has_words=bool(news.said),
        undone=undone,
    )
    notice = Notice(
        kind=KINDS[news.event],
        wording=lambda language: event_wording(language, heard, matter.clinic),
        level=_level(appointment) if news.event is Event.ARRIVED else None,
        related=Related("appointment", appointment.id, f"/console/appointments/{appointment.id}"),
        facts=_facts(matter),
    )
    await notify(matter.work, people, notice)


def _level(appointment: Appointment) -> Level:
    in_order = appointment.clearance == Clearance.CLEARED and appointment.consent == Consent.SIGNED
    return Level.SUCCESS if in_order else Level.WARNING


def _facts(matter: _Matter) -> dict[str, Any]:
    appointment = matter.appointment
    facts = {
        "patient": matter.patient.name,
        "number": appointment.number,
        "starts_at": appointment.starts_at.isoformat(),
        "time": clock_at(appointment.starts_at, matter.clinic, "en"),
        "change": matter.news.change,
    }
    if matter.news.event is Event.ARRIVED:
        facts |= {"clearance": appointment.clearance, "consent": appointment.consent}
    return facts


async def _send(matter: _Matter, rows: Iterable[Setting]) -> list[_Held]:
    held: list[_Held] = []
    sendings: list[tuple[Telling, Sending]] = []
    for row in rows:
        if (reason := _why_not(matter, row.telling)) is not None:
            held.append(_Held(row.telling, reason))
        else:
            sendings.append((row.telling, _sending(matter, row)))
    answers = await send_many(matter.work, [sending for _, sending in sendings]) if sendings else []
    for (telling, _), answer in zip(sendings, answers, strict=True):
        # A reference that is another message's: it was told, before the clinic chose another template.
        if isinstance(answer, HubError) and not isinstance(answer, Conflict):
            held.append(_Held(telling, reason_of(answer)))
    return held


def _why_not(matter: _Matter, telling: Telling) -> str | None:
    if telling.to is not Recipient.PATIENT:
        return None if matter.clinician.active else NOBODY
    if matter.stays:
        # A move to another clinician, or of another length: "from 9:00 to 9:00" would puzzle them.
        return SAME_TIME
    if _channels(matter, telling):
        return None
    return NO_TEXT_CHANNEL if telling.over is Way.TEXT else NO_EMAIL_CHANNEL


def _channels(matter: _Matter, telling: Telling) -> list[Channel]:
    """In the patient's order; what they left out of it is not used."""
    return [Channel(each) for each in matter.patient.channels if each in CHANNELS[telling.over]]


def _sending(matter: _Matter, row: Setting) -> Sending:
    work, appointment, news = matter.work, matter.appointment, matter.news
    telling = row.telling
    is_to_patient = telling.to is Recipient.PATIENT
    link = link_of(work, appointment) if is_to_patient else f"{work.public_url}/console/appointments/{appointment.id}"
    return Sending(
        patient=matter.patient.id if is_to_patient else None,
        staff=None if is_to_patient else matter.clinician.id,
        code=row.code,
        values=_values(matter) | {"link": link},
        channels=_channels(matter, telling) if is_to_patient else [Channel.EMAIL],
        lane="critical" if _is_soon(matter) else "normal",
        at=work.now + news.hold if news.hold else None,
        expires_at=work.now + WORTH[news.event] if news.event in WORTH else appointment.starts_at,
        reference=_reference(appointment, news.change) + f"{telling.to}/{telling.over}",
        related=("appointment", appointment.id),
    )


def _values(matter: _Matter) -> dict[str, Any]:
    """What templates are filled in with. The patient's own words may be of health, and stay on the visit's page."""
    said = "" if matter.by_patient else matter.news.said
    event = matter.news.event
    return {
        "patient": matter.patient.name,
        "clinician": matter.clinician.name,
        "starts_at": matter.appointment.starts_at.isoformat(),
        "old_starts_at": matter.old_start.isoformat() if matter.old_start and not matter.stays else "",
        "reason": said if event in (Event.RESCHEDULED, Event.CANCELLED) else "",
        "next_steps": said if event is Event.COMPLETED else "",
    }


def _is_soon(matter: _Matter) -> bool:
    """Whether somebody might travel for nothing, or miss their visit, before quiet hours are over."""
    if matter.news.event not in (Event.RESCHEDULED, Event.CANCELLED):
        return False
    starts = (matter.appointment.starts_at, matter.old_start)
    return any(timedelta(0) < start - matter.work.now < SOON for start in starts if start is not None)


def _reference(appointment: Appointment, change: int) -> str:
    return f"appointment/{appointment.id}/{change}/"


def reason_of(error: HubError) -> str:
    """Why words could not be written, as it is kept."""
    fields = {each.field for each in error.errors} if isinstance(error, Invalid) else set()
    return NO_TEMPLATE if "code" in fields else NO_WORDING if "channels" in fields else DOES_NOT_FIT


def _too_late(reference: str) -> _Held:
    _, _, _, to, over = reference.split("/")
    return _Held(Telling(Event.UNDONE, Recipient(to), Way(over)), ALREADY_LEFT)


async def _keep(work: Work, change: int, held: Collection[_Held]) -> None:
    """Write down with the change what was not told, each once."""
    if not held:
        return
    query = select(AppointmentChange).where(AppointmentChange.id == change).with_for_update()
    kept = (await work.session.execute(query)).scalar_one()
    rows = [{"to": str(each.telling.to), "over": str(each.telling.over), "reason": each.reason} for each in held]
    kept.held = [*kept.held, *(row for row in rows if row not in kept.held)]
    await work.session.flush()
