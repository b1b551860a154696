"""What a clinic decides about appointments: when it reminds, and how long it waits before it speaks of a no-show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.reminders import USUAL, Ahead
from hub.work import Work

# R10 of the ground rules: systems mark visits as missed too early, and patients who came were told off.
USUAL_HOLD = timedelta(hours=2)
LONGEST_HOLD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """One clinic's rules; those of a clinic that never decided are SPEC's."""

    reminders: tuple[Ahead, ...] = USUAL
    no_show_hold: timedelta = USUAL_HOLD


async def read_rules(session: AsyncSession) -> Rules:
    """The rules of the clinic whose rows this session sees."""
    raise NotImplementedError


async def change_rules(work: Work, reminders: Sequence[str], no_show_hold_minutes: int) -> Rules:
    """Decide anew, and plan every visit ahead by it. Raises Invalid. Audited."""
    raise NotImplementedError
