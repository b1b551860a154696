"""Messages made row by row, as they look somewhere along their way."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.messages.content import seal_content, seal_request
from hub.messages.steps import note
from hub.messages.tables import Attempt, Message
from hub.people.tables import Patient
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.factories import Clinic

# What `add_patient` gives a patient.
PHONE, EMAIL = "+966501234567", "sara@example.org"


async def make_message(
    house: House, clinic: Clinic, patient: Patient | None, *, ago: timedelta = timedelta(), **changes: Any
) -> uuid.UUID:
    """A reminder by SMS that waits for its turn, unless told otherwise; asked for by the desk some time `ago`."""
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        found, at = uuid.uuid4(), work.now - ago
        asked = changes.pop("asked", {"subject": "", "text": "See you at nine."})
        row: dict[str, Any] = {
            "topic": "reminders",
            "lane": "normal",
            "language": "en",
            "channels": ["sms", "whatsapp", "email"],
            "channel": "sms",
            "state": "queued",
            "due_at": at,
        }
        row |= {"actor_kind": "staff", "actor_id": clinic.desk.id, "created_at": at, "updated_at": at} | changes
        sealed = seal_content(work.keys, found, asked)
        work.session.add(
            Message(id=found, tenant_id=clinic.id, patient_id=patient.id if patient else None, sealed=sealed, **row)
        )
        await work.session.flush()
        await note(work, found, row["state"], channel=row["channel"], reason=row.get("reason"))
        return found


async def make_request(
    house: House,
    clinic: Clinic,
    message: uuid.UUID,
    *,
    number: int = 1,
    out: Mapping[str, Any] | None = None,
    cost: str | None = None,
    **changes: Any,
) -> uuid.UUID:
    """One request to the sandbox about a message, which it took."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        found = uuid.uuid4()
        words = {"to": PHONE, "subject": "", "text": "See you at nine.", "html": ""} | dict(out or {})
        row: dict[str, Any] = {
            "channel": "sms",
            "vendor": "sandbox",
            "state": "sent",
            "vendor_id": f"sb-{found.hex[:8]}",
            "answer": {"status": "queued"},
            "segments_estimated": 1,
            "cost": Decimal(cost) if cost else None,
            "currency": "USD" if cost else None,
            "started_at": work.now,
            "finished_at": work.now,
        }
        sealed = seal_request(work.keys, found, words)
        attempt = Attempt(
            id=found, tenant_id=clinic.id, message_id=message, number=number, sealed=sealed, **(row | changes)
        )
        work.session.add(attempt)
        await work.session.flush()
        state = attempt.state if attempt.state in ("sent", "delivered", "read", "failed", "bounced") else "queued"
        await note(work, message, state, attempt=number, channel=attempt.channel, vendor=attempt.vendor)
        return found


def at(moment: str) -> datetime:
    """A moment as people write it: `2026-11-21T09:00+03:00`."""
    return datetime.fromisoformat(moment)
