"""Templates in a real browser: written, looked at and published, by hand and by keyboard, in both directions."""

from __future__ import annotations

import uuid

import pytest
from playwright.async_api import Page, expect

from hub.channels.vendor import Channel
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.templates.defaults import install_defaults
from hub.templates.history import Filters, read_templates
from hub.work import SYSTEM
from tests.browser import LOOKS, Language, Pages, Scheme, serious_issues
from tests.conftest import RunningHub
from tests.factories import Clinic, write_template
from tests.visitors import session_of

PATH = "/console/templates"
ENGLISH, ARABIC = "#preview-en + .said", "#preview-ar + .said"


async def enter(hub: RunningHub, page: Page, person: Staff, path: str, language: Language = "en") -> Page:
    """The page at `path`, as this person has it."""
    async with hub.house.open_work(person.tenant_id, SYSTEM) as work:
        await change_staff(work, person.id, language=language)
    await page.context.add_cookies([{"name": "hub", "value": await session_of(hub, person), "url": hub.url}])
    await page.goto(hub.url + path)
    return page


async def default(hub: RunningHub, clinic: Clinic, code: str, channel: Channel) -> uuid.UUID:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    async with hub.house.database.of_tenant(clinic.id) as session:
        (found,) = await read_templates(session, Filters(channel=channel, search=code), None, 9)
    return found.template.id


async def test_a_template_is_published_from_the_first_word_to_the_last(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    page = await enter(hub, await page_at(), clinic.admin, PATH)
    await page.get_by_role("link", name="New template").first.click()
    await page.get_by_label("Code").fill("we_moved")
    await page.get_by_role("group", name="English").get_by_label("Text").fill("{ $clinic } has moved, ")
    await page.get_by_role("button", name="+ patient").click()
    await page.get_by_role("button", name="+ clinic", exact=True).click()
    await page.get_by_role("group", name="Insert a variable").first.get_by_role("button", name="patient").click()
    await expect(page.locator(ENGLISH)).to_have_text("Noor Clinic has moved, Sara Haddad")
    await expect(page.get_by_text("in the way of publishing")).to_be_visible()
    arabic = page.locator("#body-ar")
    await arabic.fill("انتقلنا يا ")
    chips = page.get_by_role("group", name="Insert a variable").last
    await chips.get_by_role("button", name="patient").click()
    await arabic.press_sequentially("، ")
    await chips.get_by_role("button", name="clinic").click()
    await expect(page.locator(ARABIC)).to_have_text("انتقلنا يا \u2068Sara Haddad\u2069، \u2068Noor Clinic\u2069")
    await expect(page.get_by_text("in the way of publishing")).to_be_hidden()
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("We moved")
    await expect(page.get_by_text("Published. It goes out from now on.")).to_be_visible()
    async with hub.house.database.of_tenant(clinic.id) as session:
        (found,) = await read_templates(session, Filters(), None, 9)
    assert found.published is not None
    assert found.published.bodies == {
        "en": "{ $clinic } has moved, { $patient }",
        "ar": "انتقلنا يا { $patient }، { $clinic }",
    }


async def test_it_is_all_done_with_the_keyboard(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    template = await write_template(hub.house, clinic)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}/edit")
    await page.locator("#body-en").focus()
    await page.keyboard.press("Control+Home")
    await page.keyboard.type("Welcome! ")
    await expect(page.locator(ENGLISH)).to_contain_text("Welcome! Good day, Sara")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(page.locator("#body-en")).to_be_focused()
    await expect(page.locator("#body-en")).to_have_value("Welcome! { $patient }Good day, { $patient }, we are open.")
    await page.keyboard.press("Control+z")
    await page.keyboard.press("Control+s")
    await expect(page.get_by_text("The draft is saved.")).to_be_visible()
    await expect(page.locator("#body-en")).to_have_value("Welcome! Good day, { $patient }, we are open.")


async def test_errors_are_told_at_the_top_with_the_focus_and_lead_to_their_field(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    template = await write_template(hub.house, clinic)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}/edit")
    await page.locator("#body-ar").fill("")
    await page.get_by_role("button", name="Publish").click()
    alert = page.locator("main").get_by_role("alert")
    await expect(alert).to_be_focused()
    await alert.get_by_role("link", name="Text, Arabic").first.click()
    await expect(page.locator("#body-ar")).to_be_focused()
    await expect(page.locator("#body-ar")).to_have_attribute("aria-invalid", "true")
    assert await serious_issues(page) == []


async def test_one_odd_character_is_named_as_it_is_typed(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    template = await write_template(hub.house, clinic)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}/edit")
    await expect(page.locator(".parts").first).to_contain_text("GSM-7")
    await page.locator("#body-en").fill("It’s time, { $patient }. " + "Come and see us. " * 5)
    await expect(page.locator(".odd")).to_contain_text("’")
    await expect(page.locator(".odd")).to_contain_text("Without it: 1 part.")
    await expect(page.locator(".parts").first).to_contain_text("2 parts")


async def test_variables_come_and_go(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    template = await write_template(hub.house, clinic)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}/edit")
    rows = page.locator("[data-variables] > li")
    await page.get_by_role("button", name="Add a variable").click()
    await expect(rows).to_have_count(2)
    await expect(rows.last.get_by_label("Name")).to_be_focused()
    await page.keyboard.type("doctor")
    chips = page.get_by_role("group", name="Insert a variable").first
    await expect(chips.get_by_role("button")).to_have_text(["patient", "doctor"])
    await page.get_by_role("button", name="+ starts_at", exact=True).click()
    await expect(rows.last.get_by_label("Type")).to_have_value("moment")
    await expect(page.get_by_role("button", name="+ starts_at", exact=True)).to_be_hidden()
    await rows.nth(1).get_by_role("button", name="Remove").click()
    await expect(rows).to_have_count(2)
    await expect(rows.last.get_by_label("Name")).to_be_focused()


async def test_a_mail_is_laid_out_from_right_to_left_as_it_will_be(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    template = await default(hub, clinic, "appointment_confirmed", Channel.EMAIL)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}/edit")
    await page.locator("#body-ar").press("Control+End")
    await page.keyboard.type(" أهلًا")
    frame = page.frame_locator("#preview-ar-frame")
    await expect(frame.locator("body")).to_contain_text("أهلًا")
    assert await frame.locator("p").first.evaluate("p => getComputedStyle(p).direction") == "rtl"
    link = frame.get_by_role("link").first
    assert await link.evaluate("a => getComputedStyle(a).backgroundColor") != "rgba(0, 0, 0, 0)", "its styles are worn"
    inside = await frame.locator("html").evaluate("root => root.offsetHeight")
    assert abs(await page.locator("#preview-ar-frame").evaluate("frame => frame.offsetHeight") - inside) <= 1
    await expect(page.locator("#preview-ar + .said .mail-head")).to_contain_text("تم تأكيد موعدك")


async def test_a_frame_runs_no_script_and_fetches_nothing(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    template = await default(hub, clinic, "appointment_confirmed", Channel.EMAIL)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}/edit")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.locator("#preview-en-frame").evaluate(
        """frame => new Promise((done) => {
            frame.addEventListener("load", done, { once: true });
            frame.srcdoc = `<p id="p">x</p><script>document.title = "ran"</` + `script>`;
        })"""
    )
    frame = page.frame_locator("#preview-en-frame")
    await expect(frame.locator("p")).to_have_text("x")
    assert await frame.locator("p").evaluate("p => p.ownerDocument.title") == ""
    assert [url for url in asked if not url.startswith((hub.url, "about:"))] == []
    assert [problem for problem in page_at.problems if "Blocked script execution" not in problem] == []
    page_at.problems.clear()


