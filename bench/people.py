"""Who is connected: a clinic with as many clinicians as wanted, whose inboxes are there, and how they sign in."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert

from hub.crypto import Keys
from hub.inbox.tables import InboxHead
from hub.people import sessions
from hub.people.live_tokens import sign_token
from hub.people.roles import Role
from hub.people.staff import hash_password
from hub.people.tables import Staff
from hub.people.tenants import open_tenant
from hub.wiring import House
from hub.work import SYSTEM

CLINIC = "HUB_BENCH_CLINIC"


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic and its clinicians, in order."""

    tenant: uuid.UUID
    people: list[uuid.UUID]

    def write(self, file: Path) -> None:
        """Keep it for other processes, which find it by the environment."""
        file.write_text("\n".join(each.hex for each in (self.tenant, *self.people)))

    @classmethod
    def of_environment(cls) -> Clinic:
        """The one that another process wrote."""
        tenant, *people = map(uuid.UUID, Path(os.environ[CLINIC]).read_text().split())
        return cls(tenant, people)

    def tokens(self, keys: Keys, now: datetime, people: Sequence[uuid.UUID] | None = None) -> list[str]:
        """A live token for each of these people, or for everybody, in order."""
        return [sign_token(keys, self.tenant, person, now)[0] for person in people or self.people]


async def open_clinic(house: House, size: int, zone: str = "Asia/Riyadh") -> Clinic:
    """A clinic of this size; the inboxes are there, as those of people who were here yesterday."""
    clinic = Clinic(uuid.uuid4(), [uuid.uuid4() for _ in range(size)])
    hashed = await hash_password(secrets.token_hex(8))
    async with house.open_work(clinic.tenant, SYSTEM) as work:
        slug = f"bench-{clinic.tenant.hex[:12]}"
        await open_tenant(work.session, slug, "Noor Clinic", zone, ["en", "ar"], work.now)
        staff = [
            {
                "id": person,
                "tenant_id": clinic.tenant,
                "email": f"clinician-{index}@example.org",
                "name": f"Dr. Number {index}",
                "role": Role.PROVIDER,
                "language": "en",
                "password_hash": hashed,
                "created_at": work.now,
            }
            for index, person in enumerate(clinic.people)
        ]
        await work.session.execute(insert(Staff), staff)
        heads = [{"tenant_id": clinic.tenant, "person_id": person} for person in clinic.people]
        await work.session.execute(insert(InboxHead), heads)
    return clinic


async def sign_in(house: House, clinic: Clinic) -> list[str]:
    """The value of each clinician's cookie, in order."""
    async with house.open_work(clinic.tenant, SYSTEM) as work:
        return [await sessions.start(work, person, "bench") for person in clinic.people]
