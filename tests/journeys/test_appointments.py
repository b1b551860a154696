"""A visit's whole way, as somebody new to the hub tries it: from nothing, in three browsers, by the clock's command.

It is booked at the desk, its reminder leaves in Arabic, the patient confirms it on their phone, and the clinician's
bell says so; moved, what is planned moves with it, and cancelled, nothing is left of that.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from tests.browser import Pages
from tests.journeys.started import WITHIN_MS, Started, sign_in
from tests.web.live_pages import eventually

DESK, CLINICIAN = "desk@noor.example", "omar@noor.example"
PATIENT = "أمل الشمري"
# Opened, the list stands still: what comes after that waits above it.
BELL_KNOWS = """(words) => document.querySelector("hub-bell").rows.some(
  ({ title }) => words.every((word) => title.includes(word))
)"""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.mark.timeout(600)
async def test_a_visit_is_booked_reminded_of_confirmed_moved_and_cancelled(started: Started, page_at: Pages) -> None:
    await started.at_a_decent_hour(until=17)
    clinician = await page_at(width=1280, height=800)
    await sign_in(clinician, started, CLINICIAN)
    desk = await page_at(width=1280, height=900)
    await sign_in(desk, started, DESK)
    starts_at = (started.now() + DAY + 2 * HOUR).replace(minute=0, second=0, microsecond=0)

    await book(desk, started, starts_at)
    await expect_ahead(desk, starts_at - DAY, starts_at - 2 * HOUR)
    await started.travel(starts_at - DAY - started.now() + timedelta(seconds=5))
    reminder = desk.locator("[data-event=reminder]")
    await expect(reminder).to_contain_text("the day before", timeout=WITHIN_MS)
    await expect(reminder.locator(".tellings")).to_contain_text("Delivered", timeout=WITHIN_MS)

    phone = await page_at("ar", width=390, height=844)
    await confirm_on_the_phone(phone, desk, started)
    await eventually(lambda: clinician.evaluate(BELL_KNOWS, ["Confirmed", PATIENT]), WITHIN_MS / 1000)
    await clinician.locator("hub-bell button").first.click()
    newest = clinician.locator("hub-bell li").first
    await expect(newest).to_contain_text(PATIENT)
    await expect(newest).to_contain_text("Confirmed")
    await expect(desk.locator("[data-event=confirmed]")).to_contain_text("The patient", timeout=WITHIN_MS)

    await move(desk, starts_at + DAY)
    await expect_ahead(desk, starts_at, starts_at + DAY - 2 * HOUR)
    await cancel(desk)
    await expect(desk.locator("[data-ahead]")).to_have_count(0)
    await expect(desk.locator("[data-event=cancelled] .tellings")).to_contain_text("2 hours before")


async def book(desk: Page, started: Started, starts_at: datetime) -> None:
    """Book it for tomorrow through the board, and open its own page from there."""
    await expect(desk.locator("[data-live-mark]")).to_have_attribute("data-state", "live", timeout=WITHIN_MS)
    await desk.get_by_role("link", name="Book…").click()
    form = desk.locator("[data-visit-form=book]")
    await form.locator("[name=who]").fill(PATIENT)
    await form.locator("[name=phone]").fill("+966500000044")
    await form.locator("[name=email]").fill("amal@example.com")
    await form.locator("[name=language]").select_option("ar")
    await form.locator("[name=day]").fill(f"{starts_at:%Y-%m-%d}")
    await form.locator("[name=time]").fill(f"{starts_at:%H:%M}")
    await form.locator("[name=clinician]").select_option(label="Dr. Omar Farouk")
    await form.locator("button.is-primary").click()
    await expect(form).to_have_count(0, timeout=WITHIN_MS)
    await desk.goto(f"{started.address}/console/arrivals?day={starts_at:%Y-%m-%d}")
    await desk.get_by_role("link", name=PATIENT).click()
    await expect(desk.get_by_role("heading", level=1)).to_have_text(PATIENT)


async def expect_ahead(desk: Page, *moments: datetime) -> None:
    """Both reminders are ahead, at these times."""
    ahead = desk.locator("[data-ahead=reminder]")
    await expect(ahead).to_have_count(len(moments), timeout=WITHIN_MS)
    for place, moment in enumerate(moments):
        await expect(ahead.nth(place)).to_contain_text(f"{moment:%H:%M %A} {moment.day}")


async def confirm_on_the_phone(phone: Page, desk: Page, started: Started) -> None:
    """The link is in what has left, as the outbox shows it; it opens in Arabic, and one tap confirms."""
    outbox = await desk.context.new_page()
    await outbox.goto(f"{started.address}/console/outbox?q=أمل")
    await outbox.locator("[data-kept]").first.get_by_role("link").click()
    bubble = outbox.locator(".opened-bubble")
    await expect(outbox.locator(".opened-phone")).to_have_attribute("dir", "rtl")
    await expect(bubble).to_contain_text("موعدك")
    words = await bubble.inner_text()
    await outbox.close()
    await phone.goto(next(word for word in words.split() if word.startswith(f"{started.address}/v/")))
    await expect(phone.locator("html")).to_have_attribute("dir", "rtl")
    await phone.locator("form:has([value=confirm]) button").click()
    await expect(phone.get_by_role("status")).to_be_visible()


async def move(desk: Page, starts_at: datetime) -> None:
    await desk.get_by_role("link", name="Move…").click()
    form = desk.locator("[data-visit-form=move]")
    await form.locator("[name=day]").fill(f"{starts_at:%Y-%m-%d}")
    await form.locator("[name=why]").first.check()
    await form.locator("button.is-primary").click()
    await expect(desk.locator("[data-event=rescheduled]")).to_be_visible()


async def cancel(desk: Page) -> None:
    await desk.get_by_role("link", name="Cancel…").click()
    form = desk.locator("[data-visit-form=cancel]")
    await form.locator("[name=why]").first.check()
    await form.locator("button.is-danger").click()
    await expect(desk.locator("[data-event=cancelled]")).to_be_visible()
