"""The web process as in production, and one address more that tells how much is going on inside of it."""

from __future__ import annotations

import asyncio
import gc

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hub.app import make_app
from hub.cli import read_settings
from hub.logs import configure_logs
from hub.serve import bind, serve

PATH = "/bench/vitals"
PROGRAM = ("bench.inspected",)


async def vitals(request: Request) -> JSONResponse:
    """What must come back to where it was when everybody has left; garbage is collected first, as it is in time."""
    gc.collect()
    connections = len(request.app.state.house.switchboard)
    return JSONResponse({"tasks": len(asyncio.all_tasks()), "connections": connections})


def main() -> None:
    """Serve."""
    # Without the canary, which is a connection too.
    settings = read_settings().model_copy(update={"canary_every_s": 0})
    configure_logs("web")
    app = make_app(settings)
    app.router.routes.insert(0, Route(PATH, vitals))
    serve(app, bind(settings.host, settings.port))


if __name__ == "__main__":
    main()
