"""The sign-in page, the cookies it sets, and where it leads."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from hub.app import make_app
from hub.people.sign_in import GUESSES_PER_ADDRESS
from hub.people.tables import Staff
from hub.settings import Settings
from hub.wiring import build
from tests.conftest import MovableClock, RunningHub
from tests.console.html import read
from tests.factories import PASSWORD, Clinic, open_clinic
from tests.people.test_sign_in import guessed
from tests.visitors import browser_of, session_of


@pytest.fixture
async def visitor(hub: RunningHub) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody at an address of their own, so that their guesses are nobody else's."""
    elsewhere = f"203.0.113.{secrets.randbelow(256)}, 198.51.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
    async with browser_of(hub, None, **{"x-forwarded-for": elsewhere}) as client:
        yield client


def credentials(person: Staff, **more: str) -> dict[str, str]:
    return {"email": person.email, "password": PASSWORD} | more


async def test_signing_in_sets_a_cookie_and_leads_home(clinic: Clinic, visitor: httpx.AsyncClient) -> None:
    for person, home in ((clinic.desk, "/console/arrivals"), (clinic.omar, "/console/notifications")):
        answer = await visitor.post("/sign-in", data=credentials(person))
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert (await visitor.get("/")).headers["location"] == home
        assert (await visitor.get("/sign-in")).headers["location"] == home
        visitor.cookies.clear()
    assert (await visitor.get("/")).headers["location"] == "/sign-in"


async def test_on_this_machine_the_cookie_is_plain_and_kept_from_scripts(
    clinic: Clinic, visitor: httpx.AsyncClient
) -> None:
    cookie = (await visitor.post("/sign-in", data=credentials(clinic.desk))).headers["set-cookie"]
    parts = [part.strip().lower() for part in cookie.split(";")]
    assert parts[0].startswith("hub=")
    assert set(parts[1:]) == {"httponly", "path=/", "samesite=lax"}, "it ends with the browser and goes nowhere else"


async def test_over_tls_the_cookie_is_bound_to_this_host(settings: Settings, the_clock: MovableClock) -> None:
    secure = settings.model_copy(update={"public_url": "https://hub.example"})
    app = make_app(secure, lambda chosen: build(chosen, "test tls", the_clock))
    async with app.router.lifespan_context(app):
        clinic = await open_clinic(app.state.house)
        transport = httpx.ASGITransport(app)
        headers = {"origin": "https://hub.example", "accept-language": "en"}
        async with httpx.AsyncClient(transport=transport, base_url="https://hub.example", headers=headers) as client:
            answer = await client.post("/sign-in", data=credentials(clinic.desk))
            assert answer.status_code == 303
            parts = [part.strip().lower() for part in answer.headers["set-cookie"].split(";")]
            assert parts[0].startswith("__host-hub=")
            assert set(parts[1:]) == {"httponly", "path=/", "samesite=lax", "secure"}
            assert (await client.get("/console/arrivals")).status_code == 200
            plain = {"hub": client.cookies["__Host-hub"]}
            client.cookies.clear()
            client.cookies.update(plain)
            assert (await client.get("/console/arrivals")).status_code == 303, "another name is no proof"
            chosen = await client.post("/language", data={"language": "ar"})
            assert "secure" in chosen.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "wrong", [{"password": "not the password"}, {"email": "nobody@example.org"}, {"email": "\x00"}]
)
async def test_a_wrong_guess_is_told_no_more_than_that(
    clinic: Clinic, visitor: httpx.AsyncClient, wrong: dict[str, str]
) -> None:
    answer = await visitor.post("/sign-in", data=credentials(clinic.desk) | wrong)
    page = read(answer, 401)
    assert "The email address or the password is not right." in page.words
    assert "set-cookie" not in answer.headers
    assert PASSWORD not in answer.text
    assert "not the password" not in answer.text, "a password is never sent back"


async def test_what_is_missing_is_named_beside_its_field(visitor: httpx.AsyncClient) -> None:
    page = read(await visitor.post("/sign-in", data={"email": "a@example.org"}), 422)
    wrong = [tag.attributes["name"] for tag in page.with_attribute("aria-invalid")]
    assert wrong == ["password"]
    kept = [tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == "email"]
    assert kept == ["a@example.org"]


async def test_too_many_guesses_are_told_when_to_come_back(
    hub: RunningHub, clinic: Clinic, visitor: httpx.AsyncClient
) -> None:
    wrong = credentials(clinic.desk, password="not the password")
    await guessed(hub.house, clinic.desk.email, GUESSES_PER_ADDRESS - 1)
    assert (await visitor.post("/sign-in", data=wrong)).status_code == 401
    refused = await visitor.post("/sign-in", data=credentials(clinic.desk))
    assert "Too many wrong guesses" in read(refused, 429).words
    assert 0 < int(refused.headers["retry-after"]) <= 15 * 60


