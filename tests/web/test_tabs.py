"""Many tabs of one browser: one connection, one sound, one toast, and nothing lost when the tab that leads is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser import Pages
from tests.conftest import RunningHub
from tests.factories import Clinic, tell
from tests.journeys.test_a_patient_arrives import sign_in
from tests.web.fake_hub import FakeHub, serving
from tests.web.live_pages import eventually

TABS = "import('/assets/js/connection.js').then(({ connection }) => connection({ user: document.body.dataset.user }))"
BADGE = "hub-bell .badge"
TOLD = "hub-bell .bell"
TEN = 10
# ANSWER_MS in tabs.js: whoever waits for the leader's silence takes longer.
SOONER_THAN_SILENCE_S = 1.5

Thaw = Callable[[], Awaitable[None]]

# How a tab is looked at is the test's to say; tones and toasts are counted, and the seconds that a tab had to itself.
WATCHED = """
    globalThis.look = "focused";
    globalThis.tones = 0;
    globalThis.toasts = [];
    globalThis.counted = globalThis.clicked = 0;
    const here = (name, get) => Object.defineProperty(Document.prototype, name, { get });
    here("visibilityState", () => (look === "hidden" ? "hidden" : "visible"));
    here("hidden", () => look === "hidden");
    Document.prototype.hasFocus = () => look === "focused";
    globalThis.seen = (how) => {
      globalThis.look = how;
      document.dispatchEvent(new Event("visibilitychange"));
    };
    globalThis.later = setTimeout;
    globalThis.awake = 0;
    setInterval(() => (awake += 0.05), 50);
    globalThis.hang = () => {
      const held = new XMLHttpRequest();
      held.open("POST", "/hold", false);
      held.send();
    };
    if (location.protocol !== "about:") localStorage.setItem("hub:sound", "1");
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...when) { tones += 1; return start.apply(this, when); };
    new MutationObserver((changes) => {
      for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
        if (node.classList?.contains("toast")) toasts.push(node.textContent);
      }
    }).observe(document, { childList: true, subtree: true });
