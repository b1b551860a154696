"""`/api/v1/appointment-rules` and `/api/v1/tellings`: read by the office, decided by an administrator alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hub.appointments.tellings import TELLINGS
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic, book_visit, make_key
from tests.visitors import browser_of, problem, program_of

RULES, TABLE = "/api/v1/appointment-rules", "/api/v1/tellings"
USUAL = {"reminders": ["P1D", "PT2H"], "no_show_hold_minutes": 120}
AT = datetime(2031, 3, 10, 7, 0, tzinfo=UTC)


async def test_rules_are_the_usual_ones_until_an_administrator_decides(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, program: httpx.AsyncClient
) -> None:
    visit = await book_visit(hub.house, clinic, at=AT)
    assert (await program.get(RULES)).json() == USUAL
    decided = {"reminders": ["P3D", "PT90M"], "no_show_hold_minutes": 0}
    async with browser_of(hub, clinic.admin) as admin:
        answer = await admin.put(RULES, json=decided | {"reminders": ["PT90M", "p3d"]})
        assert (answer.status_code, answer.json()) == (200, decided)
        rows = await count_rows(hub.house, clinic)
        assert (await admin.put(RULES, json=decided)).json() == decided
        assert await count_rows(hub.house, clinic) == rows
    assert (await program.get(RULES)).json() == decided
    planned = (await program.get(f"/api/v1/appointments/{visit.id}")).json()["planned"]
    assert {each["due_at"] for each in planned if each["state"] == "planned"} == {
        (AT - timedelta(days=3)).isoformat(),
        (AT - timedelta(minutes=90)).isoformat(),
    }
    async with browser_of(hub, other_clinic.admin) as stranger:
        assert (await stranger.get(RULES)).json() == USUAL


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reminders": ["PT1H"] * 2}, "reminders"),
        ({"reminders": ["PT1H", "PT60M"]}, "reminders"),
        ({"reminders": [f"PT{hours}H" for hours in range(1, 7)]}, "reminders"),
        ({"reminders": ["P61D"]}, "reminders"),
        ({"reminders": ["tomorrow"]}, "reminders"),
        ({"reminders": ["-P1D"]}, "reminders"),
        ({"reminders": ["PT0H"]}, "reminders"),
        ({"reminders": ["P" + "1" * 20]}, "reminders.0"),
        ({"reminders": [24]}, "reminders.0"),
        ({"reminders": "P1D"}, "reminders"),
        ({"reminders": None}, "reminders"),
        ({"no_show_hold_minutes": -1}, "no_show_hold_minutes"),
        ({"no_show_hold_minutes": 1441}, "no_show_hold_minutes"),
        ({"no_show_hold_minutes": "120"}, "no_show_hold_minutes"),
        ({"no_show_hold_minutes": None}, "no_show_hold_minutes"),
        ({"surprise": 1}, "surprise"),
    ],
    ids=lambda each: json.dumps(each)[:60] if isinstance(each, dict) else each,
)
async def test_rules_that_cannot_be_kept_are_named_and_change_nothing(
    hub: RunningHub, clinic: Clinic, change: dict[str, Any], field: str
) -> None:
    async with browser_of(hub, clinic.admin) as admin:
        rows = await count_rows(hub.house, clinic)
        found = problem(await admin.put(RULES, json=USUAL | change), 422)
        assert field in {error["field"] for error in found["errors"]}  # type: ignore[attr-defined]
        assert (await admin.get(RULES)).json() == USUAL
        assert await count_rows(hub.house, clinic) == rows


async def test_the_whole_table_is_shown_and_each_row_of_it_can_be_switched(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, program: httpx.AsyncClient
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    usual = (await program.get(TABLE)).json()["items"]
    assert usual == [
        {
            "event": each.event,
            "to": each.to,
            "over": each.over,
            "code": each.code,
            "enabled": each.usual,
            "usual": each.usual,
            "changed": False,
        }
        for each in TELLINGS
    ]
    async with browser_of(hub, clinic.admin) as admin:
        for row in usual:
            address = f"{TABLE}/{row['event']}/{row['to']}/{row['over']}"
            switched = await admin.put(address, json={"enabled": not row["enabled"]})
            assert switched.json() == row | {"enabled": not row["enabled"], "changed": True}, switched.text
        assert [row["enabled"] for row in (await admin.get(TABLE)).json()["items"]] == [
            not row["usual"] for row in usual
        ]
        async with browser_of(hub, other_clinic.admin) as stranger:
            assert (await stranger.get(TABLE)).json()["items"] == usual
        for row in usual:
            address = f"{TABLE}/{row['event']}/{row['to']}/{row['over']}"
            assert (await admin.put(address, json={"enabled": row["usual"], "code": row["code"]})).json() == row
        assert (await admin.get(TABLE)).json()["items"] == usual


async def test_a_row_may_be_told_by_another_template_that_has_words_for_that_way(
    hub: RunningHub, clinic: Clinic
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    address = f"{TABLE}/booked/patient/text"
    async with browser_of(hub, clinic.admin) as admin:
        answer = await admin.put(address, json={"enabled": True, "code": "appointment_confirmed"})
        assert (answer.json()["code"], answer.json()["changed"]) == ("appointment_confirmed", True)
        for body, field in (
            ({"enabled": True, "code": "no_such_template"}, "code"),
            ({"enabled": True, "code": "Not A Code"}, "code"),
            ({"enabled": True, "code": "x" * 101}, "code"),
            ({"enabled": "yes"}, "enabled"),
            ({"code": "appointment_booked"}, "enabled"),
            ({"enabled": True, "surprise": 1}, "surprise"),
        ):
            found = problem(await admin.put(address, json=body), 422)
            assert field in {error["field"] for error in found["errors"]}, body  # type: ignore[attr-defined]
        for body in ({"enabled": True, "code": "appointment_booked"}, {"enabled": True, "code": "no_such_template"}):
            problem(await admin.put(f"{TABLE}/booked/clinician/in_app", json=body), 422)
        assert next(row for row in (await admin.get(TABLE)).json()["items"])["code"] == "appointment_confirmed"


@pytest.mark.parametrize(
    "row", ["in_progress/patient/text", "booked/front_desk/in_app", "booked/patient/pigeon", "x/y/z", "booked/patient"]
)
async def test_a_row_that_is_not_in_the_table_is_not_there(hub: RunningHub, clinic: Clinic, row: str) -> None:
    async with browser_of(hub, clinic.admin) as admin:
        problem(await admin.put(f"{TABLE}/{row}", json={"enabled": True}), 404)


async def test_no_key_decides_what_a_clinic_tells(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        problem(await program.put(RULES, json=USUAL), 403)
        problem(await program.put(f"{TABLE}/booked/patient/text", json={"enabled": True}), 403)
    async with browser_of(hub, clinic.desk) as desk:
        problem(await desk.put(RULES, json=USUAL), 403)
