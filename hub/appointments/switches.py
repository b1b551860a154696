"""What a clinic tells: the table of tellings as it stands for one clinic, and switching its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.tellings import Event, Recipient, Telling, Way
from hub.work import Work


@dataclass(frozen=True, slots=True)
class Setting:
    """One row as it stands for a clinic: told or not, by which template; `changed` when the clinic decided so."""

    telling: Telling
    enabled: bool
    code: str | None
    changed: bool


async def read_settings(session: AsyncSession) -> Mapping[tuple[Event, Recipient, Way], Setting]:
    """The whole table as it stands for the clinic whose rows this session sees, in the table's order."""
    raise NotImplementedError


async def switch(
    work: Work, event: Event, to: Recipient, over: Way, *, enabled: bool, code: str | None = None
) -> Setting:
    """Decide about one row; as the table has it, the clinic's own decision is forgotten.

    Raises NotFound for a row that there is not, and Invalid for a template without a wording for that way. Audited.
    """
    raise NotImplementedError
