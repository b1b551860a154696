"""In a clinic whose network lets no WebSocket through, or no stream either: the bell rings all the same."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import Page, expect

from hub.people.tables import Staff
from hub.realtime.switchboard import Switchboard
from tests.browser import Pages
from tests.conftest import RunningHub
from tests.factories import Clinic, tell
from tests.journeys.test_a_patient_arrives import sign_in

# As proxies do it: the handshake is answered with an error, and a stream is kept back until it ends.
NO_SOCKETS = """
WebSocket = class extends EventTarget {
  readyState = 3;
  constructor() { super(); setTimeout(() => this.onclose?.({ code: 1006, reason: "" })); }
  send() {}
  close() {}
};
"""
NO_STREAMS = """
const reach = globalThis.fetch;
globalThis.fetch = (address, options) =>
  String(address.url ?? address).includes("/live/events")
    ? new Promise((_, give_up) => options?.signal?.addEventListener("abort", () => give_up(options.signal.reason)))
    : reach(address, options);
"""
BLOCKED = {"events": NO_SOCKETS, "poll": NO_SOCKETS + NO_STREAMS}


def ways_of(switchboard: Switchboard, person: Staff) -> set[str]:
    """By which ways somebody is connected."""
    return {connection.way for connection in switchboard if connection.listener.person == person.id}


async def see_unread(page: Page, count: int) -> None:
    """The bell shows so many."""
    name = "Notifications, 1 unread" if count == 1 else f"Notifications, {count} unread"
    await expect(page.get_by_role("button", name=name)).to_be_visible()


@pytest.mark.parametrize("way", list(BLOCKED))
async def test_the_bell_rings_within_seconds_where_websockets_are_blocked(
    hub: RunningHub, clinic: Clinic, page_at: Pages, way: str
) -> None:
    await tell(hub.house, clinic, clinic.omar, title="Before")
    page = await page_at()
    await page.add_init_script(BLOCKED[way])
    await sign_in(page, hub, clinic.omar)
    await expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "live")
    if way == "events":
        assert ways_of(hub.house.switchboard, clinic.omar) == {way}
    began = time.monotonic()
    await tell(hub.house, clinic, clinic.omar, title="Now")
    await see_unread(page, 2)
    assert time.monotonic() - began < 3
    await page.get_by_role("button", name="Notifications, 2 unread").click()
    await expect(page.locator("hub-bell li").first).to_contain_text("Now")
    await page.locator("hub-bell").get_by_role("button", name="Mark all read").click()
    await expect(page.locator("hub-bell .badge")).to_be_hidden()
    for index in range(5):
        await tell(hub.house, clinic, clinic.omar, title=f"Number {index}")
    await see_unread(page, 5)
