"""The head of each person's inbox, and its notifications."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant


class InboxHead(OfTenant, Base):
    """Where a person's inbox stands. Whoever changes a notification locks this row, so commits come in order of `seq`.

    `seq` counts changes, `unread` is exact, `epoch` is another one after the inbox was begun anew.
    """

    __tablename__ = "inbox_heads"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "person_id"], ["staff.tenant_id", "staff.id"]),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    person_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID]
    epoch: Mapped[uuid.UUID] = mapped_column(server_default=func.gen_random_uuid())
    seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    unread: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class Notification(OfTenant, Base):
    """One notification. `number` is its place in the person's list for good; `seq` is when it last changed.

    That the person is on the tenant's staff is seen to by a trigger, for all rows of a statement together.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("person_id", "number"),
        Index("notifications_by_change", "person_id", "seq"),
        Index("notifications_unread", "person_id", "number", postgresql_where=text("read_at IS NULL")),
        Index(
            "notifications_of_object",
            "tenant_id",
            "related_id",
            postgresql_where=text("related_id IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID]
    person_id: Mapped[uuid.UUID]
    number: Mapped[int] = mapped_column(BigInteger)
    seq: Mapped[int] = mapped_column(BigInteger)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    related_type: Mapped[str | None] = mapped_column(Text)
    related_id: Mapped[uuid.UUID | None]
    link: Mapped[str | None] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    read_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
