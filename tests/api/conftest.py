"""What the tests of the API share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import RunningHub
from tests.factories import Clinic, make_key
from tests.visitors import program_of


@pytest.fixture
async def program(hub: RunningHub, clinic: Clinic) -> AsyncIterator[httpx.AsyncClient]:
    """An integration of the clinic, with a key for everything a key can be for."""
    async with program_of(hub, await make_key(hub.house, clinic)) as client:
        yield client
