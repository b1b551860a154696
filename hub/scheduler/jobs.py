"""The jobs arq runs: each says that there is something to do, for what there is stands in Postgres."""

from __future__ import annotations

import uuid
from typing import Any

from hub.messages.deliver import Due
from hub.scheduler.lanes import Lanes
from hub.scheduler.timetable import run_due


async def tick(ctx: dict[str, Any]) -> None:
    """Run whatever is due."""
    await run_due(ctx["house"])


async def deliver(ctx: dict[str, Any], tenant: str) -> None:
    """Send what this tenant has in the lane of this queue."""
    lanes: Lanes = ctx["lanes"]
    lanes.wake(Due(uuid.UUID(tenant), ctx["lane"]))


async def apply_reports(ctx: dict[str, Any]) -> None:
    """Apply what vendors reported."""
    lanes: Lanes = ctx["lanes"]
    lanes.wake_reports()
