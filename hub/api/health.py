"""Whether the process lives, and whether it can work."""

from __future__ import annotations

from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import house_of


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
    except (RedisError, OSError, TimeoutError):
        redis = "down"
    return JSONResponse({"status": "ready", "postgres": "up", "redis": redis})
