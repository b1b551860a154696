"""Who may open a socket, and by which proof."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from websockets.exceptions import ConnectionClosed

from hub.people import sessions
from hub.people.live_tokens import sign_token
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.realtime.door import Limits
from hub.realtime.frames import Close
from hub.settings import Settings
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, open_clinic, tell
from tests.live_client import OWN, open_live, open_socket
from tests.realtime.conftest import cookie_for, eventually, open_tab, run_strict_hub

ELSEWHERE = "https://practice.example"


def token_for(hub: RunningHub, person: Staff) -> str:
    return sign_token(hub.house.keys, person.tenant_id, person.id, hub.house.clock())[0]


async def end_of_hello(hub: RunningHub, cookie: str = "", *, origin: str | None = OWN, token: str | None = None) -> int:
    """The code by which a hello is turned down, with nothing said before it."""
    async with open_live(hub.live_url, cookie, origin=origin, token=token) as live:
        code = await live.hear_the_end()
    assert live.frames == []
    return code


@pytest.mark.parametrize("origin", [None, "null", ELSEWHERE, "http://127.0.0.1", "http://127.0.0.1.evil.example"])
async def test_a_cookie_counts_only_with_our_own_origin(hub: RunningHub, clinic: Clinic, origin: str | None) -> None:
    cookie = await cookie_for(hub.house, clinic.omar)
    assert await end_of_hello(hub, cookie, origin=origin) == Close.NOT_SIGNED_IN


@pytest.mark.parametrize("cookie", ["", "hub=", "hub=x.y", "hub=00000000000000000000000000000000.secret"])
async def test_nobody_comes_in_without_a_session(hub: RunningHub, cookie: str) -> None:
    assert await end_of_hello(hub, cookie) == Close.NOT_SIGNED_IN


async def test_a_session_that_ended_or_idled_does_not_come_in(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    cookie = await cookie_for(hub.house, clinic.omar)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await sessions.end_all(work, clinic.omar.id)
    assert await end_of_hello(hub, cookie) == Close.NOT_SIGNED_IN
    cookie = await cookie_for(hub.house, clinic.omar)
    clock.move(hub.house.idle + timedelta(seconds=1))
    assert await end_of_hello(hub, cookie) == Close.NOT_SIGNED_IN


async def test_who_signs_out_between_opening_and_hello_does_not_come_in(hub: RunningHub, clinic: Clinic) -> None:
    async with open_socket(hub.live_url, await cookie_for(hub.house, clinic.omar)) as live:
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await sessions.end_all(work, clinic.omar.id)
        await live.say(t="hello", v=1)
        assert await live.hear_the_end() == Close.NOT_SIGNED_IN


@pytest.mark.parametrize("origin", [None, ELSEWHERE])
async def test_a_token_in_hello_comes_in_from_anywhere(hub: RunningHub, clinic: Clinic, origin: str | None) -> None:
    await tell(hub.house, clinic, clinic.huda, title="For Huda")
    async with open_live(hub.live_url, origin=origin, token=token_for(hub, clinic.huda)) as live:
        await live.hear_until("snap")
        assert live.frames[0]["you"]["id"] == str(clinic.huda.id)
        assert live.inbox.titles == ["For Huda"]


async def test_a_token_that_is_damaged_or_over_does_not_come_in(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    token = token_for(hub, clinic.omar)
    head, claims, signature = token.split(".")
    for damaged in ("x", "a.b.c", f"{head}.{claims}.", f"{head}.{claims}.{signature[::-1]}", f"{head}..{signature}"):
        assert await end_of_hello(hub, token=damaged) == Close.TOKEN_EXPIRED
    clock.move(timedelta(minutes=11))
    assert await end_of_hello(hub, token=token) == Close.TOKEN_EXPIRED


async def test_a_bad_token_is_not_made_good_by_a_cookie(hub: RunningHub, clinic: Clinic) -> None:
    assert await end_of_hello(hub, await cookie_for(hub.house, clinic.omar), token="x") == Close.TOKEN_EXPIRED


async def test_a_deactivated_person_comes_in_by_no_proof(hub: RunningHub, clinic: Clinic) -> None:
    cookie, token = await cookie_for(hub.house, clinic.omar), token_for(hub, clinic.omar)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.omar.id, active=False)
    assert await end_of_hello(hub, cookie) == Close.NOT_SIGNED_IN
    assert await end_of_hello(hub, token=token) == Close.TOKEN_EXPIRED


async def test_who_says_nothing_is_hung_up_on(settings: Settings, the_clock: MovableClock) -> None:
    async with (
        run_strict_hub(settings, the_clock, Limits(hello_within_s=0.1)) as strict,
        open_socket(strict.live_url) as live,
    ):
        assert await live.hear_the_end() == Close.HELLO_TIMEOUT


async def test_a_person_has_so_many_connections_and_no_more(settings: Settings, the_clock: MovableClock) -> None:
    async with run_strict_hub(settings, the_clock, Limits(most_connections=2)) as strict:
        clinic = await open_clinic(strict.house)
        cookie = await cookie_for(strict.house, clinic.omar)
        board = strict.house.switchboard
        async with open_tab(strict, clinic.omar, cookie=cookie), open_tab(strict, clinic.omar, cookie=cookie) as second:
            assert await end_of_hello(strict, cookie) == Close.TOO_MANY_CONNECTIONS
            async with open_tab(strict, clinic.huda):
                pass
            await second.socket.close()
            await eventually(lambda: board.connections_of(clinic.omar.id) == 1)
            async with open_tab(strict, clinic.omar, cookie=cookie):
                pass


async def test_connections_that_arrive_together_keep_to_the_limit(settings: Settings, the_clock: MovableClock) -> None:
    async with run_strict_hub(settings, the_clock, Limits(most_connections=3)) as strict:
        clinic = await open_clinic(strict.house)
        cookie = await cookie_for(strict.house, clinic.omar)
        enough = asyncio.Event()

        async def come() -> int:
            async with open_live(strict.live_url, cookie) as live:
                try:
                    await live.hear_until("snap")
                except ConnectionClosed:
                    return live.socket.close_code or 0
                await enough.wait()
                return 0

        coming = [asyncio.create_task(come()) for _ in range(8)]
        await eventually(lambda: sum(task.done() for task in coming) == 5)
        enough.set()
        codes = await asyncio.gather(*coming)
    assert sorted(codes) == [0] * 3 + [Close.TOO_MANY_CONNECTIONS] * 5
