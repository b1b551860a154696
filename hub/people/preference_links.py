"""Signed links by which patients reach their own page, or stop a kind of message, without a login (pure).

A link says whose it is by ids alone, what it is good for and until when. Nothing of it is stored.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hub.crypto import Keys
from hub.people import signed_links

Purpose = Literal["preferences", "unsubscribe"]

# A page shows what was sent, so its link ends soon; unsubscribing must work for as long as a mail lies in a mailbox.
LIFE: dict[Purpose, timedelta] = {"preferences": timedelta(days=30), "unsubscribe": timedelta(days=730)}

_KINDS: dict[Purpose, str] = {"preferences": "preferences-link", "unsubscribe": "unsubscribe-link"}


@dataclass(frozen=True, slots=True)
class Link:
    """Whose link it is, and what it is good for; without a topic, unsubscribing is from every email."""

    tenant: uuid.UUID
    patient: uuid.UUID
    topic: str | None
    expires_at: datetime


def make_link(
    keys: Keys, tenant: uuid.UUID, patient: uuid.UUID, purpose: Purpose, topic: str | None, now: datetime
) -> str:
    """The token of a link; one made again within the hour is the same. Raises ValueError for a topic too long."""
    said = tenant.bytes + patient.bytes + (topic or "").encode("ascii")
    return signed_links.sign(keys, _KINDS[purpose], said, now + LIFE[purpose])


def read_link(keys: Keys, token: str, purpose: Purpose, now: datetime) -> Link | None:
    """What a token stands for, or None when it is not ours, for another purpose, damaged or over."""
    found = signed_links.read(keys, _KINDS[purpose], token, now)
    if found is None:
        return None
    tenant, patient, topic = found.said[:16], found.said[16:32], found.said[32:].decode("ascii")
    return Link(uuid.UUID(bytes=tenant), uuid.UUID(bytes=patient), topic or None, found.expires_at)
