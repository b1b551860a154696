"""What tests of messages stand on."""

from __future__ import annotations

import pytest

from hub.wiring import House
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient
from tests.messages.post import NOON, Post
from tests.messages.vendors import Scripted


@pytest.fixture
async def post(house: House, clinic: Clinic, clock: MovableClock) -> Post:
    """A post room at noon, with one vendor for every channel."""
    clock.stop(NOON)
    made = Post(house, clinic, clock, house.courier, Scripted(), await add_patient(house, clinic))
    made.use(made.vendor)
    return made
