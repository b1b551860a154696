"""Signed links by which patients reach their own page, or stop a kind of message, without a login (pure).

A link says whose it is by ids alone, what it is good for and until when. Nothing of it is stored.
"""

from __future__ import annotations

import base64
import hmac
import math
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from hub.crypto import Keys

Purpose = Literal["preferences", "unsubscribe"]

# A page shows what was sent, so its link ends soon; unsubscribing must work for as long as a mail lies in a mailbox.
LIFE: dict[Purpose, timedelta] = {"preferences": timedelta(days=30), "unsubscribe": timedelta(days=730)}
LONGEST = 120
SIGNATURE_BYTES = 16
HOUR_S = 3600

_SIGNED_FOR = "patient-link"
_MARKS: dict[Purpose, bytes] = {"preferences": b"p", "unsubscribe": b"u"}
_IDS_BYTES, _HOURS_BYTES = 32, 4
_FIXED_BYTES = _IDS_BYTES + _HOURS_BYTES + 1


@dataclass(frozen=True, slots=True)
class Link:
    """Whose link it is, and what it is good for; without a topic, unsubscribing is from every email."""

    tenant: uuid.UUID
    patient: uuid.UUID
    purpose: Purpose
    topic: str | None
    expires_at: datetime


def make_link(
    keys: Keys, tenant: uuid.UUID, patient: uuid.UUID, purpose: Purpose, topic: str | None, now: datetime
) -> str:
    """The token of a link, at most 120 characters that need no escaping in an address.

    It ends at a full hour, so that one made again within the hour is the same.
    """
    hours = math.ceil((now + LIFE[purpose]).timestamp() / HOUR_S)
    payload = tenant.bytes + patient.bytes + hours.to_bytes(_HOURS_BYTES, "big") + _MARKS[purpose]
    payload += (topic or "").encode("ascii")
    signing_key = next(iter(keys.signing_keys(_SIGNED_FOR).values()))
    token = _written(payload + _signature(signing_key, payload))
    if len(token) > LONGEST:
        raise ValueError("this topic's name is too long for a link")
    return token


def read_link(keys: Keys, token: str, now: datetime) -> Link | None:
    """What a token stands for, or None when it is not ours, damaged or over."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    payload, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    # One link has one spelling: no two tokens open the same page.
    if len(payload) < _FIXED_BYTES or len(token) > LONGEST or _written(raw) != token:
        return None
    signing_keys = keys.signing_keys(_SIGNED_FOR).values()
    if not any(hmac.compare_digest(signature, _signature(key, payload)) for key in signing_keys):
        return None
    found = _opened(payload)
    return found if now < found.expires_at else None


def _opened(payload: bytes) -> Link:
    hours = int.from_bytes(payload[_IDS_BYTES : _FIXED_BYTES - 1], "big")
    mark, topic = payload[_FIXED_BYTES - 1 : _FIXED_BYTES], payload[_FIXED_BYTES:].decode("ascii")
    purpose = next(purpose for purpose, each in _MARKS.items() if each == mark)
    return Link(
        uuid.UUID(bytes=payload[:16]),
        uuid.UUID(bytes=payload[16:_IDS_BYTES]),
        purpose,
        topic or None,
        datetime.fromtimestamp(hours * HOUR_S, tz=UTC),
    )


def _signature(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:SIGNATURE_BYTES]


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
