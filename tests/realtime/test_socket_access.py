"""How an open socket ends when the right to listen does; and that keeping it open keeps no session alive."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from hub.people import sessions
from hub.people.live_tokens import sign_token
from hub.people.roles import Role
from hub.people.staff import change_staff
from hub.people.tables import StaffSession
from hub.realtime.frames import Close
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, tell
from tests.live_client import cookies_of, open_live
from tests.realtime.conftest import CLOSED_WITHIN_S, cookie_for, open_tab


async def test_signing_out_everywhere_closes_every_tab_at_once(hub: RunningHub, clinic: Clinic) -> None:
    async with (
        hub.signed_in(clinic.omar) as client,
        open_tab(hub, clinic.omar, cookie=cookies_of(client)) as here,
        open_tab(hub, clinic.omar) as elsewhere,
        open_tab(hub, clinic.huda) as huda,
    ):
        answer = await client.post("/api/v1/me/sign-out-everywhere")
        assert answer.status_code == 204
        for tab in (here, elsewhere):
            assert await tab.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.SESSION_ENDED
        await tell(hub.house, clinic, clinic.omar, clinic.huda)
        await huda.hear_everything(1)
        assert "ev" not in {frame["t"] for tab in (here, elsewhere) for frame in tab.frames}


async def test_signing_out_of_one_session_leaves_the_others(hub: RunningHub, clinic: Clinic) -> None:
    async with (
        hub.signed_in(clinic.omar) as client,
        open_tab(hub, clinic.omar, cookie=cookies_of(client)) as here,
        open_tab(hub, clinic.omar) as elsewhere,
    ):
        assert (await client.post("/sign-out")).status_code == 303
        assert await here.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.SESSION_ENDED
        await tell(hub.house, clinic, clinic.omar)
        await elsewhere.hear_everything(1)


async def test_deactivation_closes_every_tab_at_once_by_whatever_proof(hub: RunningHub, clinic: Clinic) -> None:
    token, _ = sign_token(hub.house.keys, clinic.id, clinic.omar.id, hub.house.clock())
    async with open_tab(hub, clinic.omar) as tab, open_live(hub.live_url, token=token) as embedded:
        await embedded.hear_until("snap")
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await change_staff(work, clinic.omar.id, active=False)
        for each in (tab, embedded):
            assert await each.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.SESSION_ENDED


async def test_another_role_closes_every_tab_at_once(hub: RunningHub, clinic: Clinic) -> None:
    async with open_tab(hub, clinic.desk) as tab:
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await change_staff(work, clinic.desk.id, role=Role.PROVIDER)
        assert await tab.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.SESSION_ENDED


async def test_an_idle_session_ends_although_its_socket_is_open_and_used(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    (notification,) = await tell(hub.house, clinic, clinic.omar)
    async with open_tab(hub, clinic.omar) as idle:
        clock.move(hub.house.idle - timedelta(minutes=1))
        await idle.say(t="read", ids=[str(notification)], nonce="1")
        await idle.hear_until("ok")
        async with open_tab(hub, clinic.omar) as fresh:
            clock.move(timedelta(minutes=2))
            await hub.house.switchboard.look_at_access()
            assert await idle.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.SESSION_ENDED
            await tell(hub.house, clinic, clinic.omar)
            await fresh.hear_everything(3)


async def test_nothing_that_a_socket_does_is_use_of_its_session(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    cookie = await cookie_for(hub.house, clinic.omar)
    before = await last_used(hub, clinic)
    (notification,) = await tell(hub.house, clinic, clinic.omar)
    clock.move(timedelta(minutes=10))
    async with open_tab(hub, clinic.omar, cookie=cookie) as live:
        await live.say(t="read", ids=[str(notification)], nonce="1")
        await live.hear_until("ok")
        await live.fill(0)
        await live.hear_until("fill")
    assert await last_used(hub, clinic) == before


async def test_a_tab_opened_by_token_ends_with_it(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    token, _ = sign_token(hub.house.keys, clinic.id, clinic.omar.id, hub.house.clock())
    async with open_live(hub.live_url, token=token) as embedded, open_tab(hub, clinic.omar) as tab:
        await embedded.hear_until("snap")
        await hub.house.switchboard.look_at_access()
        clock.move(timedelta(minutes=11))
        await hub.house.switchboard.look_at_access()
        assert await embedded.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.TOKEN_EXPIRED
        await tell(hub.house, clinic, clinic.omar)
        await tab.hear_everything(1)


async def test_a_session_ended_without_a_word_is_found_by_the_look(hub: RunningHub, clinic: Clinic) -> None:
    async with open_tab(hub, clinic.omar) as tab:
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await sessions.end_all(work, clinic.omar.id)
            work.pushes.clear()
        await hub.house.switchboard.look_at_access()
        assert await tab.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.SESSION_ENDED


async def last_used(hub: RunningHub, clinic: Clinic) -> datetime:
    async with hub.house.database.of_tenant(clinic.id) as session:
        return (await session.execute(select(StaffSession.last_used_at))).scalar_one()
