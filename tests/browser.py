"""A real browser for tests: one for the whole run, a fresh context for every page that is asked for.

`CHROMIUM` names the executable; without it one of the system is taken, and without one, Playwright's own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

Language = Literal["en", "ar"]
Scheme = Literal["light", "dark"]

# Each language and each scheme once: contrast is the scheme's, direction the language's.
LOOKS: tuple[tuple[Language, Scheme], ...] = (("en", "light"), ("ar", "dark"))

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOCALES = {"en": "en-GB", "ar": "ar-SA"}
# How long it is waited for what is to come: not how soon it should, which the tests that promise that say.
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)
CLOSED_WITHIN_S = 20
SERIOUS = {"serious", "critical"}
# Half faded in, nothing has the contrast it will have.
FINISH_ANIMATIONS = """() => {
  const finish = (root) => {
    for (const animation of root.getAnimations()) {
      if (Number.isFinite(animation.effect.getComputedTiming().endTime)) animation.finish();
    }
    for (const { shadowRoot } of root.querySelectorAll("*")) if (shadowRoot) finish(shadowRoot);
  };
  finish(document);
}"""
# What a browser writes by itself when an answer is not 200: the test that asked for it knows.
EXPECTED = ("Failed to load resource", "WebSocket connection to")


@dataclass
class Pages:
    """Opens pages, each in a context of its own, and remembers what went wrong in them."""

    browser: Browser
    problems: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def __call__(
        self, lang: Language = "en", scheme: Scheme = "light", width: int = 1280, height: int = 800, **more: Any
    ) -> Page:
        """A page that nobody used before, as a person with this language, scheme and screen has it."""
        context = await self.browser.new_context(
            locale=LOCALES[lang], color_scheme=scheme, viewport={"width": width, "height": height}, **more
        )
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"error in the page: {error}"))
        page.on("console", self._heard)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(EXPECTED):
            self.problems.append(f"error on the console: {message.text}")

    async def close(self) -> None:
        """Close them all; the browser has been seen to answer never, and then the next test does not wait for it."""
        for context in self.contexts:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSED_WITHIN_S):
                    await context.close()


def executable() -> str | None:
    """The browser to use; None leaves it to Playwright."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


async def serious_issues(page: Page, context: str | None = None) -> list[str]:
    """What axe-core finds serious or worse in the page as it is now, once it has come to rest."""
    await page.evaluate(FINISH_ANIMATIONS)
    found = await Axe().run(page, context=context, options={"resultTypes": ["violations"]})
    return [
        f"{issue['id']}: {issue['help']}: {[node['html'] for node in issue['nodes'][:3]]}"
        for issue in found.response["violations"]
        if issue["impact"] in SERIOUS
    ]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of this process."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        yield opened
        await opened.close()


@pytest.fixture
async def page_at(browser: Browser) -> AsyncIterator[Pages]:
    """`await page_at(lang, scheme, width)` opens a page; an error in any of them fails the test."""
    pages = Pages(browser)
    yield pages
    await pages.close()
    assert pages.problems == []
