"""Open tabs for the tests of the live path, and the rule that nothing here may end in a traceback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from hub.app import doorkeeper, make_app
from hub.people import sessions
from hub.people.tables import Staff
from hub.realtime.door import Door, Limits
from hub.realtime.framed import FramedWebSocket
from hub.realtime.socket import LiveSocket
from hub.serve import bind, configure
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import Actor
from tests.conftest import MovableClock, QuietServer, RunningHub
from tests.live_client import OWN, Inbox, LiveClient, open_live

# As the specification has it for a right to listen that ended.
CLOSED_WITHIN_S = 2.0
SAID_BY_UVICORN = {"Invalid UTF-8 sequence received from client."}


@pytest.fixture(autouse=True)
def no_tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does, the hub answers it by a code, and never by a fault."""
    with structlog.testing.capture_logs() as logs:
        yield
    assert [each for each in logs if each["log_level"] == "error" or each.get("exc_info")] == []
    errors = [each.getMessage() for each in caplog.get_records("call") if each.levelno >= logging.ERROR]
    assert [each for each in errors if each not in SAID_BY_UVICORN] == []


async def cookie_for(house: House, person: Staff) -> str:
    """The cookie of a new sign-in session."""
    async with house.open_work(person.tenant_id, Actor("staff", person.id)) as work:
        return f"hub={await sessions.start(work, person.id, 'test')}"


@asynccontextmanager
async def open_tab(
    hub: RunningHub, person: Staff, *, cookie: str = "", inbox: Inbox | None = None, origin: str | None = OWN
) -> AsyncIterator[LiveClient]:
    """A tab of this person's, up to date."""
    cookie = cookie or await cookie_for(hub.house, person)
    async with open_live(hub.live_url, cookie, inbox=inbox, origin=origin) as live:
        await live.hear_until("welcome")
        await live.hear()
        yield live


@asynccontextmanager
async def run_strict_hub(
    settings: Settings, clock: MovableClock, limits: Limits, ws: Any = FramedWebSocket
) -> AsyncIterator[RunningHub]:
    """A hub of its own, with other limits for its clients, or another protocol of the server's."""
    with bind("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = settings.model_copy(update={"public_url": url, "port": port})
    app = make_app(settings, lambda chosen: build(chosen, "test web", clock))
    config = configure(app)
    config.ws = ws
    async with QuietServer(config).running(port):
        house: House = app.state.house
        app.state.live = LiveSocket(Door(house.switchboard, house.ledger, doorkeeper(house), limits))
        yield RunningHub(url, house, app)


async def eventually(true: Callable[[], bool], within: float = 15) -> None:
    """Wait until something is so that tells nobody when it becomes so."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)
