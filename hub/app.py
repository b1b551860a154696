"""The web app: middleware, routes and lifespan; joins the live socket to people and inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hub.api import problems
from hub.api.auth import cookie_name
from hub.api.routes import API, HEALTH
from hub.api.webhooks import WEBHOOKS
from hub.appointments.board import TOPIC
from hub.canary import Canary
from hub.console.errors import error_page
from hub.console.pages import Pages
from hub.console.routes import CONSOLE
from hub.demo.people import LOGINS
from hub.endless import end
from hub.errors import HubError
from hub.guards import Faults, Guests, LimitedBodies, OwnOrigin, StrictHeaders, is_from_our_pages
from hub.inbox import marks
from hub.metrics import Figures
from hub.people.roles import ALLOWED, Permission, Role
from hub.realtime.connection import Listener
from hub.realtime.door import Door, Doorkeeper
from hub.realtime.events import EventStream
from hub.realtime.frames import MarkFrame
from hub.realtime.frames import ReadAll as ReadAllFrame
from hub.realtime.poll import poll
from hub.realtime.say import say
from hub.realtime.socket import LiveSocket
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import Actor

WEB = Path(__file__).resolve().parent.parent / "web"

LIVE = "/live"


def way(name: str, method: str, endpoint: Callable[..., Any]) -> Route:
    """One address that takes one method: nobody asks for the head of a stream."""
    route = Route(f"{LIVE}/{name}", endpoint, methods=[method])
    route.methods = {method}
    return route


# The ways round, where a WebSocket does not get through.
WAYS = [way("events", "GET", EventStream()), way("poll", "GET", poll), way("say", "POST", say)]

# What somebody must be allowed to see in order to watch a topic.
TOPICS = {TOPIC: Permission.APPOINTMENTS_READ}


class Hub(Starlette):
    """The app; live connections pass by the middleware, of which thousands of them would each pay their share."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one connection."""
        if scope["type"] == "websocket" and scope["path"] == LIVE:
            await self.state.live(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def drain(self) -> None:
        """Ask every live client to connect anew, at its own moment, and wait until they have."""
        if self.state.canary is not None:
            self.state.canary.cancel()
        await self.state.live.door.drain()


def make_app(settings: Settings, built: Callable[[Settings], AbstractAsyncContextManager[House]] | None = None) -> Hub:
    """The ASGI application; `built` says how the house is built, unless as always."""
    pages = Pages(WEB, settings.public_url, demo=settings.demo)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with built(settings) if built else build(settings, "web") as house:
            app.state.house = house
            app.state.live = LiveSocket(Door(house.switchboard, house.ledger, doorkeeper(house)))
            tasks = [
                asyncio.create_task(house.switchboard.run()),
                asyncio.create_task(house.bus.listen(house.switchboard.deliver, house.switchboard.look_soon)),
                asyncio.create_task(Figures(house).leave_often()),
            ]
            if settings.canary_every_s:
                app.state.canary = asyncio.create_task(Canary(house, settings.canary_every_s).run())
                tasks.append(app.state.canary)
            try:
                yield
            finally:
                await end(tasks)

    app = Hub(
        routes=[API, WEBHOOKS, *WAYS, *HEALTH, *CONSOLE],
        lifespan=lifespan,
        middleware=[
            Middleware(StrictHeaders, https=settings.is_https),
            Middleware(Guests, origins=settings.embed_origins),
            Middleware(Faults, refuse=refuse),
            Middleware(OwnOrigin, refuse=refuse, origins=settings.origins),
            Middleware(LimitedBodies, refuse=refuse),
        ],
        exception_handlers={HubError: refuse, HTTPException: refuse},
    )
    app.state.pages = pages
    app.state.canary = None
    app.state.demo_logins = LOGINS if settings.demo else []
    return app


async def refuse(request: Request, error: Exception) -> Response:
    """A refusal as its reader expects it: a problem document for programs, a page for people."""
    if request.url.path.startswith(("/api/", "/health/", "/metrics", "/webhooks/", f"{LIVE}/")):
        return problems.answer(error)
    return error_page(request, error)


def doorkeeper(house: House) -> Doorkeeper:
    """How the live socket asks who is there, and passes on what they do."""

    def cookie_of(scope: Scope) -> str | None:
        # Browsers send cookies across sites when they open a socket: only our own pages may use it.
        connection = HTTPConnection(scope)
        if not is_from_our_pages(connection.headers, house.settings.origins):
            return None
        return connection.cookies.get(cookie_name(house))

    async def mark(listener: Listener, frame: MarkFrame | ReadAllFrame) -> None:
        async with house.open_work(listener.tenant, Actor("staff", listener.person)) as work:
            if isinstance(frame, MarkFrame):
                await marks.mark(work, listener.person, frame.ids, frame.t)
            else:
                await marks.read_all(work, listener.person, frame.upto)

    def may_watch(listener: Listener, topic: str) -> bool:
        return topic in TOPICS and TOPICS[topic] in ALLOWED[Role(listener.role)]

    return Doorkeeper(cookie_of, mark, may_watch)
