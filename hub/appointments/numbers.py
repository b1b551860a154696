"""The numbers of a clinic's visits: one row a year, without gaps under concurrency."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert

from hub.appointments.tables import AppointmentNumber
from hub.work import Work


async def next_number(work: Work, year: int) -> str:
    """The clinic's next number of a year; a transaction that fails gives it back."""
    add = insert(AppointmentNumber).values(tenant_id=work.tenant, year=year, last=1)
    upsert = add.on_conflict_do_update(index_elements=["tenant_id", "year"], set_={"last": AppointmentNumber.last + 1})
    number = (await work.session.execute(upsert.returning(AppointmentNumber.last))).scalar_one()
    return f"{year}-{number:06}"
