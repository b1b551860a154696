"""The pages of messages in a real browser: legible and whole in both languages, and a preview that follows the hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from hub.messages import by_hand
from hub.messages.states import State
from hub.people.staff import change_staff
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.browser import Language, Pages, Scheme, serious_issues
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient, open_clinic
from tests.messages.rows import make_message, make_request
from tests.visitors import session_of

PATH = "/console/messages"
MAIL = '<html lang="ar" dir="rtl"><body style="color: rgb(1, 2, 3)"><p>مرحبًا</p></body></html>'
ARABIC = "موعدك غدًا"


@pytest.fixture
async def lively(hub: RunningHub) -> Clinic:
    """A clinic with a few messages on their ways, and the templates of the house."""
    clinic = await open_clinic(hub.house)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    patient = await add_patient(hub.house, clinic, name="نورة العتيبي", language="ar")
    later = hub.house.clock() + timedelta(hours=9)
    for state, reason in (
        ("queued", "quiet_hours"),
        ("failed", "refused"),
        ("held", "address_flagged"),
        ("read", None),
    ):
        message = await make_message(
            hub.house, clinic, patient, state=state, reason=reason, due_at=later, language="ar"
        )
        await make_request(hub.house, clinic, message, cost="0.0075")
    return clinic


async def mailed(hub: RunningHub, clinic: Clinic) -> str:
    """A message that was refused as SMS and went out as email."""
    patient = await add_patient(hub.house, clinic, name="سارة", language="ar")
    message = await make_message(hub.house, clinic, patient, channel="email", state="delivered", language="ar")
    answer = {"status": 400, "message": "not a valid mobile number"}
    await make_request(hub.house, clinic, message, state="refused", answer=answer, out={"text": ARABIC})
    out = {"to": "s@example.org", "subject": ARABIC, "text": ARABIC, "html": MAIL}
    await make_request(hub.house, clinic, message, number=2, channel="email", state="delivered", out=out)
    return str(message)


async def signed_in(
    hub: RunningHub, clinic: Clinic, page_at: Pages, lang: Language = "en", scheme: Scheme = "light", width: int = 1280
) -> Page:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.desk.id, language=lang)
    page = await page_at(lang, scheme, width)
    await page.context.add_cookies([{"name": "hub", "value": await session_of(hub, clinic.desk), "url": hub.url}])
    return page


@pytest.mark.parametrize(("lang", "scheme", "width"), [("en", "dark", 1440), ("ar", "light", 390), ("ar", "dark", 820)])
async def test_every_page_is_whole_and_nothing_serious_is_wrong(
    hub: RunningHub, lively: Clinic, page_at: Pages, lang: Language, scheme: Scheme, width: int
) -> None:
    page = await signed_in(hub, lively, page_at, lang, scheme, width)
    patient = await add_patient(hub.house, lively, name="Sara", language="ar")
    new = f"{PATH}/new?patient={patient.id}"
    for path in (PATH, f"{PATH}/{await mailed(hub, lively)}", f"{new}&code=invoice_issued", new, f"{PATH}/new?q=sara"):
        await page.goto(f"{hub.url}{path}")
        assert await serious_issues(page) == [], path
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path


async def test_a_mail_is_shown_as_it_was_sent(hub: RunningHub, lively: Clinic, page_at: Pages) -> None:
    page = await signed_in(hub, lively, page_at)
    await page.goto(f"{hub.url}{PATH}/{await mailed(hub, lively)}")
    mail = page.frame_locator("iframe.mail-frame").locator("body")
    await expect(mail).to_have_css("color", "rgb(1, 2, 3)")
    await page.locator(".request > summary").first.press("Enter")
    await expect(page.locator(".request[open] .bubble")).to_have_attribute("dir", "rtl")
    await expect(page.locator(".request[open] .answer")).to_contain_text("not a valid mobile number")


async def test_the_preview_follows_what_is_typed_with_its_parts(
    hub: RunningHub, lively: Clinic, page_at: Pages
) -> None:
    page = await signed_in(hub, lively, page_at)
    patient = await add_patient(hub.house, lively, name="Sara")
    await page.goto(f"{hub.url}{PATH}/new?patient={patient.id}")
    preview = page.locator("[data-preview]")
    await page.locator("#text").fill("See you at nine.")
    await expect(preview.locator(".bubble.is-sms")).to_have_text("See you at nine.")
    await expect(preview.locator(".parts")).to_contain_text("1 part")
    await page.locator("#text").fill(ARABIC * 8)
    await expect(preview.locator(".parts")).to_contain_text("2 parts")
    await expect(preview.locator(".bubble.is-sms")).to_have_attribute("dir", "rtl")
    await page.locator("#channel").select_option("sms")
    await expect(preview.locator("section")).to_have_count(1)
    await page.locator("[data-compose] button").click()
    await page.wait_for_url(lambda address: not address.endswith("new") and "patient=" not in address)
    await expect(page.locator("h1")).to_have_text("Sara")
    await expect(page.locator(".bubble.is-sms").first).to_have_text(ARABIC * 8)


async def test_the_page_of_a_message_follows_it_and_keeps_open_what_is_open(
    hub: RunningHub, lively: Clinic, page_at: Pages
) -> None:
    page = await signed_in(hub, lively, page_at)
    patient = await add_patient(hub.house, lively, name="Sara")
    message = await make_message(hub.house, lively, patient, state="sent")
    await make_request(hub.house, lively, message)
    await page.goto(f"{hub.url}{PATH}/{message}")
    await page.locator(".request > summary").click()
    async with hub.house.open_work(lively.id, SYSTEM) as work:
        await by_hand.update_status(work, message, State.DELIVERED, "Told by phone")
    await expect(page.locator(".page-head .pill")).to_have_text("Delivered", timeout=10_000)
    await expect(page.locator(".request[open] .bubble")).to_be_visible()
    await expect(page.locator(".timeline")).to_contain_text("Told by phone")


async def test_a_filter_is_chosen_by_a_chip_and_stays_in_the_address(
    hub: RunningHub, lively: Clinic, page_at: Pages
) -> None:
    page = await signed_in(hub, lively, page_at)
    await page.goto(f"{hub.url}{PATH}")
    await page.get_by_role("link", name="Need a look", exact=True).click()
    await expect(page).to_have_url(f"{hub.url}{PATH}?state=attention")
    await expect(page.locator(".row-link")).to_have_count(2)
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Export CSV").click()
    download = await downloading.value
    assert download.suggested_filename.endswith(".csv")
