"""How many rows a clinic has: what is refused must not change it."""

from __future__ import annotations

from sqlalchemy import func, select

from hub.tables import metadata
from hub.wiring import House
from tests.factories import Clinic

# A refusal may note that its caller was there.
NOT_COUNTED = {"sign_in_failures", "sweeps"}


async def count_rows(house: House, clinic: Clinic) -> dict[str, int]:
    """Rows per table, as this tenant sees them."""
    async with house.database.of_tenant(clinic.id) as session:
        return {
            name: (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for name, table in metadata.tables.items()
            if name not in NOT_COUNTED
        }
