"""SES's events, as they come inside of an SNS message: what they say, in our words (pure)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from hub.channels.foreign import fields_of, items_of, moment_of, read_json, text_of
from hub.channels.vendor import Channel, Report, ReportKind
from hub.errors import Malformed

VENDOR = "ses"
# The tag that carries the attempt's id.
REFERENCE_TAG = "hub_message_id"

# Whose fault it is decides what follows: these are about the message, so the address is not counted against.
MESSAGE_AT_FAULT = frozenset({"messagetoolarge", "contentrejected", "attachmentrejected"})
NO_SPAM = "not-spam"


@dataclass(frozen=True, slots=True)
class _Event:
    """One event, taken apart: `own` is the object that its type names."""

    type: str
    own: dict[str, Any]
    mail: dict[str, Any]
    at: datetime
    fact: str


@dataclass(frozen=True, slots=True)
class _Said:
    """What it says about one recipient."""

    kind: ReportKind
    address: str | None
    code: str | None
    detail: dict[str, Any]


def read_event(message: str, transport_id: str, now: datetime) -> list[Report]:
    """What an SNS notification's text says, one report for each recipient; never fails, as it was signed.

    What is no event of SES, or one of a kind not known here, is a report of kind OTHER.
    """
    try:
        body = read_json(message)
    except Malformed:
        body = {}
    # Configuration sets write one name, identities the other.
    kind = text_of(body.get("eventType")) or text_of(body.get("notificationType"))
    mail = fields_of(body.get("mail"))
    own, read = _READERS.get(kind, ("", _other))
    details = fields_of(body.get(own))
    written = details.get("timestamp") or mail.get("timestamp")
    message_id = text_of(mail.get("messageId"))
    event = _Event(kind, details, mail, moment_of(written, now), _fact(kind, details, message_id, written))
    found = read(event) or [_Said(ReportKind.OTHER, None, None, {})]
    return [
        Report(
            vendor=VENDOR,
            transport_id=f"{transport_id}/{place}" if place else transport_id,
            semantic_key=f"{message_id}:{event.fact}:{place}" if message_id and kind else f"sns:{transport_id}",
            kind=said.kind,
            occurred_at=event.at,
            channel=Channel.EMAIL,
            vendor_id=message_id or None,
            reference=_reference_of(mail),
            address=said.address,
            code=said.code,
            detail={"type": kind} | said.detail,
        )
        for place, said in enumerate(found)
    ]


def _fact(kind: str, own: dict[str, Any], message_id: str, written: object) -> str:
    """What makes two deliveries the same fact: SES's own id of a feedback, or else when it happened."""
    if feedback := text_of(own.get("feedbackId")):
        return f"{kind}:{feedback}"
    if kind in ("Send", "Reject", "Rendering Failure"):
        return kind
    link = own.get("link")
    clicked = hashlib.sha256(link.encode("utf-8", "replace")).hexdigest()[:16] if isinstance(link, str) else ""
    return f"{kind}:{text_of(written)}:{clicked}"


def _reference_of(mail: dict[str, Any]) -> uuid.UUID | None:
    values = items_of(fields_of(mail.get("tags")).get(REFERENCE_TAG))
    try:
        return uuid.UUID(text_of(values[0])) if values else None
    except ValueError:
        return None


def _address(value: object) -> str | None:
    text = text_of(value)
    return (parseaddr(text)[1] if "<" in text else text) or None


def _recipients(event: _Event, name: str) -> list[tuple[str | None, dict[str, Any]]]:
    """Each recipient that a list of the event names, with what is said of it; else whom the mail went to."""
    named = [(_address(each.get("emailAddress")), each) for each in map(fields_of, items_of(event.own.get(name)))]
    return named or [(address, {}) for address in _destinations(event)]


def _destinations(event: _Event) -> list[str | None]:
    return [_address(each) for each in items_of(event.mail.get("destination"))] or [None]


def _plainly(kind: ReportKind) -> Callable[[_Event], list[_Said]]:
    """A reader of events that say the same of every recipient."""

    def read(event: _Event) -> list[_Said]:
        code = text_of(event.own.get("reason") or event.own.get("templateName"))
        return [_Said(kind, address, code or None, {}) for address in _destinations(event)]

    return read


def _delivery(event: _Event) -> list[_Said]:
    named = [_address(each) for each in items_of(event.own.get("recipients"))] or _destinations(event)
    return [_Said(ReportKind.DELIVERED, address, None, {}) for address in named]


def _bounce(event: _Event) -> list[_Said]:
    of, under = text_of(event.own.get("bounceType")), text_of(event.own.get("bounceSubType"))
    kind = _bounce_kind(of.lower(), under.lower())
    return [
        _Said(kind, address, f"{of}/{under}", {"status": text_of(each.get("status"))})
        for address, each in _recipients(event, "bouncedRecipients")
    ]


def _bounce_kind(of: str, under: str) -> ReportKind:
    if of == "permanent":
        return ReportKind.BOUNCED
    if of == "transient" and under not in MESSAGE_AT_FAULT:
        return ReportKind.SOFT_BOUNCED
    # Not known whose fault it was: it failed, and nothing is held against the address.
    return ReportKind.FAILED


def _complaint(event: _Event) -> list[_Said]:
    feedback = text_of(event.own.get("complaintFeedbackType"))
    kind = ReportKind.OTHER if feedback == NO_SPAM else ReportKind.COMPLAINED
    code = feedback or text_of(event.own.get("complaintSubType"))
    return [_Said(kind, address, code or None, {}) for address, _ in _recipients(event, "complainedRecipients")]


def _delay(event: _Event) -> list[_Said]:
    code = text_of(event.own.get("delayType")) or None
    return [
        _Said(ReportKind.DELAYED, address, code, {"status": text_of(each.get("status"))})
        for address, each in _recipients(event, "delayedRecipients")
    ]


def _seen(kind: ReportKind) -> Callable[[_Event], list[_Said]]:
    """Opens and clicks: mail programs and gateways fetch pictures and links by themselves, so they prove nothing."""

    def read(event: _Event) -> list[_Said]:
        return [_Said(kind, None, None, {"machine_likely": True})]

    return read


def _subscription(event: _Event) -> list[_Said]:
    chosen = fields_of(event.own.get("newTopicPreferences"))
    kind = ReportKind.STOP if chosen.get("unsubscribeAll") is True else ReportKind.OTHER
    return [_Said(kind, address, None, {}) for address in _destinations(event)]


def _other(_event: _Event) -> list[_Said]:
    return []


# Each type's own object, whose name is not always the type's, and its reader.
_READERS: dict[str, tuple[str, Callable[[_Event], list[_Said]]]] = {
    "Send": ("send", _plainly(ReportKind.SENT)),
    "Delivery": ("delivery", _delivery),
    "Bounce": ("bounce", _bounce),
    "Complaint": ("complaint", _complaint),
    "Reject": ("reject", _plainly(ReportKind.FAILED)),
    "Rendering Failure": ("failure", _plainly(ReportKind.FAILED)),
    "DeliveryDelay": ("deliveryDelay", _delay),
    "Open": ("open", _seen(ReportKind.OPENED)),
    "Click": ("click", _seen(ReportKind.CLICKED)),
    "Subscription": ("subscription", _subscription),
}