async def test_deleting_asks_first(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    template = await write_template(hub.house, clinic)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}")
    dialog = page.get_by_role("dialog", name="Delete this template?")
    await page.get_by_role("button", name="Delete…").click()
    await expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Delete…").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Templates")


async def test_who_leaves_with_something_unsaved_is_asked(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    template = await write_template(hub.house, clinic)
    page = await enter(hub, await page_at(), clinic.admin, f"{PATH}/{template}/edit")
    asked: list[str] = []

    async def stay(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        await dialog.accept()  # type: ignore[attr-defined]

    page.on("dialog", stay)
    await page.get_by_role("link", name="Greeting").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Greeting")
    assert asked == []
    await page.go_back()
    await page.locator("#body-en").press_sequentially("x")
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    await page.get_by_role("link", name="Greeting").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Greeting")
    assert asked == ["beforeunload"]


@pytest.mark.parametrize(("language", "scheme"), LOOKS)
async def test_pages_are_usable_by_everybody_and_fit_every_screen(
    hub: RunningHub, clinic: Clinic, page_at: Pages, language: Language, scheme: Scheme
) -> None:
    mail = await default(hub, clinic, "appointment_confirmed", Channel.EMAIL)
    text = await write_template(hub.house, clinic)
    page = await page_at(language, scheme)
    for path in ("", "/new", f"/{mail}", f"/{text}", f"/{mail}/edit", f"/{text}/edit"):
        await enter(hub, page, clinic.admin, PATH + path, language)
        await expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
        assert await serious_issues(page) == [], path
        for width in (1440, 820, 390):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width}"


async def test_arabic_is_written_from_the_right_whatever_the_page(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    template = await write_template(hub.house, clinic, channel=Channel.EMAIL)
    for language in ("en", "ar"):
        page = await enter(hub, await page_at(language), clinic.admin, f"{PATH}/{template}/edit", language)
        for field in ("#body-ar", "#subject-ar", "#preview-ar + .said"):
            assert await page.locator(field).evaluate("field => getComputedStyle(field).direction") == "rtl"
        for field in ("#body-en", "#subject-en", "#preview-en + .said"):
            assert await page.locator(field).evaluate("field => getComputedStyle(field).direction") == "ltr"
