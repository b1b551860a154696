"""A hub that `hub start` brought up from nothing, as somebody new to it has it, and the first things they do there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.async_api import Page

from hub.demo.people import NOOR, PASSWORD
from tests.demo.commands import run

ADMIN = "admin@noor.example"
# A worker looks every two seconds, and the page asks as often; a busy machine takes longer.
WITHIN_MS = 30_000


@dataclass
class Started:
    """A hub on this machine; `ahead` is how far its clock was moved."""

    address: str
    folder: Path
    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        """What the clock on the demo clinic's wall says."""
        return (datetime.now(UTC) + self.ahead).astimezone(ZoneInfo(NOOR.zone))

    async def travel(self, by: timedelta) -> None:
        """Move its clock as somebody does in another terminal: nothing is set there."""
        code, said = await run({"HUB_LOCAL": str(self.folder)}, "time-travel", f"{int(by.total_seconds())}s")
        assert code == 0, said
        assert "ahead of the true time" in said
        self.ahead += by

    async def at_a_decent_hour(self, until: int = 20) -> None:
        """At night patients are left in peace, and a journey is not about that."""
        now = self.now()
        if not 8 <= now.hour < until:
            morning = now.replace(hour=10, minute=0, second=0) + timedelta(days=now.hour >= until)
            await self.travel(morning - now)


async def sign_in(page: Page, started: Started, email: str = ADMIN) -> None:
    page.set_default_timeout(WITHIN_MS)
    await page.goto(f"{started.address}/sign-in")
    await page.locator("input[name=email]").first.fill(email)
    await page.locator("input[name=password]").first.fill(PASSWORD)
    await page.locator("main form button").first.click()
    await page.wait_for_url("**/console/**")
