"""The browser's side of hub.v1 in a real browser: nothing lost, nothing twice, and honest about the connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser import Pages, serious_issues
from tests.web.fake_hub import FakeHub, Frame, serving
from tests.web.live_pages import asked, clockwork, connected, eventually, losing, opened

pytest_plugins = ["tests.browser"]

JS = Path(__file__).parents[2] / "web" / "js"
BELL = "hub-bell .bell"
BADGE = "hub-bell .badge"
PANEL = "hub-bell .panel"
TITLES = "hub-bell .row .title"
ARRIVAL: Frame = {
    "kind": "patient_arrived",
    "priority": "high",
    "facts": {
        "patient": "Sara Doe",
        "number": "2026-000123",
        "starts_at": "2026-11-21T06:30:00+00:00",
        "time": "09:30",
        "clearance": "pending",
        "consent": "missing",
    },
}


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with serving(FakeHub()) as hub:
        yield hub


async def titles(page: Page) -> list[str]:
    return await page.locator(TITLES).all_inner_texts()


# --- frames: a real socket --------------------------------------------------------------------------


async def test_bell_rings_without_a_reload(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    await expect(page.locator(BADGE)).to_be_hidden()
    await hub.notify("Sara Doe has arrived", **ARRIVAL)
    await expect(page.locator(BADGE)).to_have_text("1")
    await expect(page).to_have_title("(1) Arrivals")
    await expect(page.locator(BELL)).to_have_attribute("aria-label", "Notifications, 1 unread")


async def test_a_lost_event_is_asked_for_and_none_is_shown_out_of_order(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    await hub.notify("one")
    hub.fault = losing(2)
    for title in ("two", "three", "four"):
        await hub.notify(title)
    await expect(page.locator(BADGE)).to_have_text("4")
    assert asked(hub, "fill") == [{"t": "fill", "from": 1}]
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_text(["four", "three", "two", "one"])


async def test_events_that_overtake_each_other_are_put_in_order(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    hub.answers_fills = False
    held: list[Frame] = []

    def late(frame: Frame) -> list[Frame]:
        if frame["t"] == "ev" and frame["seq"] == 1:
            held.append(frame)
            return []
        return [frame]

    hub.fault = late
    await hub.notify("one")
    await hub.notify("two")
    await hub.broadcast(held[0])
    hub.fault = lambda frame: [frame]
    await hub.broadcast(held[0])
    await expect(page.locator(BADGE)).to_have_text("2")
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_text(["two", "one"])


async def test_an_event_that_comes_twice_counts_once(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    hub.fault = lambda frame: [frame, frame]
    await hub.notify("one")
    await hub.notify("two")
    await expect(page.locator(BADGE)).to_have_text("2")
    await expect(page.locator(".toast")).to_have_count(2)
    assert asked(hub, "fill") == []


async def test_a_heartbeat_shows_a_lost_tail(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    hub.fault = losing(1)
    await hub.notify("the very last one")
    hub.fault = lambda frame: [frame]
    await hub.beat()
    await expect(page.locator(BADGE)).to_have_text("1")
    assert asked(hub, "fill") == [{"t": "fill", "from": 0}]
    assert asked(hub, "pong") == [{"t": "pong", "n": 1}]


async def test_resync_brings_what_the_server_dropped(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    hub.fault = losing(1, 2)
    await hub.notify("one")
    await hub.notify("two")
    await hub.broadcast({"t": "resync"})
    await expect(page.locator(BADGE)).to_have_text("2")


async def test_after_a_cut_exactly_the_missed_ones_come(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    await hub.notify("one")
    await expect(page.locator(BADGE)).to_have_text("1")
    await hub.cut()
    for title in ("two", "three"):
        await hub.notify(title)
    await expect(page.locator(BADGE)).to_have_text("3")
    assert hub.hellos[-1]["cursor"] == {"epoch": "e1", "seq": 1}
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_text(["three", "two", "one"])


async def test_a_foreign_epoch_replaces_everything(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    await hub.notify("of the old world")
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_text(["of the old world"])
    hub.epoch, hub.seq, hub.rows = "e2", 0, {}
    hub.write("of the new world")
    await hub.cut()
    await expect(page.locator(TITLES)).to_have_text(["of the new world"])
    await expect(page.locator(BADGE)).to_have_text("1")


async def test_read_all_of_another_device_reaches_rows_that_come_late_over_http(hub: FakeHub, page_at: Pages) -> None:
    for n in range(3):
        hub.write(f"old {n}")
    page = await opened(hub, page_at)
    await page.reload()
    await connected(page)

    async def late(route: Route) -> None:
        answer = await route.fetch()
        await hub.read_all(3)
        await asyncio.sleep(0.2)
        await route.fulfill(response=answer)

    await page.route("**/api/v1/notifications?*", late)
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_count(3)
    await expect(page.locator("hub-bell .row[data-unread]")).to_have_count(0)


async def test_the_cursor_outlives_the_page_and_no_word_of_a_notification_does(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    await hub.notify("Sara Doe has arrived", **ARRIVAL)
    await expect(page.locator(BADGE)).to_have_text("1")
    await page.reload()
    await connected(page)
    assert [hello["cursor"] for hello in hub.hellos] == [None, {"epoch": "e1", "seq": 1}]
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "hub:cursor:u1" in kept
    assert "Sara" not in kept
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_text(["Sara Doe has arrived"])
    assert hub.lists == 1


async def test_what_came_between_two_pages_is_new_on_the_second(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    await hub.notify("before")
    await expect(page.locator(".toast")).to_have_count(1)
    await page.goto(f"{hub.address}/there")
    hub.write("between")
    await page.goto(f"{hub.address}/")
    await expect(page.locator(".toast")).to_have_text(["between"])


async def test_a_read_mark_shows_on_every_device(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    desk, phone = await opened(hub, page_at), await opened(hub, page_at, width=390)
    await desk.locator(BELL).click()
    await desk.locator("hub-bell .act").first.click()
    for page in (desk, phone):
        await expect(page.locator(BADGE)).to_be_hidden()
    assert hub.unread == 0


async def test_marks_without_an_answer_are_made_again_after_a_cut(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    page = await opened(hub, page_at)
    hub.answers_marks = False
    await page.locator(BELL).click()
    await page.locator("hub-bell .act").first.click()
    await expect(page.locator(BADGE)).to_be_hidden()
    await eventually(lambda: len(asked(hub, "read")) == 1)
    hub.answers_marks = True
    await hub.cut()
    await eventually(lambda: hub.unread == 0)
    first, second = asked(hub, "read")
    assert first == second


async def test_a_refused_mark_is_taken_back_and_explained(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    hub.refuses_marks = "It is not yours."
    page = await opened(hub, page_at)
    await page.locator(BELL).click()
    await page.locator("hub-bell .act").first.click()
    await expect(page.locator("hub-bell .done > span")).to_have_text("That did not work: It is not yours.")
    await expect(page.locator(BADGE)).to_have_text("1")
    await expect(page.locator("hub-bell .row[data-unread]")).to_have_count(1)


# --- honest -----------------------------------------------------------------------------------------


async def test_offline_is_said_at_once_and_a_stale_number_is_marked(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    page = await opened(hub, page_at)
    hub.down = True
    await hub.cut()
    mark = page.locator("[data-live-mark]")
    await expect(mark).to_have_attribute("data-state", "offline")
    await expect(mark).to_have_text(re.compile(r"^Offline since \d\d:\d\d$"))
    await expect(page.locator(BELL)).to_have_attribute("data-status", "offline")
    await expect(page.locator(BELL)).to_have_attribute(
        "aria-label", re.compile(r"Notifications, 1 unread\. Offline since")
    )
    await expect(page.locator("hub-bell .mark")).to_be_visible()
    await expect(page).to_have_title("(1?) Arrivals")
    hub.write("two")
    hub.down = False
    await connected(page)
    await expect(page.locator(BADGE)).to_have_text("2")
    await expect(page.locator("hub-bell .mark")).to_be_hidden()


async def test_a_page_that_cannot_connect_shows_its_own_number_as_old(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    for n in range(3):
        hub.write(f"note {n}")
    hub.down = True
    await page.reload()
    await expect(page.locator(BADGE)).to_have_text("3")
    await expect(page.locator(BELL)).to_have_attribute("data-status", "offline")


async def test_catching_up_is_shown_while_something_is_known_to_be_missing(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    hub.answers_fills = False
    hub.fault = losing(1)
    await hub.notify("one")
    await hub.notify("two")
    await expect(page.locator(BELL)).to_have_attribute("data-status", "catching-up")
    await expect(page.locator("hub-bell .status")).to_have_text("Catching up")
    hub.answers_fills = True
    await expect(page.locator(BELL)).not_to_have_attribute("data-status", "catching-up", timeout=8_000)
    assert asked(hub, "fill") == [{"t": "fill", "from": 0}] * 2
    await expect(page.locator(BADGE)).to_have_text("2")


async def test_a_list_that_cannot_be_loaded_says_so(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    page = await opened(hub, page_at)
    await page.reload()
    await connected(page)
    hub.down = True
    await page.locator(BELL).click()
    await expect(page.locator(PANEL)).to_contain_text("The list could not be loaded.")
    hub.down = False
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(TITLES)).to_have_text(["one"])


async def test_a_session_that_ended_leads_to_the_door(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at, "day=2026-11-21")
    hub.welcome_code = 4151
    await hub.cut()
    await page.wait_for_url("**/sign-in?next=%2F%3Fday%3D2026-11-21")


# --- time: a clock of our own -----------------------------------------------------------------------


async def test_returns_are_spread_by_full_jitter(hub: FakeHub, page_at: Pages) -> None:
    waits = await clockwork(
        hub,
        page_at,
        """
        const waits = {};
        for (const random of [0, 0.5, 0.999]) {
            const world = await clockwork({ random });
            world.join();
            waits[random] = [];
            for (let turn = 0; turn < 6; turn += 1) {
                await world.fail();
                waits[random].push(await world.back());
            }
        }
        return Object.values(waits);
        """,
    )
    assert waits[0] == [0] * 6
    assert waits[1] == [2_500, 5_000, 10_000, 15_000, 15_000, 15_000]
    assert waits[2] == pytest.approx([4_995, 9_990, 19_980, 29_970, 29_970, 29_970])


SPREAD = [0, 5_000]
HARDER = [15_000, 30_000]
NEVER = [None, None]
CODES = {
    **dict.fromkeys((1001, 1005, 1006, 1012, 1013, 4200, 4201), (None, SPREAD)),
    **dict.fromkeys((4100, 4101, 4102, 4103, 4104), (None, HARDER)),
    **dict.fromkeys((4000, 4001, 4002, 4003), ("stopped", NEVER)),
    **dict.fromkeys((4150, 4151, 4152), ("signed-out", NEVER)),
}


async def test_close_codes_say_whether_and_when_to_return(hub: FakeHub, page_at: Pages) -> None:
    returns = await clockwork(
        hub,
        page_at,
        f"""
        const returns = [];
        for (const code of {list(CODES)}) {{
            const waits = [];
            for (const random of [0, 1]) {{
                const world = await clockwork({{ random }});
                world.join();
                world.socket.end(code);
                waits.push(await world.back());
                const told = world.events.find((event) => event.code === code)?.type ?? null;
                returns[code] = [told, waits, world.events.at(-1).state ?? world.live.status.state];
            }}
        }}
        return {{ ...returns }};
        """,
    )
    assert returns == {str(code): [event, waits, "offline"] for code, (event, waits) in CODES.items()}


async def test_an_expired_token_is_renewed_once_without_bothering_anybody(hub: FakeHub, page_at: Pages) -> None:
    tokens, events = await clockwork(
        hub,
        page_at,
        """
        let made = 0;
        const world = await clockwork({ token: async () => `token ${made += 1}` });
        world.join();
        world.socket.end(4152);
        await world.clock.pass(10_000);
        world.socket.open();
        world.socket.end(4152);
        await world.clock.pass(60_000);
        return [world.sockets.map(({ sent }) => sent[0]?.token), world.events.filter(({ code }) => code)];
        """,
    )
    assert tokens == ["token 1", "token 2"]
    assert events == [{"type": "signed-out", "code": 4152}]


async def test_silence_and_sleep_are_noticed(hub: FakeHub, page_at: Pages) -> None:
    result = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        world.join();
        await world.clock.pass(20_000);
        world.socket.say({ t: "hb", n: 1, head: 0, unread: 0, topics: {} });
        await world.clock.pass(34_000);
        const quiet = world.sockets.length;
        const said = world.events.length;
        await world.clock.pass(1_500);
        const since = world.clock.time - world.live.status.since;
        const [, closed] = [world.events.length - said, world.sockets[0].closed];
        await world.clock.pass(5_000);
        world.join();
        // the machine sleeps an hour; the first timer afterwards finds a dead connection
        world.clock.sleep(3_600_000);
        const woke = world.clock.time;
        await world.clock.pass(2_500);
        const again = world.socket.at - woke;
        world.join();
        // a short absence: asked at once, three seconds to answer
        await world.clock.pass(10_000);
        world.live.wake();
        const asked = world.socket.sent.at(-1);
        const probed = world.clock.time;
        await world.clock.pass(6_000);
        return { quiet, closed, since, again, asked, slow: world.socket.at - probed };
        """,
    )
    assert result["quiet"] == 1
    assert result["closed"] == 1000
    assert 35_000 <= result["since"] <= 36_000
    assert result["again"] <= 2_000
    assert result["asked"] == {"t": "fill", "from": 0}
    assert result["slow"] == 4_000


