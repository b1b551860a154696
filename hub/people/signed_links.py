"""What stands in an address that opens something without a login: a few bytes, when they end, and our signature (pure).

A kind of link has a signing key of its own, so that none passes for another. Nothing of a link is stored.
"""

from __future__ import annotations

import base64
import hmac
import math
from dataclasses import dataclass
from datetime import UTC, datetime

from hub.crypto import Keys

LONGEST = 120
# RFC 2104 asks for at least 80 bits; a guess can only be tried by asking us, and each letter counts in an SMS.
SIGNATURE_BYTES = 12
HOUR_S = 3600
# Full hours since 1970: good until the year 3883.
_HOURS_BYTES = 3


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link says, and when it ends."""

    said: bytes
    expires_at: datetime


def sign(keys: Keys, kind: str, said: bytes, until: datetime) -> str:
    """A token, of letters that need no escaping in an address, that says this to whoever reads links of this kind.

    It ends at a full hour, so that one made again within the hour is the same. Raises ValueError above 120 letters.
    """
    payload = math.ceil(until.timestamp() / HOUR_S).to_bytes(_HOURS_BYTES, "big") + said
    newest = next(iter(keys.signing_keys(kind).values()))
    token = _written(payload + _signature(newest, payload))
    if len(token) > LONGEST:
        raise ValueError("this is too much for a link to say")
    return token


def read(keys: Keys, kind: str, token: str, now: datetime) -> Opened | None:
    """What a token says, or None when it is not ours, of another kind, damaged or over."""
    if len(token) > LONGEST:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    payload, signature = raw[:-SIGNATURE_BYTES], raw[-SIGNATURE_BYTES:]
    # One link has one spelling: no two tokens open the same page.
    if len(payload) < _HOURS_BYTES or _written(raw) != token:
        return None
    if not any(hmac.compare_digest(signature, _signature(key, payload)) for key in keys.signing_keys(kind).values()):
        return None
    hours = int.from_bytes(payload[:_HOURS_BYTES], "big")
    expires_at = datetime.fromtimestamp(hours * HOUR_S, tz=UTC)
    return Opened(payload[_HOURS_BYTES:], expires_at) if now < expires_at else None


def _signature(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:SIGNATURE_BYTES]


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
