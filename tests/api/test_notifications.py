"""`/api/v1/notifications`: sending, history, marking."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from hub.api import notifications
from hub.people.staff import change_staff
from hub.work import SYSTEM
from tests.api.requests import NOTICE
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic, tell
from tests.visitors import browser_of, problem

PATH = "/api/v1/notifications"


async def test_a_notification_arrives_as_it_was_sent(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    related = {"type": "licence", "id": str(uuid.uuid4()), "link": "/console/notifications?kind=system"}
    body = {
        "to": {"people": [str(clinic.omar.id)]},
        "title": " Licence ",
        "body": "Renew it\nsoon · رخصتك",
        "kind": "license_expiry",
        "level": "error",
        "priority": "critical",
        "related": related,
        "facts": {"days": 3, "state": "IL", "board": True, "note": None},
    }
    answer = await program.post(PATH, json=body)
    assert answer.status_code == 201
    (sent,) = answer.json()["ids"]
    async with browser_of(hub, clinic.omar) as client:
        row = (await client.get(f"{PATH}/{sent}")).json()
    expected = body | {"title": "Licence", "id": sent, "number": 1, "seq": 1, "read_at": None, "archived_at": None}
    del expected["to"]
    assert row | {"created_at": "", "updated_at": ""} == expected | {"created_at": "", "updated_at": ""}


async def test_a_notification_is_as_loud_as_its_kind_unless_said_otherwise(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    for kind in ("compliance_alert", "appointment_booked"):
        await program.post(PATH, json=NOTICE | {"kind": kind})
    async with browser_of(hub, clinic.omar) as client:
        rows = (await client.get(PATH)).json()["items"]
    assert [(row["level"], row["priority"]) for row in rows] == [("info", "low"), ("error", "high")]


async def test_a_role_is_everybody_active_in_it(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    assert (await program.post(PATH, json=NOTICE)).json()["recipients"] == 2
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.huda.id, active=False)
    assert (await program.post(PATH, json=NOTICE)).json()["recipients"] == 1
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.omar.id, active=False)
    assert (await program.post(PATH, json=NOTICE)).json() == {"ids": [], "recipients": 0}


async def test_everybody_is_everybody_active(clinic: Clinic, program: httpx.AsyncClient) -> None:
    answer = (await program.post(PATH, json=NOTICE | {"to": {"everybody": True}})).json()
    assert (answer["recipients"], len(answer["ids"])) == (len(clinic.staff), len(clinic.staff))


async def test_the_ids_of_very_many_are_not_listed(
    clinic: Clinic, program: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "MOST_RECIPIENTS", 3)
    assert (await program.post(PATH, json=NOTICE | {"to": {"everybody": True}})).json() == {"recipients": 4}


@pytest.mark.parametrize(
    "to",
    [{}, {"everybody": False}, {"everybody": True, "role": "provider"}, {"people": []}, {"role": "king"}, "everybody"],
    ids=str,
)
async def test_it_is_said_in_one_way_who_is_told(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, to: Any
) -> None:
    before = await count_rows(hub.house, clinic)
    problem(await program.post(PATH, json=NOTICE | {"to": to}), 422)
    assert await count_rows(hub.house, clinic) == before


async def test_nobody_is_told_when_one_of_them_is_unknown(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    before = await count_rows(hub.house, clinic)
    stranger = str(uuid.uuid4())
    found = problem(await program.post(PATH, json=NOTICE | {"to": {"people": [str(clinic.omar.id), stranger]}}), 422)
    assert stranger in found["errors"][0]["detail"]  # type: ignore[index]
    assert await count_rows(hub.house, clinic) == before


async def test_a_person_named_twice_is_told_once(clinic: Clinic, program: httpx.AsyncClient) -> None:
    twice = {"people": [str(clinic.omar.id)] * 2}
    assert (await program.post(PATH, json=NOTICE | {"to": twice})).json()["recipients"] == 1


async def test_history_is_paged_both_ways_without_loss(hub: RunningHub, clinic: Clinic) -> None:
    for index in range(7):
        await tell(hub.house, clinic, clinic.omar, title=f"{index}")
    async with browser_of(hub, clinic.omar) as client:

        async def page(**query: Any) -> tuple[list[str], Any, Any]:
            answer = (await client.get(PATH, params={"limit": 3, **query})).json()
            return [row["title"] for row in answer["items"]], answer["older"], answer["newer"]

        first, older, newer = await page()
        assert (first, newer) == (["6", "5", "4"], None)
        second, older, newer = await page(before=older)
        assert second == ["3", "2", "1"]
        assert (await page(before=older))[0] == ["0"]
        assert (await page(before=older))[1] is None
        assert (await page(after=newer))[0] == ["6", "5", "4"]


async def test_history_is_filtered(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    for title, more in (("A 100% day", {"level": "warning"}), ("An_other", {"kind": "cme_deadline", "body": "needle"})):
        await program.post(PATH, json=NOTICE | {"title": title, **more})
    async with browser_of(hub, clinic.omar) as client:

        async def titles(query: str) -> list[str]:
            return [row["title"] for row in (await client.get(f"{PATH}?{query}")).json()["items"]]

        assert await titles("") == ["An_other", "A 100% day"]
        assert await titles("level=warning&kind=system") == ["A 100% day"]
        assert await titles("kind=cme_deadline") == ["An_other"]
        assert await titles("q=NEEDLE") == ["An_other"]
        assert await titles("q=100%25") == ["A 100% day"]
        assert await titles("q=%25") == ["A 100% day"], "no wildcard"
        assert await titles("q=_") == ["An_other"], "no wildcard"
        assert await titles("q='%20OR%20true%20--") == []


async def test_marks_change_state_and_count(hub: RunningHub, clinic: Clinic) -> None:
    ids = [str((await tell(hub.house, clinic, clinic.omar))[0]) for _ in range(4)]
    async with browser_of(hub, clinic.omar) as client:

        async def mark(how: str, *which: str) -> int:
            answer = await client.post(f"{PATH}/{how}", json={"ids": list(which)})
            assert answer.status_code == 200
            return int(answer.json()["unread"])

        async def listed(state: str) -> list[str]:
            return [row["id"] for row in (await client.get(f"{PATH}?state={state}")).json()["items"]]

        assert await mark("read", ids[0], ids[1], ids[0]) == 2
        assert await mark("read", ids[0]) == 2, "it was read already"
        assert await mark("unread", ids[0]) == 3
        assert await mark("archive", ids[3]) == 2
        assert await listed("read") == [ids[1]]
        assert await listed("unread") == [ids[2], ids[0]]
        assert await listed("archived") == [ids[3]]
        assert await listed("all") == [ids[2], ids[1], ids[0]]
        seen = (await client.get(f"{PATH}/count")).json()
        assert seen["unread"] == 2
        answer = await client.post(f"{PATH}/read-all", json={"upto": seen["seq"] - 2})
        assert answer.json()["unread"] == 1, "what came or changed later was not seen yet"
        assert (await client.post(f"{PATH}/read-all")).json()["unread"] == 0


async def test_marking_takes_at_least_one_and_at_most_a_hundred(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as client:
        for ids in ([], [str(uuid.uuid4())] * 101, ["x"], None):
            problem(await client.post(f"{PATH}/read", json={"ids": ids}), 422)
        for upto in (-1, 2**53 + 1, "1", True, 1.5):
            problem(await client.post(f"{PATH}/read-all", json={"upto": upto}), 422)


async def test_an_inbox_is_never_kept_by_a_cache(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as client:
        for path in (PATH, f"{PATH}/count"):
            assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_a_history_that_is_empty_is_empty(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as client:
        empty = {"items": [], "unread": 0, "seq": 0, "older": None, "newer": None}
        assert (await client.get(PATH)).json() == empty
        assert (await client.post(f"{PATH}/read-all")).json() == {"unread": 0, "seq": 0}
