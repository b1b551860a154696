"""A patient's page of one visit in a real browser, on a phone: without JavaScript, by keyboard, in both languages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import expect

from hub.appointments.answers import Answer
from hub.appointments.confirmation import make_token
from hub.appointments.lifecycle import Booking, book
from hub.appointments.tables import Appointment
from hub.people.patients import Arriving
from hub.work import SYSTEM
from tests.appointments.left import left
from tests.browser import Language, Pages, Scheme, serious_issues
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient

TARGET = 44
# What is wider than the screen, and what a finger would miss.
CROWDED = f"""() => [
  document.documentElement.scrollWidth > innerWidth ? "the page is wider than the screen" : "",
  ...[...document.querySelectorAll("a, button, summary, textarea")]
    .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < {TARGET})
    .map((each) => each.outerHTML),
].filter(Boolean)"""


async def visit_of(hub: RunningHub, clinic: Clinic, language: str) -> Appointment:
    patient = await add_patient(hub.house, clinic, language=language)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        at = work.now + timedelta(days=3)
        return await book(work, Booking(Arriving(patient.name, id=patient.id), clinic.omar.id, at, tell=False))


def form(to: Answer) -> str:
    return f"form:has([name=answer][value={to}])"


@pytest.mark.parametrize(("lang", "scheme"), [("en", "light"), ("ar", "dark")])
async def test_a_patient_answers_on_a_phone(
    hub: RunningHub, clinic: Clinic, page_at: Pages, lang: Language, scheme: Scheme
) -> None:
    visit = await visit_of(hub, clinic, lang)
    link = f"{hub.url}/v/{make_token(hub.house.keys, visit, hub.house.clock())}"
    # Whoever gets it forwarded sees it in the patient's language, and may choose another one.
    looker = await page_at("en" if lang == "ar" else "ar", scheme, 320)
    await looker.goto(link)
    await expect(looker.locator("html")).to_have_attribute("lang", lang)
    for summary in await looker.locator("summary").all():
        await summary.click()
        assert await serious_issues(looker) == []
        assert await looker.evaluate(CROWDED) == []
    await looker.locator("header a").click()
    await expect(looker.locator("html")).not_to_have_attribute("lang", lang)
    assert (await left(hub.house, clinic, visit)).row["state"] == "booked", "nobody has answered yet"

    page = await page_at(lang, scheme, 390, java_script_enabled=False)
    await page.goto(link)
    await page.locator(form("another_time")).get_by_role("button").wait_for(state="hidden")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_be_visible()
    assert (await left(hub.house, clinic, visit)).row["state"] == "confirmed"
    await page.locator("summary").first.click()
    await page.locator(form("another_time")).get_by_role("textbox").fill("صباحًا، بعد العاشر")
    await page.locator(form("another_time")).get_by_role("button").click()
    await expect(page.locator(form("confirm"))).to_be_visible()
    assert (await left(hub.house, clinic, visit)).row["wish"] == "another_time"
    await page.locator("summary").last.click()
    await page.locator(form("cancel")).get_by_role("button").click()
    await expect(page.locator(form("cancel"))).to_have_count(0)
    await expect(page.locator(form("another_time"))).to_have_count(1)
    assert (await left(hub.house, clinic, visit)).row["state"] == "cancelled"

    # A page that lay open: its answer comes too late, and it says what to do.
    await looker.locator(form("confirm")).get_by_role("button").click()
    await expect(looker.get_by_role("alert")).to_be_visible()
    assert await serious_issues(looker) == []
    assert (await left(hub.house, clinic, visit)).row["state"] == "cancelled"
