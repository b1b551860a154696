"""The web app: middleware, routes and lifespan; joins the live socket to people and inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from hub import demo
from hub.api import problems
from hub.api.auth import person_by_cookie
from hub.api.routes import API, HEALTH
from hub.appointments.board import TOPIC
from hub.console.errors import error_page
from hub.console.pages import Pages
from hub.console.routes import CONSOLE
from hub.errors import HubError
from hub.guards import Faults, LimitedBodies, OwnOrigin, StrictHeaders
from hub.inbox import marks
from hub.people.live_tokens import resolve_token
from hub.people.roles import ALLOWED, Permission, Role
from hub.people.sessions import Person
from hub.realtime.connection import Listener
from hub.realtime.frames import MarkFrame
from hub.realtime.frames import ReadAll as ReadAllFrame
from hub.realtime.socket import Doorkeeper, LiveSocket
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import Actor

WEB = Path(__file__).resolve().parent.parent / "web"

# What somebody must be allowed to see in order to watch a topic.
TOPICS = {TOPIC: Permission.APPOINTMENTS_READ}


def make_app(
    settings: Settings, built: Callable[[Settings], AbstractAsyncContextManager[House]] | None = None
) -> Starlette:
    """The ASGI application; `built` says how the house is built, unless as always."""
    pages = Pages(WEB, settings.public_url, demo=settings.demo)

    async def live(websocket: WebSocket) -> None:
        await websocket.app.state.live(websocket)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with built(settings) if built else build(settings, "web") as house:
            app.state.house = house
            app.state.live = LiveSocket(house.switchboard, doorkeeper(house), house.clock)
            tasks = [
                asyncio.create_task(house.switchboard.run()),
                asyncio.create_task(house.bus.listen(house.switchboard.deliver, house.switchboard.look_soon)),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(*tasks, return_exceptions=True)

    app = Starlette(
        routes=[API, *HEALTH, WebSocketRoute("/live", live), *CONSOLE],
        lifespan=lifespan,
        middleware=[
            Middleware(StrictHeaders, https=settings.is_https),
            Middleware(Faults, refuse=refuse),
            Middleware(OwnOrigin, refuse=refuse, origins=settings.origins),
            Middleware(LimitedBodies, refuse=refuse),
        ],
        exception_handlers={HubError: refuse, HTTPException: refuse},
    )
    app.state.pages = pages
    app.state.demo_logins = demo.LOGINS if settings.demo else []
    return app


async def refuse(request: Request, error: Exception) -> Response:
    """A refusal as its reader expects it: a problem document for programs, a page for people."""
    if request.url.path.startswith(("/api/", "/health/")):
        return problems.answer(error)
    return error_page(request, error)


def doorkeeper(house: House) -> Doorkeeper:
    """How the live socket asks who is there, and passes on what they do."""

    async def by_cookie(websocket: WebSocket) -> Listener | None:
        # Browsers send cookies across sites when they open a socket: only our own pages may use it.
        if websocket.headers.get("origin") not in house.settings.origins:
            return None
        person = await person_by_cookie(websocket, in_use=False)
        return _listener(person) if person else None

    async def by_token(token: str) -> Listener | None:
        found = await resolve_token(house.database, house.keys, token, house.clock())
        return _listener(found[0], found[1]) if found else None

    async def mark(listener: Listener, frame: MarkFrame | ReadAllFrame) -> None:
        async with house.open_work(listener.tenant, Actor("staff", listener.person)) as work:
            if isinstance(frame, MarkFrame):
                await marks.mark(work, listener.person, frame.ids, frame.t)
            else:
                await marks.read_all(work, listener.person, frame.upto)

    def may_watch(listener: Listener, topic: str) -> bool:
        return topic in TOPICS and TOPICS[topic] in ALLOWED[Role(listener.role)]

    return Doorkeeper(by_cookie, by_token, mark, may_watch)


def _listener(person: Person, expires_at: datetime | None = None) -> Listener:
    return Listener(
        tenant=person.tenant,
        person=person.id,
        role=person.role,
        name=person.name,
        language=person.language,
        session=person.session,
        expires_at=expires_at,
    )