async def test_a_waiting_client_returns_soon_when_the_network_does(hub: FakeHub, page_at: Pages) -> None:
    wait = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork({ random: 0.9 });
        world.join();
        world.socket.end(4100);
        await world.clock.pass(1_000);
        const online = world.clock.time;
        world.live.wake(true);
        await world.clock.pass(30_000);
        return world.sockets[1].at - online;
        """,
    )
    assert wait == 1_800


async def test_marks_are_joined_and_kept_below_the_limit_of_the_server(hub: FakeHub, page_at: Pages) -> None:
    sent, per_second, done = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        world.join();
        let done = 0;
        const marks = [...Array(60).keys()].map((n) => world.live.read([`n${n}`]).then(() => (done += 1)));
        world.live.archive(["n1"]);
        world.live.read(["n60"]);
        await world.clock.pass(1_000);
        const frames = world.socket.sent.filter(({ nonce }) => nonce);
        frames.forEach(({ nonce }) => world.socket.say({ t: "ok", nonce }));
        await Promise.all(marks);
        return [frames.map(({ t, ids }) => [t, ids.length]), frames.length, done];
        """,
    )
    assert sent == [["read", 1], ["read", 59], ["archive", 1], ["read", 1]]
    assert per_second <= 10
    assert done == 60


