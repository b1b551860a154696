"""Every component once, for those who build pages; there in a demo only."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.console.reader import reader_of, show
from hub.errors import NotFound


async def page(request: Request) -> Response:
    """GET: the kit."""
    person = await reader_of(request)
    if not house_of(request).settings.demo:
        raise NotFound("There is no such page.")
    return await show(request, "kit.html", person)
