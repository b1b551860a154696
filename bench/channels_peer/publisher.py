"""The publishing process: writes the row by the ORM, and when that is committed sends it to the person's group."""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import Any

import django
import uvloop
from channels.layers import get_channel_layer
from django.core.signing import Signer

django.setup()

from bench.channels_peer.groups import COOKIE, group_of  # noqa: E402
from bench.channels_peer.models import Notification  # noqa: E402
from bench.helpers import obey  # noqa: E402
from bench.timetable import keep  # noqa: E402

FACTS = {
    "patient": "Sara Doe",
    "number": "2026-000123",
    "starts_at": "2026-11-21T09:30:00+00:00",
    "time": "09:30",
    "clearance": "cleared",
    "consent": "signed",
}
SHOWN = ("title", "body", "kind", "level", "priority", "facts", "read_at", "archived_at")


class Publisher:
    """The commands."""

    def __init__(self) -> None:
        self._layer = get_channel_layer()
        self._random = random.Random(2)
        self._rung: dict[str, tuple[int, int]] = {}

    async def sign_in(self, people: list[str]) -> list[str]:
        """A cookie for each."""
        return [f"{COOKIE}={Signer().sign(person)}" for person in people]

    async def publish(self, tenant: str, people: list[str], rate: float, seconds: float) -> dict[str, Any]:
        """Tell random people at a rate; how many were told, and how long it took."""

        async def ring() -> None:
            await self._ring(uuid.UUID(tenant), self._random.choice(people))

        took = await keep(ring, rate, seconds)
        return {"sent": len(self._rung), "failed": 0, "seconds": took}

    async def stamps(self) -> dict[str, tuple[int, int]]:
        """For each notification since the last time: when it was begun, and when it was committed."""
        rung, self._rung = self._rung, {}
        return rung

    async def _ring(self, tenant: uuid.UUID, person: str) -> None:
        called = time.monotonic_ns()
        appointment = uuid.uuid4()
        row = await Notification.objects.acreate(
            tenant_id=tenant,
            person_id=person,
            title="Sara Doe has arrived",
            body="Visit at 09:30. Cleared to be seen.",
            kind="patient_arrived",
            level="info",
            priority="high",
            related_type="appointment",
            related_id=appointment,
            link=f"/console/appointments/{appointment}",
            facts=FACTS,
        )
        self._rung[str(row.id)] = called, time.monotonic_ns()
        await self._layer.group_send(group_of(person), {"type": "notification", "text": _text(row)})


def _text(row: Notification) -> str:
    related = {"type": row.related_type, "id": str(row.related_id), "link": row.link}
    times = {"created_at": row.created_at.isoformat(), "updated_at": row.updated_at.isoformat()}
    shown = {name: getattr(row, name) for name in SHOWN}
    return json.dumps({"t": "notification", "item": {"id": str(row.id), **shown, "related": related, **times}})


async def main() -> None:
    """Take commands until there are no more."""
    publisher = Publisher()
    await obey({"sign_in": publisher.sign_in, "publish": publisher.publish, "stamps": publisher.stamps})


if __name__ == "__main__":
    uvloop.run(main())
