"""What journeys begin with."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.wiring import House
from tests.factories import Clinic, open_clinic, zone_at_noon
from tests.journeys.started import Started
from tests.local.supervisor import REAL, Supervisor


@pytest.fixture
async def clinic(house: House) -> Clinic:
    """A clinic in which it is noon: journeys go by the real time, and what they do is of one day."""
    return await open_clinic(house, zone=zone_at_noon(house.clock()))


@pytest.fixture
def started() -> Iterator[Started]:
    """A hub of the test's own, from nothing; at the end it must not have written of any fault."""
    folder = Path(tempfile.mkdtemp(prefix="hub-test-"))
    folder.chmod(0o711)
    supervisor = Supervisor(REAL, folder, {})
    try:
        address = supervisor.says("^ready").split()[1]
        yield Started(address, folder)
        logs = "".join(path.read_text() for path in (folder / "logs").glob("w*.log"))
        assert not [line for line in logs.splitlines() if json.loads(line)["level"] == "error"]
    finally:
        supervisor.close()
        shutil.rmtree(folder, ignore_errors=True)