"""


@pytest.fixture
async def fake() -> AsyncIterator[FakeHub]:
    async with serving(FakeHub()) as serves:
        yield serves


class Tabs:
    """Some tabs of one browser."""

    def __init__(self, context: BrowserContext, pages: list[Page]) -> None:
        self.context = context
        self.pages = pages

    async def leading(self) -> Page:
        """The one that has the connection."""
        found: list[Page] = []

        async def one_leads() -> bool:
            found[:] = [page for page in self.pages if await page.evaluate(f"{TABS}.then((tabs) => tabs.leads)")]
            return len(found) == 1

        await eventually(one_leads)
        return found[0]

    def besides(self, page: Page) -> list[Page]:
        """The others."""
        return [other for other in self.pages if other is not page]

    async def each(self, script: str) -> list[Any]:
        """What a script answers in each of them."""
        return [await page.evaluate(script) for page in self.pages]

    async def close(self, page: Page) -> None:
        """Close one."""
        self.pages.remove(page)
        await page.close()


async def tabs_at(page_at: Pages, address: str, count: int, script: str = WATCHED) -> Tabs:
    """So many tabs of one browser, all connected."""
    first = await page_at()
    context = first.context
    context.on("weberror", lambda error: page_at.problems.append(f"error in a tab: {error.error}"))
    await context.add_init_script(script)
    pages = [first, *[await context.new_page() for _ in range(count - 1)]]
    for page in pages:
        await page.goto(address)
    for page in pages:
        await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
    return Tabs(context, pages)


async def titles(page: Page) -> list[str]:
    """What this tab knows, oldest first."""
    found: list[str] = await page.evaluate(f"{TABS}.then((tabs) => tabs.inbox.rows.map((row) => row.title).reverse())")
    return found


async def all_show(tabs: Tabs, wanted: list[str]) -> float:
    """Every tab knows exactly these; says how long that took."""

    async def shown() -> bool:
        return all([await titles(page) == wanted for page in tabs.pages])

    return await eventually(shown)


async def hanging(page: Page, fake: FakeHub) -> Thaw:
    """Nothing runs in this tab any more, until its script goes on."""
    so_far = len(fake.held)
    await page.evaluate("void later(hang, 0)")
    await eventually(lambda: len(fake.held) > so_far)

    async def over() -> None:
        fake.held[so_far].set()
        await page.evaluate("0")

    return over


async def frozen(page: Page) -> Thaw:
    """Nothing runs in this tab any more, until it is thawed; as a test drives it, the browser itself freezes no tab."""
    session = await page.context.new_cdp_session(page)
    await session.send("Debugger.enable")
    await session.send("Debugger.pause")

    async def over() -> None:
        await session.send("Debugger.disable")

    return over


# --- one connection -----------------------------------------------------------------------------------


async def test_ten_tabs_have_one_connection_and_all_show_the_same(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, TEN)
    for number in range(5):
        await fake.notify(f"note {number}")
    await all_show(tabs, [f"note {number}" for number in range(5)])
    for page in tabs.pages:
        await expect(page.locator(BADGE)).to_have_text("5")
    assert (len(fake.readers), len(fake.hellos)) == (1, 1)


async def test_on_the_real_hub_ten_tabs_are_one_connection_too(hub: RunningHub, clinic: Clinic, page_at: Pages) -> None:
    page = await page_at()
    await sign_in(page, hub, clinic.omar)
    pages = [page, *[await page.context.new_page() for _ in range(TEN - 1)]]
    for other in pages[1:]:
        await other.goto(f"{hub.url}/console/account")
    tabs = Tabs(page.context, pages)
    connections = hub.house.switchboard.connections_of
    for other in pages:
        await expect(other.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
    assert connections(clinic.omar.id) == 1
    for number in range(60):
        if number in (20, 40):
            await tabs.close(await tabs.leading())
        await tell(hub.house, clinic, clinic.omar, title=f"Number {number}")
    await all_show(tabs, [f"Number {number}" for number in range(60)])
    await eventually(lambda: connections(clinic.omar.id) == 1)


async def test_a_read_in_one_tab_shows_in_all(fake: FakeHub, page_at: Pages) -> None:
    fake.write("one")
    tabs = await tabs_at(page_at, fake.address, TEN)
    reader = tabs.besides(await tabs.leading())[0]
    for page in tabs.pages:
        await expect(page.locator(BADGE)).to_have_text("1")
        await page.evaluate(f"{TABS}.then((tabs) => tabs.addEventListener('count', () => {{ counted = Date.now(); }}))")
    await reader.locator(TOLD).click()
    await reader.locator("hub-bell .act").first.evaluate("(button) => { clicked = Date.now(); button.click(); }")
    for page in tabs.pages:
        await expect(page.locator(BADGE)).to_be_hidden()
    assert max(await tabs.each("counted")) - await reader.evaluate("clicked") < 1000
    assert fake.unread == 0


async def test_rows_that_one_tab_loads_over_http_are_there_in_all(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 3)
    await fake.notify("seen")
    for page in tabs.pages:
        await page.goto(f"{fake.address}/there")
    for page in tabs.pages:
        await page.goto(fake.address)
        await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
    follower = tabs.besides(await tabs.leading())[0]
    await follower.locator(TOLD).click()
    await expect(follower.locator("hub-bell li")).to_have_count(1)
    await all_show(tabs, ["seen"])


async def test_a_board_in_one_tab_is_watched_by_the_tab_that_leads(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, f"{fake.address}/history", 2)
    leader = await tabs.leading()
    (follower,) = tabs.besides(leader)
    await follower.goto(fake.address)
    await eventually(lambda: any(frame["t"] == "watch" for frame in fake.heard))
    boards = fake.boards
    await fake.board_moved()
    await eventually(lambda: fake.boards == boards + 1)
    await tabs.close(leader)
    await eventually(lambda: len([frame for frame in fake.heard if frame["t"] == "watch"]) == 2)
    await fake.board_moved()
    await eventually(lambda: fake.boards == boards + 2)


# --- the leader is gone -------------------------------------------------------------------------------


async def test_when_the_leader_is_closed_another_goes_on_at_once(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, TEN)
    for number in range(60):
        if number in (15, 30, 45):
            await tabs.close(await tabs.leading())
        await fake.notify(f"note {number}")
    took = await all_show(tabs, [f"note {number}" for number in range(60)])
    assert took < SOONER_THAN_SILENCE_S
    assert len(fake.readers) == 1
    assert all(hello["cursor"] for hello in fake.hellos[1:]), "each goes on from where the last one stood"


@pytest.mark.parametrize("how", ["hanging", "frozen"])
async def test_a_leader_that_hangs_is_replaced_within_three_seconds(fake: FakeHub, page_at: Pages, how: str) -> None:
    tabs = await tabs_at(page_at, fake.address, 4)
    await fake.notify("before")
    await all_show(tabs, ["before"])
    leader = await tabs.leading()
    others = Tabs(tabs.context, tabs.besides(leader))
    hellos = len(fake.hellos)
    thaw = await (frozen(leader) if how == "frozen" else hanging(leader, fake))
    began, replaced = await others.each("awake"), asyncio.create_task(eventually(lambda: len(fake.hellos) > hellos))
    wanted = ["before", *[f"note {number}" for number in range(50)]]
    for title in wanted[1:]:
        await fake.notify(title)
        await asyncio.sleep(0.02)
    await replaced
    took = [now - then for then, now in zip(began, await others.each("awake"), strict=True)]
    assert 0 < max(took) < 3
    await all_show(others, wanted)
    await thaw()
    await all_show(tabs, wanted)
    assert await tabs.leading() is not leader
    await eventually(lambda: len(fake.readers) == 1)
    await fake.notify("after")
    await all_show(tabs, [*wanted, "after"])
    await asyncio.sleep(0.5)
    told = [title for toasts in await tabs.each("toasts") for title in toasts]
    alone = [title for title in told if not title.endswith("new notifications")]
    many = sum(int(title.split()[0]) for title in told if title not in alone)
    assert len(alone) == len(set(alone)), "none is told twice, neither by the one that slept"
    assert len(alone) + many <= len([*wanted, "after"]), "nor in a toast of many"


# As on a machine that has much else to do, or in a hidden page whose policy allows no worker.
LATE = (
    WATCHED
    + """
    globalThis.setTimeout = (run, ms) => later(run, ms + 400);
