"""What an appointment's events say to staff, in English and Arabic (pure)."""

from __future__ import annotations

from datetime import datetime

from babel.dates import format_time

from hub.appointments.states import Clearance, Consent
from hub.appointments.tables import Appointment
from hub.inbox.notify import Wording
from hub.people.tenants import Clinic


def arrival_wording(language: str, patient: str, appointment: Appointment, clinic: Clinic) -> Wording:
    """What the clinician reads; names stand in isolates, so that a Latin one does not scramble an Arabic line."""
    clearance, consent = Clearance(appointment.clearance), Consent(appointment.consent)
    at = clock_at(appointment.starts_at, clinic, language)
    name = f"\u2068{patient}\u2069"
    words = CLEARANCE_WORDS[language][clearance], CONSENT_WORDS[language][consent]
    if language == "ar":
        return Wording(f"وصول {name}", f"موعد الساعة \u2068{at}\u2069 · {words[0]} · {words[1]}")
    return Wording(f"{name} has arrived", f"{at} appointment · {words[0]} · {words[1]}")


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


def clock_at(moment: datetime, clinic: Clinic, language: str) -> str:
    """Hours and minutes on the clinic's wall, in Latin digits."""
    return format_time(moment, "HH:mm", tzinfo=clinic.zone, locale=language)
