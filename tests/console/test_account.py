"""The reader's own settings and sessions."""

from __future__ import annotations

import pytest

from hub.console.account import device_in_words
from tests.conftest import RunningHub
from tests.console.html import read
from tests.factories import Clinic
from tests.visitors import browser_of, session_of

PATH = "/console/account"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"


async def test_sessions_are_listed_and_this_one_is_marked(hub: RunningHub, clinic: Clinic) -> None:
    await session_of(hub, clinic.omar, SAFARI)
    await session_of(hub, clinic.huda, EDGE)
    async with browser_of(hub, clinic.omar) as client:
        page = read(await client.get(PATH))
    assert "Safari · iPhone" in page.words
    assert "Edge" not in page.words, "somebody else's"
    assert page.words.count("This one") == 1


async def test_shortcuts_are_switched_by_a_form(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as client:
        for wanted, shown in (("off", "off"), ("on", "on"), ("", "off")):
            answer = await client.post(f"{PATH}/shortcuts", data={"shortcuts": wanted})
            assert (answer.status_code, answer.headers["location"]) == (303, PATH)
            (body,) = read(await client.get(PATH)).all("body")
            assert body.attributes["data-shortcuts"] == shown


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (CHROME, "Chrome · Linux"),
        (SAFARI, "Safari · iPhone"),
        (EDGE, "Edge · Windows"),
        ("curl/8.0", "curl"),
        ("", ""),
        ("<script>" * 100, "<script><script><script><script><script>"),
    ],
)
def test_a_device_is_told_by_browser_and_system(user_agent: str, words: str) -> None:
    assert device_in_words(user_agent) == words
