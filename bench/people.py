"""Who is connected: a clinic with as many clinicians as wanted, each signed in once."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass

from hub.inbox.feed import open_inbox
from hub.people import sessions
from hub.people.roles import Role
from hub.people.staff import hash_password
from hub.people.tables import Staff
from hub.people.tenants import open_tenant
from hub.wiring import House
from hub.work import SYSTEM


@dataclass(frozen=True, slots=True)
class Crowd:
    """A clinic's clinicians and the cookies they are signed in by."""

    tenant: uuid.UUID
    people: list[uuid.UUID]
    cookies: list[str]


async def gather_crowd(house: House, size: int) -> Crowd:
    """Open a clinic of this size; their inboxes are there, as those of people who were here yesterday."""
    tenant = uuid.uuid4()
    hashed = await hash_password(secrets.token_hex(8))
    async with house.open_work(tenant, SYSTEM) as work:
        await open_tenant(
            work.session, f"bench-{tenant.hex[:12]}", "Noor Clinic", "Asia/Riyadh", ["en", "ar"], work.now
        )
        people = [
            Staff(
                id=uuid.uuid4(),
                tenant_id=tenant,
                email=f"clinician-{index}@example.org",
                name=f"Dr. Number {index}",
                role=Role.PROVIDER,
                language="en",
                password_hash=hashed,
                created_at=work.now,
            )
            for index in range(size)
        ]
        work.session.add_all(people)
        await work.session.flush()
        cookies = []
        for person in people:
            await open_inbox(work.session, tenant, person.id)
            cookies.append(await sessions.start(work, person.id, "bench"))
    return Crowd(tenant, [person.id for person in people], cookies)
