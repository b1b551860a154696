"""Twilio's requests to us: whether they are Twilio's, and what they say (pure)."""

from __future__ import annotations

import base64
import hmac
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from hub.channels import replies
from hub.channels.foreign import text_of
from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.errors import Malformed

VENDOR = "twilio"
# What our own callback address carries: the attempt it is about.
REFERENCE = "m"
MOST_FIELDS = 200
DEFAULT_PORTS = {"http": ":80", "https": ":443"}

Form = Sequence[tuple[str, str]]

_message_sid = re.compile(r"(SM|MM)[0-9a-f]{32}")
_number = re.compile(r"\+?[0-9]{3,20}")

KINDS: dict[str, ReportKind] = {
    "sent": ReportKind.SENT,
    "delivered": ReportKind.DELIVERED,
    "read": ReportKind.READ,
    "failed": ReportKind.FAILED,
    "undelivered": ReportKind.FAILED,
    "canceled": ReportKind.FAILED,
}
FAILURES = frozenset({"failed", "undelivered"})
# Switched off or out of reach: another day it may not be.
SOFT_CODES = frozenset({"30003"})
FAULTS: dict[str, AddressFault] = {
    "21610": AddressFault.OPTED_OUT,
    **dict.fromkeys(("21211", "21217", "21614", "21635", "30005", "30006"), AddressFault.INVALID),
}
OPT_OUT_TYPES = {"STOP": ReportKind.STOP, "START": ReportKind.START, "HELP": ReportKind.OTHER}


def read_form(body: bytes) -> Form:
    """The fields of a form, blank and repeated ones too; raises Malformed."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Malformed("The body is not a form in UTF-8.") from error


def signature_of(token: str, url: str, form: Form) -> bytes:
    """What Twilio's header holds for a form posted to this address: base64 of HMAC-SHA1."""
    values: dict[str, set[str]] = {}
    for name, value in form:
        values.setdefault(name, set()).add(value)
    fields = "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    return base64.b64encode(hmac.digest(token.encode(), (url + fields).encode("utf-8", "replace"), "sha1"))


def is_signed(tokens: Iterable[str], url: str, form: Form, signature: str | None) -> bool:
    """Whether Twilio signed it, with one of these account tokens; the time taken tells nothing about a right one.

    `url` is the address as Twilio was given it, made from our own settings, never from the request's Host.
    """
    given = (signature or "").encode("utf-8", "replace")
    right = [
        hmac.compare_digest(signature_of(token, each, form), given) for token in tokens for each in _spellings(url)
    ]
    return any(right)


def _spellings(url: str) -> tuple[str, str]:
    """The address with its port and without, where the port goes without saying."""
    parts = urlsplit(url)
    port = DEFAULT_PORTS.get(parts.scheme, "")
    bare = parts.netloc.removesuffix(port)
    with_port = bare + port if bare == parts.netloc and parts.port is None else parts.netloc
    return url.replace(parts.netloc, bare, 1), url.replace(parts.netloc, with_port, 1)


def read_status(form: Form, reference: str, now: datetime) -> list[Report]:
    """A status callback as a report; `reference` is what our callback address carried. Raises Malformed.

    Its time is ours: a carrier's own has no zone.
    """
    fields = dict(form)
    sid = _sid_of(fields)
    status = text_of(fields.get("MessageStatus") or fields.get("SmsStatus")).lower()
    if not status:
        raise Malformed("A status callback names a MessageStatus.")
    # The code of an earlier failure may linger on a callback that reports none.
    code = text_of(fields.get("ErrorCode")) if status in FAILURES else ""
    channel, address = _who(fields.get("To", ""))
    fact = f"{sid}:{status}:{code}"
    return [
        Report(
            vendor=VENDOR,
            transport_id=fact,
            semantic_key=fact,
            kind=ReportKind.SOFT_BOUNCED if code in SOFT_CODES else KINDS.get(status, ReportKind.OTHER),
            occurred_at=now,
            channel=channel,
            vendor_id=sid,
            reference=_uuid_of(reference),
            address=address,
            code=code or None,
            fault=FAULTS.get(code),
            detail={"status": status},
        )
    ]


def read_inbound(form: Form, now: datetime) -> list[Report]:
    """A patient's message as a report: whether it asks to stop, or to start again. Raises Malformed."""
    fields = dict(form)
    sid = _sid_of(fields)
    channel, address = _who(fields.get("From", ""))
    if address is None:
        raise Malformed("An inbound message names whom it is from.")
    kind = OPT_OUT_TYPES.get(fields.get("OptOutType", "").upper()) or replies.asked_for(fields.get("Body", ""))
    fact = f"{sid}:inbound"
    return [Report(VENDOR, fact, fact, kind, now, channel, address=address)]


def _sid_of(fields: dict[str, str]) -> str:
    sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
    if not _message_sid.fullmatch(sid):
        raise Malformed("MessageSid must be SM or MM and 32 hexadecimal digits.")
    return sid


def _who(party: str) -> tuple[Channel, str | None]:
    """The channel and the number that a party's name holds, such as `whatsapp:+966…`."""
    prefix, _, number = party.rpartition(":")
    number = number.strip()
    channel = Channel.WHATSAPP if prefix.lower() == "whatsapp" else Channel.SMS
    return channel, f"+{number.removeprefix('+')}" if _number.fullmatch(number) else None


def _uuid_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
