"""A message's whole way, as somebody new to the hub tries it: from nothing, in a browser, by the clock's command.

A template is published, a patient told in Arabic; her number is one at which every try fails; three retries later the
mail arrives, and one page tells it all.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser import Pages
from tests.journeys.started import WITHIN_MS, Started, sign_in

PATIENT = "ليلى الحربي"
NEVER_WORKS = "+966500000002"
CODE = "lab_follow_up"
ENGLISH = "{ $clinic }: dear { $patient }, please call us about your next visit."
ARABIC = "{ $clinic }: عزيزتنا { $patient }، نرجو الاتصال بنا بشأن زيارتك القادمة، ونتمنى لكِ دوام الصحة والعافية."
RETRIES = tuple(timedelta(seconds=each) for each in (61, 121, 241))


@pytest.mark.timeout(600)
async def test_a_message_that_cannot_be_delivered_goes_another_way(started: Started, page_at: Pages) -> None:
    page = await page_at(width=1440, height=900)
    await sign_in(page, started)
    await started.at_a_decent_hour()
    await publish(page, started, "sms")
    await publish(page, started, "email")
    await add_patient(page, started)
    await send(page, started)
    story = page.url

    await see_it_in_the_outbox(page, started)
    for number, span in enumerate(RETRIES, 2):
        await started.travel(span)
        await expect(rows(page)).to_have_count(number + (number == 4), timeout=WITHIN_MS)
    await expect(rows(page).first).to_contain_text("Delivered", timeout=WITHIN_MS)
    await rows(page).first.get_by_role("link").click()
    mail = page.frame_locator("iframe.opened-mail")
    await expect(mail.locator("html")).to_have_attribute("dir", "rtl")
    await expect(mail.locator("body")).to_contain_text(PATIENT)

    await page.goto(story)
    await read_the_story(page)


async def publish(page: Page, started: Started, channel: str) -> None:
    await page.goto(f"{started.address}/console/templates/new?code={CODE}&channel={channel}&topic=results")
    if channel == "email":
        await page.locator("[name=subject_en]").fill("Your visit")
        await page.locator("[name=subject_ar]").fill("زيارتك")
    await page.locator("[name=body_en]").fill(ENGLISH)
    await page.locator("[name=body_ar]").fill(ARABIC)
    for name in ("clinic", "patient"):
        await page.locator(f"[data-known-name={name}]").click()
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("In use")).to_be_visible()


async def add_patient(page: Page, started: Started) -> None:
    await page.goto(f"{started.address}/console/patients")
    new = page.locator("#new")
    await new.get_by_label("Name").fill(PATIENT)
    await new.get_by_label("Language").select_option("ar")
    await new.get_by_label("Phone").fill(NEVER_WORKS)
    await new.get_by_label("Email").fill("laila@example.com")
    await new.get_by_role("button", name="Open the file").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(PATIENT)


async def send(page: Page, started: Started) -> None:
    await page.goto(f"{started.address}/console/messages/new")
    await page.get_by_role("searchbox").fill("الحربي")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("link", name=PATIENT).click()
    # The page's script sends the choice off; nobody chooses before it is there.
    await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)
    await page.locator("#code").select_option(CODE)
    await page.wait_for_url(f"**code={CODE}**")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(PATIENT)


def rows(page: Page) -> Locator:
    return page.locator("[data-kept]")


async def see_it_in_the_outbox(page: Page, started: Started) -> None:
    await page.goto(f"{started.address}/console/outbox?q=ليلى")
    await expect(rows(page)).to_have_count(1, timeout=WITHIN_MS)
    await rows(page).first.get_by_role("link").click()
    await expect(page.locator(".opened-phone")).to_have_attribute("dir", "rtl")
    await expect(page.locator(".opened-bubble")).to_contain_text(PATIENT)
    await expect(page.get_by_role("heading", name="2 parts")).to_be_visible()
    await expect(page.locator("[data-outbox-state] .opened-title")).to_contain_text("Refused")
    # Off the list, where rows that come in would wait behind a button.
    await page.mouse.move(1200, 600)


async def read_the_story(page: Page) -> None:
    steps = page.locator(".timeline > li")
    for number in range(1, 5):
        await expect(steps.filter(has_text=f"attempt {number}").first).to_be_visible()
    await expect(steps.last).to_contain_text("Delivered")
