"""Templates, and their versions, which never change once they are published."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant


class Template(OfTenant, Base):
    """One wording for one occasion (`code`) over one channel."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("tenant_id", "id"), UniqueConstraint("tenant_id", "code", "channel"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    code: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TemplateVersion(OfTenant, Base):
    """What a template says, by language: `subjects` (email), `bodies`, and the `variables` that both may name.

    `vendor_refs` are ids of templates that a vendor has approved, by language (WhatsApp).
    """

    __tablename__ = "template_versions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "template_id"], ["templates.tenant_id", "templates.id"], ondelete="CASCADE"),
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("template_id", "number"),
        Index("one_draft", "template_id", unique=True, postgresql_where=text("state = 'draft'")),
        Index("one_published", "template_id", unique=True, postgresql_where=text("state = 'published'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    template_id: Mapped[uuid.UUID]
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    subjects: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    bodies: Mapped[dict[str, str]] = mapped_column(JSONB)
    variables: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    vendor_refs: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    note: Mapped[str] = mapped_column(Text, server_default=text("''"))
    created_at: Mapped[datetime]
    created_by: Mapped[uuid.UUID | None]
    published_at: Mapped[datetime | None]
    published_by: Mapped[uuid.UUID | None]
