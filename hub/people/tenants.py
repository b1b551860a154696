"""Clinics and organisations: opening one, and reading its zone and languages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from hub.errors import Conflict, FieldError, Invalid
from hub.people.tables import Tenant

LANGUAGES = ("en", "ar")
# The tenant of the hub's own canaries. It is nobody's: nothing is swept, listed, exported or counted for it.
CANARY = uuid.UUID("00000000-0000-4000-8000-0000000ca4a7")


@dataclass(frozen=True, slots=True)
class Clinic:
    """What everybody in the house needs to know of a tenant."""

    id: uuid.UUID
    name: str
    zone: ZoneInfo
    languages: tuple[str, ...]

    def today(self, now: datetime) -> date:
        """The calendar day at the clinic."""
        return now.astimezone(self.zone).date()

    def bounds_of(self, day: date) -> tuple[datetime, datetime]:
        """First moment of the day there, and of the next; a day of clock change has 23 or 25 hours."""
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        after = day + timedelta(days=1)
        return start, datetime(after.year, after.month, after.day, tzinfo=self.zone)


@cache
def known_zones() -> frozenset[str]:
    """Every IANA time zone this machine knows; read once, since the whole folder of zones takes 5 ms."""
    return frozenset(available_timezones())


def clinic_of(tenant: Tenant) -> Clinic:
    """The clinic a row stands for."""
    return Clinic(tenant.id, tenant.name, ZoneInfo(tenant.zone), tuple(tenant.languages))


async def read_clinic(session: AsyncSession, tenant: uuid.UUID) -> Clinic:
    """The clinic whose rows this session sees."""
    return clinic_of((await session.execute(select(Tenant).where(Tenant.id == tenant))).scalar_one())


async def all_tenants(watch: AsyncConnection) -> list[uuid.UUID]:
    """Every tenant's id, for sweeps."""
    return list((await watch.execute(select(Tenant.id).where(Tenant.id != CANARY).order_by(Tenant.id))).scalars())


async def open_tenant(
    session: AsyncSession, slug: str, name: str, zone: str, languages: list[str], now: datetime
) -> Tenant:
    """Add a tenant; the session must name the new tenant's id.

    Raises Invalid on an unknown zone or language, Conflict when the slug is taken.
    """
    if zone not in known_zones():
        raise Invalid(
            f"There is no time zone {zone!r}.", [FieldError("zone", "not an IANA time zone", ["Asia/Riyadh"])]
        )
    if not languages or not set(languages) <= set(LANGUAGES):
        raise Invalid("Unknown language.", [FieldError("languages", "not a known language", list(LANGUAGES))])
    tenant = Tenant(id=session.info["tenant"], slug=slug, name=name, zone=zone, languages=languages, created_at=now)
    session.add(tenant)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(f"There is a clinic {slug!r} already.") from error
    return tenant