async def test_topics_are_watched_again_and_only_newer_versions_are_told(hub: FakeHub, page_at: Pages) -> None:
    watched, told = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        world.live.watch("arrivals", 7);
        world.join();
        for (const ver of [7, 8, 8, 6]) world.socket.say({ t: "state", topic: "arrivals", ver });
        world.socket.say({ t: "hb", n: 1, head: 0, unread: 0, topics: { arrivals: 9, others: 3 } });
        world.socket.end(1006);
        await world.clock.pass(6_000);
        world.join();
        world.socket.say({ t: "state", topic: "arrivals", ver: 9 }, { t: "state", topic: "arrivals", ver: 12 });
        const watched = world.sockets.map(({ sent }) => sent.filter(({ t }) => t === "watch").length);
        return [watched, world.events.filter(({ type }) => type === "state").map(({ ver }) => ver)];
        """,
    )
    assert watched == [1, 1]
    assert told == [8, 9, 12]


async def test_the_cursor_is_kept_only_over_what_is_complete(hub: FakeHub, page_at: Pages) -> None:
    asked_, saved, states = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        world.join(3);
        const ev = (seq) => ({ t: "ev", seq, prev: seq - 1, unread: 0, items: [] });
        world.socket.say(ev(4), ev(6), ev(7));
        await world.clock.pass(5_100);
        world.socket.say({ t: "fill", from: 4, to: 6, unread: 0, items: [] });
        const asked = world.socket.sent.filter(({ t }) => t === "fill").map(({ from }) => from);
        return [asked, world.saved.map(({ seq }) => seq), world.events.map(({ state }) => state)];
        """,
    )
    assert asked_ == [4, 4]
    assert saved == [3, 4, 7]
    assert states == ["live", "catching-up", "live"]


