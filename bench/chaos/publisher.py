"""The publishing process of the chaos: rings bells until they are committed, and dies where it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from typing import Any

import uvloop
from sqlalchemy import event
from sqlalchemy.orm import Session

from bench.chaos.faults import Moment
from bench.helpers import obey
from hub.errors import HubError
from hub.inbox.kinds import Kind, Priority
from hub.inbox.notify import Notice, Wording, notify
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import SYSTEM, Work

AGAIN_AFTER_S = 0.05
DIES_COMMITTED = "chaos_dies"


@event.listens_for(Session, "after_commit")
def _die_if_told(session: Session) -> None:
    if DIES_COMMITTED in session.info:
        _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Publisher:
    """The commands."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def ring(self, tenant: str, notices: list[dict[str, Any]], die: str | None) -> list[str]:
        """Ring all of these at the same time, each until it is committed; the ids of what was. Or die with the first.

        One whose commit got no answer is rung again: it may be there twice, as two notifications.
        """
        told = [
            asyncio.create_task(self._ring(uuid.UUID(tenant), notice, die if index == 0 else None))
            for index, notice in enumerate(notices)
        ]
        return [each for ids in await asyncio.gather(*told) for each in ids]

    async def _ring(self, tenant: uuid.UUID, notice: dict[str, Any], die: str | None) -> list[str]:
        while True:
            try:
                async with self._house.open_work(tenant, SYSTEM) as work:
                    ids = await self._write(work, notice)
                    if die == Moment.WRITTEN:
                        _die()
                    if die == Moment.COMMITTED:
                        work.session.info[DIES_COMMITTED] = True
            except HubError:
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                return [str(each) for each in ids]

    async def _write(self, work: Work, notice: dict[str, Any]) -> list[uuid.UUID]:
        wording = Wording(f"Number {notice['number']}", "Visit at 09:30. Cleared to be seen.")
        priority = Priority.CRITICAL if notice["critical"] else None
        people = [uuid.UUID(person) for person in notice["people"]]
        return await notify(work, people, Notice(Kind.SYSTEM, wording, priority=priority))


async def main() -> None:
    """Take commands until there are no more."""
    async with build(Settings(), "chaos") as house:
        await obey({"ring": Publisher(house).ring})


if __name__ == "__main__":
    uvloop.run(main())
