"""What the tests of the embedded servers share."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local.supervisor import WITH_STUB, Supervisor


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's stand-in for root may pass through, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="hub-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start(tmp_path: Path, open_folder: Path) -> Iterator[Callable[..., Supervisor]]:
    """Starts supervisors, by default with stand-ins for the hub's own commands, and ends them before their folder."""
    started: list[Supervisor] = []

    def begin(folder: Path = tmp_path, command: list[str] = WITH_STUB, **environment: str) -> Supervisor:
        started.append(Supervisor(command, folder, environment))
        return started[-1]

    yield begin
    for supervisor in started:
        supervisor.close()
