"""The history page: filters in the address, marking by plain forms."""

from __future__ import annotations

import uuid

import httpx
import pytest

from hub.inbox.kinds import Kind
from tests.conftest import RunningHub
from tests.console.html import Html, read
from tests.factories import Clinic, tell
from tests.visitors import browser_of

PATH = "/console/notifications"


def titles(page: Html) -> list[str]:
    """The ids of what is listed, in order."""
    return [tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("form") == "mark"]


async def unread(client: httpx.AsyncClient) -> int:
    return int((await client.get("/api/v1/notifications/count")).json()["unread"])


async def test_history_is_paged_by_links(hub: RunningHub, clinic: Clinic) -> None:
    ids = [str((await tell(hub.house, clinic, clinic.omar, title=f"News {index}"))[0]) for index in range(35)][::-1]
    async with browser_of(hub, clinic.omar) as client:
        first = read(await client.get(PATH))
        assert titles(first) == ids[:30]
        (older,) = (tag.attributes["href"] for tag in first.all("a") if tag.attributes.get("rel") == "next")
        second = read(await client.get(older))
        assert titles(second) == ids[30:]
        (newer,) = (tag.attributes["href"] for tag in second.all("a") if tag.attributes.get("rel") == "prev")
        assert titles(read(await client.get(newer))) == ids[:30]


async def test_filters_stand_in_the_address_and_are_kept_by_the_pager(hub: RunningHub, clinic: Clinic) -> None:
    for index in range(31):
        await tell(hub.house, clinic, clinic.omar, title=f"Licence {index}", kind=Kind.LICENSE_EXPIRY)
    await tell(hub.house, clinic, clinic.omar, title="Other")
    async with browser_of(hub, clinic.omar) as client:
        page = read(await client.get(f"{PATH}?kind=license_expiry&state=unread&level=&q=licence"))
        assert len(titles(page)) == 30
        (older,) = (tag.attributes["href"] for tag in page.all("a") if tag.attributes.get("rel") == "next")
        assert "kind=license_expiry" in older
        assert "q=licence" in older
        assert len(titles(read(await client.get(older)))) == 1
        assert titles(read(await client.get(f"{PATH}?q=nothing+like+it"))) == []


@pytest.mark.parametrize("query", ["state=lost", "kind=gossip", "before=x", "q=%00", "q=" + "x" * 201, "surprise=1"])
async def test_a_filter_that_there_is_not_is_refused(hub: RunningHub, clinic: Clinic, query: str) -> None:
    async with browser_of(hub, clinic.omar) as client:
        read(await client.get(f"{PATH}?{query}"), 422)


async def test_marking_leads_back_to_where_it_was_done(hub: RunningHub, clinic: Clinic) -> None:
    ids = [str((await tell(hub.house, clinic, clinic.omar))[0]) for _ in range(3)]
    async with browser_of(hub, clinic.omar) as client:
        form = {"ids": ids[:2], "as": "read", "next": f"{PATH}?state=unread"}
        answer = await client.post(f"{PATH}/mark", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}?state=unread")
        assert await unread(client) == 1
        await client.post(f"{PATH}/mark", data={"ids": ids[0], "as": "unread"})
        assert await unread(client) == 2
        await client.post(f"{PATH}/mark", data={"ids": ids[0], "as": "archive"})
        assert titles(read(await client.get(PATH))) == [ids[2], ids[1]]
        assert titles(read(await client.get(f"{PATH}?state=archived"))) == [ids[0]]


async def test_marking_nothing_does_nothing(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as client:
        answer = await client.post(f"{PATH}/mark", data={"as": "read", "next": "//elsewhere.example"})
        assert (answer.status_code, answer.headers["location"]) == (303, PATH)


async def test_marking_what_is_not_there_marks_nothing(hub: RunningHub, clinic: Clinic) -> None:
    mine, theirs = (
        (str((await tell(hub.house, clinic, each))[0]) for each in (clinic.omar, clinic.huda))
        if False
        else (
            str((await tell(hub.house, clinic, clinic.omar))[0]),
            str((await tell(hub.house, clinic, clinic.huda))[0]),
        )
    )
    async with browser_of(hub, clinic.omar) as client:
        for ids, as_, status in (
            ([mine, theirs], "read", 404),
            ([mine, str(uuid.uuid4())], "read", 404),
            ([mine, "x"], "read", 422),
            ([mine], "burnt", 422),
            ([mine], "", 422),
        ):
            read(await client.post(f"{PATH}/mark", data={"ids": ids, "as": as_}), status)
        assert await unread(client) == 1
