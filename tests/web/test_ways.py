"""The ways round a blocked WebSocket: found within seconds, no burden to a hub in trouble, and no frame lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from playwright.async_api import Page, expect

from tests.browser import Pages
from tests.web.fake_hub import FakeHub, Frame, serving
from tests.web.live_pages import asked, clockwork, connected, eventually, opened

pytest_plugins = ["tests.browser"]

BELL = "hub-bell .bell"
BADGE = "hub-bell .badge"
TITLES = "hub-bell .row .title"


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with serving(FakeHub()) as hub:
        yield hub


async def with_first_data(hub: FakeHub, page_at: Pages) -> Page:
    """A page that has found its way; how soon is shown where the clock is ours."""
    hub.write("one")
    page = await page_at()
    await page.goto(hub.address)
    await connected(page)
    await expect(page.locator(BADGE)).to_have_text("1")
    return page


# --- a browser and a hub ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["refused", "hangs", "silent", "dies"])
async def test_where_sockets_are_blocked_a_stream_of_events_does(hub: FakeHub, page_at: Pages, how: str) -> None:
    hub.blocked = {"socket": how}
    page = await with_first_data(hub, page_at)
    await hub.notify("two")
    await expect(page.locator(BADGE)).to_have_text("2")
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_text(["two", "one"])
    await page.locator("hub-bell .act").first.click()
    await eventually(lambda: hub.unread == 1)
    assert hub.attempts[:2] == ["socket", "events"]
    assert asked(hub, "read")


@pytest.mark.parametrize("how", ["buffered", "missing", "page"])
async def test_where_streams_do_not_pass_either_requests_that_wait_do(hub: FakeHub, page_at: Pages, how: str) -> None:
    hub.blocked = {"socket": "refused", "events": how}
    page = await with_first_data(hub, page_at)
    assert hub.attempts[:3] == ["socket", "events", "poll"]
    for title in ("two", "three"):
        await hub.notify(title)
    await expect(page.locator(BADGE)).to_have_text("3")
    await page.locator(BELL).click()
    await expect(page.locator(TITLES)).to_have_text(["three", "two", "one"])
    await page.get_by_role("button", name="Mark all read").click()
    await eventually(lambda: hub.unread == 0)
    await expect(page.locator("hub-bell .row[data-unread]")).to_have_count(0)


@pytest.mark.parametrize("blocked", [{"socket": "refused"}, {"socket": "refused", "events": "missing"}])
async def test_the_board_is_watched_on_every_way(hub: FakeHub, page_at: Pages, blocked: dict[str, str]) -> None:
    hub.blocked = blocked
    hub.arrivals["a0"] = {"patient": "Sara Doe", "number": "2026-000123", "state": "booked"}
    page = await opened(hub, page_at)
    await page.get_by_role("button", name="Mark arrived").click()
    await expect(page.locator("#row-a0")).to_have_attribute("data-state", "arrived")
    hub.arrivals["a0"]["number"] = "2026-000456"
    await hub.board_moved()
    await expect(page.locator("#row-a0")).to_contain_text("2026-000456")


async def test_what_got_through_is_taken_first_on_the_next_page(hub: FakeHub, page_at: Pages) -> None:
    hub.blocked = {"socket": "hangs"}
    page = await with_first_data(hub, page_at)
    hub.attempts.clear()
    await page.reload()
    await connected(page)
    assert hub.attempts[0] == "events"
    assert hub.hellos[-1]["cursor"] == {"epoch": "e1", "seq": 1}


async def test_a_busy_hub_says_when_to_come_back_and_is_obeyed(hub: FakeHub, page_at: Pages) -> None:
    hub.retry_after = 2
    page = await page_at()
    await page.goto(hub.address)
    await eventually(lambda: len(hub.attempts) == 2)
    refused = time.monotonic()
    hub.retry_after = None
    await connected(page)
    assert time.monotonic() - refused > 1.9
    assert hub.attempts == ["socket", "events", "socket"]


@pytest.mark.parametrize("way", ["events", "poll"])
async def test_a_session_that_ended_leads_to_the_door_on_every_way(hub: FakeHub, page_at: Pages, way: str) -> None:
    hub.blocked = {"socket": "refused"} | ({"events": "missing"} if way == "poll" else {})
    page = await opened(hub, page_at)
    hub.welcome_code = 4151
    await hub.cut()
    await page.wait_for_url("**/sign-in?next=%2F")


ONLY: dict[str, dict[str, str]] = {
    "socket": {"events": "missing", "poll": "missing"},
    "events": {"socket": "refused", "poll": "missing"},
    "poll": {"socket": "refused", "events": "missing"},
}
LISTEN = """async (url) => {
    const { Live } = await import("/assets/js/live.js");
    globalThis.live = new Live({ url, ways: { load: () => null, save: () => undefined } });
    globalThis.told = [];
    live.addEventListener("change", ({ detail }) => told.push(...detail.added.map(({ title }) => title)));
    live.start();
}"""


async def test_switching_ways_every_second_loses_nothing_and_tells_nothing_twice(hub: FakeHub, page_at: Pages) -> None:
    luck = random.Random(7)
    page = await page_at()
    await page.goto(f"{hub.address}/there")
    await page.evaluate(LISTEN, "/live")
    hub.backoff = {"first": 0.05, "cap": 0.2}
    await eventually(lambda: live_by(page, "socket"))
    sent: list[str] = []

    async def some() -> None:
        for _ in range(luck.randrange(1, 4)):
            sent.append(f"note {len(sent)}")
            row = await hub.notify(sent[-1])
            if luck.random() < 0.3:
                await hub.broadcast({"t": "ahead", "items": [row]})
            await asyncio.sleep(luck.random() * 0.05)

    def unlucky(frame: Frame) -> list[Frame]:
        if frame["t"] not in {"ev", "ahead"}:
            return [frame]
        return [[], [frame], [frame], [frame, frame]][luck.randrange(4)]

    hub.fault = unlucky
    for way in ("events", "poll", "socket", "poll", "events", "socket", "events", "poll", "socket"):
        hub.blocked = ONLY[way]
        await some()
        await hub.cut(luck.choice([1001, 1012, 4201]))
        await some()
        await eventually(lambda way=way: live_by(page, way), 10)  # type: ignore[misc]
        await some()
    hub.fault = lambda frame: [frame]
    await hub.beat()
    await eventually(lambda: stands_at(page, hub.seq))
    assert await page.evaluate("told.toSorted()") == sorted(sent)
    assert await page.evaluate("live.inbox.unread") == len(sent)


async def live_by(page: Page, way: str) -> bool:
    return bool(await page.evaluate("(way) => live.way === way && live.status.state === 'live'", way))


async def stands_at(page: Page, seq: int) -> bool:
    return bool(await page.evaluate("(seq) => live.inbox.cursor?.seq === seq", seq))


@pytest.mark.parametrize("way", ["socket", "events", "poll"])
async def test_the_client_works_without_a_page_and_with_a_token(hub: FakeHub, page_at: Pages, way: str) -> None:
    hub.blocked = ONLY[way]
    page = await page_at()
    await page.goto(f"{hub.address}/there")
    await page.evaluate("""() => {
        globalThis.said = [];
        const worker = new Worker("/tests/listener.js", { type: "module" });
        worker.onmessage = ({ data }) => said.push(data);
    }""")
    await eventually(lambda: said(page, {"state": "live", "way": way}), 10)
    await hub.notify("one")
    await eventually(lambda: said(page, {"added": ["one"]}))
    assert hub.hellos[-1]["token"] == ("a live token" if way == "socket" else "Bearer a live token")


async def said(page: Page, what: Frame) -> bool:
    return bool(
        await page.evaluate("(what) => said.some((data) => JSON.stringify(data) === JSON.stringify(what))", what)
    )


# --- a clock and a network of our own -----------------------------------------------------------------


async def test_a_hub_that_is_away_hears_no_more_of_us_than_by_sockets_alone(hub: FakeHub, page_at: Pages) -> None:
    attempts, back, way = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        world.join();
        world.socket.say(world.beat());
        world.socket.end(1006);
        const gone = world.clock.time;
        while (world.clock.time < gone + 600_000) {
            await world.back();
            await world.fail();
        }
        const attempts = world.attempts.slice(1).map(({ way, at }) => [way, at - gone]);
        await world.back();
        if (world.attempts.at(-1).way === "events") {
            await world.fail();
            await world.back();
        }
        world.join();
        return [attempts, world.live.status.state, world.live.way];
        """,
    )
    times = [at for _, at in attempts]
    waits = [after - before for before, after in pairwise([0, *times])]
    assert waits[:4] == [2_500, 5_000, 10_000, 15_000]
    assert set(waits[4:]) == {15_000}
    ways = [way for way, _ in attempts]
    assert ways[:3] == ["socket", "socket", "events"]
    assert "poll" not in ways
    assert ways.count("socket") >= 2 * ways.count("events")
    assert (back, way) == ("live", "socket")


