"""Another clinic's things are not there: 404, as if they had never been."""

from __future__ import annotations

import uuid

from tests.api.requests import NOTICE, booking
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic, book_visit, tell
from tests.visitors import browser_of, problem


async def test_what_belongs_to_another_clinic_is_not_there(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic
) -> None:
    visit = await book_visit(hub.house, other_clinic)
    (note,) = await tell(hub.house, other_clinic, other_clinic.admin)
    before = await count_rows(hub.house, other_clinic)
    async with browser_of(hub, clinic.admin) as client:
        for method, path, body in (
            ("GET", f"/api/v1/appointments/{visit.id}", None),
            ("POST", f"/api/v1/appointments/{visit.id}/arrive", {}),
            ("GET", f"/api/v1/notifications/{note}", None),
            ("POST", "/api/v1/notifications/read", {"ids": [str(note)]}),
            ("PATCH", f"/api/v1/staff/{other_clinic.omar.id}", {"active": False}),
            ("DELETE", f"/api/v1/keys/{uuid.uuid4()}", None),
        ):
            answer = await client.request(method, path, json=body)
            assert problem(answer, 404)["type"] == "urn:hub:problem:not-found", path
        for body in (
            booking(clinic, clinician_id=str(other_clinic.omar.id)),
            NOTICE | {"to": {"people": [str(clinic.omar.id), str(other_clinic.omar.id)]}},
        ):
            path = "/api/v1/appointments" if "patient" in body else "/api/v1/notifications"
            problem(await client.post(path, json=body), 422)
    assert await count_rows(hub.house, other_clinic) == before
    async with browser_of(hub, clinic.omar) as client:
        assert (await client.get("/api/v1/notifications/count")).json()["unread"] == 0, "nobody was told"


async def test_somebody_elses_notification_is_not_there_either(hub: RunningHub, clinic: Clinic) -> None:
    mine, theirs = (await tell(hub.house, clinic, clinic.omar))[0], (await tell(hub.house, clinic, clinic.huda))[0]
    async with browser_of(hub, clinic.omar) as client:
        problem(await client.get(f"/api/v1/notifications/{theirs}"), 404)
        problem(await client.post("/api/v1/notifications/read", json={"ids": [str(mine), str(theirs)]}), 404)
        assert (await client.get("/api/v1/notifications/count")).json()["unread"] == 1, "nothing was marked"
