"""Every page, for everybody, in both languages: it renders, keeps to the strict policy, and leads nowhere wrong."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hub.appointments.lifecycle import arrive
from hub.appointments.states import Clearance, Consent
from hub.inbox.kinds import Kind, Level, Priority
from hub.inbox.notify import Notice, Related, Wording, notify
from hub.messages.states import State
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.settings import Settings
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub, run_hub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, add_patient, book_visit, make_key, open_clinic
from tests.messages.rows import make_message, make_request
from tests.test_surface import DEMO_ONLY, OPEN, PAGES
from tests.visitors import browser_of

ROLES = ("admin", "desk", "omar")
LANGUAGES = {"en": "ltr", "ar": "rtl"}
UNTRUSTED = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
async def lively(hub: RunningHub) -> Clinic:
    """A clinic with something of everything on its pages."""
    clinic = await open_clinic(hub.house)
    await make_key(hub.house, clinic)
    now = hub.house.clock()
    for minutes in (-90, -40, -1, 20):
        await book_visit(hub.house, clinic, clinic.omar, at=now + timedelta(minutes=minutes))
    for how in ((Clearance.CLEARED, Consent.SIGNED), (Clearance.ISSUE, Consent.EXPIRED)):
        visit = await book_visit(hub.house, clinic, clinic.omar, patient=UNTRUSTED, at=now - timedelta(minutes=50))
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await arrive(work, visit.id, *how)
    patient = await add_patient(hub.house, clinic, name=UNTRUSTED)
    for state in State:
        about: dict[str, Any] = {
            "state": state,
            "reason": UNTRUSTED,
            "asked": {"subject": UNTRUSTED, "text": UNTRUSTED},
        }
        about |= {"lease_until": now + timedelta(minutes=1)} if state is State.SENDING else {}
        message = await make_message(hub.house, clinic, patient, channel="email", **about)
        out = {"to": UNTRUSTED, "subject": UNTRUSTED, "text": UNTRUSTED, "html": UNTRUSTED}
        await make_request(hub.house, clinic, message, out=out, channel="email", answer={"said": UNTRUSTED})
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        everybody = [person.id for person in clinic.staff]
        for index, (kind, level) in enumerate((kind, level) for kind in Kind for level in Level):
            related = (None, Related("thing", uuid.uuid4()), Related("thing", uuid.uuid4(), "/console/account"))[
                index % 3
            ]
            notice = Notice(kind, Wording(UNTRUSTED, "نص" * 50), level, list(Priority)[index % 4], related, {"n": 1})
            await notify(work, everybody, notice)
    return clinic


async def speak(hub: RunningHub, person: Staff, language: str) -> None:
    async with hub.house.open_work(person.tenant_id, SYSTEM) as work:
        await change_staff(work, person.id, language=language)


def check(page: Html, language: str) -> None:
    assert breaches(page) == []
    (html,) = page.all("html")
    assert (html.attributes["lang"], html.attributes["dir"]) == (language, LANGUAGES[language])
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    ids = [tag.attributes["id"] for tag in page.with_attribute("id")]
    assert len(ids) == len(set(ids)), "an id is there twice"
    for label in page.all("label"):
        assert label.attributes.get("for", ids[0] if ids else "") in ids
    assert all(tag.attributes.get("alt") is not None for tag in page.all("img"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", ROLES)
async def test_everything_that_can_be_reached_is_a_whole_page(
    hub: RunningHub, lively: Clinic, role: str, language: str
) -> None:
    person: Staff = getattr(lively, role)
    await speak(hub, person, language)
    async with browser_of(hub, person) as client:
        seen = await crawl(client, language)
    paths = {urlsplit(address).path for address in seen}
    assert {"/console/notifications", "/console/account"} <= paths
    assert ("/console/arrivals" in paths) == (role != "omar")
    assert ("/console/messages" in paths) == (role != "omar")
    assert ("/console/people" in paths) == (role == "admin")
    assert any(path.startswith("/console/appointments/") for path in paths)


async def crawl(client: httpx.AsyncClient, language: str) -> list[str]:
    """Follow every kind of link there is, once, and check what is found."""
    seen: dict[tuple[str, ...], str] = {}
    ahead = ["/"]
    fetched: set[str] = set()
    while ahead:
        address = ahead.pop()
        parts = urlsplit(address)
        shape = (re.sub(r"[0-9a-f-]{36}", "*", parts.path), *sorted(parse_qs(parts.query)))
        if shape in seen:
            continue
        seen[shape] = address
        answer = await client.get(address, follow_redirects=True)
        page = read(answer)
        check(page, language)
        assert not any(tag.name == "script" and "alert" in tag.attributes.get("src", "") for tag in page.tags)
        assert "<script>alert" not in answer.text
        fetched |= set(page.fetched)
        ahead += page.links
        for form in page.all("form"):
            check_form(form.attributes)
    for address in fetched:
        answer = await client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
    return list(seen.values())


def check_form(attributes: dict[str, str]) -> None:
    method = attributes.get("method", "get").upper()
    if method == "DIALOG":
        return
    action = re.sub(r"[0-9a-f-]{36}", "{id:uuid}", attributes.get("action", ""))
    assert (method, action) in {ask.route for ask in PAGES} | OPEN, f"{method} {action} leads nowhere"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", ROLES)
async def test_pages_with_nothing_on_them_are_whole_too(hub: RunningHub, role: str, language: str) -> None:
    clinic = await open_clinic(hub.house)
    person: Staff = getattr(clinic, role)
    await speak(hub, person, language)
    async with browser_of(hub, person) as client:
        await crawl(client, language)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_pages_for_somebody_not_signed_in(hub: RunningHub, language: str) -> None:
    async with browser_of(hub, None, **{"accept-language": f"{language}-XX,en;q=0.5"}) as client:
        for path, status in (("/sign-in", 200), ("/nothing", 404), ("/sign-in?next=/console/people", 200)):
            check(read(await client.get(path), status), language)
        check(read(await client.post("/sign-in", data={"email": "", "password": ""}), 422), language)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_refusals_are_whole_pages_in_the_readers_language(hub: RunningHub, lively: Clinic, language: str) -> None:
    await speak(hub, lively.omar, language)
    async with browser_of(hub, lively.omar) as client:
        for path, status in (
            ("/console/people", 403),
            ("/console/arrivals", 403),
            (f"/console/appointments/{uuid.uuid4()}", 404),
            ("/console/notifications?state=lost", 422),
        ):
            check(read(await client.get(path), status), language)


@pytest.fixture(scope="module")
async def demo(settings: Settings, the_clock: MovableClock) -> AsyncIterator[RunningHub]:
    async with run_hub(settings.model_copy(update={"demo": True}), the_clock) as running:
        yield running


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_demo_shows_its_people_and_its_kit(demo: RunningHub, language: str) -> None:
    clinic = await open_clinic(demo.house)
    await speak(demo, clinic.desk, language)
    async with browser_of(demo, None, **{"accept-language": language}) as client:
        page = read(await client.get("/sign-in"))
        check(page, language)
        assert "desk@noor.example" in {tag.attributes.get("value") for tag in page.all("input")}
    async with browser_of(demo, clinic.desk) as client:
        (kit,) = (path for _, path in DEMO_ONLY)
        page = read(await client.get(kit))
        assert breaches(page) == []


async def test_nothing_of_the_demo_is_shown_elsewhere(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        assert "noor.example" not in (await client.get("/sign-in")).text