async def test_who_lands_on_a_lower_way_in_an_outage_is_on_the_best_one_minutes_later(
    hub: FakeHub, page_at: Pages
) -> None:
    attempts, kept, way = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        world.join();
        world.socket.say(world.beat());
        world.socket.end(1006);
        for (let n = 0; n < 2; n += 1) {
            await world.back();
            await world.fail();
        }
        await world.back();
        await world.greet();
        const { kept } = world;
        const since = world.clock.time;
        for (let n = 0; n < 9 && world.attempts.at(-1).way !== "socket"; n += 1) {
            await world.clock.pass(15_000);
            world.ask("events").say(world.beat(n));
        }
        world.join();
        await world.clock.pass(100);
        world.socket.say(world.beat());
        return [world.attempts.map(({ way, at }) => [way, at >= since && at - since]), kept, world.live.way];
        """,
    )
    assert [way for way, _ in attempts] == ["socket", "socket", "socket", "events", "socket"]
    assert 60_000 <= attempts[-1][1] <= 120_000
    assert kept is None, "an outage says nothing of the network"
    assert way == "socket"


async def test_a_page_that_begins_in_an_outage_asks_twice_and_then_once_a_wait(hub: FakeHub, page_at: Pages) -> None:
    attempts = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        const begun = world.clock.time;
        await world.fail();
        for (let n = 0; n < 8; n += 1) {
            await world.fail();
            await world.back();
        }
        return world.attempts.map(({ way, at }) => [way, at - begun]);
        """,
    )
    assert attempts[:2] == [["socket", 0], ["events", 0]]
    times = [at for _, at in attempts[1:]]
    assert all(after - before >= 2_500 for before, after in pairwise(times))
    assert {way for way, _ in attempts} == {"socket", "events", "poll"}


