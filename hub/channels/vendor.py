"""What every vendor takes and answers: the words between the middle of the house and the ways out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol


class Channel(StrEnum):
    """A way out, as a patient knows it."""

    SMS = "sms"
    WHATSAPP = "whatsapp"
    EMAIL = "email"


class Fate(StrEnum):
    """What became of one request."""

    ACCEPTED = "accepted"  # the vendor has it
    PASSING = "passing"  # not taken, but another time it may be
    PERMANENT = "permanent"  # never, to this address or with these words
    OPERATOR = "operator"  # our account or configuration: no message of ours is taken
    UNKNOWN = "unknown"  # written, and not answered: it may have been sent


class AddressFault(StrEnum):
    """What a vendor says of the number or address itself."""

    INVALID = "invalid"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True, slots=True)
class File:
    """An attachment."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it goes out, to one address. `reference` is ours, and comes back in reports where a vendor can.

    `to` is E.164 with its `+`, or an email address. `approved` is the vendor's own template with its values, for
    WhatsApp outside of a conversation.
    """

    reference: uuid.UUID
    tenant: uuid.UUID
    channel: Channel
    to: str
    text: str
    subject: str = ""
    html: str = ""
    language: str = "en"
    sender_name: str = ""
    unsubscribe_url: str = ""
    valid_until: datetime | None = None
    files: tuple[File, ...] = ()
    approved: str | None = None
    approved_values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a vendor answered. `code` is its own; `answer` is what is kept of it, without addresses or words."""

    fate: Fate
    vendor_id: str | None = None
    code: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)
    retry_after_s: float | None = None
    fault: AddressFault | None = None
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None
    # What the vendor is going to report by itself; only the sandbox knows that beforehand.
    foretold: tuple[Report, ...] = ()


class ReportKind(StrEnum):
    """What a vendor reports about a message, or hears from a patient."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    DELAYED = "delayed"
    FAILED = "failed"
    BOUNCED = "bounced"  # for good
    SOFT_BOUNCED = "soft_bounced"
    COMPLAINED = "complained"
    OPENED = "opened"
    CLICKED = "clicked"
    STOP = "stop"  # the person wants no more over this channel
    START = "start"  # and here, wants it again
    PRICED = "priced"
    OTHER = "other"  # stored, and nothing follows


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a vendor reports, in our words.

    `transport_id` names the delivery, which may come again; `semantic_key` the fact, which may come twice by different
    deliveries. `vendor_id` or `reference` says which request it is about; `address` whom (E.164 or email).
    """

    vendor: str
    transport_id: str
    semantic_key: str
    kind: ReportKind
    occurred_at: datetime
    channel: Channel
    vendor_id: str | None = None
    reference: uuid.UUID | None = None
    address: str | None = None
    code: str | None = None
    fault: AddressFault | None = None
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


class Vendor(Protocol):
    """One account with one company. `account` names it in logs, limits and circuits."""

    name: str
    account: str
    channels: frozenset[Channel]
    per_second: float

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Make exactly one request. Never raises for anything that the vendor or the network does."""
        ...

    async def ask(self, outgoing: Outgoing, vendor_id: str | None, since: datetime) -> Outcome | None:
        """What became of a request without an answer: ACCEPTED, or PASSING if the vendor never had it.

        None when the vendor cannot tell (yet).
        """
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...
