"""Work done at a moment before the demo began."""

from __future__ import annotations

from datetime import datetime

from hub.realtime.pushes import Push
from hub.wiring import House
from hub.work import OpenWork, work_opener


def at(house: House, moment: datetime) -> OpenWork:
    """Work done at another moment, announced to nobody: what happened before the demo began."""

    async def to_nobody(_pushes: list[Push]) -> None:
        """What is past rings no bell."""

    return work_opener(house.database, lambda: moment, house.keys, house.settings.public_url, to_nobody)
