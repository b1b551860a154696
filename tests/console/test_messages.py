"""Messages on pages: the list, an export, one message's story, and writing one."""

from __future__ import annotations

import csv
import io
import re
import uuid
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from hub.audit import AuditEntry
from hub.console.message_words import LOOKS, About, Words
from hub.console.messages import as_cell
from hub.guards import MAIL_SECURITY
from hub.messages.states import AttemptState, State
from hub.messages.tables import Message
from hub.people.tables import Patient
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.conftest import RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, add_patient
from tests.messages.rows import PHONE, at, make_message, make_request
from tests.visitors import browser_of

PATH = "/console/messages"
NEW = f"{PATH}/new"


@pytest.fixture
async def sara(hub: RunningHub, clinic: Clinic) -> Patient:
    return await add_patient(hub.house, clinic)


def listed(page: Html) -> list[str]:
    """The ids of what is listed, in order."""
    return [
        tag.attributes["href"].removeprefix(f"{PATH}/")
        for tag in page.all("a")
        if tag.attributes.get("class") == "row-link"
    ]


def said(page: Html) -> str:
    return " ".join(page.words.split())


async def state_of(hub: RunningHub, clinic: Clinic, message: uuid.UUID) -> Message:
    async with hub.house.database.of_tenant(clinic.id) as session:
        return (await session.execute(select(Message).where(Message.id == message))).scalar_one()


async def test_the_list_is_paged_by_links_that_keep_the_filters(hub: RunningHub, clinic: Clinic, sara: Patient) -> None:
    made = [
        str(await make_message(hub.house, clinic, sara, state="failed", ago=timedelta(seconds=n))) for n in range(32)
    ]
    await make_message(hub.house, clinic, sara, state="sent")
    async with browser_of(hub, clinic.desk) as client:
        first = read(await client.get(f"{PATH}?state=failed&q=sara"))
        assert breaches(first) == []
        assert listed(first) == made[:30]
        (older,) = (tag.attributes["href"] for tag in first.all("a") if tag.attributes.get("rel") == "next")
        second = read(await client.get(older))
        assert listed(second) == made[30:]
        (newer,) = (tag.attributes["href"] for tag in second.all("a") if tag.attributes.get("rel") == "prev")
        assert listed(read(await client.get(newer))) == made[:30]


async def test_figures_stand_above_the_first_page_and_lead_to_what_needs_a_look(
    hub: RunningHub, clinic: Clinic, sara: Patient
) -> None:
    for state in ("delivered", "read", "sent", "bounced"):
        message = await make_message(hub.house, clinic, sara, state=state)
        await make_request(hub.house, clinic, message, cost="0.5")
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(PATH))
        assert "75 %" in said(page)
        assert "2 USD" in said(page)
        (look,) = (link for link in page.links if "attention" in link and "since" in link)
        assert len(listed(read(await client.get(look)))) == 1


async def test_mail_to_staff_is_shown_with_their_name_and_never_as_a_test(hub: RunningHub, clinic: Clinic) -> None:
    omar = clinic.omar
    row: dict[str, Any] = {"staff_id": omar.id, "channels": ["email"], "channel": "email", "state": "failed"}
    mail = await make_message(hub.house, clinic, None, **row, reason="refused")
    untrue = await make_message(hub.house, clinic, None, **row, withdrawn_by=7)
    attempt = await make_request(hub.house, clinic, mail, channel="email", out={"to": omar.email, "text": "A visit"})
    async with browser_of(hub, clinic.admin) as client:
        page = read(await client.get(f"{PATH}?q=omar"))
        assert listed(page) == [str(untrue), str(mail)]
        shown = [page, read(await client.get(f"{PATH}/{mail}")), read(await client.get(f"/console/outbox/{attempt}"))]
        for each in shown:
            assert breaches(each) == []
            assert omar.name in said(each)
            assert "Test" not in said(each)
        assert "Send again" in said(shown[1])
        assert "Send again" not in said(read(await client.get(f"{PATH}/{untrue}")))
        assert "not true any more" in (await client.post(f"/api/v1/messages/{untrue}/retry")).json()["detail"]
        found = (await client.get(f"/api/v1/messages/{mail}")).json()
        assert (found["patient"], found["staff"]) == (None, {"id": str(omar.id), "name": omar.name})
        answer = await client.post(f"{PATH}/export", data={"q": omar.email})
        rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        assert [(each["patient"], each["staff"]) for each in rows] == [("", omar.name)] * 2


