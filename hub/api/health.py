"""Whether the process lives, and whether it can work."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import house_of
from hub.realtime.meters import METERS


async def live(_request: Request) -> Response:
    """The process answers; nothing is asked of others, so that an outage of theirs does not restart it."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """Whether requests can be served: Postgres is needed. Without Redis everything works, more slowly."""
    house = house_of(request)
    await house.database.ping()
    try:
        await house.bus.ping()
        redis = "up"
    except (OSError, EOFError):
        redis = "down"
    found = {"status": "ready", "postgres": "up", "redis": redis}
    return JSONResponse(found | ({"canary": _canary()} if house.settings.canary_every_s else {}))


def _canary() -> dict[str, Any]:
    """When this process last heard itself; that it does not is no reason to take it away from its clients."""
    heard = METERS.canary_heard_at
    return {
        "heard_s_ago": round(time.time() - heard, 1) if heard else None,
        "missed_in_a_row": METERS.canary_missed_in_a_row,
    }