async def test_a_busy_hub_is_left_alone_for_as_long_as_it_says(hub: FakeHub, page_at: Pages) -> None:
    waits = await clockwork(
        hub,
        page_at,
        """
        const waits = {};
        for (const random of [0, 0.999]) {
            const world = await clockwork({ random });
            await world.fail();
            world.ask("events").reply({}, { status: 503, "Retry-After": "20" });
            await world.clock.pass(1_000);
            world.live.wake(true);
            waits[random] = [await world.back(), world.attempts.map(({ way }) => way)];
        }
        return waits;
        """,
    )
    ways = ["socket", "events", "socket"]
    assert waits == {"0": [19_000, ways], "0.999": [pytest.approx(28_990, abs=2), ways]}


async def test_a_hub_that_drains_is_left_at_its_moment_and_nobody_sees_it(hub: FakeHub, page_at: Pages) -> None:
    result = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork({ random: 0.9 });
        world.join(1);
        world.socket.say(world.beat(), { t: "drain", after_ms: 7_000 });
        await world.clock.pass(6_900);
        world.socket.say({ t: "ev", seq: 2, prev: 1, unread: 0, items: [] });
        const before = world.sockets.length;
        await world.clock.pass(100);
        const [old, next] = world.sockets;
        next.open();
        const hello = next.sent[0];
        world.join(2);
        const quiet = world.events.map(({ state }) => state);
        world.socket.say(world.beat(), { t: "drain", after_ms: 0 });
        await world.clock.pass(1);
        world.socket.end(1006);
        return { before, closed: old.closed, hello, quiet, state: world.live.status.state, wait: await world.back() };
        """,
    )
    assert result == {
        "before": 1,
        "closed": 1000,
        "hello": {"t": "hello", "v": 1, "cursor": {"epoch": "e", "seq": 2}},
        "quiet": ["live", "catching-up", "live"],
        "state": "offline",
        "wait": pytest.approx(4_500, abs=1),
    }


async def test_a_token_is_renewed_on_the_connection_it_is_for(hub: FakeHub, page_at: Pages) -> None:
    on_socket, on_events, states = await clockwork(
        hub,
        page_at,
        """
        const token = () => {
            made += 1;
            if (made === 2) throw new Error("the application is away");
            return `token ${made}`;
        };
        let made = 0;
        const world = await clockwork({ token });
        world.join();
        world.socket.say({ t: "renew", within_s: 60 });
        await world.clock.pass(11_000);
        const frame = world.socket.sent.at(-1);
        world.socket.say({ t: "ok", nonce: frame.nonce });
        made = 10;
        const other = await clockwork({ token, ways: { load: () => ({ way: "events", until: Infinity }), save() {} } });
        await other.greet();
        other.ask("events").say({ t: "renew", within_s: 60 });
        await other.clock.pass(10);
        await other.greet();
        const asks = other.asks.map(({ path, headers }) => [path, headers.get("Authorization")]);
        return [[frame.t, frame.token, world.sockets.length], asks, other.events.map(({ state }) => state)];
        """,
    )
    assert on_socket == ["auth", "token 3", 1]
    assert on_events == [["events", "Bearer token 11"], ["events", "Bearer token 12"]]
    assert "offline" not in states


async def test_a_token_that_ended_is_renewed_once_on_a_lower_way_too(hub: FakeHub, page_at: Pages) -> None:
    tokens, events = await clockwork(
        hub,
        page_at,
        """
        let made = 0;
        const ways = { load: () => ({ way: "poll", until: Infinity }), save() {} };
        const world = await clockwork({ token: () => `token ${made += 1}`, ways });
        await world.greet();
        await world.clock.pass(300);
        world.ask("poll").reply([{ t: "bye", code: 4152, reason: "token expired" }]);
        await world.back();
        world.ask("poll").reply({}, { status: 401 });
        await world.clock.pass(60_000);
        const asked = world.attempts.map(({ headers }) => headers.get("Authorization"));
        return [asked, world.events.filter(({ code }) => code)];
        """,
    )
    assert tokens == ["Bearer token 1", "Bearer token 2"]
    assert events == [{"type": "signed-out", "code": 4150}]


async def test_receipts_are_few_and_tell_how_long_they_were_held(hub: FakeHub, page_at: Pages) -> None:
    receipts, asleep, fills = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork({ random: 0 });
        world.join(3);
        const ev = (seq) => ({ t: "ev", seq, prev: seq - 1, unread: 0, items: [] });
        for (let n = 4; n < 24; n += 1) {
            world.socket.say(ev(n));
            await world.clock.pass(300);
        }
        await world.clock.pass(10_000);
        const receipts = world.socket.sent.filter(({ t }) => t === "recv");
        world.socket.say(ev(24));
        world.clock.sleep(3_600_000);
        await world.clock.pass(1);
        const asleep = world.sockets[0].sent.filter(({ t }) => t === "recv").length - receipts.length;
        await world.clock.pass(10_000);
        world.join(30);
        await world.clock.pass(10_000);
        return [receipts, asleep, world.socket.sent.filter(({ t }) => t === "recv")];
        """,
    )
    assert [receipt["seq"] for receipt in receipts] == [10, 17, 23]
    assert all(set(receipt) == {"t", "seq", "held_ms"} for receipt in receipts)
    assert [receipt["held_ms"] for receipt in receipts] == [200, 200, 500]
    assert (asleep, fills) == (0, [])


