"""The outbox's pages: the list, a message in each of its forms, and the buttons that play the vendor."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.channels.registry import Registry
from hub.channels.sandbox import MAGIC
from hub.channels.vendor import Channel
from hub.guards import MAIL_SECURITY
from hub.messages.receipts import apply_due_reports
from hub.messages.tables import Attempt
from tests.conftest import RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic
from tests.messages.kept import MAIL, keep
from tests.visitors import browser_of

PATH = "/console/outbox"
PAGES = Path(__file__).parents[2] / "web/pages/parts"
ARABIC = "مرحبًا سارة، نذكّركم بموعدكم يوم الأحد الساعة 09:30 في عيادة النور لطب الأسرة، ونتمنى لكم السلامة."


def listed(page: Html) -> list[str]:
    return [tag.attributes["data-kept"] for tag in page.with_attribute("data-kept")]


async def test_the_list_is_paged_searched_and_filtered_by_links(hub: RunningHub, clinic: Clinic) -> None:
    made = [
        str(await keep(hub.house, clinic, text=f"Number {index}", at=hub.house.clock() - timedelta(minutes=index)))
        for index in range(32)
    ]
    mail = str(await keep(hub.house, clinic, channel=Channel.EMAIL, at=hub.house.clock() - timedelta(days=1)))
    async with browser_of(hub, clinic.desk) as client:
        first = read(await client.get(PATH))
        assert listed(first) == made[:30]
        assert "33 messages" in first.words
        (older,) = (tag.attributes["href"] for tag in first.all("a") if tag.attributes.get("rel") == "next")
        assert listed(read(await client.get(older))) == [*made[30:], mail]
        assert listed(read(await client.get(f"{PATH}?channel=email"))) == [mail]
        found = read(await client.get(f"{PATH}?q=number+31&channel=sms"))
        assert listed(found) == [made[31]]
        assert f"{PATH}/{made[31]}?channel=sms&q=number+31" in found.links, "what is opened keeps the list"
        assert listed(read(await client.get(f"{PATH}?q=nothing+like+it"))) == []


@pytest.mark.parametrize("query", ["channel=pigeon", "before=x", "before=W10", "q=%00", "view=x", "more=1"])
async def test_what_cannot_be_asked_for_is_refused(hub: RunningHub, clinic: Clinic, query: str) -> None:
    async with browser_of(hub, clinic.desk) as client:
        read(await client.get(f"{PATH}?{query}"), 422)


async def test_every_magic_address_is_explained_beside_the_list(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.desk) as client:
        words = read(await client.get(PATH)).words
    for magic in MAGIC:
        assert magic.address in words
        assert magic.says in words
    template = (PAGES / "outbox_parts.html").read_text()
    for magic in MAGIC:
        assert f'"{magic.address}": _("{magic.says}")' in template, "also in Arabic"


async def test_an_arabic_sms_stands_right_to_left_with_its_parts(hub: RunningHub, clinic: Clinic) -> None:
    kept = await keep(hub.house, clinic, text=ARABIC, language="ar")
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(f"{PATH}/{kept}"))
    (bubble,) = (tag for tag in page.all("div") if tag.attributes.get("class") == "opened-phone")
    assert bubble.attributes["dir"] == "rtl"
    assert "2 parts" in page.words
    assert f"UCS-2, {len(ARABIC)} characters" in page.words


async def test_the_characters_that_make_a_text_longer_are_named(hub: RunningHub, clinic: Clinic) -> None:
    kept = await keep(hub.house, clinic, text="Don’t forget")
    async with browser_of(hub, clinic.desk) as client:
        words = read(await client.get(f"{PATH}/{kept}")).words
    assert "UCS-2" in words
    assert "because of" in words


async def test_a_mail_is_shown_in_a_frame_that_runs_and_fetches_nothing(hub: RunningHub, clinic: Clinic) -> None:
    kept = await keep(hub.house, clinic, channel=Channel.EMAIL, subject="Hello", html=MAIL, to="sara@example.org")
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(f"{PATH}/{kept}"))
        assert breaches(page) == []
        (frame,) = page.all("iframe")
        assert "allow-scripts" not in frame.attributes["sandbox"]
        assert "allow-same-origin" not in frame.attributes["sandbox"]
        answer = await client.get(frame.attributes["src"])
        assert answer.headers["content-security-policy"] == MAIL_SECURITY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert '<base target="_blank">' in answer.text
        source = read(await client.get(f"{PATH}/{kept}?view=source"))
        assert MAIL in source.words
        assert not source.all("iframe")
        assert "Hello Sara" in read(await client.get(f"{PATH}/{kept}?view=text")).words
        plain = await keep(hub.house, clinic, channel=Channel.EMAIL, subject="Hello")
        assert not read(await client.get(f"{PATH}/{plain}")).all("iframe")
        read(await client.get(f"{PATH}/{plain}/mail"), 404)


@pytest.mark.parametrize(("as_", "state"), [("delivered", "delivered"), ("failed", "failed")])
async def test_playing_the_vendor_moves_the_message(hub: RunningHub, clinic: Clinic, as_: str, state: str) -> None:
    kept = await keep(hub.house, clinic)
    house = hub.house
    async with browser_of(hub, clinic.desk) as client:
        answer = await client.post(f"{PATH}/{kept}/play", data={"as": as_, "q": "sara"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}/{kept}?q=sara&played={as_}")
        assert "Reported" in read(await client.get(answer.headers["location"])).words
    await apply_due_reports(house.database, house.open_work, house.keys, house.clock)
    async with house.database.of_tenant(clinic.id) as session:
        assert (await session.execute(select(Attempt.state).where(Attempt.id == kept))).scalar_one() == state


async def test_only_what_the_vendor_reports_can_be_played(hub: RunningHub, clinic: Clinic) -> None:
    sms = await keep(hub.house, clinic)
    refused = await keep(hub.house, clinic, state="refused")
    async with browser_of(hub, clinic.desk) as client:
        for kept, as_, status in (
            (sms, "burnt", 422),
            (sms, "bounced", 422),
            (sms, "", 422),
            (refused, "delivered", 409),
        ):
            read(await client.post(f"{PATH}/{kept}/play", data={"as": as_}), status)
        read(await client.post(f"{PATH}/{uuid.uuid4()}/play", data={"as": "delivered"}), 404)
        assert "has nothing to report" in read(await client.get(f"{PATH}/{refused}")).words


async def test_without_the_sandbox_there_is_no_outbox(
    hub: RunningHub, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await keep(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client:
        assert PATH in read(await client.get("/console/account")).links
        monkeypatch.setattr(Registry, "by_name", lambda _self, _name: None)
        assert PATH not in read(await client.get("/console/account")).links
        for path in (PATH, f"{PATH}/{kept}", f"{PATH}/{kept}/mail"):
            read(await client.get(path), 404)


async def test_nobody_sees_another_clinics_outbox(hub: RunningHub, clinic: Clinic, other_clinic: Clinic) -> None:
    theirs = await keep(hub.house, other_clinic, html=MAIL, channel=Channel.EMAIL)
    async with browser_of(hub, clinic.desk) as client:
        assert listed(read(await client.get(PATH))) == []
        for path in (f"{PATH}/{theirs}", f"{PATH}/{theirs}/mail"):
            read(await client.get(path), 404)
        read(await client.post(f"{PATH}/{theirs}/play", data={"as": "delivered"}), 404)


async def test_what_a_message_says_stays_text(hub: RunningHub, clinic: Clinic) -> None:
    hostile = "<script>alert(1)</script>"
    kept = await keep(hub.house, clinic, text=hostile, subject=hostile, to=hostile)
    async with browser_of(hub, clinic.desk) as client:
        for path in (PATH, f"{PATH}/{kept}"):
            assert not re.search(r"<script>alert", (await client.get(path)).text)
