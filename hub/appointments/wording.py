"""What an appointment's events say to staff, in English and Arabic (pure).

No words of the patient's or the desk's stand here: notifications are not sealed, and show over a shoulder. That there
are some is said; the visit's page has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_time

from hub.appointments.states import Clearance, Consent, State
from hub.appointments.tables import Appointment
from hub.appointments.tellings import Event
from hub.inbox.notify import Wording
from hub.people.tenants import Clinic
from hub.templates.values import Style, show_value


@dataclass(frozen=True, slots=True)
class Heard:
    """What a ring is about.

    `old_start` is where the visit was before a move. `clinician` is named where others hear of it than they themselves,
    or where they are new to the visit. `undone` is what was taken back, for that event alone.
    """

    event: Event
    appointment: Appointment
    patient: str
    now: datetime
    old_start: datetime | None = None
    clinician: str | None = None
    by_patient: bool = False
    has_words: bool = False
    undone: Event | None = None


def event_wording(language: str, heard: Heard, clinic: Clinic) -> Wording:
    """What the reader of this language sees in the bell."""
    if heard.event is Event.ARRIVED:
        return arrival_wording(language, heard.patient, heard.appointment, clinic)
    title = TITLES[language][heard.event].format(_isolated(heard.patient))
    said = [
        _where(language, heard, clinic),
        STATES[language][State(heard.appointment.state)] if heard.undone else "",
        WITH[language].format(_isolated(heard.clinician)) if heard.clinician else "",
        BY_PATIENT[language] if heard.by_patient and heard.event in BY_EITHER else "",
        HAS_WORDS[language][heard.event] if heard.has_words and heard.event in HAS_WORDS[language] else "",
    ]
    body = " · ".join(part for part in said if part)
    return Wording(title, f"{AFTER_ALL[language][heard.undone]} · {body}" if heard.undone else body)


def arrival_wording(language: str, patient: str, appointment: Appointment, clinic: Clinic) -> Wording:
    """What the clinician reads; names stand in isolates, so that a Latin one does not scramble an Arabic line."""
    clearance, consent = Clearance(appointment.clearance), Consent(appointment.consent)
    at = clock_at(appointment.starts_at, clinic, language)
    name = _isolated(patient)
    words = CLEARANCE_WORDS[language][clearance], CONSENT_WORDS[language][consent]
    if language == "ar":
        return Wording(f"وصول {name}", f"موعد الساعة {_isolated(at)} · {words[0]} · {words[1]}")
    return Wording(f"{name} has arrived", f"{at} appointment · {words[0]} · {words[1]}")


def clock_at(moment: datetime, clinic: Clinic, language: str) -> str:
    """Hours and minutes on the clinic's wall, in Latin digits."""
    return format_time(moment, "HH:mm", tzinfo=clinic.zone, locale=language)


def _where(language: str, heard: Heard, clinic: Clinic) -> str:
    """The visit by its time on the clinic's wall, with the day unless it is today; after a move, also where it was."""
    start = heard.appointment.starts_at
    if heard.old_start is not None and heard.old_start != start:
        old, new = (_moment(language, each, heard.now, clinic) for each in (heard.old_start, start))
        return f"من {old} إلى {new}" if language == "ar" else f"{old} → {new}"
    at = _moment(language, start, heard.now, clinic)
    if language == "ar":
        return f"موعد {at}"
    return f"{at} appointment" if _is_today(start, heard.now, clinic) else f"Appointment on {at}"


def _moment(language: str, moment: datetime, now: datetime, clinic: Clinic) -> str:
    if not _is_today(moment, now, clinic):
        shown = show_value(moment, Style(language, clinic.zone), {})
        return _isolated(shown) if language == "ar" else shown
    clock = clock_at(moment, clinic, language)
    return f"الساعة {_isolated(clock)}" if language == "ar" else clock


def _is_today(moment: datetime, now: datetime, clinic: Clinic) -> bool:
    return clinic.today(moment) == clinic.today(now)


def _isolated(text: str) -> str:
    return f"\u2068{text}\u2069"