ROW = """const row = (n) => ({
    id: `n${n}`, number: n, seq: n, title: `${n}`, priority: "critical", read_at: null, archived_at: null,
});
const ev = (n) => ({ t: "ev", seq: n, prev: n - 1, unread: n, items: [row(n)] });
"""


async def test_what_comes_ahead_is_told_at_once_and_only_once(hub: FakeHub, page_at: Pages) -> None:
    before, after, told, events = await clockwork(
        hub,
        page_at,
        f"""
        {ROW}
        const world = await clockwork();
        world.join(3);
        const {{ live, added }} = world;
        const seen = () => [live.inbox.rows.length, live.inbox.unread, live.inbox.cursor.seq, [...added]];
        world.socket.say({{ t: "ahead", items: [row(6)] }}, {{ t: "ahead", items: [row(6)] }});
        const before = seen();
        world.socket.say(ev(4), ev(5), ev(6), {{ t: "ahead", items: [row(6), row(5)] }});
        const after = seen();
        world.socket.say({{ t: "ahead", items: [row(7)] }});
        world.socket.end(1012);
        await world.clock.pass(10_000);
        world.socket.open();
        const [welcome] = world.greeting(7);
        world.socket.say(welcome, {{ t: "fill", from: 6, to: 7, unread: 4, items: [row(7)] }});
        const ahead = world.events.filter(({{ type }}) => type === "ahead");
        return [before, after, added, ahead.map(({{ items }}) => items.length)];
        """,
    )
    assert before == [0, 0, 3, ["n6"]]
    assert after == [3, 6, 6, ["n6", "n4", "n5"]]
    assert told == ["n6", "n4", "n5", "n7"]
    assert events == [1, 1]


