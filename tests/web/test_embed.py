"""The bell on a page of another application: another origin, a strict policy, its own token, and nothing leaks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import uvicorn
from playwright.async_api import Page, Route, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route as Path_

from hub.inbox.kinds import Kind
from hub.inbox.notify import Notice, Related, Wording, notify
from hub.people.roles import Permission
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.settings import Settings
from hub.work import SYSTEM
from tests.browser import LOOKS, Pages, serious_issues
from tests.conftest import MovableClock, RunningHub, run_hub
from tests.factories import Clinic, make_key, tell
from tests.visitors import program_of

EMBED = Path(__file__).parents[2] / "web/embed.html"
WRITTEN = "http://127.0.0.1:8080"
BELL = "hub-bell .bell"
BADGE = "hub-bell .badge"
ROWS = "hub-bell .row"


@dataclass
class Practice:
    """Another application, with a back end of its own that holds an API key of the hub."""

    hub: RunningHub
    key: str
    person: Staff
    url: str = ""
    policy: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    page: str = ""
    tokens: int = 0
    refuses: bool = False
    newest: str = ""

    async def show(self, _request: Request) -> Response:
        """The page, under the policy that the README tells its owner to set."""
        html = self.page or EMBED.read_text().replace(WRITTEN, self.hub.url)
        return HTMLResponse(html, headers={"Content-Security-Policy": policy_for(html, self.hub.url), **self.headers})

    async def token(self, _request: Request) -> Response:
        """Who is signed in here gets a token; the key stays here."""
        self.tokens += 1
        if self.refuses:
            return JSONResponse({}, 503)
        return JSONResponse({"token": await self.new_token()})

    async def new_token(self) -> str:
        """What the back end asks the hub for."""
        async with program_of(self.hub, self.key) as client:
            made = (await client.post("/api/v1/live-tokens", json={"staff_id": str(self.person.id)})).json()
        self.newest = made["id"]
        return str(made["token"])

    async def revoke(self) -> None:
        """End the newest token, and what it opened."""
        async with program_of(self.hub, self.key) as client:
            assert (await client.delete(f"/api/v1/live-tokens/{self.newest}")).status_code == 204

    def connections(self) -> int:
        """How many the hub has of this person."""
        return self.hub.house.switchboard.connections_of(self.person.id)

    def app(self) -> Starlette:
        """All of it."""
        icon = Path_("/favicon.ico", lambda _request: Response(status_code=204))
        return Starlette(routes=[Path_("/", self.show), Path_("/hub-token", self.token, methods=["POST"]), icon])


def policy_for(html: str, hub: str) -> str:
    """As strict as a page can be that shows the bell."""

    def hashes(tag: str) -> str:
        texts = re.findall(rf"<{tag}[^>]*>(.+?)</{tag}>", html, re.DOTALL)
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts)

    return (
        f"default-src 'none'; base-uri 'none'; style-src {hashes('style')}; script-src {hashes('script')} {hub}; "
        f"connect-src 'self' {hub} {hub.replace('http', 'ws', 1)}; worker-src blob:"
    )


class Quiet(uvicorn.Server):
    """Leaves the signals to whoever runs the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def practice(settings: Settings, the_clock: MovableClock, clinic: Clinic) -> AsyncIterator[Practice]:
    """The other application on one port, and a hub that lets it in on another."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        guests = settings.model_copy(update={"embed_origins": frozenset({url})})
        async with run_hub(guests, the_clock) as hub:
            key = await make_key(hub.house, clinic, frozenset({Permission.LIVE_TOKENS}))
            practice = Practice(hub, key, clinic.omar, url)
            server = Quiet(uvicorn.Config(practice.app(), log_level="error", timeout_graceful_shutdown=1))
            task = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                yield practice
            finally:
                server.should_exit = True
                await task


async def live(practice: Practice, page: Page) -> None:
    """The hub has heard of it, and it of the hub."""
    async with asyncio.timeout(15):
        while practice.connections() != 1:
            await asyncio.sleep(0.02)
    await expect(page.locator("hub-bell .status")).to_have_attribute("data-status", "live")
    await expect(page.locator(BELL)).not_to_have_attribute("data-status", re.compile("."))
    await page.wait_for_timeout(200)


async def tell_with_link(practice: Practice, clinic: Clinic) -> None:
    async with practice.hub.house.open_work(clinic.id, SYSTEM) as work:
        related = Related("appointment", clinic.omar.id, "/console/appointments/7")
        await notify(work, [clinic.omar.id], Notice(Kind.SYSTEM, Wording("Sara Doe"), related=related))


async def test_it_rings_shows_and_marks_on_another_origin(practice: Practice, clinic: Clinic, page_at: Pages) -> None:
    house = practice.hub.house
    await tell(house, clinic, clinic.omar, title="While nobody looked")
    page = await page_at()
    cookies: list[str] = []
    page.on("request", lambda sent: cookies.extend([sent.url] if "cookie" in sent.headers else []))
    await page.goto(practice.url)
    await live(practice, page)
    await expect(page.locator(BADGE)).to_have_text("1")
    await tell(house, clinic, clinic.omar, title="Sara Doe has arrived")
    await expect(page.locator("hub-bell .toast")).to_contain_text("Sara Doe has arrived")
    await expect(page.locator(BADGE)).to_have_text("2")
    await page.locator(BELL).click()
    await expect(page.locator(f"{ROWS} .title")).to_have_text(["Sara Doe has arrived", "While nobody looked"])
    await page.locator(f"{ROWS} .act").first.click()
    await expect(page.locator(BADGE)).to_have_text("1")
    await page.get_by_role("button", name="Mark all read").click()
    await expect(page.locator(BADGE)).to_be_hidden()
    assert cookies == []
    assert await page.evaluate("document.cookie") == ""
    assert await page.title() == "Almond Practice"


async def test_older_rows_come_over_http_by_the_same_token(practice: Practice, clinic: Clinic, page_at: Pages) -> None:
    for number in range(3):
        await tell(practice.hub.house, clinic, clinic.omar, title=f"Number {number}")
    page = await page_at()
    await page.goto(practice.url)
    await live(practice, page)
    asked: list[tuple[str, bool]] = []
    page.on(
        "request",
        lambda sent: asked.append((sent.method, "authorization" in sent.headers)) if "/api/v1/" in sent.url else None,
    )
    await page.reload()
    await live(practice, page)
    await page.locator(BELL).click()
    await expect(page.locator(f"{ROWS} .title")).to_have_text(["Number 2", "Number 1", "Number 0"])
    assert ("GET", True) in asked


async def test_a_token_that_has_ended_is_renewed_without_bothering_anybody(
    practice: Practice, clinic: Clinic, page_at: Pages
) -> None:
    page = await page_at()
    await page.goto(practice.url)
    await live(practice, page)
    before = practice.tokens
    practice.refuses = True
    await practice.revoke()
    await expect(page.locator(BELL)).to_have_attribute("data-status", "offline")
    await tell(practice.hub.house, clinic, clinic.omar, title="Meanwhile")
    practice.refuses = False
    await expect(page.locator(BADGE)).to_have_text("1", timeout=15_000)
    assert practice.tokens > before
    await live(practice, page)


async def test_the_page_may_set_the_token_or_be_asked_for_one(
    practice: Practice, clinic: Clinic, page_at: Pages
) -> None:
    first = await practice.new_token()
    tag = f'<script type="module" src="{practice.hub.url}/assets/js/embed.js"></script>'
    practice.page = f'<!doctype html><html lang="en"><title>x</title><hub-bell token="{first}"></hub-bell>{tag}</html>'
    page = await page_at()
    await page.goto(practice.url)
    await live(practice, page)

    practice.page = (
        '<!doctype html><html lang="en"><title>x</title><hub-bell></hub-bell><script>'
        "addEventListener('hub-token-needed', ({ detail }) => "
        "detail.give(fetch('/hub-token', { method: 'POST' }).then((a) => a.json()).then(({ token }) => token)));"
        f"</script>{tag}</html>"
    )
    await page.goto(practice.url)
    await live(practice, page)


async def test_a_link_opens_on_the_hub_unless_the_page_opens_it_itself(
    practice: Practice, clinic: Clinic, page_at: Pages
) -> None:
    await tell_with_link(practice, clinic)
    page = await page_at()
    await page.goto(practice.url)
    await live(practice, page)
    await page.locator(BELL).click()
    link = page.locator(f"{ROWS} a")
    there = f"{practice.hub.url}/console/appointments/7"
    await expect(link).to_have_attribute("href", there)
    async with page.context.expect_page() as opened:
        await link.click()
    assert (await opened.value).url.startswith(practice.hub.url)
    await expect(page.locator("#said")).to_have_text(there)
    await page.evaluate("document.addEventListener('hub-open', (event) => event.preventDefault())")
    await page.bring_to_front()
    await link.click()
    await page.wait_for_timeout(200)
    assert len(page.context.pages) == 2


async def test_links_may_lead_through_the_other_application(practice: Practice, clinic: Clinic, page_at: Pages) -> None:
    await tell_with_link(practice, clinic)
    page = await page_at()
    practice.page = EMBED.read_text().replace(WRITTEN, practice.hub.url)
    practice.page = practice.page.replace('user="omar"', 'user="omar" link-base="https://app.example/hub/"')
    await page.goto(practice.url)
    await live(practice, page)
    await page.locator(BELL).click()
    await expect(page.locator(f"{ROWS} a")).to_have_attribute("href", "https://app.example/hub/console/appointments/7")


async def test_ten_tabs_of_the_other_application_are_one_connection(
    practice: Practice, clinic: Clinic, page_at: Pages
) -> None:
    page = await page_at()
    pages = [page, *[await page.context.new_page() for _ in range(4)]]
    for each in pages:
        await each.goto(practice.url)
        await live(practice, each)
    assert practice.connections() == 1
    await tell(practice.hub.house, clinic, clinic.omar)
    for each in pages:
        await expect(each.locator(BADGE)).to_have_text("1")
    assert sum([await each.locator("hub-bell .toast").count() for each in pages]) == 1


async def test_nothing_of_the_page_leaks_in_and_nothing_leaks_out(practice: Practice, page_at: Pages) -> None:
    hostile = """
        html { font-size: 40px; } :root { --accent: 12 40% 90%; --raised: nonsense; --ink: 3; --shadow-high: 4; }
        * { letter-spacing: 9px; color: red; text-transform: uppercase; line-height: 4; text-align: center;
            visibility: visible; word-spacing: 20px; text-indent: 30px; font-style: italic; cursor: wait; }
        header { transform: translateZ(0); overflow: hidden; filter: blur(0); }
        button { background: red; padding: 40px; } .badge, .panel, .row { display: none; }
    """
    tag = f'<script type="module" src="{practice.hub.url}/assets/js/embed.js"></script>'

    def html(style: str) -> str:
        return (
            f'<!doctype html><html lang="en"><title>x</title><style>{style}</style>'
            f'<header><hub-bell hub="{practice.hub.url}" user="1"></hub-bell></header>'
            f'<script type="module">document.querySelector("hub-bell").token = () => fetch("/hub-token", '
            f'{{ method: "POST" }}).then((a) => a.json()).then(({{ token }}) => token);</script>{tag}</html>'
        )

    looks = []
    names: list[list[str]] = []
    for style in ("html { }", hostile):
        practice.page = html(style)
        page = await page_at(reduced_motion="reduce")
        await page.goto(f"{practice.url}/")
        before = await page.evaluate("Object.keys(globalThis)")
        await live(practice, page)
        names.append([name for name in await page.evaluate("Object.keys(globalThis)") if name not in before])
        await page.locator(BELL).click()
        looks.append(
            await page.evaluate("""() => {
                const root = document.querySelector("hub-bell").shadowRoot;
                const shown = ["color", "fontSize", "letterSpacing", "textTransform", "lineHeight", "textAlign",
                  "width", "display", "backgroundColor", "paddingInlineStart", "wordSpacing", "textIndent",
                  "fontStyle", "cursor"];
                return [".bell", ".panel", "h2", ".plain", ".foot"].map((one) => {
                  const style = getComputedStyle(root.querySelector(one));
                  return shown.map((name) => `${one} ${name}: ${style[name]}`);
                });
            }""")
        )
        await page.close()
    assert looks[0] == looks[1]
    assert names == [[], []]


@pytest.mark.parametrize(("lang", "scheme"), LOOKS)
async def test_axe_finds_nothing_serious(
    practice: Practice, clinic: Clinic, page_at: Pages, lang: Literal["en", "ar"], scheme: Literal["light", "dark"]
) -> None:
    await tell(practice.hub.house, clinic, clinic.omar, title="Card terminal 2 is back")
    page = await page_at(lang, scheme)
    await page.goto(f"{practice.url}/?lang={lang}")
    await live(practice, page)
    await tell(practice.hub.house, clinic, clinic.omar, title="Sara Doe has arrived")
    await expect(page.locator("hub-bell .toast")).to_be_visible()
    assert await serious_issues(page) == []
    await page.locator(BELL).click()
    await expect(page.locator(ROWS)).to_have_count(2)
    assert await serious_issues(page) == []
    assert await page.locator("hub-bell .root").get_attribute("dir") == ("rtl" if lang == "ar" else "ltr")


async def test_it_loads_where_the_page_isolates_itself(practice: Practice, page_at: Pages) -> None:
    practice.headers = {"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Opener-Policy": "same-origin"}
    page = await page_at()
    await page.goto(practice.url)
    await live(practice, page)
    assert await page.evaluate("crossOriginIsolated")


async def test_an_origin_that_was_not_named_reads_no_list(practice: Practice, clinic: Clinic, page_at: Pages) -> None:
    page = await page_at()
    elsewhere = practice.url.replace("127.0.0.1", "localhost")

    async def fulfil(route: Route) -> None:
        await route.fulfill(body="<!doctype html><title>x</title>", content_type="text/html")

    await page.route(f"{elsewhere}/", fulfil)
    token = await practice.new_token()
    read = """([url, token]) => fetch(`${url}/api/v1/notifications`, { headers: { Authorization: `Bearer ${token}` } })
        .then((answer) => answer.status, () => "refused")"""
    await page.goto(f"{elsewhere}/")
    assert await page.evaluate(read, [practice.hub.url, token]) == "refused"
    page_at.problems.clear()
    await page.goto(practice.url)
    assert await page.evaluate(read, [practice.hub.url, token]) == 200


async def test_a_bell_that_is_taken_away_hangs_up(practice: Practice, clinic: Clinic, page_at: Pages) -> None:
    page = await page_at()
    await page.goto(practice.url)
    await live(practice, page)
    await page.evaluate("document.body.append(globalThis.bell = document.querySelector('hub-bell'))")
    await page.wait_for_timeout(100)
    assert practice.connections() == 1
    await page.evaluate("bell.remove()")
    await page.wait_for_timeout(300)
    assert practice.connections() == 0
    await page.evaluate("document.body.append(bell)")
    await live(practice, page)
    await tell(practice.hub.house, clinic, clinic.omar)
    await expect(page.locator(BADGE)).to_have_text("1")


async def test_who_is_no_longer_active_hears_nothing_more(practice: Practice, clinic: Clinic, page_at: Pages) -> None:
    page = await page_at()
    await page.goto(practice.url)
    await live(practice, page)
    async with practice.hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.omar.id, active=False)
    await expect(page.locator(BELL)).to_have_attribute("data-status", "offline")
