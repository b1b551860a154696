"""A process that tells what is due until nothing is, for `bench.reminders`: `python -m bench.teller MOMENT`.

It begins at a line on its input, and says how many it told and how long it took.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import datetime

from bench.servers import settings_of
from hub.appointments.due import AT_ONCE, tell_due, tenants_due
from hub.wiring import House, build
from hub.work import SYSTEM


async def _tell(house: House) -> int:
    told = 0
    while True:
        async with house.database.watching() as watch:
            tenants = await tenants_due(watch, house.clock())
        if not tenants:
            return told
        for tenant in tenants:
            dealt_with = AT_ONCE
            while dealt_with == AT_ONCE:
                async with house.open_work(tenant, SYSTEM) as work:
                    dealt_with = await tell_due(work)
                told += dealt_with


async def main(moment: datetime) -> None:
    """Build the house with a clock that stands still, wait, and tell."""
    async with build(settings_of(os.environ), "teller", lambda: moment) as house:
        await house.database.ping()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.monotonic()
        told = await _tell(house)
        print(told, time.monotonic() - began, flush=True)


if __name__ == "__main__":
    asyncio.run(main(datetime.fromisoformat(sys.argv[1])))