# --- the model ---------------------------------------------------------------------------------------


async def test_random_sequences_agree_with_the_model(hub: FakeHub, page_at: Pages) -> None:
    page = await page_at()
    await page.goto(f"{hub.address}/there")
    run = "async ([first, count, steps]) => (await import('/tests/model.js')).trials(first, count, steps)"
    for first in range(0, 4_000, 1_000):
        result = await page.evaluate(run, [first, 1_000, 150])
        assert result["failure"] is None
        assert all(times > 1_000 for times in result["tried"].values()), result["tried"]


# --- the bell ----------------------------------------------------------------------------------------


async def focused(page: Page) -> str:
    """The text or name of what has the focus, inside the bell too."""
    return str(
        await page.evaluate(
            """() => {
            let at = document.activeElement;
            while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
            return at?.querySelector?.(".title")?.textContent ?? at?.getAttribute("aria-label") ?? at?.id;
        }"""
        )
    )


async def test_by_keyboard_alone(hub: FakeHub, page_at: Pages) -> None:
    for n in range(4):
        hub.write(f"note {n}", ago=timedelta(minutes=10 - n))
    page = await opened(hub, page_at)
    await page.locator(BELL).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(BELL)).to_have_attribute("aria-expanded", "true")
    assert hub.unread == 4, "opening marks nothing"
    await page.keyboard.press("j")
    assert await focused(page) == "note 3"
    await page.keyboard.press("ArrowDown")
    assert await focused(page) == "note 2"
    await page.keyboard.press("Shift+I")
    await expect(page.locator(BADGE)).to_have_text("3")
    assert await focused(page) == "note 2", "a row that is read stays where it is"
    await page.keyboard.press("Shift+U")
    await expect(page.locator(BADGE)).to_have_text("4")
    await page.keyboard.press("e")
    await expect(page.locator(TITLES)).to_have_text(["note 3", "note 1", "note 0"])
    assert await focused(page) == "note 1"
    await eventually(lambda: hub.rows[f"00000000-0000-0000-0000-{3:012}"]["archived_at"] is not None)
    await page.keyboard.press("z")
    await expect(page.locator(TITLES)).to_have_text(["note 3", "note 2", "note 1", "note 0"])
    assert await focused(page) == "note 2", "the row that came back has the focus"
    await page.keyboard.press("k")
    await page.keyboard.press("k")
    assert "Notifications" in await focused(page)
    await page.keyboard.press("?")
    await expect(page.locator("hub-bell .keys")).to_be_visible()
    await page.keyboard.press("j")
    await page.keyboard.press("Escape")
    await expect(page.locator(PANEL)).to_be_hidden()
    assert (await focused(page)).startswith("Notifications")
    await page.keyboard.press("Enter")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/there")
    await eventually(lambda: hub.unread == 3)


async def test_what_is_taken_back_at_once_keeps_its_place_when_the_answer_comes_after(
    hub: FakeHub, page_at: Pages
) -> None:
    page = await page_at()
    await page.goto(f"{hub.address}/there")
    seen = await page.evaluate("""async () => {
        const { Wishes } = await import("/assets/js/wishes.js");
        const wishes = new Wishes();
        const row = { id: "a", seq: 1, read_at: null, archived_at: null };
        wishes.add("archive", [row], 0);
        wishes.add("unread", [row], 0);
        const archived = { ...row, seq: 2, read_at: "x", archived_at: "x" };
        const steps = [row, archived, { ...row, seq: 3 }, { ...row, seq: 4, read_at: "x" }];
        return steps.map((step) => [wishes.over(step).archived_at, wishes.over(step).read_at]);
    }""")
    assert seen == [[None, None], [None, None], [None, None], [None, "x"]]


