"""Messages, each request to a vendor, each step of the way, and what vendors report."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant


class Message(OfTenant, Base):
    """One thing to be told to one patient, over the first of `channels` that works; `channel` is the present one.

    `sealed` holds what it says, or the values for its template's words. `attempt` counts requests to vendors and fences
    every write about one; `tries` counts those over the present channel. `due_at` is when it is next looked at.
    A member of the staff may stand in the patient's place; with neither it is a test, and `sealed` holds where to.
    `withdrawn_by` is the change of an appointment that made it untrue before it left.
    """

    __tablename__ = "messages"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "patient_id"], ["patients.tenant_id", "patients.id"]),
        ForeignKeyConstraint(["tenant_id", "staff_id"], ["staff.tenant_id", "staff.id"]),
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("tenant_id", "reference"),
        Index("messages_due", "lane", "tenant_id", "due_at", "id", postgresql_where=text("state = 'queued'")),
        Index("messages_leased", "lease_until", postgresql_where=text("state = 'sending'")),
        Index("messages_unknown", "tenant_id", "due_at", postgresql_where=text("state = 'unknown'")),
        Index("messages_by_time", "tenant_id", "created_at", "id"),
        Index("messages_of_patient", "tenant_id", "patient_id", "created_at", "id"),
        Index(
            "messages_of_object",
            "tenant_id",
            "related_id",
            "created_at",
            postgresql_where=text("related_id IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    patient_id: Mapped[uuid.UUID | None]
    staff_id: Mapped[uuid.UUID | None]
    topic: Mapped[str] = mapped_column(Text)
    lane: Mapped[str] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    channels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    channel: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    tries: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    due_at: Mapped[datetime]
    scheduled_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    reference: Mapped[str | None] = mapped_column(Text)
    related_type: Mapped[str | None] = mapped_column(Text)
    related_id: Mapped[uuid.UUID | None]
    withdrawn_by: Mapped[int | None] = mapped_column(BigInteger)
    department: Mapped[str | None] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class MessageAttachment(OfTenant, Base):
    """A file that goes with an email; `sealed` holds its name and its bytes."""

    __tablename__ = "message_attachments"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "message_id"], ["messages.tenant_id", "messages.id"]),
        UniqueConstraint("message_id", "place"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    message_id: Mapped[uuid.UUID]
    place: Mapped[int] = mapped_column(Integer)
    content_type: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Integer)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Attempt(OfTenant, Base):
    """One request to a vendor; its id is what the vendor is given as our reference.

    Written before the request, with what goes out sealed; completed with the vendor's answer, and by its reports. One
    that nothing was reported of is `asked_at` about.
    """

    __tablename__ = "message_attempts"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "message_id"], ["messages.tenant_id", "messages.id"]),
        ForeignKeyConstraint(["tenant_id", "contact_point_id"], ["contact_points.tenant_id", "contact_points.id"]),
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("message_id", "number"),
        Index("message_attempts_by_vendor", "vendor", "vendor_id"),
        Index("message_attempts_by_version", "tenant_id", "template_version_id", "started_at"),
        Index("message_attempts_silent", "tenant_id", "started_at", postgresql_where=text("state = 'sent'")),
        Index(
            "message_attempts_in_outbox",
            "tenant_id",
            "started_at",
            "id",
            postgresql_where=text("vendor = 'sandbox'"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    message_id: Mapped[uuid.UUID]
    number: Mapped[int] = mapped_column(Integer)
    channel: Mapped[str] = mapped_column(Text)
    vendor: Mapped[str] = mapped_column(Text)
    contact_point_id: Mapped[uuid.UUID | None]
    template_version_id: Mapped[uuid.UUID | None]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)
    vendor_id: Mapped[str | None] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    segments_estimated: Mapped[int | None] = mapped_column(Integer)
    segments_billed: Mapped[int | None] = mapped_column(Integer)
    cost: Mapped[Decimal | None] = mapped_column(Numeric(14, 6))
    currency: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]


class MessageStep(OfTenant, Base):
    """One step of a message's way; rows are only ever added."""

    __tablename__ = "message_steps"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "message_id"], ["messages.tenant_id", "messages.id"]),
        Index("message_steps_of_message", "tenant_id", "message_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    message_id: Mapped[uuid.UUID]
    at: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int | None] = mapped_column(Integer)
    channel: Mapped[str | None] = mapped_column(Text)
    vendor: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class VendorEvent(Base):
    """What a vendor reported, stored once before it is answered. Whose it is turns out when it is applied.

    `due_at` is when it is to be applied, or tried again; nothing once it is `applied_at`. `sealed` is as it came.
    """

    __tablename__ = "vendor_events"
    __table_args__ = (
        UniqueConstraint("vendor", "transport_id"),
        UniqueConstraint("vendor", "semantic_key"),
        Index("vendor_events_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    vendor: Mapped[str] = mapped_column(Text)
    transport_id: Mapped[str] = mapped_column(Text)
    semantic_key: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    vendor_id: Mapped[str | None] = mapped_column(Text)
    attempt_id: Mapped[uuid.UUID | None]
    tenant_id: Mapped[uuid.UUID | None]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    applied_at: Mapped[datetime | None]
    result: Mapped[str | None] = mapped_column(Text)


class Circuit(Base):
    """Whether a vendor's account is spared for a while; belongs to no tenant."""

    __tablename__ = "circuits"

    account: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    open_until: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[datetime]