"""
)


async def test_a_leader_that_hangs_is_replaced_though_every_alarm_is_late(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 2, LATE)
    leader = await tabs.leading()
    thaw = await hanging(leader, fake)
    await fake.notify("meanwhile")
    await all_show(Tabs(tabs.context, tabs.besides(leader)), ["meanwhile"])
    await thaw()
    await all_show(tabs, ["meanwhile"])


async def test_a_leader_that_is_told_to_sleep_hands_over_first(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 3)
    leader = await tabs.leading()
    await leader.evaluate("void document.dispatchEvent(new Event('freeze'))")
    thaw = await frozen(leader)
    await fake.notify("meanwhile")
    took = await all_show(Tabs(tabs.context, tabs.besides(leader)), ["meanwhile"])
    assert took < SOONER_THAN_SILENCE_S
    await thaw()
    await leader.evaluate("void document.dispatchEvent(new Event('resume'))")
    await all_show(tabs, ["meanwhile"])
    assert await tabs.leading() is not leader
    assert len(fake.readers) == 1


async def test_a_follower_that_slept_knows_that_it_was_not_the_leader_who_did(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 3)
    leader = await tabs.leading()
    wakings = [await hanging(page, fake) for page in tabs.besides(leader)]
    await asyncio.sleep(3)
    await fake.notify("meanwhile")
    await asyncio.gather(*[wakes() for wakes in wakings])
    await all_show(tabs, ["meanwhile"])
    assert await tabs.leading() is leader
    assert len(fake.hellos) == 1


async def test_what_a_follower_marked_survives_the_leader(fake: FakeHub, page_at: Pages) -> None:
    fake.write("one")
    tabs = await tabs_at(page_at, fake.address, 3)
    fake.answers_marks = False
    leader = await tabs.leading()
    follower = tabs.besides(leader)[0]
    await follower.locator(TOLD).click()
    await follower.locator("hub-bell .act").first.click()
    await eventually(lambda: any(frame["t"] == "read" for frame in fake.heard))
    fake.answers_marks = True
    assert fake.unread == 1
    await tabs.close(leader)
    await eventually(lambda: fake.unread == 0)
    for page in tabs.pages:
        await expect(page.locator(BADGE)).to_be_hidden()


async def test_a_refusal_reaches_the_tab_that_asked(fake: FakeHub, page_at: Pages) -> None:
    fake.write("one")
    fake.refuses_marks = "It is not yours."
    tabs = await tabs_at(page_at, fake.address, 3)
    follower = tabs.besides(await tabs.leading())[0]
    await follower.locator(TOLD).click()
    await follower.locator("hub-bell .act").first.click()
    await expect(follower.locator("hub-bell .done > span")).to_have_text("That did not work: It is not yours.")


async def test_a_page_that_is_put_away_hands_over_and_comes_back_as_a_follower(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 2)
    leader = await tabs.leading()
    (other,) = tabs.besides(leader)
    await leader.goto(f"{fake.address}/there")
    await fake.notify("meanwhile")
    await expect(other.locator(BADGE)).to_have_text("1")
    await leader.go_back()
    await expect(leader.locator(BADGE)).to_have_text("1")
    assert await tabs.leading() is other
    assert len(fake.readers) == 1


# --- hidden tabs --------------------------------------------------------------------------------------

# Browsers slow the timers of a hidden page down to one a minute: here they never ring.
NO_TIMERS = (
    WATCHED
    + """
    globalThis.setTimeout = (run, ms) => (look === "hidden" ? 0 : later(() => look !== "hidden" && run(), ms));
