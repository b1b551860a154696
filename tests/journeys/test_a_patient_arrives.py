"""The main job, in real browsers: one click at the desk, and the clinician's bell rings in every tab."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.work import SYSTEM
from tests.browser import LOOKS, Pages, serious_issues
from tests.conftest import RunningHub
from tests.factories import PASSWORD, Clinic, book_visit, tell

Language = Literal["en", "ar"]
Scheme = Literal["light", "dark"]

MARK_ARRIVED = {"en": re.compile(r"^Mark arrived.*Sara Doe"), "ar": re.compile(r"^تسجيل الوصول.*Sara Doe")}
UNREAD = {"en": re.compile(r"Notifications, 1 unread"), "ar": re.compile("إشعار واحد غير مقروء")}
# By the pages' own clocks: how long the test takes to click and to see says how busy the machine is.
NOTE_CLICKS = "addEventListener('click', () => { globalThis.clicked ??= Date.now(); }, { capture: true })"
NOTE_RINGS = """
    const badge = document.querySelector("hub-bell").shadowRoot.querySelector(".badge");
    const note = () => { if (!badge.hidden) globalThis.rang ??= Date.now(); };
    new MutationObserver(note).observe(badge, { attributes: true });
"""
CLEARANCE = {"en": "Clearance pending", "ar": "الوضع المالي"}


async def sign_in(page: Page, hub: RunningHub, person: Staff, path: str = "/") -> None:
    """Sign in as a person would, and go where the work is."""
    await page.goto(f"{hub.url}/sign-in?next={path}")
    await page.locator("input[name=email]").first.fill(person.email)
    await page.locator("input[name=password]").first.fill(PASSWORD)
    await page.locator("main form button").first.click()
    await page.wait_for_url(lambda url: "/sign-in" not in url)


async def speak(hub: RunningHub, clinic: Clinic, language: Language) -> None:
    """Everybody at the clinic reads this language."""
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        for person in clinic.staff:
            await change_staff(work, person.id, language=language)


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_one_click_at_the_desk_rings_the_clinicians_bell_in_every_tab(
    hub: RunningHub, clinic: Clinic, page_at: Pages, language: Language
) -> None:
    await speak(hub, clinic, language)
    await book_visit(hub.house, clinic, clinic.omar, patient="Sara Doe")
    desk, clinician = await page_at(language), await page_at(language)
    await sign_in(clinician, hub, clinic.omar)
    second_tab = await clinician.context.new_page()
    await second_tab.goto(f"{hub.url}/console/account")
    await sign_in(desk, hub, clinic.desk, "/console/arrivals")
    other_desk = await page_at(language)
    await sign_in(other_desk, hub, clinic.desk, "/console/arrivals")
    for page in (clinician, second_tab):
        await expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
        await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")

    await desk.evaluate(NOTE_CLICKS)
    for page in (clinician, second_tab):
        await page.evaluate(NOTE_RINGS)
    await desk.get_by_role("button", name=MARK_ARRIVED[language]).click()
    for page in (clinician, second_tab):
        await expect(page.get_by_role("button", name=UNREAD[language])).to_be_visible()
        assert await page.evaluate("rang") - await desk.evaluate("clicked") < 1000

    await expect(other_desk.get_by_role("button", name=MARK_ARRIVED[language])).to_have_count(0)
    await clinician.get_by_role("button", name=UNREAD[language]).click()
    first = clinician.locator("hub-bell li").first
    await expect(first).to_contain_text("Sara Doe")
    await expect(first).to_contain_text(CLEARANCE[language])
    await first.get_by_role("link").first.click()
    await clinician.wait_for_url("**/console/appointments/**")
    await expect(clinician.get_by_role("heading", level=1)).to_contain_text("Sara Doe")
    for page in (clinician, second_tab):
        await expect(page.get_by_role("button", name=UNREAD[language])).to_have_count(0)


async def test_a_key_at_the_desk_is_as_good_as_a_click(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    visit = await book_visit(hub.house, clinic, clinic.omar, patient="Sara Doe")
    desk = await page_at()
    await sign_in(desk, hub, clinic.desk, "/console/arrivals")
    await desk.keyboard.press("j")
    await desk.keyboard.press("a")
    row = desk.locator(f"[data-row='{visit.id}']")
    await expect(row).to_have_attribute("data-state", "arrived")


async def test_the_bell_shows_what_came_while_the_page_was_closed(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    page = await page_at()
    await sign_in(page, hub, clinic.omar)
    await page.goto("about:blank")
    await tell(hub.house, clinic, clinic.omar, title="While you were away")
    await page.goto(f"{hub.url}/console/notifications")
    bell = page.get_by_role("button", name=UNREAD["en"])
    await expect(bell).to_be_visible()
    await bell.click()
    await expect(page.locator("hub-bell li").first).to_contain_text("While you were away")


async def test_signing_out_leads_away_from_every_open_page(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    page = await page_at()
    await sign_in(page, hub, clinic.omar)
    await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
    other = await page.context.new_page()
    await other.goto(f"{hub.url}/console/account")
    await other.get_by_role("button", name="Sign out everywhere").click()
    await page.wait_for_url("**/sign-in**", timeout=5000)


PATHS = (
    "/console/arrivals",
    "/console/appointment-rules",
    "/console/notifications",
    "/console/people",
    "/console/account",
    "/nowhere",
)


@pytest.mark.parametrize(("language", "scheme"), LOOKS)
async def test_axe_finds_nothing_serious_on_any_page(
    hub: RunningHub, clinic: Clinic, page_at: Pages, language: Language, scheme: Scheme
) -> None:
    await speak(hub, clinic, language)
    visit = await book_visit(hub.house, clinic, clinic.omar)
    await book_visit(hub.house, clinic, clinic.huda, patient="خالد العتيبي")
    await tell(hub.house, clinic, clinic.admin, title="Card terminal 2 is back")
    page = await page_at(language, scheme)
    await page.goto(f"{hub.url}/sign-in")
    found = {"/sign-in": await serious_issues(page)}
    await sign_in(page, hub, clinic.admin)
    for path in (*PATHS, f"/console/appointments/{visit.id}"):
        await page.goto(hub.url + path)
        if path != "/nowhere":
            await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
        found[path] = await serious_issues(page)
    await page.goto(f"{hub.url}/console/notifications")
    await page.locator("hub-bell button").first.click()
    await expect(page.locator("hub-bell li").first).to_be_visible()
    found["the open bell"] = await serious_issues(page)
    assert {path: issues for path, issues in found.items() if issues} == {}
