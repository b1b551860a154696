"""Stopping and replacing web processes under load: every client is sent away in order, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from hub.settings import Settings
from hub.wiring import House
from tests.factories import add_clinicians, open_clinic, tell
from tests.inbox.conftest import rows_of
from tests.journeys.processes import Tab, Web, run_web, tabs_of
from tests.live_client import LiveClient, open_live
from tests.realtime.conftest import cookie_for, eventually

CLIENTS = 12


@pytest.fixture
async def workers(settings: Settings, tmp_path: Path) -> AsyncIterator[Web]:
    """Two web processes behind one address."""
    async with run_web(settings, tmp_path / "web.log", workers=2) as web:
        yield web


def children_of(pid: int) -> set[int]:
    """The processes that `pid` has started."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def leave_when_told(live: LiveClient) -> int:
    """Stay until the hub says when to go, and go then; returns when that was, in milliseconds."""
    frame = await live.hear_until("drain")
    await asyncio.sleep(frame["after_ms"] / 1000)
    await live.socket.close()
    moment: int = frame["after_ms"]
    return moment


async def check_has_everything(house: House, tab: Tab, told: int) -> None:
    """The tab shows as many as were told, each once and in order."""
    await eventually(lambda: len(tab.inbox.shown) == told, within=20)
    assert tab.inbox.shown == [str(row.id) for row in await rows_of(house, tab.person)]


async def test_each_client_is_told_its_own_moment_to_go_before_the_hub_stops(
    house: House, settings: Settings, tmp_path: Path
) -> None:
    clinic = await open_clinic(house)
    async with run_web(settings, tmp_path / "web.log") as web, AsyncExitStack() as open_tabs:
        tabs = []
        for person in await add_clinicians(house, clinic, CLIENTS):
            tab = await open_tabs.enter_async_context(open_live(web.live_url, await cookie_for(house, person)))
            await tab.hear_until("snap")
            tabs.append(tab)
        leaving = [asyncio.create_task(leave_when_told(tab)) for tab in tabs]
        began = time.monotonic()
        assert await web.stop() == 0
        assert time.monotonic() - began < 10
        moments = await asyncio.gather(*leaving)
        assert len(set(moments)) == CLIENTS


async def test_whoever_does_not_go_is_cut_off(house: House, settings: Settings, tmp_path: Path) -> None:
    cookie = await cookie_for(house, (await open_clinic(house)).omar)
    async with run_web(settings, tmp_path / "web.log") as web, open_live(web.live_url, cookie) as tab:
        await tab.hear_until("snap")
        began = time.monotonic()
        stopping = asyncio.create_task(web.stop())
        assert await tab.hear_the_end(timeout=10) == 1012
        assert await stopping == 0
        assert time.monotonic() - began < 10


async def test_a_web_process_that_dies_is_replaced_while_another_serves(house: House, workers: Web) -> None:
    clinic = await open_clinic(house)
    people = await add_clinicians(house, clinic, CLIENTS)
    before = children_of(workers.pid)
    assert len(before) == 2
    async with tabs_of(house, workers, people) as tabs:
        for index in range(30):
            if index == 10:
                os.kill(min(before), signal.SIGKILL)
            await tell(house, clinic, *people, title=f"Number {index}")
        for tab in tabs:
            await check_has_everything(house, tab, 30)
    await eventually(lambda: len(children_of(workers.pid) - {min(before)}) == 2, within=20)


async def test_replacing_the_processes_one_by_one_refuses_no_request_and_loses_nothing(
    house: House, workers: Web
) -> None:
    clinic = await open_clinic(house)
    people = await add_clinicians(house, clinic, CLIENTS)
    before = children_of(workers.pid)
    answers = []

    async def knock() -> None:
        async with httpx.AsyncClient(base_url=workers.url) as visitor:
            while True:
                answers.append((await visitor.get("/health/live", headers={"connection": "close"})).status_code)
                await asyncio.sleep(0.02)

    async with tabs_of(house, workers, people) as tabs:
        knocking = asyncio.create_task(knock())
        os.kill(workers.pid, signal.SIGHUP)
        told = 0
        while children_of(workers.pid) & before:
            await tell(house, clinic, *people, title=f"Number {told}")
            told += 1
            await asyncio.sleep(0.1)
        knocking.cancel()
        for tab in tabs:
            await check_has_everything(house, tab, told)
    assert len(answers) >= told > 0
    assert set(answers) == {200}
