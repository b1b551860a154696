"""A message's whole way, as somebody new to the hub tries it: from nothing, in a browser, by the clock's command.

A template is published, a patient told in Arabic; her number is one at which every try fails; three retries later the
mail arrives, and one page tells it all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Locator, Page, expect

from hub.demo.people import NOOR, PASSWORD
from tests.browser import Pages
from tests.demo.commands import run
from tests.local.supervisor import REAL, Supervisor

ADMIN = "admin@noor.example"
PATIENT = "ليلى الحربي"
NEVER_WORKS = "+966500000002"
CODE = "lab_follow_up"
ENGLISH = "{ $clinic }: dear { $patient }, please call us about your next visit."
ARABIC = "{ $clinic }: عزيزتنا { $patient }، نرجو الاتصال بنا بشأن زيارتك القادمة، ونتمنى لكِ دوام الصحة والعافية."
RETRIES = ("61s", "121s", "241s")
# A worker looks every two seconds, and the page asks as often; a busy machine takes longer.
WITHIN_MS = 30_000


@dataclass(frozen=True)
class Started:
    """A hub that `hub start` brought up from nothing."""

    address: str
    folder: Path

    async def travel(self, span: str) -> None:
        """Move its clock as somebody does in another terminal: nothing is set there."""
        code, said = await run({"HUB_LOCAL": str(self.folder)}, "time-travel", span)
        assert code == 0, said
        assert "ahead of the true time" in said


@pytest.fixture
def started() -> Iterator[Started]:
    folder = Path(tempfile.mkdtemp(prefix="hub-test-"))
    folder.chmod(0o711)
    supervisor = Supervisor(REAL, folder, {})
    try:
        address = supervisor.says("^ready").split()[1]
        yield Started(address, folder)
        logs = "".join(path.read_text() for path in (folder / "logs").glob("w*.log"))
        assert not [line for line in logs.splitlines() if json.loads(line)["level"] == "error"]
    finally:
        supervisor.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(600)
async def test_a_message_that_cannot_be_delivered_goes_another_way(started: Started, page_at: Pages) -> None:
    page = await page_at(width=1440, height=900)
    page.set_default_timeout(WITHIN_MS)
    await sign_in(page, started)
    await at_a_decent_hour(started)
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


async def sign_in(page: Page, started: Started) -> None:
    await page.goto(f"{started.address}/sign-in")
    await page.locator("input[name=email]").first.fill(ADMIN)
    await page.locator("input[name=password]").first.fill(PASSWORD)
    await page.locator("main form button").first.click()
    await page.wait_for_url("**/console/**")


async def at_a_decent_hour(started: Started) -> None:
    """At night patients are left in peace, and the journey is not about that."""
    now = datetime.now(UTC).astimezone(ZoneInfo(NOOR.zone))
    if not 8 <= now.hour < 20:
        morning = now.replace(hour=10, minute=0, second=0) + timedelta(days=now.hour >= 20)
        await started.travel(f"{int((morning - now).total_seconds())}s")


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