async def test_a_socket_is_tried_again_in_the_background_without_dropping_what_works(
    hub: FakeHub, page_at: Pages
) -> None:
    result = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        const begun = world.clock.time;
        await world.fail();
        await world.greet(1);
        const { kept } = world;
        const stream = world.ask("events");
        const beats = async (end) => {
            for (let n = 0; world.attempts.length < end && n < 60; n += 1) {
                await world.clock.pass(15_000, () => world.attempts.length >= end);
                stream.say(world.beat(n));
            }
        };
        await beats(3);
        const first = world.attempts.at(-1);
        stream.say({ t: "ev", seq: 2, prev: 1, unread: 0, items: [] });
        await world.clock.pass(11_000);
        const kept_again = world.kept;
        stream.say(world.beat());
        await beats(4);
        const second = world.attempts.at(-1);
        stream.say({ t: "ev", seq: 3, prev: 2, unread: 0, items: [] });
        await world.clock.pass(10);
        const way = world.live.way;
        world.join(3);
        await world.clock.pass(10);
        world.socket.say(world.beat());
        return {
            kept: [kept.way, kept.until - begun, kept_again.until - first.at],
            ways: world.attempts.map(({ way }) => way),
            times: [first.at - begun, second.at - first.at],
            closed: [first.closed, stream.signal.aborted],
            cursor: second.sent[0].cursor.seq,
            ways_then: [way, world.live.way, world.kept],
            states: world.events.map(({ state }) => state).filter((state) => state === "offline"),
        };
        """,
    )
    assert result["kept"] == ["events", 600_000, 610_000]
    assert result["ways"] == ["socket", "events", "socket", "socket"]
    assert all(600_000 <= wait <= 680_000 for wait in result["times"])
    assert result["closed"] == [1000, True]
    assert result["cursor"] == 3
    assert result["ways_then"] == ["events", "socket", None]
    assert result["states"] == []


async def test_a_better_way_that_does_not_hold_is_left_again(hub: FakeHub, page_at: Pages) -> None:
    ways, kept = await clockwork(
        hub,
        page_at,
        """
        let kept = { way: "events", until: Infinity };
        const world = await clockwork({ ways: { load: () => kept, save: (way) => (kept = way) } });
        await world.greet();
        for (let n = 0; n < 60 && world.attempts.length < 2; n += 1) {
            await world.clock.pass(15_000);
            world.ask("events").say(world.beat(n));
        }
        world.join();
        await world.clock.pass(4_000);
        world.socket.end(1006);
        await world.back();
        return [world.attempts.map(({ way }) => way), kept.way];
        """,
    )
    assert ways == ["events", "socket", "events"]
    assert kept == "events"


@pytest.mark.parametrize("way", ["events", "poll"])
async def test_sleep_is_noticed_on_every_way(hub: FakeHub, page_at: Pages, way: str) -> None:
    result = await clockwork(
        hub,
        page_at,
        f"""
        const way = "{way}";
        const world = await clockwork({{ ways: {{ load: () => ({{ way, until: Infinity }}), save() {{}} }} }});
        await world.greet();
        await world.clock.pass(10_000);
        const alive = world.attempts.length;
        world.live.wake();
        await world.clock.pass(0);
        const probe = world.attempts.at(-1);
        const turned = world.attempts.length - alive;
        await world.greet();
        await world.clock.pass(4_000);
        const kept = world.attempts.at(-1) === probe && world.live.status.state;
        world.live.wake();
        const asked = world.clock.time;
        await world.clock.pass(6_000);
        const slow = world.attempts.at(-1).at - asked;
        await world.greet();
        world.clock.sleep(3_600_000);
        const woke = world.clock.time;
        await world.clock.pass(2_500);
        return {{ turned, kept, slow, again: world.attempts.at(-1).at - woke, way: world.live.way }};
        """,
    )
    assert result == {"turned": 1, "kept": "live", "slow": 4_000, "again": 1_000, "way": way}


async def test_a_page_that_begins_is_at_the_last_way_within_five_seconds(hub: FakeHub, page_at: Pages) -> None:
    attempts = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        const begun = world.clock.time;
        await world.clock.pass(5_000);
        const closed = world.attempts.map(({ closed, signal }) => closed ?? signal.aborted);
        await world.greet();
        const ways = world.attempts.map(({ way, at }) => [way, at - begun]);
        return [ways, closed, world.live.status.state, world.kept.way];
        """,
    )
    ways = [["socket", 0], ["events", 3_000], ["poll", 4_800]]
    assert attempts == [ways, [1000, True, False], "live", "poll"]


