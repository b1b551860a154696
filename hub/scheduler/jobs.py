"""The jobs arq runs: each loads, calls the verb, and is done."""

from __future__ import annotations

from typing import Any

from hub.scheduler.timetable import run_due


async def tick(ctx: dict[str, Any]) -> None:
    """Run whatever is due."""
    await run_due(ctx["house"])
