"""Tenants, staff, patients, and the proofs of who somebody is."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant


class Tenant(Base):
    """One clinic or organisation. `zone` is an IANA name; `languages` are the ones it works in, its default first."""

    __tablename__ = "tenants"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    slug: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    zone: Mapped[str] = mapped_column(Text)
    languages: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]


class Staff(OfTenant, Base):
    """Somebody who signs in. One person at two clinics is two rows; `email` is in lower case.

    Live tokens carry the person's `token_era`; when all of a person's access ends, the next era begins.
    """

    __tablename__ = "staff"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("tenant_id", "email"),
        Index("staff_by_email", "email"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    shortcuts: Mapped[bool] = mapped_column(server_default=text("true"))
    token_era: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime]


class StaffSession(OfTenant, Base):
    """One sign-in. Its secret is stored hashed; it ends by sign-out, idleness or age."""

    __tablename__ = "staff_sessions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "staff_id"], ["staff.tenant_id", "staff.id"]),
        Index("staff_sessions_of_person", "staff_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    staff_id: Mapped[uuid.UUID]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    device: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ApiKey(OfTenant, Base):
    """An integration's key. Its secret is stored hashed and shown once; `prefix` tells keys apart afterwards."""

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class RevokedToken(OfTenant, Base):
    """A live token that was ended before its time; kept until it would be over anyway."""

    __tablename__ = "revoked_tokens"

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kept_until: Mapped[datetime]


class Patient(OfTenant, Base):
    """A patient's file at one clinic. `external_id` is the practice system's own id."""

    __tablename__ = "patients"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        UniqueConstraint("tenant_id", "external_id"),
        Index("patients_by_name", "tenant_id", "name", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    external_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    zone: Mapped[str | None] = mapped_column(Text)
    channels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{sms,whatsapp,email}'"))
    created_at: Mapped[datetime]


class ContactPoint(OfTenant, Base):
    """A patient's number or address. `sealed` is the thing itself, `lookup` a keyed hash of it for equality.

    A `flag` waits for an admin's decision; failures that may pass are counted, and a delivery forgets them.
    """

    __tablename__ = "contact_points"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "patient_id"], ["patients.tenant_id", "patients.id"]),
        UniqueConstraint("tenant_id", "id"),
        Index(
            "contact_points_of_patient",
            "tenant_id",
            "patient_id",
            "kind",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("contact_points_by_lookup", "tenant_id", "lookup"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    patient_id: Mapped[uuid.UUID]
    kind: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    lookup: Mapped[bytes] = mapped_column(LargeBinary)
    flag: Mapped[str | None] = mapped_column(Text)
    flagged_at: Mapped[datetime | None]
    flag_event_id: Mapped[uuid.UUID | None]
    soft_failures: Mapped[int] = mapped_column(server_default=text("0"))
    soft_since: Mapped[datetime | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class PatientChoice(OfTenant, Base):
    """What a patient allows or refuses: one topic, or one channel. The newest of each counts; none is ever changed."""

    __tablename__ = "patient_choices"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "patient_id"], ["patients.tenant_id", "patients.id"]),
        Index("patient_choices_of_patient", "tenant_id", "patient_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    patient_id: Mapped[uuid.UUID]
    topic: Mapped[str | None] = mapped_column(Text)
    channel: Mapped[str | None] = mapped_column(Text)
    allowed: Mapped[bool]
    source: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None]
    at: Mapped[datetime]


class SignInFailure(Base):
    """A wrong guess, by keyed hash of the address and of the network it came from; belongs to no tenant."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (Index("sign_in_failures_by_key", "key", "at"), Index("sign_in_failures_by_time", "at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]
