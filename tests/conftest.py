"""What most tests stand on: a built house, clinics of their own, and the whole hub on a real socket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import hypothesis
import pytest
import uvicorn
from pydantic import SecretStr

from hub.app import Hub, make_app
from hub.people.tables import Staff
from hub.serve import bind, configure
from hub.settings import Settings
from hub.wiring import House, build
from tests.factories import PASSWORD, Clinic, open_clinic

pytest_plugins = ["tests.servers", "tests.browser"]

# How long an example takes says how busy the machine is, and nothing of the hub.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

HUB_KEYS = "k1:" + base64.b64encode(bytes(range(32))).decode()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the many tabs, which one worker opens while the other goes on: more of them is more than two cores."""
    tabs = [item for item in items if item.path.name == "test_tabs.py"]
    for item in tabs:
        item.add_marker(pytest.mark.xdist_group("tabs"))
    items[:] = [*tabs, *(item for item in items if item.path.name != "test_tabs.py")]


class MovableClock:
    """The system's time, unless a test stops it or moves it."""

    def __init__(self) -> None:
        self._stopped: datetime | None = None
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """The moment it is."""
        return (self._stopped or datetime.now(UTC)) + self._offset

    def stop(self, at: datetime) -> None:
        """Stand still at a moment."""
        self._stopped, self._offset = at, timedelta()

    def move(self, by: timedelta) -> None:
        """Jump, forwards or back."""
        self._offset += by

    def run(self) -> None:
        """Be the system's time again."""
        self._stopped, self._offset = None, timedelta()


@pytest.fixture(scope="session")
def the_clock() -> MovableClock:
    """The one clock of the houses built here."""
    return MovableClock()


@pytest.fixture
def clock(the_clock: MovableClock) -> Iterator[MovableClock]:
    """The clock, to stop or move for one test."""
    yield the_clock
    the_clock.run()


@pytest.fixture(scope="session")
def settings(database_url: str, redis_url: str) -> Settings:
    """Settings of a hub that uses this worker's servers, and in which no canary sings unasked."""
    return Settings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        hub_keys=SecretStr(HUB_KEYS),
        canary_every_s=0,
    )


@pytest.fixture(scope="session")
async def house(settings: Settings, the_clock: MovableClock) -> AsyncIterator[House]:
    """A house without a web server: for verbs."""
    async with build(settings, "test", the_clock) as built:
        yield built


@pytest.fixture
async def clinic(house: House) -> Clinic:
    """A clinic that only this test uses, with an administrator, a front desk and two clinicians."""
    return await open_clinic(house)


@pytest.fixture
async def other_clinic(house: House) -> Clinic:
    """Another one, whose rows nobody of the first may see."""
    return await open_clinic(house, slug="other")


class RunningHub:
    """The whole hub on a real socket of this machine."""

    def __init__(self, url: str, house: House, app: Hub) -> None:
        self.url = url
        self.house = house
        self.app = app

    @property
    def live_url(self) -> str:
        """Where its WebSocket is."""
        return self.url.replace("http", "ws", 1) + "/live"

    @asynccontextmanager
    async def visitor(self) -> AsyncIterator[httpx.AsyncClient]:
        """A browser that nobody signed in with."""
        headers = {"origin": self.url}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, verify=False) as client:
            yield client

    @asynccontextmanager
    async def signed_in(self, person: Staff) -> AsyncIterator[httpx.AsyncClient]:
        """A browser this person is signed in with."""
        async with self.visitor() as client:
            answer = await client.post("/sign-in", data={"email": person.email, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
            yield client

    @asynccontextmanager
    async def with_key(self, key: str) -> AsyncIterator[httpx.AsyncClient]:
        """An integration with this API key."""
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, verify=False) as client:
            yield client


class QuietServer(uvicorn.Server):
    """Uvicorn in this process, which leaves signals to the test runner."""

    @asynccontextmanager
    async def running(self, port: int) -> AsyncIterator[None]:
        """Serve while the block runs."""
        listening = bind("127.0.0.1", port)
        serving = asyncio.create_task(self._serve(sockets=[listening]))
        while not self.started:
            await asyncio.sleep(0.01)
            if serving.done():
                serving.result()
        try:
            yield
        finally:
            self.should_exit = True
            await serving
            listening.close()


@asynccontextmanager
async def run_hub(settings: Settings, clock: MovableClock) -> AsyncIterator[RunningHub]:
    """A hub of its own settings, on a free port, in this process."""
    with bind("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = settings.model_copy(update={"public_url": url, "port": port})
    app = make_app(settings, lambda chosen: build(chosen, "test web", clock))
    server = QuietServer(configure(app))
    async with server.running(port):
        yield RunningHub(url, app.state.house, app)


@pytest.fixture(scope="session")
async def hub(settings: Settings, the_clock: MovableClock) -> AsyncIterator[RunningHub]:
    """The whole hub, shared by the tests of this worker."""
    async with run_hub(settings, the_clock) as running:
        yield running