async def test_an_export_has_everything_that_matches_and_nothing_a_spreadsheet_would_run(
    hub: RunningHub, clinic: Clinic
) -> None:
    evil = await add_patient(hub.house, clinic, name="=cmd|' /C calc'!A0")
    noura = await add_patient(hub.house, clinic, name="نورة", phone=None, email=None)
    held = await make_message(hub.house, clinic, evil, state="held", department="-1+1", reference="@x")
    await make_message(hub.house, clinic, noura, state="sent")
    async with browser_of(hub, clinic.desk) as client:
        answer = await client.post(f"{PATH}/export", data={"state": "held", "q": ""})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert re.search(r'filename="messages-[\d-]+\.csv"', answer.headers["content-disposition"])
        (row,) = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
        assert (row["id"], row["patient"], row["state"]) == (str(held), "'=cmd|' /C calc'!A0", "held")
        assert (row["department"], row["reference"]) == ("'-1+1", "'@x")
        everything = await client.post(f"{PATH}/export", data={"q": "نورة"})
        assert "نورة" in everything.text
        read(await client.post(f"{PATH}/export", data={"state": "lost"}), 422)
    async with hub.house.database.of_tenant(clinic.id) as session:
        noted = select(AuditEntry.after).filter_by(action="messages.exported").order_by(AuditEntry.number)
        notes = (await session.execute(noted)).scalars().all()
    assert notes == [{"state": "held"}, {}], "who was searched for is not noted"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1", "'=1"),
        ("+966", "'+966"),
        ("-1", "'-1"),
        ("@a", "'@a"),
        ("\t=1", "'\t=1"),
        ("a=1", "a=1"),
        (None, ""),
        (3, "3"),
    ],
)
def test_a_cell_is_never_a_formula(value: object, cell: str) -> None:
    assert as_cell(value) == cell


async def test_the_story_of_a_message_that_was_refused_twice_and_bounced(
    hub: RunningHub, clinic: Clinic, sara: Patient
) -> None:
    message = await make_message(hub.house, clinic, sara, state="bounced", reason="bounced", channel="email")
    await make_request(hub.house, clinic, message, state="refused", code="30008")
    html: dict[str, Any] = {
        "channel": "email",
        "out": {"to": "s@example.org", "subject": "Hi", "text": "Hi", "html": "<p>Hi</p>"},
    }
    await make_request(hub.house, clinic, message, number=2, state="bounced", answer={"status": "<b>no</b>"}, **html)
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(f"{PATH}/{message}"))
        assert breaches(page) == []
        assert "The mail server sent it back: there is no such mailbox" in said(page)
        assert "Attempt 1 in full" in said(page)
        assert PHONE in said(page)
        assert '{ "status": "<b>no</b>" }' in said(page)
        assert "<b>" not in (await client.get(f"{PATH}/{message}")).text
        (frame,) = page.all("iframe")
        assert frame.attributes["sandbox"] == ""
        mail = await client.get(frame.attributes["src"])
        assert mail.text == "<p>Hi</p>"
        assert mail.headers["content-security-policy"] == MAIL_SECURITY
        read(await client.get(f"{PATH}/{message}/requests/1/mail"), 404)
        read(await client.get(f"{PATH}/{message}/requests/9/mail"), 404)
        read(await client.get(f"{PATH}/{uuid.uuid4()}"), 404)


async def test_before_it_leaves_a_template_is_shown_as_it_would_read(
    hub: RunningHub, clinic: Clinic, sara: Patient
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    values = {
        "amount": {"amount": "35", "currency": "SAR"},
        "due_on": "2026-12-01",
        "invoice": "INV-77",
        "link": "https://example.org/p",
    }
    asked = {"values": {"patient": "Sara Doe"} | values}
    message = await make_message(hub.house, clinic, sara, code="invoice_issued", topic="billing", asked=asked)
    gone = await make_message(hub.house, clinic, sara, code="no_such_thing", asked=asked)
    async with browser_of(hub, clinic.desk) as client:
        page = said(read(await client.get(f"{PATH}/{message}")))
        assert "What is to go out" in page
        assert "INV-77" in page
        assert "The words cannot be shown" in said(read(await client.get(f"{PATH}/{gone}")))


async def test_what_waits_is_sent_at_once_and_the_quiet_hours_let_it_pass(
    hub: RunningHub, clinic: Clinic, sara: Patient
) -> None:
    later = hub.house.clock() + timedelta(hours=9)
    quiet = await make_message(hub.house, clinic, sara, due_at=later, reason="quiet_hours")
    paused = await make_message(hub.house, clinic, sara, due_at=later, reason="try_again")
    async with browser_of(hub, clinic.desk) as client:
        assert "quiet hours" in said(read(await client.get(f"{PATH}/{quiet}")))
        for message, lane in ((quiet, "critical"), (paused, "normal")):
            answer = await client.post(f"{PATH}/{message}/now")
            assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}/{message}")
            found = await state_of(hub, clinic, message)
            assert (found.lane, found.reason) == (lane, None)
            assert found.due_at <= hub.house.clock()


async def test_sent_again_or_cancelled_by_a_button_and_what_went_on_meanwhile_is_said(
    hub: RunningHub, clinic: Clinic, sara: Patient
) -> None:
    failed = await make_message(hub.house, clinic, sara, state="failed")
    async with browser_of(hub, clinic.desk) as client:
        assert (await client.post(f"{PATH}/{failed}/retry")).status_code == 303
        assert (await client.post(f"{PATH}/{failed}/cancel")).status_code == 303
        assert (await state_of(hub, clinic, failed)).state == "cancelled"
        for verb in ("retry", "cancel", "now"):
            page = read(await client.post(f"{PATH}/{failed}/{verb}"), 409)
            assert "The message went on in the meantime" in said(page)
            assert f"{PATH}/{failed}/{verb}" not in [form.attributes.get("action") for form in page.all("form")]