"""
)


async def test_hidden_tabs_return_from_a_cut_and_replace_their_leader(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 3, NO_TIMERS)
    await tabs.each("seen('hidden')")
    await fake.cut()
    await eventually(lambda: len(fake.readers) == 1)
    leader = await tabs.leading()
    thaw = await hanging(leader, fake)
    await fake.notify("meanwhile")
    others = Tabs(tabs.context, tabs.besides(leader))
    await all_show(others, ["meanwhile"])
    await thaw()
    await all_show(tabs, ["meanwhile"])
    await asyncio.sleep(0.5)
    told = [title for toasts in await tabs.each("toasts") for title in toasts]
    assert told == ["meanwhile"]


@pytest.mark.parametrize(
    ("looks", "tellers"),
    [
        (["focused"] * TEN, range(TEN)),
        (["hidden"] * TEN, None),
        (["hidden"] * 7 + ["visible"] + ["hidden"] * 2, [7]),
        (["visible"] * 5 + ["focused"] + ["visible"] * 4, [5]),
    ],
    ids=["all-focused", "all-hidden", "one-visible", "one-focused"],
)
async def test_one_sound_and_one_toast_over_all_tabs(
    fake: FakeHub, page_at: Pages, looks: list[str], tellers: Sequence[int] | None
) -> None:
    tabs = await tabs_at(page_at, fake.address, TEN)
    for page, look in zip(tabs.pages, looks, strict=True):
        await page.evaluate("seen", look)
    expected: list[set[Page]] = []
    tones_so_far = 0

    async def rang() -> bool:
        return bool(sum(await tabs.each("tones")) >= tones_so_far)

    for number in range(3):
        # On a machine so busy that another takes over meanwhile, it may be either.
        leading = await tabs.leading()
        await fake.notify(f"note {number}")
        tones_so_far += 2
        # However late it came: what comes sooner after a sound has none.
        await eventually(rang)
        expected.append({leading, await tabs.leading()} if tellers is None else {tabs.pages[at] for at in tellers})
        await asyncio.sleep(1.6)
    toasts, tones = await tabs.each("toasts"), await tabs.each("tones")
    assert sorted(title for told in toasts for title in told) == ["note 0", "note 1", "note 2"]
    assert sum(tones) == 3 * 2
    assert [bool(told) for told in toasts] == [bool(rung) for rung in tones]
    told_by = {title: page for page, titles in zip(tabs.pages, toasts, strict=True) for title in titles}
    assert all(told_by[f"note {number}"] in pages for number, pages in enumerate(expected))


async def test_what_was_told_is_not_told_again_by_the_next_leader(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 3)
    told_by_the_first: list[str] = []

    async def told() -> list[str]:
        return sorted([*told_by_the_first, *(title for toasts in await tabs.each("toasts") for title in toasts)])

    async def are_told(so_many: int) -> bool:
        return len(await told()) >= so_many

    for number in range(4):
        await fake.notify(f"note {number}")
        await eventually(partial(are_told, number + 1))
        if number == 1:
            leader = await tabs.leading()
            told_by_the_first = await leader.evaluate("toasts")
            await tabs.close(leader)
            await tabs.leading()
            await eventually(lambda: len(fake.readers) == 1)
    assert await told() == [f"note {number}" for number in range(4)]


# --- other people, other browsers -----------------------------------------------------------------------


async def test_the_end_of_the_session_ends_every_tab(fake: FakeHub, page_at: Pages) -> None:
    tabs = await tabs_at(page_at, fake.address, 4)
    await fake.cut(4150)
    for page in tabs.pages:
        await page.wait_for_url("**/sign-in**", timeout=2000)
    assert fake.readers == []


async def test_where_somebody_else_signs_in_the_pages_of_who_was_there_leave(
    hub: RunningHub, clinic: Clinic, page_at: Pages
) -> None:
    page = await page_at()
    await sign_in(page, hub, clinic.omar, "/console/account")
    await tell(hub.house, clinic, clinic.omar, title="For Omar alone")
    await expect(page.locator(BADGE)).to_have_text("1")
    other = await page.context.new_page()
    await page.context.clear_cookies()
    await sign_in(other, hub, clinic.desk, "/console/account")
    await page.wait_for_url("**/console/**")
    for each in (page, other):
        await expect(each.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
        assert await each.evaluate("document.body.dataset.user") == str(clinic.desk.id)
        assert await titles(each) == []
    connections = hub.house.switchboard.connections_of
    await eventually(lambda: (connections(clinic.omar.id), connections(clinic.desk.id)) == (0, 1))


@pytest.mark.parametrize("missing", ["navigator.locks", "BroadcastChannel"])
async def test_where_tabs_cannot_agree_each_is_on_its_own(fake: FakeHub, page_at: Pages, missing: str) -> None:
    without = {
        "navigator.locks": "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });",
        "BroadcastChannel": "delete globalThis.BroadcastChannel;",
    }
    tabs = await tabs_at(page_at, fake.address, 2, WATCHED + without[missing])
    await fake.notify("one")
    await all_show(tabs, ["one"])
    assert len(fake.readers) == 2
    assert await tabs.each("toasts") == [["one"], ["one"]]
    await tabs.pages[0].locator(TOLD).click()
    await tabs.pages[0].locator("hub-bell .act").first.click()
    for page in tabs.pages:
        await expect(page.locator(BADGE)).to_be_hidden()