async def test_a_stream_that_is_held_up_on_the_way_is_given_up_for_polls(hub: FakeHub, page_at: Pages) -> None:
    ways = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork();
        await world.fail();
        await world.greet();
        await world.clock.pass(34_000);
        const held = world.attempts.length;
        await world.clock.pass(6_000);
        await world.greet();
        await world.clock.pass(300);
        const waits = world.asks.at(-1).query;
        return [held, world.attempts.map(({ way }) => way), [waits.get("again"), waits.get("wait"), waits.get("seq")]];
        """,
    )
    assert ways == [2, ["socket", "events", "poll"], ["1", "25", "0"]]


async def test_marks_are_said_over_http_until_they_are_answered(hub: FakeHub, page_at: Pages) -> None:
    said, done, refused = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork({ ways: { load: () => ({ way: "events", until: Infinity }), save() {} } });
        await world.greet();
        const done = [];
        world.live.read(["n1"]).then(() => done.push("read"));
        world.live.archive(["n2"]).catch(({ code }) => done.push(code));
        await world.clock.pass(1_000);
        world.ask("say").fail();
        await world.clock.pass(100);
        const second = world.ask("say");
        second.reply({}, { status: 503, "Retry-After": "12" });
        await world.clock.pass(11_000);
        const quiet = world.ask("say") === second;
        world.ask("events").say(world.beat());
        await world.clock.pass(3_000);
        const third = world.ask("say");
        const err = { t: "err", code: "not_found", detail: "" };
        third.reply(third.frames.map(({ t, nonce }) => (t === "read" ? { t: "ok", nonce } : { ...err, nonce })));
        await world.clock.pass(60_000);
        const said = world.asks.filter(({ path }) => path === "say");
        const nonces = new Set(said.flatMap(({ frames }) => frames.map(({ nonce }) => nonce)));
        const frames = said.map(({ method, frames }) => [method, frames.map(({ t }) => t)]);
        return [frames, done, [quiet, nonces.size, world.live.unanswered.length]];
        """,
    )
    assert said == [["POST", ["read"]], ["POST", ["archive"]], ["POST", ["read", "archive"]]]
    assert done == ["read", "not_found"]
    assert refused == [True, 2, 0]


async def test_where_no_way_exists_none_is_tried_without_a_pause(hub: FakeHub, page_at: Pages) -> None:
    attempts = await clockwork(
        hub,
        page_at,
        """
        const world = await clockwork({ WebSocket: undefined });
        const begun = world.clock.time;
        for (let n = 0; n < 4; n += 1) {
            world.attempts.at(-1).reply({}, { status: 404 });
            await world.clock.pass(1);
            world.attempts.at(-1).reply({}, { status: 405 });
            await world.back();
        }
        return world.attempts.map(({ way, at }) => [way, at - begun]);
        """,
    )
    assert [way for way, _ in attempts] == ["events", "poll"] * 4 + ["events"]
    starts = [at for way, at in attempts if way == "events"]
    assert all(after - before >= 2_000 for before, after in pairwise(starts))


# --- the model ----------------------------------------------------------------------------------------


async def test_random_networks_lose_nothing_and_tell_nothing_twice(hub: FakeHub, page_at: Pages) -> None:
    page = await page_at()
    await page.goto(f"{hub.address}/there")
    run = "async ([first, count, steps]) => (await import('/tests/switching.js')).switches(first, count, steps)"
    result = await page.evaluate(run, [0, 300, 120])
    assert result["failure"] is None
    assert all(times >= 100 for times in result["tried"].values()), result["tried"]


@pytest.mark.parametrize("blocked", [{}, {"socket": "refused"}, {"socket": "refused", "events": "refused"}])
async def test_a_line_that_turns_out_to_be_another_persons_is_let_go_and_nothing_of_it_shows(
    hub: FakeHub, page_at: Pages, blocked: dict[str, str]
) -> None:
    hub.blocked = blocked
    hub.write("not for this page")
    page = await opened(hub, page_at)
    heard = await page.evaluate(
        """async () => {
            const { Live } = await import("/assets/js/live.js");
            const live = new Live({ url: "/live", person: "somebody else" });
            const code = await new Promise((resolve) => {
                live.addEventListener("signed-out", ({ detail }) => resolve(detail.code));
                live.start();
            });
            return [code, live.inbox.unread, live.status.state];
        }"""
    )
    assert heard == [4150, 0, "offline"]