async def test_a_message_in_own_words_is_written_to_a_patient_who_was_looked_for(
    hub: RunningHub, clinic: Clinic, sara: Patient
) -> None:
    async with browser_of(hub, clinic.desk) as client:
        assert "No patient has this name" in said(read(await client.get(NEW, params={"q": "nobody"})))
        found = read(await client.get(NEW, params={"q": PHONE}))
        (link,) = (link for link in found.links if f"patient={sara.id}" in link)
        page = read(await client.get(link))
        assert breaches(page) == []
        (once,) = (tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == "once")
        form = {"patient": str(sara.id), "text": "Bring your card.", "topic": "billing", "once": once}
        first, again = [await client.post(NEW, data=form | {"channel": "sms", "send_at": ""}) for _ in range(2)]
        assert first.status_code == 303
        assert first.headers["location"] == again.headers["location"], "a second click sends nothing more"
        story = read(await client.get(first.headers["location"]))
        assert "Bring your card." in said(story)
        assert "16 characters" in said(story)


@pytest.mark.parametrize(
    ("spoiled", "says"),
    [
        ({"text": ""}, "text"),
        ({"topic": "gossip"}, "topic"),
        ({"send_at": "soon"}, "send_at"),
        ({"subject": "a\tb"}, "subject"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    hub: RunningHub, clinic: Clinic, sara: Patient, spoiled: dict[str, str], says: str
) -> None:
    form = {"patient": str(sara.id), "text": "Bring <your> card.", "topic": "billing"} | spoiled
    async with browser_of(hub, clinic.desk) as client:
        answer = await client.post(NEW, data=form)
        page = read(answer, 422)
        assert breaches(page) == []
        assert "It was not sent" in said(page)
        assert says in [tag.attributes.get("id", "").removesuffix("-error") for tag in page.tags] or says in said(page)
        assert spoiled.get("text") == "" or "Bring &lt;your&gt; card." in answer.text


async def test_a_template_is_filled_in_and_seen_before_it_is_sent(hub: RunningHub, clinic: Clinic) -> None:
    noura = await add_patient(hub.house, clinic, name="نورة", language="ar")
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    here: dict[str, Any] = {"patient": str(noura.id), "code": "invoice_issued"}
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(NEW, params=here))
        names = {tag.attributes.get("name", "") for tag in page.all("input")}
        assert {"value-amount", "value-amount-currency", "value-due_on", "value-invoice", "value-link"} <= names
        assert not {"value-patient", "value-clinic", "value-preferences_link"} & names
        values = {"value-amount": "350", "value-amount-currency": "SAR", "value-due_on": "2026-12-01"}
        form = here | values | {"value-invoice": "INV-9", "value-link": "https://example.org/pay"}
        preview = await client.post(NEW, data=form, headers={"x-fragment": "preview"})
        assert preview.text.strip().startswith('<div class="preview"')
        assert "INV-9" in preview.text
        assert "ucs2" in preview.text
        read(await client.post(NEW, data=form | {"value-due_on": "soon"}), 422)
        sent = await client.post(NEW, data=form)
        assert sent.status_code == 303
        assert "INV-9" in said(read(await client.get(sent.headers["location"])))


@pytest.mark.parametrize(
    "address", [f"{NEW}?patient=x", f"{NEW}?patient={uuid.UUID(int=1)}", f"{PATH}?state=lost", f"{PATH}?before=x"]
)
async def test_an_address_that_leads_nowhere_says_so(hub: RunningHub, clinic: Clinic, address: str) -> None:
    async with browser_of(hub, clinic.desk) as client:
        assert (await client.get(address)).status_code in (404, 422)


def test_every_state_has_a_word_a_hue_and_an_icon() -> None:
    words = Words(lambda text: text, "en")
    for state in (*State, *AttemptState):
        assert words.look(state).word
        assert LOOKS[state][1]


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("topic_refused", "The patient refused this kind of message: Billing"),
        ("channel_refused", "The patient refused this channel: SMS"),
        ("quiet_hours", "Waits until 08:00, Sunday 22 November (Riyadh): quiet hours"),
        ("try_again", "The provider could not take it: tried again at 08:00"),
        ("address_flagged", "The number or address is flagged, and waits for a decision"),
        ("Told by phone, 100 %", "Told by phone, 100 %"),
        (None, ""),
    ],
)
def test_reasons_are_told_in_words(reason: str | None, says: str) -> None:
    words = Words(lambda text: text, "en")
    about = About("sms", "billing", at("2026-11-22T05:00+00:00"), ZoneInfo("Asia/Riyadh"))
    assert words.reason(reason, about) == says
