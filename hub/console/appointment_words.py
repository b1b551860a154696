"""What pages say of appointments: what happened, who is told over what, and why something was not told."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from hub.appointments.planned_rows import Fate
from hub.appointments.story import HELD_BACK, READ, TAKEN_BACK, UNREAD, Told
from hub.appointments.tellings import Event, Recipient, Way
from hub.console.message_words import About, Look, Words

Say = Callable[[str], str]

# Reasons that somebody at the clinic should do something about.
FAULTS = frozenset({"no_template", "no_wording", "does_not_fit", "failed", "nobody"})
WAY_ICONS = {Way.IN_APP: "bell", Way.TEXT: "channel-sms", Way.EMAIL: "channel-email"}


def events_in_words(_: Say) -> dict[str, str]:
    """What happened, as the head of a story's paragraph and of a table's rows."""
    return {
        Event.BOOKED: _("Booked"),
        Event.CONFIRMED: _("Confirmed"),
        Event.RESCHEDULED: _("Moved"),
        Event.ARRIVED: _("Arrived"),
        Event.IN_PROGRESS: _("In progress"),
        Event.COMPLETED: _("Completed"),
        Event.CANCELLED: _("Cancelled"),
        Event.NO_SHOW: _("No-show"),
        Event.WISH: _("Another time asked for"),
        Event.UNDONE: _("Taken back"),
    }


def recipients_in_words(_: Say) -> dict[str, str]:
    """Who is told."""
    return {
        Recipient.PATIENT: _("Patient"),
        Recipient.CLINICIAN: _("Clinician"),
        Recipient.DESK: _("Front desk"),
    }


def ways_in_words(_: Say) -> dict[str, str]:
    """Over what."""
    return {Way.IN_APP: _("Bell"), Way.TEXT: _("SMS or WhatsApp"), Way.EMAIL: _("Email")}


def fates_in_words(_: Say) -> dict[str, Look]:
    """What became of something planned, as a pill."""
    return {
        Fate.PLANNED: Look(_("Planned"), "info", "clock"),
        Fate.TOLD: Look(_("Sent"), "ok", "send"),
        Fate.SKIPPED: Look(_("Not sent"), "", "cross"),
        Fate.CANCELLED: Look(_("Dropped"), "", "cross"),
    }


def why(_: Say, reason: str | None) -> str:
    """Why something was held back, skipped or dropped, in a sentence; what has no words is told as it stands."""
    words = {
        "already_past": _("The visit’s time was past already"),
        "nobody": _("There is nobody there to be told"),
        "no_template": _("The template is switched off or gone"),
        "no_wording": _("The template says nothing for this way"),
        "does_not_fit": _("The template does not fit its values"),
        "no_text_channel": _("The patient wants neither SMS nor WhatsApp"),
        "no_email_channel": _("The patient wants no email"),
        "same_time": _("The time stayed the same"),
        "already_left": _("It had left already, and was not written about again"),
        "failed": _("The hub failed while preparing it; its log says more"),
        "booked_too_late": _("Its time was past already"),
        "superseded": _("A later reminder says the same"),
        "too_late": _("The visit had begun before it could be sent"),
        "rules_changed": _("The rules have changed"),
        "arrival_seen": _("The patient was seen after all"),
        Event.RESCHEDULED: _("The visit has another time"),
        Event.ARRIVED: _("The patient has arrived"),
        Event.IN_PROGRESS: _("The visit has begun"),
        Event.COMPLETED: _("The visit is over"),
        Event.CANCELLED: _("The visit was cancelled"),
        Event.NO_SHOW: _("The patient was missed"),
        Event.UNDONE: _("The change was taken back"),
    }
    return words.get(reason or "", reason or "")


def look_of(_: Say, words: Words, told: Told) -> Look:
    """How a telling stands, as a pill."""
    if told.state == HELD_BACK:
        is_fault = told.reason in FAULTS
        return Look(_("Held back"), "warn" if is_fault else "", "warning" if is_fault else "cross")
    if told.state == READ and (told.message is None or told.to is not Recipient.PATIENT):
        return Look(_("Seen"), "ok", "read")
    if told.state == TAKEN_BACK:
        return Look(_("Taken back"), "", "undo")
    return Look(_("Rung"), "info", "bell") if told.state == UNREAD else words.look(told.state)


def reason_of(_: Say, words: Words, told: Told, zone: ZoneInfo) -> str:
    """Why a telling stands so; nothing where it goes its way."""
    if told.state == HELD_BACK:
        return why(_, told.reason)
    return words.reason(told.reason, About(told.channel, told.topic, told.until, zone))