async def test_single_keys_can_be_switched_off(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    page = await opened(hub, page_at, "shortcuts=off")
    await page.locator(BELL).click()
    await page.keyboard.press("ArrowDown")
    for key in ("e", "Shift+I", "?"):
        await page.keyboard.press(key)
    await expect(page.locator(BADGE)).to_have_text("1")
    await expect(page.locator("hub-bell .keys")).to_be_hidden()
    await page.keyboard.press("Escape")
    await expect(page.locator(PANEL)).to_be_hidden()


async def test_a_click_reads_that_one_even_as_the_page_goes(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    two = hub.write("two")
    page = await opened(hub, page_at)
    hub.answers_marks = False
    await page.locator(BELL).click()
    await page.locator(TITLES).first.click()
    await page.wait_for_url("**/there")
    await eventually(lambda: hub.unread == 1)
    assert hub.posts == [("/api/v1/notifications/read", {"ids": [two["id"]]})]


async def test_mark_all_read_can_be_undone_also_for_rows_not_on_screen(hub: FakeHub, page_at: Pages) -> None:
    for n in range(70):
        hub.write(f"note {n}")
    page = await opened(hub, page_at)
    await expect(page.locator(BADGE)).to_have_text("70")
    await page.locator(BELL).click()
    await page.get_by_role("button", name="Mark all read").click()
    await expect(page.locator("hub-bell .done")).to_contain_text("70 marked read")
    assert [frame["upto"] for frame in asked(hub, "read_all")] == [70]
    await eventually(lambda: hub.unread == 0)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator(BADGE)).to_have_text("70")
    await eventually(lambda: hub.unread == 70)


async def test_mark_all_read_leaves_what_is_not_shown_yet(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    hub.write("two")
    page = await opened(hub, page_at)
    await page.locator(BELL).click()
    await hub.notify("three")
    await page.keyboard.press("j")
    await page.keyboard.press("Shift+I")
    await page.keyboard.press("Shift+U")
    await eventually(lambda: hub.seq == 5)
    await page.get_by_role("button", name="Mark all read").click()
    await expect(page.locator("hub-bell .row[data-unread]")).to_have_count(0)
    await eventually(lambda: [row["title"] for row in hub.rows.values() if not row["read_at"]] == ["three"])
    await page.get_by_role("button", name="Show 1 new").click()
    await expect(page.locator("hub-bell .row[data-unread] .title")).to_have_text(["three"])


@pytest.mark.parametrize("before", ["unread", "read"])
async def test_mark_all_read_also_reads_what_was_made_unread_a_moment_ago(
    hub: FakeHub, page_at: Pages, before: str
) -> None:
    hub.write("one", read=before == "read")
    hub.write("two", read=before == "read")
    page = await opened(hub, page_at)
    hub.fault = losing(3, 4)
    await page.locator(BELL).click()
    await page.keyboard.press("j")
    if before == "unread":
        await page.keyboard.press("Shift+I")
    await page.keyboard.press("Shift+U")
    await eventually(lambda: len(asked(hub, "unread")) == 1)
    await page.get_by_role("button", name="Mark all read").click()
    await eventually(lambda: len(asked(hub, "read_all")) == 1)
    await eventually(lambda: hub.unread == 0)
    await expect(page.locator(BADGE)).to_be_hidden()
    await expect(page.locator("hub-bell .row[data-unread]")).to_have_count(0)


async def test_the_badge_stops_at_99_and_the_true_number_is_spoken(hub: FakeHub, page_at: Pages) -> None:
    for n in range(120):
        hub.write(f"note {n}")
    page = await opened(hub, page_at)
    await expect(page.locator(BADGE)).to_have_text("99+")
    await expect(page.locator(BELL)).to_have_attribute("aria-label", "Notifications, 120 unread")
    await expect(page).to_have_title("(99+) Arrivals")


async def test_new_ones_wait_above_an_open_list(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    page = await opened(hub, page_at)
    await page.locator(BELL).click()
    for title in ("two", "three"):
        await hub.notify(title)
    pill = page.get_by_role("button", name="Show 2 new")
    await expect(pill).to_be_visible()
    assert await titles(page) == ["one"]
    await expect(page.locator(BADGE)).to_have_text("3")
    await pill.click()
    await expect(page.locator(TITLES)).to_have_text(["three", "two", "one"])
    await expect(page.locator(".toast")).to_have_count(0)


async def test_unread_ones_stand_first_even_when_they_are_old(hub: FakeHub, page_at: Pages) -> None:
    hub.write("old and unread", ago=timedelta(days=3))
    for n in range(40):
        hub.write(f"read {n}", read=True)
    page = await opened(hub, page_at)
    await page.reload()
    await connected(page)
    await page.locator(BELL).click()
    await expect(page.locator(TITLES).first).to_have_text("old and unread")


async def test_announcements_are_gathered_and_only_critical_ones_interrupt(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    await page.evaluate("""() => {
        globalThis.said = [];
        const alert = document.querySelector("hub-bell").shadowRoot.querySelector("[role=alert]");
        for (const region of [document.querySelector("[data-announce]"), alert]) {
            const role = region.getAttribute("role");
            const heard = () => region.textContent && said.push([role, region.textContent, Date.now()]);
            new MutationObserver(heard).observe(region, { childList: true });
        }
    }""")
    await hub.notify("Sara Doe has arrived")
    await eventually(lambda: said(page, 1))
    for n in range(5):
        await hub.notify(f"note {n}")
        await asyncio.sleep(0.1)
    await hub.notify("Oxygen alarm", priority="critical", level="error")
    await eventually(lambda: said(page, 3))
    first, second, third = await page.evaluate("said")
    assert first[:2] == ["status", "New notification: Sara Doe has arrived"]
    assert second[:2] == ["alert", "Critical: Oxygen alarm"]
    assert third[:2] == ["status", "5 new notifications"]
    assert third[2] - first[2] >= 2_900


async def said(page: Page, n: int) -> bool:
    return bool(await page.evaluate("said.length") >= n)


async def test_an_arrival_shows_time_clearance_and_consent_as_icon_and_word(hub: FakeHub, page_at: Pages) -> None:
    hub.write("Sara Doe has arrived", body="Pending, missing", **ARRIVAL)
    page = await opened(hub, page_at)
    await page.locator(BELL).click()
    row = page.locator("hub-bell .row")
    await expect(row).to_contain_text("Info · Appointment at 09:30 · 2026-000123")
    chips = row.locator(".chip")
    await expect(chips).to_have_text(["Clearance pending", "Consent missing"])
    await expect(chips.locator("svg")).to_have_count(2)
    await expect(row.locator("a")).to_have_attribute("href", f"{hub.address}/there")
    assert "Pending, missing" not in await row.inner_text()


async def test_toasts_are_few_and_wait_for_the_pointer(hub: FakeHub, page_at: Pages) -> None:
    page = await page_at()
    await page.clock.install()
    await page.goto(hub.address)
    await connected(page)
    for n in range(5):
        await hub.notify(f"note {n}")
    toasts = page.locator(".toast")
    await expect(toasts.last).to_contain_text("note 4")
    await expect(toasts).to_have_count(3)
    await toasts.last.hover()
    await page.clock.run_for(10_000)
    await expect(toasts).to_have_count(1)
    await page.mouse.move(5, 5)
    await page.clock.run_for(10_000)
    await expect(toasts).to_have_count(0)
    assert await page.evaluate("document.activeElement.tagName") == "BODY"


async def test_sound_is_off_until_asked_for(hub: FakeHub, page_at: Pages) -> None:
    page = await page_at()
    await page.add_init_script("""
        globalThis.tones = 0;
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...when) { tones += 1; return start.apply(this, when); };
    """)
    await page.goto(hub.address)
    await connected(page)
    await hub.notify("quiet")
    await page.locator(BELL).click()
    await expect(page.get_by_role("button", name="Test")).to_be_hidden()
    assert await page.evaluate("tones") == 0
    await page.get_by_role("button", name="Sound off").click()
    await expect(page.get_by_role("button", name="Sound on")).to_be_visible()
    assert await page.evaluate("tones") == 2
    await page.get_by_role("button", name="Test").click()
    assert await page.evaluate("tones") == 4
    await page.wait_for_timeout(1_600)
    await hub.notify("loud")

    async def rang() -> bool:
        return bool(await page.evaluate("tones === 6"))

    await eventually(rang)


# --- words, directions, screens ------------------------------------------------------------------------


async def test_arabic_has_six_forms(hub: FakeHub, page_at: Pages) -> None:
    page = await page_at("ar")
    await page.goto(f"{hub.address}/there")
    spoken = await page.evaluate("""async () => {
        const { Words } = await import("/assets/js/words.js");
        const words = new Words("ar");
        return [0, 1, 2, 3, 11, 100, 103].map((n) => words.count("fresh", n));
    }""")
    assert spoken == [
        "لا إشعارات جديدة",
        "إشعار جديد",
        "إشعاران جديدان",
        "3 إشعارات جديدة",
        "11 إشعارًا جديدًا",
        "100 إشعار جديد",
        "103 إشعارات جديدة",
    ]


async def test_both_languages_have_the_same_words_and_every_form(hub: FakeHub, page_at: Pages) -> None:
    page = await page_at()
    await page.goto(f"{hub.address}/there")
    missing = await page.evaluate("""async () => {
        const { LANGUAGES } = await import("/assets/js/words.js");
        const { en, ar } = LANGUAGES;
        const forms = ["zero", "one", "two", "few", "many", "other"];
        const all = Object.keys({ ...en.words, ...ar.words });
        const missing = all.filter((key) => !(key in ar.words) || !(key in en.words));
        for (const [key, word] of Object.entries(en.words)) {
            if (typeof word === "string" || !("other" in word)) continue;
            missing.push(...forms.filter((form) => !(form in ar.words[key])).map((form) => `${key}.${form}`));
        }
        return missing;
    }""")
    assert missing == []


async def test_arabic_opens_mirrored_and_in_its_own_words(hub: FakeHub, page_at: Pages) -> None:
    hub.write("وصل Peter Novak", **ARRIVAL)
    page = await opened(hub, page_at, "lang=ar", lang="ar")
    await expect(page.locator(BELL)).to_have_attribute("aria-label", "الإشعارات، إشعار واحد غير مقروء")
    await page.locator(BELL).click()
    await expect(page.locator("hub-bell .status")).to_have_text("مباشر")
    await expect(page.locator("hub-bell .chip").first).to_have_text("الوضع المالي قيد المراجعة")
    bell, panel = await page.locator(BELL).bounding_box(), await page.locator(PANEL).bounding_box()
    assert bell and panel
    assert abs(bell["x"] - panel["x"]) < 12, "its end lies at the end of the button"
    assert panel["x"] >= 0


async def test_keys_mean_the_same_on_an_arabic_keyboard(hub: FakeHub, page_at: Pages) -> None:
    hub.write("one")
    hub.write("two")
    page = await opened(hub, page_at, "lang=ar", lang="ar")
    await page.locator(BELL).click()
    press = """([key, code, shiftKey]) => {
        let at = document.activeElement;
        while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
        const how = { bubbles: true, composed: true, cancelable: true };
        at.dispatchEvent(new KeyboardEvent("keydown", { key, code, shiftKey, ...how }));
    }"""
    await page.evaluate(press, ["ت", "KeyJ", False])
    assert await focused(page) == "two"
    await page.evaluate(press, ["ث", "KeyE", False])
    await expect(page.locator(TITLES)).to_have_text(["one"])
    await page.evaluate(press, ["؟", "Slash", True])
    await expect(page.locator("hub-bell .keys")).to_be_visible()


async def test_on_a_phone_the_panel_is_a_sheet_to_the_edges(hub: FakeHub, page_at: Pages) -> None:
    for n in range(12):
        hub.write(
            f"note {n}", body="A longer text that has to be shortened somewhere on a narrow screen like this one."
        )
    page = await opened(hub, page_at, width=390, height=780, has_touch=True, is_mobile=True)
    await page.locator(BELL).tap()
    await page.wait_for_timeout(250)
    panel = await page.locator(PANEL).bounding_box()
    assert panel
    assert (panel["x"], panel["width"], panel["y"] + panel["height"]) == (0, 390, 780)
    act = await page.locator("hub-bell .act").first.bounding_box()
    assert act
    assert act["width"] >= 44
    assert act["height"] >= 44
    await page.locator("hub-bell .close").tap()
    await expect(page.locator(PANEL)).to_be_hidden()


@pytest.mark.parametrize("lang", ["en", "ar"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(hub: FakeHub, page_at: Pages, lang: Any, scheme: Any) -> None:
    hub.write("Read one", read=True, body="A body.")
    for level in ("info", "success", "warning", "error"):
        hub.write(f"About {level}", level=level, body="What happened, in a sentence.")
    for clearance, consent in (("cleared", "signed"), ("pending", "missing"), ("issue", "expired")):
        facts = {**ARRIVAL["facts"], "clearance": clearance, "consent": consent}
        hub.write("Sara Doe has arrived", **{**ARRIVAL, "facts": facts})
    page = await opened(hub, page_at, f"lang={lang}", lang=lang, scheme=scheme)
    assert await serious_issues(page) == []
    await page.locator(BELL).click()
    await page.keyboard.press("j")
    await page.keyboard.press("e")
    await page.keyboard.press("?")
    await page.wait_for_timeout(300)
    assert await serious_issues(page) == []
    hub.down = True
    await hub.cut()
    await expect(page.locator(BELL)).to_have_attribute("data-status", "offline")
    await page.wait_for_timeout(300)
    assert await serious_issues(page) == []


def test_styles_in_scripts_are_logical_and_nothing_is_inline() -> None:
    physical = re.compile(
        r"(margin|padding|border|(?<!area-)inset)-(left|right|top|bottom)|[^-]\b(left|right|top|bottom)\s*:\s*[^;{}]+;"
    )
    for path in JS.glob("*.js"):
        text = path.read_text()
        assert not physical.search(text if "style" in path.name else ""), path.name
        assert "innerHTML" not in text, path.name
        assert not re.search(r"setAttribute\(.style|\beval\(|new Function", text), path.name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name


# --- the board -----------------------------------------------------------------------------------------


@pytest.fixture
def desk(hub: FakeHub) -> FakeHub:
    """A hub with four people booked."""
    for n, patient in enumerate(("Sara Doe", "Omar Haddad", "أحمد الخالدي", "Peter Novak")):
        hub.arrivals[f"a{n}"] = {"patient": patient, "number": f"2026-00012{n}", "state": "booked"}
    return hub


def line(page: Page, n: int) -> Locator:
    return page.locator(f"#row-a{n}")


async def test_a_change_at_one_desk_shows_at_the_other(desk: FakeHub, page_at: Pages) -> None:
    one, two = await opened(desk, page_at), await opened(desk, page_at)
    await line(one, 0).get_by_role("button", name="Mark arrived").click()
    for page in (one, two):
        await expect(line(page, 0)).to_have_attribute("data-state", "arrived")
        await expect(line(page, 0)).to_contain_text("12 min")
    await expect(one.locator("[data-announce]")).to_have_text("Sara Doe: arrived")
    assert desk.posts == [("/board/a0/arrive", {"clearance": "cleared"})]


async def test_the_board_leaves_alone_what_somebody_is_using(desk: FakeHub, page_at: Pages) -> None:
    page = await opened(desk, page_at)
    await page.locator("[data-board-filter]").fill("a")
    select = line(page, 1).locator("select")
    await select.focus()
    await select.select_option("issue")
    await page.evaluate("document.querySelector('#row-a1 select').mine = true")
    for n in (0, 1):
        desk.arrivals[f"a{n}"].update(state="arrived", arrived_at=datetime.now(UTC).isoformat())
    await desk.board_moved()
    await expect(line(page, 0)).to_have_attribute("data-state", "arrived")
    await expect(line(page, 1)).to_have_attribute("data-state", "booked")
    assert await page.evaluate("document.activeElement.mine && document.activeElement.value") == "issue"
    assert await page.locator("[data-board-filter]").input_value() == "a"
    await line(page, 3).locator("select").focus()
    await expect(line(page, 1)).to_have_attribute("data-state", "arrived")


async def test_focus_stays_in_a_row_that_changes_under_it(desk: FakeHub, page_at: Pages) -> None:
    page = await opened(desk, page_at)
    await line(page, 0).get_by_role("button").focus()
    desk.arrivals["a0"].update(state="arrived", arrived_at=datetime.now(UTC).isoformat())
    await desk.board_moved()
    await expect(line(page, 0)).to_have_attribute("data-state", "arrived")
    assert await page.evaluate("document.activeElement.id") == "row-a0"


async def test_many_changes_are_one_or_two_requests(desk: FakeHub, page_at: Pages) -> None:
    page = await opened(desk, page_at)
    desk.board_delay = 0.3
    for n in range(10):
        desk.arrivals["a3"]["number"] = f"2026-{n:06}"
        await desk.board_moved()
    await expect(line(page, 3)).to_contain_text("2026-000009")
    assert desk.boards == 2


async def test_a_refused_arrival_is_explained_in_the_row(desk: FakeHub, page_at: Pages) -> None:
    desk.arrive_status = 409
    page = await opened(desk, page_at)
    button = line(page, 0).get_by_role("button")
    await button.click()
    await expect(line(page, 0).locator("[data-problem]")).to_have_text("Has already arrived.")
    await expect(button).to_be_enabled()


async def test_a_desk_without_network_says_so_and_tries_again(desk: FakeHub, page_at: Pages) -> None:
    page = await opened(desk, page_at)
    await page.route("**/board**", lambda route: route.abort())
    await line(page, 0).get_by_role("button").click()
    await expect(line(page, 0).locator("[data-problem]")).to_have_text("The server did not answer. Please try again.")
    await desk.board_moved()
    await expect(page.locator("[data-board-stale]")).to_contain_text("The board could not be updated. It is from")
    await page.unroute("**/board**")
    await expect(page.locator("[data-board-stale]")).to_have_count(0, timeout=15_000)


async def test_the_board_by_keyboard_and_its_search(desk: FakeHub, page_at: Pages) -> None:
    page = await opened(desk, page_at)
    await page.keyboard.press("/")
    await page.keyboard.type("احمد")
    await expect(page.locator("[data-row]:visible")).to_have_count(1)
    await expect(page.locator("[data-announce]")).to_have_text("1 found")
    await page.keyboard.press("Control+a")
    await page.keyboard.type("nobody at all")
    await expect(page.locator("[data-board-empty]")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.type("novak 0123")
    await expect(page.locator("[data-row]:visible")).to_have_count(1)
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "row-a3"
    await page.keyboard.press("a")
    await expect(line(page, 3)).to_have_attribute("data-state", "arrived")
    assert await page.evaluate("document.activeElement.id") == "row-a3"
    await page.keyboard.press("/")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    assert await page.evaluate("document.activeElement.id") == "row-a1"
    await page.keyboard.press("k")
    assert await page.evaluate("document.activeElement.id") == "row-a0"


# --- the page of all notifications --------------------------------------------------------------------


async def test_the_page_of_all_notifications_is_as_live_as_the_bell(hub: FakeHub, page_at: Pages) -> None:
    one, two = hub.write("one"), hub.write("two")
    page = await page_at()
    await page.goto(f"{hub.address}/history")
    await connected(page)
    await page.get_by_label("one").check()
    await hub.notify("three")
    count, notes = page.locator("[data-unread-count]"), page.locator("[data-note]")
    await expect(count).to_have_text("3 unread")
    show = page.get_by_role("button", name="Show 1 new")
    await expect(show).to_be_visible()
    await expect(notes).to_have_count(2)
    await hub.mark("read", [two["id"]])
    await expect(page.locator(f"#note-{two['id']}")).to_have_attribute("data-read", "True")
    await expect(count).to_have_text("2 unread")
    await expect(notes).to_have_count(2)
    await show.click()
    await expect(notes).to_have_text(["three", "two", "one"])
    await expect(show).to_be_hidden()
    assert await page.locator(f"#note-{one['id']} input").is_checked()


# --- the session and the frame of the page ----------------------------------------------------------------


async def test_an_idle_session_warns_and_one_press_keeps_it(hub: FakeHub, page_at: Pages) -> None:
    hub.idle_seconds = 62
    page = await opened(hub, page_at)
    dialog = page.locator("dialog[data-idle]")
    await expect(dialog).to_be_visible()
    await expect(page.locator("[data-idle-left]")).to_have_text(re.compile(r"^\d+ seconds?$"))
    assert hub.posts == []
    await page.get_by_role("button", name="Stay").click()
    await eventually(lambda: hub.posts == [("/session/touch", None)])
    await expect(dialog).to_be_hidden()


async def test_an_idle_session_ends_at_the_door_and_another_tab_can_keep_it(hub: FakeHub, page_at: Pages) -> None:
    hub.idle_seconds = 3
    page = await opened(hub, page_at, "day=today")
    await page.evaluate("localStorage.setItem('hub:signed-in-until', Date.now() + 6000)")
    await page.wait_for_timeout(3_500)
    await page.wait_for_url("**/sign-in?next=%2F%3Fday%3Dtoday")


async def test_activity_is_told_once_a_minute_at_most(hub: FakeHub, page_at: Pages) -> None:
    page = await page_at()
    await page.clock.install()
    await page.goto(hub.address)
    for _ in range(3):
        await page.clock.fast_forward(61_000)
        for x in range(5):
            await page.mouse.move(x, x)
        await page.wait_for_timeout(100)
    await eventually(lambda: len(hub.posts) == 3)


async def test_menus_close_when_one_looks_elsewhere(hub: FakeHub, page_at: Pages) -> None:
    page = await opened(hub, page_at)
    menu = page.locator("details[data-menu]")
    await menu.locator("summary").click()
    await page.keyboard.press("Escape")
    await expect(menu).not_to_have_attribute("open", "")
    await menu.locator("summary").click()
    await page.locator("h1").click()
    await expect(menu).not_to_have_attribute("open", "")
