"""The audit log: who did what, when, on which object, before and after. Rows are only ever added.

It holds ids and settings, never a patient's words. `previous_hash` and `hash` are for the chain that makes tampering
evident; `number` is gapless per tenant.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant
from hub.work import Work


class AuditEntry(OfTenant, Base):
    """One administrative action."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        UniqueConstraint("tenant_id", "number"),
        Index("audit_entries_of_object", "tenant_id", "object_id", "number"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    number: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None]
    action: Mapped[str] = mapped_column(Text)
    object_type: Mapped[str] = mapped_column(Text)
    object_id: Mapped[uuid.UUID | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    hash: Mapped[bytes | None] = mapped_column(LargeBinary)


async def record(
    work: Work,
    action: str,
    object_type: str,
    object_id: uuid.UUID | None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry in the transaction of what it records, so that neither is there without the other."""
    # One writer per tenant at a time: the number has no gaps, and a chain of hashes would have one order.
    await work.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"audit:{work.tenant}", 0))))
    latest = select(func.coalesce(func.max(AuditEntry.number), 0)).where(AuditEntry.tenant_id == work.tenant)
    number = (await work.session.execute(latest)).scalar_one() + 1
    work.session.add(
        AuditEntry(
            tenant_id=work.tenant,
            number=number,
            at=work.now,
            actor_kind=work.actor.kind,
            actor_id=work.actor.id,
            action=action,
            object_type=object_type,
            object_id=object_id,
            before=before,
            after=after,
        )
    )
    await work.session.flush()
