"""Pages with a bell in a real browser, for the tests of what is live in them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Page, expect

from tests.browser import Pages
from tests.web.fake_hub import FakeHub, Frame


async def opened(hub: FakeHub, page_at: Pages, query: str = "", **more: Any) -> Page:
    """A page of the hub, live."""
    page = await page_at(**more)
    await page.goto(f"{hub.address}/?{query}")
    await connected(page)
    return page


async def connected(page: Page) -> None:
    await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")


async def eventually(holds: Callable[[], bool | Awaitable[bool]], seconds: float = 15) -> float:
    """Wait until it holds, and say how many seconds that took. A look under way is let end: busy browsers are slow."""
    began = time.monotonic()
    while True:
        held = holds()
        if held if isinstance(held, bool) else await held:
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, "it never came to hold"
        await asyncio.sleep(0.02)


def asked(hub: FakeHub, kind: str) -> list[Frame]:
    return [frame for frame in hub.heard if frame["t"] == kind]


def losing(*seqs: int) -> Callable[[Frame], list[Frame]]:
    """Events with these numbers never arrive."""
    return lambda frame: [] if frame["t"] == "ev" and frame["seq"] in seqs else [frame]


async def clockwork(hub: FakeHub, page_at: Pages, script: str) -> Any:
    """Run a script against `Live` with its own clock and sockets."""
    page = await page_at()
    await page.goto(f"{hub.address}/there")
    return await page.evaluate(
        f"async () => {{ const {{ clockwork }} = await import('/tests/clockwork.js'); {script} }}"
    )
