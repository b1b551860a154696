"""The front desk's day in real browsers: by keyboard, live at each desk, undone in place, without a script."""

from __future__ import annotations

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser import Pages, serious_issues
from tests.conftest import RunningHub
from tests.console.day import fill_a_day
from tests.factories import Clinic, add_patient, book_visit
from tests.journeys.test_a_patient_arrives import Language, sign_in, speak

BOARD = "/console/arrivals"
TOO_SMALL = """[...document.querySelectorAll(".visit-end .button, .visit-tools .button")]
    .filter((target) => Math.min(target.offsetWidth, target.offsetHeight) < 44).length"""


def row_of(page: Page, patient: str) -> Locator:
    return page.locator("[data-row]", has_text=patient)


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def height_of(page: Page) -> float:
    return float(await page.locator(".board-groups").evaluate("board => board.getBoundingClientRect().height"))


async def test_a_visit_is_booked_led_and_undone_by_keyboard_and_every_desk_sees_it(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    await add_patient(hub.house, clinic, name="Sara Doe")
    at = hub.house.clock() + timedelta(minutes=10)
    await book_visit(hub.house, clinic, clinic.omar, patient="Peter Novak", at=at)
    desk, other = await page_at(), await page_at()
    for page in (desk, other):
        await sign_in(page, hub, clinic.desk, BOARD)
        await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")

    await press(desk, "b")
    dialog = desk.get_by_role("dialog", name="Book a visit")
    await expect(dialog.get_by_label("Patient")).to_be_focused()
    await desk.keyboard.type("sara")
    known = dialog.get_by_role("radio", name="Sara Doe")
    await expect(known).to_be_visible()
    await press(desk, "Tab", "Space")
    await expect(known).to_be_checked()
    await expect(dialog.get_by_label("Phone")).to_be_hidden()
    await dialog.get_by_role("button", name="Book").focus()
    await press(desk, "Enter")
    await expect(dialog.locator("[role=alert]")).to_contain_text("Choose a clinician.")
    await expect(known).to_be_checked()
    await dialog.get_by_label("Clinician").select_option(label="Dr. Omar Farouk")
    await dialog.get_by_label("Time").fill(f"{at.astimezone(ZoneInfo(clinic.zone)):%H:%M}")
    await dialog.get_by_label("Minutes").press("Enter")
    row = row_of(desk, "Sara Doe")
    await expect(row).to_be_focused()
    await expect(dialog).to_be_hidden()
    await expect(desk.locator("[data-announce]")).to_have_text(re.compile("Sara Doe.*: Booked"))
    await expect(row_of(other, "Sara Doe")).to_have_attribute("data-state", "booked")

    for key, state in (("c", "confirmed"), ("z", "booked"), ("a", "arrived"), ("s", "in_progress"), ("d", "completed")):
        await press(desk, key)
        await expect(row).to_have_attribute("data-state", state)
        await expect(row_of(other, "Sara Doe")).to_have_attribute("data-state", state)
        await expect(row).to_be_focused()
    await expect(row.locator("[data-fresh]")).to_contain_text("Completed")
    await expect(row_of(other, "Sara Doe").get_by_role("button", name=re.compile("Undo"))).to_be_visible()

    await row_of(desk, "Peter Novak").focus()
    await press(desk, "m")
    moving = desk.get_by_role("dialog", name="Move the visit")
    tomorrow = (at.astimezone(ZoneInfo(clinic.zone)).date() + timedelta(days=1)).isoformat()
    await moving.get_by_label("Day").fill(tomorrow)
    await moving.get_by_label("Reason in own words").wait_for(state="hidden")
    await moving.get_by_role("button", name="Move").click()
    await desk.wait_for_url(f"**day={tomorrow}#row-*")
    moved = row_of(desk, "Peter Novak")
    await expect(moved).to_have_attribute("data-state", "rescheduled")
    await expect(row_of(other, "Peter Novak")).to_have_count(0)
    await moved.get_by_role("button", name=re.compile("^Undo")).click()
    await desk.wait_for_url(lambda url: tomorrow not in url)
    await expect(row_of(other, "Peter Novak")).to_have_attribute("data-state", "booked")

    await press(desk, "/")
    await desk.keyboard.type("novak")
    await press(desk, "Enter", "x")
    cancelling = desk.get_by_role("dialog", name="Cancel the visit")
    await expect(cancelling).to_be_visible()
    await press(desk, "Escape")
    await expect(cancelling).to_be_hidden()
    await expect(row_of(desk, "Peter Novak")).to_be_focused()
    await press(desk, "x")
    await cancelling.get_by_role("button", name="Cancel the visit").click()
    await expect(cancelling.locator("[role=alert]")).to_contain_text("Say why.")
    await cancelling.get_by_role("radio", name="In own words").check()
    await cancelling.get_by_label("Reason in own words").fill("Moves away")
    await press(desk, "Enter")
    await expect(row_of(other, "Peter Novak")).to_have_attribute("data-state", "cancelled")
    await press(desk, "?")
    await expect(desk.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


async def test_a_desk_that_was_slower_is_told_in_the_row_and_an_open_menu_stays(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    for patient in ("Sara Doe", "Peter Novak"):
        await book_visit(hub.house, clinic, clinic.omar, patient=patient)
    desk, other = await page_at(), await page_at()
    for page in (desk, other):
        await sign_in(page, hub, clinic.desk, BOARD)
        await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
    row, menu = row_of(desk, "Sara Doe"), desk.locator("[popover]:popover-open")
    await row.get_by_role("button", name="More").click()
    await expect(menu.get_by_role("link", name="Move…")).to_be_visible()
    await row_of(other, "Sara Doe").get_by_role("button", name="Mark arrived").dblclick()
    await expect(row_of(other, "Sara Doe")).to_have_attribute("data-state", "arrived")
    await row_of(other, "Peter Novak").get_by_role("button", name="Mark arrived").click()
    await expect(row_of(desk, "Peter Novak")).to_have_attribute("data-state", "arrived")
    await expect(row).to_have_attribute("data-state", "booked")
    await menu.get_by_role("button", name="Confirm").click()
    await expect(row.locator("[data-problem]")).to_contain_text("Somebody was quicker: the visit of")
    await expect(row).to_have_attribute("data-state", "arrived")
    await expect(row_of(other, "Sara Doe")).to_have_attribute("data-state", "arrived")


async def test_the_desk_works_without_a_script(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    await book_visit(hub.house, clinic, clinic.omar, patient="Peter Novak")
    page = await page_at(java_script_enabled=False)
    await sign_in(page, hub, clinic.desk, BOARD)
    row = row_of(page, "Peter Novak")
    await row.get_by_role("button", name="Mark arrived").click()
    await expect(row).to_have_attribute("data-state", "arrived")
    await row.get_by_role("button", name=re.compile("^Undo")).click()
    await expect(row).to_have_attribute("data-state", "booked")
    await row.get_by_role("button", name="More").click()
    await row.get_by_role("link", name="Cancel…").click()
    await page.get_by_role("button", name="Cancel the visit").click()
    await page.get_by_label("At the patient’s request").check()
    await page.get_by_role("button", name="Cancel the visit").click()
    await expect(row).to_have_attribute("data-state", "cancelled")
    await page.get_by_role("link", name="Book…").click()
    await page.get_by_label("Patient").fill("Peter")
    await page.get_by_label("Clinician").select_option(label="Dr. Omar Farouk")
    await page.get_by_label("Time").fill("12:40")
    await page.get_by_role("button", name="Book").click()
    await page.get_by_role("radio", name="A new patient").check()
    await page.get_by_role("button", name="Book").click()
    await expect(page.locator("[data-row]")).to_have_count(2)


@pytest.mark.parametrize(("language", "width"), [("en", 390), ("ar", 820), ("en", 1440)])
async def test_a_full_day_is_in_order_on_every_screen(
    hub: RunningHub, clinic: Clinic, page_at: Pages, language: Language, width: int
) -> None:
    await speak(hub, clinic, language)
    day = await fill_a_day(hub.house, clinic, hub.house.clock())
    page = await page_at(language, "dark" if language == "ar" else "light", width, 900, has_touch=width < 1000)
    await sign_in(page, hub, clinic.desk, BOARD)
    visits = page.locator("[data-row]")
    await expect(visits).to_have_count(len(day))
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await page.evaluate(TOO_SMALL) == 0
    before = await height_of(page)
    booked = page.locator(f"#row-{day['late'].id}")
    await booked.locator("[data-key=a]").click()
    await expect(booked.locator(".is-fresh")).to_be_visible()
    stands_out = await height_of(page)
    await booked.locator(".is-fresh").evaluate("undo => undo.classList.remove('is-fresh')")
    assert [stands_out, await height_of(page)] == [before, before], "no row moves under the hand"
    await page.locator(f"#row-{day['waiting'].id} .visit-more").click()
    assert await serious_issues(page) == []
    await press(page, "Escape", "b")
    await expect(page.locator("[data-board-dialog] #who")).to_be_visible()
    assert await serious_issues(page) == []
    await press(page, "Escape")
    await page.emulate_media(media="print")
    sheet = await page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", sheet)) == 1
