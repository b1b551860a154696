"""The hub on a server that knows nothing of its frames: slower, and otherwise the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.clock import system_clock
from hub.realtime.door import Door, Doorkeeper, Limits
from hub.realtime.outlets import Fetched
from hub.realtime.socket import LiveSocket
from hub.realtime.switchboard import Switchboard
from hub.settings import Settings
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic
from tests.realtime.books import Books
from tests.realtime.conftest import open_tab, run_strict_hub

# Every one of these again, with the hub below in place of the one they are written for.
from tests.realtime.test_socket import *  # noqa: F403
from tests.realtime.test_socket_access import *  # noqa: F403
from tests.realtime.test_socket_bad_frames import *  # noqa: F403


@pytest.fixture(scope="module")
async def hub(settings: Settings, the_clock: MovableClock) -> AsyncIterator[RunningHub]:
    """A hub under uvicorn's own WebSockets."""
    async with run_strict_hub(settings, the_clock, Limits(), "websockets-sansio") as running:
        yield running


async def test_frames_are_fetched_there(hub: RunningHub, clinic: Clinic) -> None:
    async with open_tab(hub, clinic.omar):
        (connection,) = (each for each in hub.house.switchboard if each.listener.person == clinic.omar.id)
        assert isinstance(connection._outlet, Fetched)


@pytest.mark.parametrize(
    ("extensions", "answer"),
    [({}, ["websocket.close"]), (None, ["websocket.close"]), ({"websocket.http.response": {}}, ["start 503", "body"])],
    ids=["none", "unsaid", "by HTTP"],
)
async def test_who_is_not_let_in_is_refused_as_the_server_can(
    extensions: dict[str, Any] | None, answer: list[str]
) -> None:
    ledger = Books().ledger()
    door = Door(Switchboard(ledger, system_clock), ledger, Doorkeeper(lambda _: None, _mark, lambda *_: True))
    await door.drain()
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "websocket", "path": "/live"} | ({} if extensions is None else {"extensions": extensions})
    await LiveSocket(door)(scope, receive, send)
    names = [f"{each['type']} {each.get('status', '')}".strip() for each in said]
    assert [name.removeprefix("websocket.http.response.") for name in names] == answer


async def _mark(*_: Any) -> None:
    """Everything is carried out."""
