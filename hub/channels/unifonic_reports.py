"""Unifonic's reports: they are not signed, so their address holds a secret, and they are taken as hints (pure)."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from hub.channels import replies
from hub.channels.foreign import fields_of, first_of, moment_of, read_json, text_of, without_case
from hub.channels.twilio_reports import read_form
from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.errors import Malformed

VENDOR = "unifonic"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"

SMS_KINDS: dict[str, ReportKind] = {
    "sent": ReportKind.SENT,
    "delivered": ReportKind.DELIVERED,
    **dict.fromkeys(("undelivered", "undeliverable", "failed", "rejected"), ReportKind.FAILED),
}
WHATSAPP_KINDS: dict[str, ReportKind] = {
    "message.sent_successfully_to_provider": ReportKind.SENT,
    "message.sent": ReportKind.SENT,
    "message.delivered": ReportKind.DELIVERED,
    "message.read": ReportKind.READ,
    **dict.fromkeys(("message.rejected", "message.failed", "message.undelivered"), ReportKind.FAILED),
}
FAULTS = {"ER-02": AddressFault.INVALID}


def is_ours(tokens: Iterable[str], token: str) -> bool:
    """Whether the path's secret is one of ours; the time taken tells nothing about a right one."""
    given = token.encode("utf-8", "replace")
    right = [hmac.compare_digest(each.encode(), given) for each in tokens]
    return any(right)


def read_fields(content_type: str, body: bytes) -> Mapping[str, Any]:
    """The fields of a delivery report, which comes as JSON or as a form; raises Malformed."""
    return read_json(body) if content_type == JSON else dict(reversed(read_form(body)))


def read_sms(told: Mapping[str, Any], now: datetime) -> list[Report]:
    """A delivery report, by any of the names its fields have; raises Malformed."""
    fields = without_case(told.items())
    message_id, reference = first_of(fields, "messageid"), _uuid_of(first_of(fields, "correlationid"))
    status = first_of(fields, "dlr", "status", "messagestatus")
    if not (message_id or reference) or not status:
        raise Malformed("A delivery report names its MessageID and its DLR or Status.")
    code = first_of(fields, "errorcode")
    fact = f"sms:{message_id or reference}:{status.lower()}"
    kind = SMS_KINDS.get(status.lower(), ReportKind.OTHER)
    return [
        Report(
            vendor=VENDOR,
            transport_id=fact,
            semantic_key=fact,
            kind=kind,
            # Its own times have no zone.
            occurred_at=now,
            channel=Channel.SMS,
            vendor_id=message_id or None,
            reference=reference,
            address=_number_of(first_of(fields, "recipient", "to")),
            code=code or None,
            fault=FAULTS.get(code.upper()) if kind is ReportKind.FAILED else None,
            detail={"status": status},
        )
    ]


def read_whatsapp(body: bytes, now: datetime) -> list[Report]:
    """An event of the Conversations API; raises Malformed. One event id may come with several types."""
    fields = read_json(body)
    message_id, kind = text_of(fields.get("messageId")), text_of(fields.get("eventType")).lower()
    if not message_id or not kind:
        raise Malformed("An event names its messageId and its eventType.")
    fact = f"whatsapp:{message_id}:{kind}:{text_of(fields.get('eventId'))}"
    if kind == "message.received":
        return [_received(fields, fact, now)]
    code = text_of(fields.get("errorCode")) or text_of(fields_of(fields.get("error")).get("code"))
    return [
        Report(
            vendor=VENDOR,
            transport_id=fact,
            semantic_key=fact,
            kind=WHATSAPP_KINDS.get(kind, ReportKind.OTHER),
            occurred_at=moment_of(fields.get("timestamp"), now),
            channel=Channel.WHATSAPP,
            vendor_id=message_id,
            address=_number_of(text_of(fields_of(fields.get("recipient")).get("contact"))),
            code=code or None,
            detail={"status": kind},
        )
    ]


def _received(fields: dict[str, Any], fact: str, now: datetime) -> Report:
    sender = _number_of(text_of(fields_of(fields.get("sender")).get("contact")))
    if sender is None:
        raise Malformed("A received message names its sender.")
    words = fields_of(fields.get("content")).get("text")
    asked = replies.asked_for(words) if isinstance(words, str) else ReportKind.OTHER
    at = moment_of(fields.get("timestamp"), now)
    return Report(VENDOR, fact, fact, asked, at, Channel.WHATSAPP, address=sender)


def _number_of(text: str) -> str | None:
    """A number as E.164; Unifonic writes it without its `+`."""
    digits = "".join(each for each in text if each in "0123456789")
    digits = digits.removeprefix("00")
    return f"+{digits}" if 3 <= len(digits) <= 20 else None


def _uuid_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