TITLES: dict[str, dict[Event, str]] = {
    "en": {
        Event.BOOKED: "New appointment: {}",
        Event.CONFIRMED: "Confirmed: {}",
        Event.RESCHEDULED: "New time: {}",
        Event.CANCELLED: "Cancelled: {}",
        Event.NO_SHOW: "{} did not come",
        Event.WISH: "{} asks for another time",
        Event.UNDONE: "Taken back: {}",
    },
    "ar": {
        Event.BOOKED: "موعد جديد: {}",
        Event.CONFIRMED: "تأكيد موعد {}",
        Event.RESCHEDULED: "تغيير موعد {}",
        Event.CANCELLED: "إلغاء موعد {}",
        Event.NO_SHOW: "عدم حضور {}",
        Event.WISH: "طلب موعد آخر من {}",
        Event.UNDONE: "تم التراجع: {}",
    },
}
# What was said before, and is not so.
AFTER_ALL: dict[str, dict[Event, str]] = {
    "en": {
        Event.CONFIRMED: "Not confirmed after all",
        Event.RESCHEDULED: "Not moved after all",
        Event.ARRIVED: "Not here after all",
        Event.COMPLETED: "Not over after all",
        Event.CANCELLED: "Not cancelled after all",
        Event.NO_SHOW: "Not missed after all",
    },
    "ar": {
        Event.CONFIRMED: "لم يُؤكَّد الموعد",
        Event.RESCHEDULED: "لم يتغيّر الموعد",
        Event.ARRIVED: "لم يصل المريض",
        Event.COMPLETED: "لم تنتهِ الزيارة",
        Event.CANCELLED: "لم يُلغَ الموعد",
        Event.NO_SHOW: "لم يُسجَّل عدم حضور",
    },
}
STATES: dict[str, dict[State, str]] = {
    "en": {
        State.BOOKED: "booked",
        State.CONFIRMED: "confirmed",
        State.RESCHEDULED: "moved, not confirmed yet",
        State.ARRIVED: "the patient is here",
        State.IN_PROGRESS: "in progress",
        State.COMPLETED: "completed",
        State.CANCELLED: "cancelled",
        State.NO_SHOW: "missed",
    },
    "ar": {
        State.BOOKED: "محجوز",
        State.CONFIRMED: "مؤكَّد",
        State.RESCHEDULED: "تغيّر وقته ولم يُؤكَّد بعد",
        State.ARRIVED: "وصل المريض",
        State.IN_PROGRESS: "الزيارة جارية",
        State.COMPLETED: "انتهت الزيارة",
        State.CANCELLED: "ملغى",
        State.NO_SHOW: "لم يحضر المريض",
    },
}
WITH = {"en": "with {}", "ar": "مع {}"}
# The desk does these as well, so it is worth saying when it did not.
BY_EITHER = frozenset({Event.CONFIRMED, Event.CANCELLED})
BY_PATIENT = {"en": "by the patient", "ar": "بواسطة المريض"}
HAS_WORDS: dict[str, dict[Event, str]] = {
    "en": {Event.RESCHEDULED: "with a reason", Event.CANCELLED: "with a reason", Event.WISH: "with a note"},
    "ar": {Event.RESCHEDULED: "مع ذكر السبب", Event.CANCELLED: "مع ذكر السبب", Event.WISH: "مع ملاحظة"},
}
CLEARANCE_WORDS: dict[str, dict[Clearance, str]] = {
    "en": {
        Clearance.CLEARED: "financially cleared",
        Clearance.PENDING: "clearance pending",
        Clearance.ISSUE: "clearance issue",
    },
    "ar": {
        Clearance.CLEARED: "الوضع المالي مستوفى",
        Clearance.PENDING: "الوضع المالي قيد المراجعة",
        Clearance.ISSUE: "مشكلة في الوضع المالي",
    },
}
CONSENT_WORDS: dict[str, dict[Consent, str]] = {
    "en": {
        Consent.SIGNED: "consent signed",
        Consent.MISSING: "consent missing",
        Consent.EXPIRED: "consent expired",
    },
    "ar": {
        Consent.SIGNED: "الموافقة موقّعة",
        Consent.MISSING: "الموافقة غير متوفرة",
        Consent.EXPIRED: "الموافقة منتهية",
    },
}
