"""Kinds of notification (pure): what each one is called, and how loud it is unless the sender says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What sort of news it is."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class Priority(StrEnum):
    """How soon it wants to be seen."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Kind(StrEnum):
    """What a notification is about."""

    PATIENT_ARRIVED = "patient_arrived"
    APPOINTMENT_BOOKED = "appointment_booked"
    APPOINTMENT_CONFIRMED = "appointment_confirmed"
    APPOINTMENT_RESCHEDULED = "appointment_rescheduled"
    APPOINTMENT_CANCELLED = "appointment_cancelled"
    APPOINTMENT_NO_SHOW = "appointment_no_show"
    APPOINTMENT_WISH = "appointment_wish"
    APPOINTMENT_UNDONE = "appointment_undone"
    LICENSE_EXPIRY = "license_expiry"
    CME_DEADLINE = "cme_deadline"
    COMPLIANCE_ALERT = "compliance_alert"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Loudness:
    """The level and priority of a kind."""

    level: Level
    priority: Priority


LOUDNESS: dict[Kind, Loudness] = {
    Kind.PATIENT_ARRIVED: Loudness(Level.INFO, Priority.HIGH),
    Kind.APPOINTMENT_BOOKED: Loudness(Level.INFO, Priority.LOW),
    Kind.APPOINTMENT_CONFIRMED: Loudness(Level.SUCCESS, Priority.LOW),
    Kind.APPOINTMENT_RESCHEDULED: Loudness(Level.INFO, Priority.MEDIUM),
    Kind.APPOINTMENT_CANCELLED: Loudness(Level.WARNING, Priority.MEDIUM),
    Kind.APPOINTMENT_NO_SHOW: Loudness(Level.WARNING, Priority.LOW),
    Kind.APPOINTMENT_WISH: Loudness(Level.INFO, Priority.MEDIUM),
    Kind.APPOINTMENT_UNDONE: Loudness(Level.WARNING, Priority.MEDIUM),
    Kind.LICENSE_EXPIRY: Loudness(Level.WARNING, Priority.HIGH),
    Kind.CME_DEADLINE: Loudness(Level.WARNING, Priority.MEDIUM),
    Kind.COMPLIANCE_ALERT: Loudness(Level.ERROR, Priority.HIGH),
    Kind.SYSTEM: Loudness(Level.INFO, Priority.MEDIUM),
}
