"""Sending what is due, lane by lane: woken by a job, or by the sweep that needs no Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from hub.appointments import due as plans
from hub.endless import end, rest
from hub.errors import HubError
from hub.logs import get_logger
from hub.messages.deliver import AT_ONCE, Due, read_due, send, take
from hub.messages.parcels import Parcel
from hub.messages.receipts import apply_due_reports
from hub.messages.reconcile import read_in_doubt, reconcile
from hub.wiring import House
from hub.work import SYSTEM

log = get_logger(__name__)

SWEEP_EVERY_S = 2.0
# So many tenants of one lane claim side by side, and so many batches of each are under way: a vendor that hangs holds
# up what it was given, and not what comes after.
TENANTS_AT_ONCE = 4
BATCHES_AT_ONCE = 4
FINISH_WITHIN_S = 20.0
REPORTS = "reports"
PLANS = "plans"


class Lanes:
    """What one worker is sending.

    Whoever asks only wakes: the same thing is done once at a time here, and once more if it was asked for meanwhile.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._room = {lane: asyncio.Semaphore(TENANTS_AT_ONCE) for lane in ("critical", "normal", "bulk")}
        self._planning = asyncio.Semaphore(TENANTS_AT_ONCE)
        self._places: dict[Due, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(BATCHES_AT_ONCE))
        self._awake: dict[object, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Sweep meanwhile; at the end, let what is under way finish."""
        sweeping = asyncio.create_task(self._sweep_forever())
        try:
            yield
        finally:
            sweeping.cancel()
            self.stop()
            await self._finish()
            await end([sweeping])

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopping = True

    async def _finish(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_WITHIN_S):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        await end(list(self._tasks))

    def wake(self, due: Due) -> None:
        """Have this tenant's messages in this lane sent."""
        self._wake(due, partial(self._serve, due))

    def wake_reports(self) -> None:
        """Have what vendors reported applied."""
        house = self._house
        self._wake(REPORTS, partial(apply_due_reports, house.database, house.open_work, house.keys, house.clock))

    async def sweep(self) -> None:
        """Wake whatever is due, of messages and of what was planned, and ask about what is in doubt."""
        house = self._house
        async with house.database.watching() as watch:
            dues = await read_due(watch, house.clock())
            doubtful = await read_in_doubt(watch, house.clock())
            planning = await plans.tenants_due(watch, house.clock())
        for due in dues:
            self.wake(due)
        for tenant in doubtful:
            self._wake(tenant, partial(reconcile, house.courier, tenant))
        for tenant in planning:
            self._wake((PLANS, tenant), partial(self._tell_planned, tenant))
        self.wake_reports()

    def _wake(self, what: object, do: Callable[[], Awaitable[object]]) -> None:
        if self._stopping:
            return
        if what in self._awake:
            self._awake[what] = True
            return
        self._awake[what] = False
        self._keep(self._do(what, do))

    def _keep(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, what: object, do: Callable[[], Awaitable[object]]) -> None:
        try:
            await do()
            while self._awake[what] and not self._stopping:
                self._awake[what] = False
                await do()
        except HubError as error:
            log.warning("could not send", error=type(error).__name__)
        except Exception:
            log.exception("could not send")
        finally:
            del self._awake[what]

    async def _serve(self, due: Due) -> None:
        places, dealt_with = self._places[due], AT_ONCE
        while dealt_with == AT_ONCE and not self._stopping:
            await places.acquire()
            try:
                # First come, first served: the tenants of a lane take turns by the batch.
                async with self._room[due.lane]:
                    parcels, dealt_with = await take(self._house.courier, due.tenant, due.lane)
            except BaseException:
                places.release()
                raise
            self._keep(self._send(due, parcels, places))

    async def _send(self, due: Due, parcels: Sequence[Parcel], places: asyncio.Semaphore) -> None:
        try:
            await send(self._house.courier, due.tenant, parcels)
        except Exception:
            log.exception("could not send")
        finally:
            places.release()

    async def _tell_planned(self, tenant: uuid.UUID) -> None:
        dealt_with = plans.AT_ONCE
        while dealt_with == plans.AT_ONCE and not self._stopping:
            # By the batch, like the lanes: a tenant with much to tell holds up no other one for long.
            async with self._planning, self._house.open_work(tenant, SYSTEM) as work:
                dealt_with = await plans.tell_due(work, plans.AT_ONCE)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except HubError as error:
                log.warning("could not sweep", error=type(error).__name__)
            except Exception:
                log.exception("could not sweep")
            await rest(SWEEP_EVERY_S)
