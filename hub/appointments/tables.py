"""Appointments, their numbers, and the version of each clinic's arrivals board."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant


class Appointment(OfTenant, Base):
    """One visit. `number` is the clinic's own, per year; `external_id` is the practice system's."""

    __tablename__ = "appointments"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "patient_id"], ["patients.tenant_id", "patients.id"]),
        ForeignKeyConstraint(["tenant_id", "clinician_id"], ["staff.tenant_id", "staff.id"]),
        UniqueConstraint("tenant_id", "external_id"),
        UniqueConstraint("tenant_id", "number"),
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
    arrived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


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