async def test_the_same_address_at_two_clinics_is_asked_which(hub: RunningHub, visitor: httpx.AsyncClient) -> None:
    email = f"{secrets.token_hex(8)}@example.org"
    clinics = [await open_clinic(hub.house) for _ in range(2)]
    for clinic in clinics:
        async with hub.house.database.of_tenant(clinic.id) as session:
            person = (await session.execute(select(Staff).where(Staff.id == clinic.omar.id))).scalar_one()
            person.email, person.password_hash = email, PasswordHasher(1, 8, 1).hash(PASSWORD)
    form = {"email": email, "password": PASSWORD}
    page = read(await visitor.post("/sign-in", data=form), 409)
    options = [tag.attributes["value"] for tag in page.all("option")]
    assert len(options) == 2
    for option in options:
        assert (await visitor.post("/sign-in", data=form | {"clinic": option})).status_code == 303
        me = (await visitor.get("/api/v1/me")).json()
        assert option.removeprefix("clinic-") == me["clinic"]["id"].replace("-", "")[:12]
        visitor.cookies.clear()


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/console/notifications?state=unread", "/console/notifications?state=unread"),
        ("/console/arrivals?day=2026-11-21#row-1", "/console/arrivals?day=2026-11-21#row-1"),
        ("", "/"),
        ("https://elsewhere.example", "/"),
        ("//elsewhere.example", "/"),
        ("///elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("\\\\elsewhere.example", "/"),
        ("/\t/elsewhere.example", "/"),
        ("/\n/elsewhere.example", "/"),
        ("javascript:alert(1)", "/"),
        ("//[", "/"),
        ("/\r\nset-cookie: a=b", "/"),
        ("elsewhere.example", "/"),
    ],
)
async def test_after_signing_in_one_stays_on_the_hub(
    hub: RunningHub, clinic: Clinic, wanted: str, leads_to: str
) -> None:
    async with browser_of(hub, clinic.desk) as client:
        answer = await client.post("/language", data={"language": "en", "next": wanted})
        assert (answer.status_code, answer.headers["location"]) == (303, leads_to)
        assert "a=b" not in str(answer.headers.get_list("set-cookie"))
        home = {"/": "/console/arrivals"}
        answer = await client.get("/sign-in", params={"next": wanted})
        assert (answer.status_code, answer.headers["location"]) == (303, home.get(leads_to, leads_to))


async def test_a_page_that_takes_a_session_leads_back_to_itself(clinic: Clinic, visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/console/arrivals?day=2026-11-21&x=ü")
    page = read(await visitor.get(answer.headers["location"]))
    asked = [tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == "next"]
    (wanted,) = (path for path in asked if path.startswith("/console/"))
    answer = await visitor.post("/sign-in", data=credentials(clinic.desk, next=wanted))
    assert answer.headers["location"] == "/console/arrivals?day=2026-11-21&x=%C3%BC"


async def test_signing_out_ends_the_session_and_the_cookie(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.desk) as client:
        cookie = client.cookies["hub"]
        answer = await client.post("/sign-out")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert 'hub="";' in answer.headers["set-cookie"]
        client.cookies.set("hub", cookie)
        assert (await client.get("/console/arrivals")).status_code == 303
        assert (await client.post("/sign-out")).status_code == 303, "once more does no harm"


async def test_signing_out_everywhere_ends_every_browser(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.desk) as here, browser_of(hub, clinic.desk) as there:
        assert (await here.post("/sign-out-everywhere")).headers["location"] == "/sign-in"
        assert (await there.get("/console/arrivals")).status_code == 303


async def test_two_browsers_sign_in_at_once(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, None) as one, browser_of(hub, None) as two:
        answers = await asyncio.gather(*(each.post("/sign-in", data=credentials(clinic.desk)) for each in (one, two)))
        assert [answer.status_code for answer in answers] == [303, 303]
        assert one.cookies["hub"] != two.cookies["hub"]


async def test_language_is_kept_for_the_browser_and_for_the_person(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, None) as client:
        answer = await client.post("/language", data={"language": "ar", "next": "/sign-in"})
        assert "max-age=31536000" in answer.headers["set-cookie"].lower()
        assert read(await client.get("/sign-in")).all("html")[0].attributes["lang"] == "ar"
        answer = await client.post("/language", data={"language": "tlh"})
        assert "set-cookie" not in answer.headers
        client.cookies.set("hub", await session_of(hub, clinic.desk))
        assert read(await client.get("/console/arrivals")).all("html")[0].attributes["lang"] == "en", "a person has one"
        await client.post("/language", data={"language": "ar"})
        assert read(await client.get("/console/arrivals")).all("html")[0].attributes["lang"] == "ar"
    async with browser_of(hub, clinic.desk) as elsewhere:
        assert read(await elsewhere.get("/console/arrivals")).all("html")[0].attributes["lang"] == "ar"


@pytest.mark.parametrize(
    ("accepts", "language"), [("ar-SA,ar;q=0.9,en;q=0.8", "ar"), ("fr,en", "en"), ("", "en"), ("x" * 5000, "en")]
)
async def test_the_browsers_language_is_taken_at_first(hub: RunningHub, accepts: str, language: str) -> None:
    async with browser_of(hub, None, **{"accept-language": accepts}) as client:
        assert read(await client.get("/sign-in")).all("html")[0].attributes["lang"] == language


async def test_the_theme_is_kept_when_there_is_such_a_one(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        for theme, shown in (("dark", "dark"), ("pink", "dark"), ("auto", "auto")):
            await client.post("/theme", data={"theme": theme, "next": "/sign-in"})
            assert read(await client.get("/sign-in")).all("html")[0].attributes["data-theme"] == shown
        client.cookies.set("hub-theme", "<script>")
        assert read(await client.get("/sign-in")).all("html")[0].attributes["data-theme"] == "auto"


async def test_a_form_with_files_or_without_end_is_refused(visitor: httpx.AsyncClient) -> None:
    assert (await visitor.post("/sign-in", files={"email": ("a.txt", b"x")})).status_code == 400
    many = "&".join(f"f{index}=1" for index in range(300))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert (await visitor.post("/sign-in", content=many, headers=kind)).status_code == 400
    assert (await visitor.post("/sign-in", json={"email": "x"})).status_code == 422
