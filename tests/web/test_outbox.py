"""The outbox in a real browser: what comes in appears by itself, and pushes nothing away that is being read."""

from __future__ import annotations

import uuid
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from hub.channels.vendor import Channel
from hub.messages.receipts import apply_due_reports
from hub.people.staff import change_staff
from hub.work import SYSTEM
from tests.browser import LOOKS, Pages, serious_issues
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient
from tests.messages.kept import keep
from tests.visitors import session_of

PATH = "/console/outbox"
ARABIC = "مرحبًا سارة، نذكّركم بموعدكم يوم الأحد الساعة 09:30 في عيادة النور لطب الأسرة، ونتمنى لكم السلامة."
MAIL = (
    "<!doctype html><html lang='ar' dir='rtl'><head><title>x</title></head><body style='background:rgb(1, 2, 3)'>"
    "<p id='said'>مرحبًا</p><a href='/console/account'>رابط</a><script>document.body.remove()</script>"
    "<img src='/assets/icons/hub.svg' alt=''></body></html>"
)


async def open_outbox(hub: RunningHub, clinic: Clinic, page_at: Pages, path: str = PATH, **more: object) -> Page:
    page = await page_at(**more)  # type: ignore[arg-type]
    await page.context.add_cookies([{"name": "hub", "value": await session_of(hub, clinic.desk), "url": hub.url}])
    await page.goto(hub.url + path)
    return page


def row(page: Page, kept: uuid.UUID) -> str:
    return f"[data-kept='{kept}']"


async def test_what_is_sent_appears_by_itself(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    page = await open_outbox(hub, clinic, page_at)
    await expect(page.locator("[data-outbox-list]")).to_contain_text("Nothing was sent yet")
    first = await keep(hub.house, clinic)
    await expect(page.locator(row(page, first))).to_be_visible()
    second = await keep(hub.house, clinic)
    await expect(page.locator("[data-kept]").first).to_have_attribute("data-kept", str(second))
    await expect(page.locator("[data-outbox-count]")).to_have_text("2 messages")


async def test_while_somebody_is_in_the_list_what_is_new_waits_behind_a_button(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    first = await keep(hub.house, clinic)
    page = await open_outbox(hub, clinic, page_at)
    await page.locator(f"{row(page, first)} a").focus()
    second = await keep(hub.house, clinic)
    button = page.get_by_role("button", name="Show what is new")
    await expect(button).to_be_visible()
    await expect(page.locator(row(page, second))).to_have_count(0)
    await expect(page.locator(f"{row(page, first)} a")).to_be_focused()
    await button.click()
    await expect(page.locator("[data-kept]").first).to_have_attribute("data-kept", str(second))
    await expect(button).to_have_count(0)


async def test_a_played_report_moves_the_open_message(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    kept = await keep(hub.house, clinic)
    page = await open_outbox(hub, clinic, page_at, f"{PATH}/{kept}")
    await page.get_by_role("button", name="Fail").click()
    await expect(page.get_by_text("Reported. A worker applies it within seconds.")).to_be_visible()
    house = hub.house
    await apply_due_reports(house.database, house.open_work, house.keys, house.clock)
    await expect(page.locator("[data-outbox-state] .opened-title")).to_contain_text("Not delivered")
    await expect(page.locator(row(page, kept))).to_contain_text("Not delivered")


async def test_the_list_is_walked_by_keys(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    older, newer = await keep(hub.house, clinic), await keep(hub.house, clinic)
    page = await open_outbox(hub, clinic, page_at)
    for key, where in (("j", newer), ("j", older), ("ArrowUp", newer), ("ArrowDown", older), ("k", newer)):
        await page.keyboard.press(key)
        await expect(page.locator(f"{row(page, where)} a")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{PATH}/{newer}")
    await page.keyboard.press("j")
    await expect(page.locator(f"{row(page, older)} a")).to_be_focused()


async def test_an_arabic_mail_is_seen_as_its_reader_sees_it_and_runs_nothing(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    patient = await add_patient(hub.house, clinic, name="سارة القحطاني", language="ar")
    more = {"channel": Channel.EMAIL, "subject": "تذكير", "html": MAIL, "text": "مرحبًا", "language": "ar"}
    kept = await keep(hub.house, clinic, patient=patient, to="sara@example.org", **more)  # type: ignore[arg-type]
    page = await open_outbox(hub, clinic, page_at, f"{PATH}/{kept}")
    mail = page.frame_locator("iframe.opened-mail")
    await expect(mail.locator("html")).to_have_attribute("dir", "rtl")
    await expect(mail.locator("#said")).to_be_visible()
    await expect(mail.locator("body")).to_have_css("background-color", "rgb(1, 2, 3)")
    async with page.context.expect_page() as opened:
        await mail.get_by_role("link").click()
    await (await opened.value).wait_for_url("**/console/account")
    refused = " ".join(page_at.problems)
    assert "script" in refused
    assert "image" in refused
    page_at.problems.clear()
    assert page.url.endswith(f"{PATH}/{kept}")


@pytest.mark.parametrize("width", [390, 820, 1440])
async def test_on_a_narrow_screen_there_is_one_thing_at_a_time(
    hub: RunningHub, clinic: Clinic, page_at: Pages, width: int
) -> None:
    kept = await keep(hub.house, clinic, text=ARABIC, language="ar")
    page = await open_outbox(hub, clinic, page_at, width=width)
    await page.locator(f"{row(page, kept)} a").click()
    await expect(page.locator("#kept-title")).to_be_visible()
    if width < 1000:
        await expect(page.locator("[data-outbox-list]")).to_be_hidden()
        await page.locator(".outbox-back").click()
    await expect(page.locator("[data-outbox-list]")).to_be_visible()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(overflow) <= 0


@pytest.mark.parametrize(("language", "scheme"), LOOKS)
async def test_axe_finds_nothing_serious_in_the_outbox(
    hub: RunningHub,
    clinic: Clinic,
    page_at: Pages,
    language: Literal["en", "ar"],
    scheme: Literal["light", "dark"],
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.desk.id, language=language)
    states = ("sent", "failed", "delivered", "unknown")
    kept = [await keep(hub.house, clinic, text=ARABIC, language="ar", state=state) for state in states]
    kept.append(await keep(hub.house, clinic, channel=Channel.WHATSAPP, text="Hi", state="read"))
    kept.append(await keep(hub.house, clinic, channel=Channel.EMAIL, subject="Hi", html="<p>Hi</p>", state="bounced"))
    page = await open_outbox(hub, clinic, page_at, lang=language, scheme=scheme)
    found = {PATH: await serious_issues(page)}
    for each in kept[-3:]:
        await page.goto(f"{hub.url}{PATH}/{each}")
        found[str(each)] = await serious_issues(page)
    assert {path: issues for path, issues in found.items() if issues} == {}
