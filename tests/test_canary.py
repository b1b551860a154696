"""A canary is heard when a bell would be, is missed when it would not, and leaves no trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import func, select

from hub.canary import NO_ADDRESS, Canary
from hub.errors import NotSignedIn
from hub.inbox.tables import InboxHead, Notification
from hub.migrate import migrate
from hub.people.tables import Staff, Tenant
from hub.people.tenants import CANARY, all_tenants
from hub.realtime.frames import Close
from hub.realtime.meters import METERS
from hub.realtime.pushes import Push
from hub.realtime.switchboard import Switchboard
from hub.settings import Settings
from hub.work import work_opener
from tests.conftest import MovableClock, RunningHub, run_hub
from tests.factories import Clinic
from tests.realtime.conftest import eventually
from tests.servers import own_postgres
from tests.visitors import browser_of

BIRD = 7


@pytest.fixture
async def canary(hub: RunningHub) -> AsyncIterator[Canary]:
    """One that a test has sing."""
    made = Canary(hub.house, every=10, bird=BIRD)
    METERS.canary_missed_in_a_row = 0
    yield made
    made.leave()


def heard() -> int:
    return sum(METERS.canary_heard.counts)


async def test_a_canary_hears_itself(canary: Canary) -> None:
    before = heard()
    await canary.sing()
    await canary.sing()
    assert heard() == before + 2
    assert METERS.canary_missed_in_a_row == 0


async def test_its_songs_do_not_pile_up_and_its_badge_stays_exact(
    hub: RunningHub, canary: Canary, clock: MovableClock
) -> None:
    for _ in range(4):
        await canary.sing()
        clock.move(timedelta(minutes=2))
    async with hub.house.database.of_tenant(CANARY) as session:
        songs = select(func.count()).where(Notification.person_id == canary.person)
        unread = select(InboxHead.unread).where(InboxHead.person_id == canary.person)
        assert (await session.execute(songs)).scalar_one() == 1
        assert (await session.execute(unread)).scalar_one() == 1


async def test_two_of_the_same_kind_do_not_disturb_each_other(hub: RunningHub, canary: Canary) -> None:
    other = Canary(hub.house, every=10, bird=BIRD)
    before, missed = heard(), METERS.canary_missed
    for _ in range(5):
        await asyncio.gather(canary.sing(), other.sing())
    other.leave()
    assert (heard() - before, METERS.canary_missed - missed) == (10, 0)
    async with hub.house.database.of_tenant(CANARY) as session:
        songs = select(func.count()).where(Notification.person_id == canary.person)
        unread = select(InboxHead.unread).where(InboxHead.person_id == canary.person)
        assert (await session.execute(unread)).scalar_one() == (await session.execute(songs)).scalar_one()


async def test_what_is_closed_is_opened_again(canary: Canary) -> None:
    await canary.sing()
    assert canary.connection is not None
    canary.connection.close(Close.TOKEN_EXPIRED)
    before = heard()
    await canary.sing()
    assert heard() == before + 1


async def test_silence_is_noticed_at_the_second_miss_and_so_is_its_end(hub: RunningHub, canary: Canary) -> None:
    async def announce_nothing(_pushes: list[Push]) -> None:
        pass

    house = hub.house
    # It greets, but never looks at Postgres, which would find what was not announced.
    board = Switchboard(house.ledger, house.clock)
    greeting = asyncio.create_task(board.reception.run())
    mute = work_opener(house.database, house.clock, house.keys, house.settings.public_url, announce_nothing)
    silent = Canary(replace(house, open_work=mute, switchboard=board), every=0.5)
    missed = METERS.canary_missed
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await silent.sing()
        silent.leave()
        await canary.sing()
    greeting.cancel()
    assert METERS.canary_missed == missed + 3
    told = [(each["log_level"], each["event"]) for each in logs if each["event"].startswith("canary")]
    assert told == [("error", "canary: not heard"), ("info", "canary: heard again")]


async def test_it_is_shown_by_the_ready_page_which_it_does_not_fail(
    settings: Settings, the_clock: MovableClock
) -> None:
    async with (
        run_hub(settings.model_copy(update={"canary_every_s": 1.0}), the_clock) as hub,
        browser_of(hub, None) as client,
    ):
        before = heard()
        await eventually(lambda: heard() > before)
        METERS.canary_missed_in_a_row = 7
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert ready.json()["canary"]["missed_in_a_row"] in (0, 7)
        assert ready.json()["canary"]["heard_s_ago"] < 5
        assert len(hub.house.switchboard) == 1
        async with asyncio.timeout(2):
            await hub.app.drain()
        assert len(hub.house.switchboard) == 0


async def test_it_sings_without_redis(settings: Settings, the_clock: MovableClock) -> None:
    nowhere = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    async with run_hub(nowhere, the_clock) as hub:
        canary = Canary(hub.house, every=5)
        before = heard()
        await canary.sing()
        await canary.sing()
        canary.leave()
        assert heard() == before + 2


async def test_it_outlives_postgres(settings: Settings, the_clock: MovableClock) -> None:
    with own_postgres() as postgres:
        url = postgres.url("postgres")
        await migrate(url)
        async with run_hub(settings.model_copy(update={"database_url": SecretStr(url)}), the_clock) as hub:
            singing = asyncio.create_task(Canary(hub.house, every=1).run())
            before, missed = heard(), METERS.canary_missed
            await eventually(lambda: heard() > before)
            await asyncio.to_thread(postgres.stop)
            await eventually(lambda: METERS.canary_missed >= missed + 2)
            postgres.start()
            before = heard()
            await eventually(lambda: heard() > before, within=15)
            singing.cancel()
            await asyncio.wait([singing])
            assert singing.cancelled()
            assert len(hub.house.switchboard) == 0


async def test_nobody_meets_it(hub: RunningHub, canary: Canary, clinic: Clinic) -> None:
    await canary.sing()
    async with hub.house.database.watching() as watch:
        assert CANARY not in await all_tenants(watch)
    async with browser_of(hub, clinic.admin) as admin:
        assert "Canary" not in (await admin.get("/api/v1/staff")).text
    async with hub.house.database.of_tenant(CANARY) as session:
        addresses = list((await session.execute(select(Staff.email))).scalars())
        assert list((await session.execute(select(Tenant.id))).scalars()) == [CANARY]
    assert addresses
    for password in ("", "!", NO_ADDRESS):
        with pytest.raises(NotSignedIn):
            await hub.house.front_door.sign_in(addresses[0], password, network="192.0.2.9", device="test")
