"""What tests of the worker stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from hub.channels.registry import Registry
from hub.channels.vendor import Channel
from hub.local.valkey import Valkey
from hub.scheduler import lanes as lanes_room
from hub.scheduler import worker
from hub.settings import Settings
from hub.wiring import build
from tests.conftest import MovableClock
from tests.factories import add_patient, open_clinic
from tests.messages.post import NOON
from tests.messages.vendors import Scripted
from tests.scheduler.office import Office
from tests.servers import fresh_database, own_valkey


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """One to kill."""
    with own_valkey() as server:
        yield server


@pytest.fixture
async def office(settings: Settings, clock: MovableClock, valkey: Valkey) -> AsyncIterator[Office]:
    """A clinic at noon."""
    clock.stop(NOON)
    async with fresh_database() as url:
        own = settings.model_copy(update={"database_url": SecretStr(url), "redis_url": SecretStr(valkey.url())})
        async with build(own, "test lanes", clock) as built:
            vendor = Scripted()
            courier = replace(built.courier, vendors=Registry({channel: [vendor] for channel in Channel}))
            house = replace(built, courier=courier, vendors=courier.vendors)
            clinic = await open_clinic(house)
            yield Office(house, clinic, await add_patient(house, clinic), vendor, clock)


@pytest.fixture
def quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that nobody has to wait for."""
    monkeypatch.setattr(lanes_room, "SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(worker, "PAUSE_S", 0.1)


@pytest.fixture
def no_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found: what is sent was asked for."""

    async def nothing(*_values: Any) -> list[Any]:
        return []

    monkeypatch.setattr(lanes_room, "read_due", nothing)
    monkeypatch.setattr(lanes_room, "read_in_doubt", nothing)
