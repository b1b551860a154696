"""Appointments and each change of them, what is planned ahead, and what a clinic has switched."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant


class Appointment(OfTenant, Base):
    """One visit. `number` is the clinic's own, per year; `external_id` and `source_version` are the practice system's.

    `occurrence` counts its times: reminders and the patient's links belong to one of them. `wish` is what the patient
    has asked for and nobody has answered yet.
    """

    __tablename__ = "appointments"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "patient_id"], ["patients.tenant_id", "patients.id"]),
        ForeignKeyConstraint(["tenant_id", "clinician_id"], ["staff.tenant_id", "staff.id"]),
        UniqueConstraint("tenant_id", "external_id"),
        UniqueConstraint("tenant_id", "number"),
        UniqueConstraint("tenant_id", "id"),
        Index("appointments_by_day", "tenant_id", "starts_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    number: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    patient_id: Mapped[uuid.UUID]
    clinician_id: Mapped[uuid.UUID]
    starts_at: Mapped[datetime]
    minutes: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    clearance: Mapped[str] = mapped_column(Text)
    consent: Mapped[str] = mapped_column(Text)
    occurrence: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    source_version: Mapped[int | None] = mapped_column(BigInteger)
    wish: Mapped[str | None] = mapped_column(Text)
    confirmed_at: Mapped[datetime | None]
    arrived_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AppointmentChange(OfTenant, Base):
    """One thing that was done to an appointment.

    `before` is how it stood, so that it can be undone; `sealed` the words that came with it. `held` says to whom it was
    not told, and why: each `to`, `over`, `reason`. What was told are notifications and messages that name this change.
    """

    __tablename__ = "appointment_changes"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "appointment_id"], ["appointments.tenant_id", "appointments.id"]),
        Index("appointment_changes_of_visit", "tenant_id", "appointment_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    appointment_id: Mapped[uuid.UUID]
    event: Mapped[str] = mapped_column(Text)
    occurrence: Mapped[int] = mapped_column(Integer)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    held: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default=text("'[]'"))
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[uuid.UUID | None]
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class PlannedNotice(OfTenant, Base):
    """Something to be told at `due_at`, unless the appointment changes: a reminder, or that the patient was missed.

    `ahead` tells the reminders of one time apart; it is an ISO 8601 duration, empty for a missed visit.
    """

    __tablename__ = "planned_notices"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "appointment_id"], ["appointments.tenant_id", "appointments.id"]),
        UniqueConstraint("appointment_id", "occurrence", "kind", "ahead"),
        Index("planned_notices_due", "tenant_id", "due_at", "id", postgresql_where=text("state = 'planned'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"))
    appointment_id: Mapped[uuid.UUID]
    occurrence: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(Text)
    ahead: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    planned_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class TellingSwitch(OfTenant, Base):
    """What a clinic does differently from the table in `tellings`: whether a row of it is told, and by which words."""

    __tablename__ = "telling_switches"

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    event: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient: Mapped[str] = mapped_column(Text, primary_key=True)
    way: Mapped[str] = mapped_column(Text, primary_key=True)
    enabled: Mapped[bool]
    code: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[datetime]


class AppointmentRules(OfTenant, Base):
    """When a clinic reminds, as ISO 8601 durations, and how long it waits before it tells of a missed visit."""

    __tablename__ = "appointment_rules"

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    reminders: Mapped[list[str]] = mapped_column(ARRAY(Text))
    no_show_hold_minutes: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[datetime]


class AppointmentNumber(OfTenant, Base):
    """The last number a clinic gave in a year; locked while the next is given, so there are no gaps."""

    __tablename__ = "appointment_numbers"

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True)
    last: Mapped[int] = mapped_column(Integer)


class ArrivalsBoard(OfTenant, Base):
    """How often a clinic's board has changed: whoever shows an older version fetches it again."""

    __tablename__ = "arrivals_boards"

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
