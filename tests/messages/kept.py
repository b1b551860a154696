"""Requests that the sandbox took, written as the worker writes them: for what only shows them."""

from __future__ import annotations

import uuid
from datetime import datetime

from hub.channels.vendor import Channel
from hub.messages.content import seal_content, seal_request
from hub.messages.tables import Attempt, Message
from hub.people.tables import Patient
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, add_patient

GREETING = "Hello Sara, see you on Sunday at 09:30."
MAIL = "<!doctype html><html dir='ltr'><head><title>x</title></head><body><p style='color:teal'>Hello</p></body></html>"


async def keep(
    house: House,
    clinic: Clinic,
    *,
    channel: Channel = Channel.SMS,
    patient: Patient | None = None,
    to: str = "+966501234567",
    text: str = GREETING,
    subject: str = "",
    html: str = "",
    language: str = "en",
    state: str = "sent",
    vendor: str = "sandbox",
    at: datetime | None = None,
) -> uuid.UUID:
    """One request to the sandbox, or to another vendor; returns its id."""
    patient = patient or await add_patient(house, clinic)
    message, attempt = uuid.uuid4(), uuid.uuid4()
    async with house.open_work(clinic.id, SYSTEM) as work:
        now = at or work.now
        work.session.add(
            Message(
                id=message,
                tenant_id=clinic.id,
                patient_id=patient.id,
                topic="reminders",
                lane="normal",
                code=None,
                language=language,
                channels=[channel],
                channel=channel,
                sealed=seal_content(work.keys, message, {"subject": subject, "text": text}),
                state="sent",
                attempt=1,
                tries=1,
                due_at=now,
                actor_kind="system",
                created_at=now,
                updated_at=now,
            )
        )
        await work.session.flush()
        out = {"to": to, "subject": subject, "text": text, "html": html}
        work.session.add(
            Attempt(
                id=attempt,
                tenant_id=clinic.id,
                message_id=message,
                number=1,
                channel=channel,
                vendor=vendor,
                sealed=seal_request(work.keys, attempt, out),
                state=state,
                vendor_id=f"{vendor}-{attempt.hex}",
                started_at=now,
            )
        )
    return attempt
