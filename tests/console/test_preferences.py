"""A patient's own pages: what their link opens, what it does not, and unsubscribing with one click."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub.console.preferences import look_of
from hub.messages.content import seal_content
from hub.messages.states import State
from hub.messages.tables import Message
from hub.people.choices import Choices, Topic, choose, read_choices, read_consents
from hub.people.patients import read_patient
from hub.people.preference_links import Purpose, make_link
from hub.people.tables import Patient, PatientChoice
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.conftest import MovableClock, RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, add_patient
from tests.visitors import browser_of, client_of

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link_to(hub: RunningHub, clinic: Clinic, patient: Patient, purpose: Purpose, topic: str | None = None) -> str:
    token = make_link(hub.house.keys, clinic.id, patient.id, purpose, topic, hub.house.clock())
    return f"/{purpose[0]}/{token}"


async def send(
    hub: RunningHub, clinic: Clinic, patient: Patient, state: State = State.DELIVERED, at: datetime | None = None
) -> None:
    """A message about something nobody else may read."""
    message_id = uuid.uuid4()
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        row: dict[str, Any] = {
            "id": message_id,
            "tenant_id": clinic.id,
            "patient_id": patient.id,
            "topic": "results",
            "lane": "normal",
            "language": "en",
            "channels": ["sms"],
            "channel": "sms",
            "sealed": seal_content(work.keys, message_id, {"subject": "", "text": "Very private words"}),
            "state": state,
            "due_at": work.now,
            "actor_kind": "system",
            "created_at": at or work.now,
            "updated_at": work.now,
        }
        work.session.add(Message(**row))


async def choices_of(hub: RunningHub, clinic: Clinic, patient: Patient) -> Choices:
    async with hub.house.database.of_tenant(clinic.id) as session:
        return (await read_choices(session, [patient.id]))[patient.id]


def ticked(page: Html) -> set[str]:
    return {
        tag.attributes["value"]
        for tag in page.all("input")
        if tag.attributes.get("name") == "allowed" and "checked" in tag.attributes
    }


def form_of(page: Html) -> dict[str, list[str]]:
    """What a browser would post of the form of choices."""
    was = [tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == "was"]
    return {"allowed": sorted(ticked(page)), "was": was}


@pytest.mark.parametrize(("language", "direction", "words"), [("en", "ltr", "Your messages"), ("ar", "rtl", "")])
async def test_the_page_speaks_the_patients_language_and_keeps_to_itself(
    hub: RunningHub, clinic: Clinic, language: str, direction: str, words: str
) -> None:
    patient = await add_patient(hub.house, clinic, name="Sara Canary", language=language)
    await send(hub, clinic, patient)
    async with browser_of(hub, None, **{"accept-language": "en"}) as client:
        answer = await client.get(link_to(hub, clinic, patient, "preferences"))
        page = read(answer)
        (html,) = page.all("html")
        assert (html.attributes["lang"], html.attributes["dir"]) == (language, direction)
        assert words in page.words
        assert breaches(page) == []
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        for secret in ("Canary", "501234567", "sara@example.org", "Very private words", str(patient.id), clinic.id.hex):
            assert secret not in answer.text
        assert len(page.all("h1")) == len(page.all("main")) == 1
        for address in page.fetched:
            assert (await client.get(address)).status_code == 200


async def test_the_token_says_nobodys_name(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    link = link_to(hub, clinic, patient, "unsubscribe", "marketing")
    assert re.fullmatch(r"/u/[\w-]{60,120}", link)


async def test_a_patient_chooses_and_it_counts(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    link = link_to(hub, clinic, patient, "preferences")
    async with browser_of(hub, None) as client:
        page = read(await client.get(link))
        assert ticked(page) == {"reminders", "confirmations", "results", "billing", "sms", "whatsapp", "email"}
        form = form_of(page)
        form["allowed"] = [each for each in form["allowed"] if each not in ("billing", "whatsapp")] + ["marketing"]
        answer = await client.post(link, data=form | {"first": "email"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{link}?saved=1")
        page = read(await client.get(answer.headers["location"]))
        assert ticked(page) == {"reminders", "confirmations", "results", "marketing", "sms", "email"}
        assert "Saved" in page.words
    async with hub.house.database.of_tenant(clinic.id) as session:
        assert (await read_patient(session, patient.id)).channels == ["email", "sms", "whatsapp"]
        chosen = await read_consents(session, patient.id)
    assert {name: row.allowed for name, row in chosen.items()} == {
        "billing": False,
        "whatsapp": False,
        "marketing": True,
    }
    assert {row.source for row in chosen.values()} == {"link"}


async def test_a_page_that_lay_open_takes_nothing_back(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    link = link_to(hub, clinic, patient, "preferences")
    async with browser_of(hub, None) as client:
        form = form_of(read(await client.get(link)))
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await choose(work, patient.id, topic=Topic.BILLING, allowed=False, source="desk")
        form["allowed"] = [each for each in form["allowed"] if each != "sms"]
        await client.post(link, data=form)
    choices = await choices_of(hub, clinic, patient)
    assert (choices.topics["billing"], choices.channels["sms"]) == (False, False)


async def test_a_patient_changes_the_language_and_nothing_else(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    link = link_to(hub, clinic, patient, "preferences")
    before = await count_rows(hub.house, clinic)
    async with browser_of(hub, None) as client:
        await client.post(link, data={"language": "ar"})
        (html,) = read(await client.get(link)).all("html")
        assert html.attributes["lang"] == "ar"
        for nonsense in ({"language": "fr"}, {"first": "pigeon"}, {"allowed": "x", "was": "y"}, {}):
            assert (await client.post(link, data=nonsense)).status_code == 303
    assert await count_rows(hub.house, clinic) == before | {"audit_entries": before["audit_entries"] + 1}


async def test_only_ones_own_messages_are_listed(hub: RunningHub, clinic: Clinic) -> None:
    patient, other = await add_patient(hub.house, clinic), await add_patient(hub.house, clinic, name="Omar Roe")
    await send(hub, clinic, other, State.FAILED)
    link = link_to(hub, clinic, patient, "preferences")
    async with browser_of(hub, None) as client:
        assert "Nothing yet." in read(await client.get(link)).words
        now = hub.house.clock()
        for minutes in range(22):
            await send(hub, clinic, patient, at=now - timedelta(minutes=minutes))
        page = read(await client.get(link))
        assert page.words.count("Delivered") == 20
        assert "Could not be delivered" not in page.words
        (older,) = (address for address in page.links if "before=" in address)
        assert read(await client.get(older)).words.count("Delivered") == 2
        read(await client.get(f"{link}?before=x"), 422)


async def test_times_are_those_of_the_patients_wall(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(datetime.fromisoformat("2026-11-21T07:12:00+00:00"))
    patient = await add_patient(hub.house, clinic, zone="America/New_York")
    await send(hub, clinic, patient)
    async with browser_of(hub, None) as client:
        assert "02:12" in read(await client.get(link_to(hub, clinic, patient, "preferences"))).words


@pytest.mark.parametrize("state", State)
def test_every_state_is_said_in_a_patients_words(state: State) -> None:
    assert look_of(str, state).word in {"Delivered", "Sent", "On its way", "Could not be delivered", "Not sent"}


async def test_a_link_that_is_over_unknown_or_for_something_else_opens_nothing(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    patient = await add_patient(hub.house, clinic)
    preferences, stop = link_to(hub, clinic, patient, "preferences"), link_to(hub, clinic, patient, "unsubscribe")
    stranger = make_link(hub.house.keys, clinic.id, uuid.uuid4(), "preferences", None, hub.house.clock())
    other_topic = make_link(hub.house.keys, clinic.id, patient.id, "unsubscribe", "gossip", hub.house.clock())
    before = await count_rows(hub.house, clinic)
    async with browser_of(hub, None) as client:
        for path in (
            f"/p/{stop[3:]}",
            f"/u/{preferences[3:]}",
            f"/p/{stranger}",
            f"/u/{other_topic}",
            "/p/x",
            "/u/%00",
            f"{preferences}A",
            f"/p/{'A' * 5000}",
        ):
            page = read(await client.get(path), 404)
            assert "This link has ended" in page.words
            assert breaches(page) == []
            if path.startswith("/p/"):
                read(await client.post(path, data={"language": "ar"}), 404)
        clock.move(timedelta(days=31))
        read(await client.get(preferences), 404)
        read(await client.post(preferences, data={"was": "sms"}), 404)
        read(await client.get(stop))
        clock.move(timedelta(days=730))
        read(await client.get(stop), 404)
    assert await count_rows(hub.house, clinic) == before


async def test_another_page_cannot_choose_for_a_patient(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    async with browser_of(hub, None) as client:
        client.headers["origin"] = "https://elsewhere.example"
        answer = await client.post(link_to(hub, clinic, patient, "preferences"), data={"was": "sms"})
    assert answer.status_code == 403


async def test_looking_at_the_unsubscribe_page_changes_nothing(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic, language="ar")
    before = await count_rows(hub.house, clinic)
    async with browser_of(hub, None) as client:
        for method in ("GET", "HEAD", "GET"):
            answer = await client.request(method, link_to(hub, clinic, patient, "unsubscribe", "marketing"))
            assert answer.status_code == 200
        page = read(answer)
        (html,) = page.all("html")
        assert html.attributes["lang"] == "ar"
        assert "Sara" not in answer.text
        hidden = {tag.attributes.get("name"): tag.attributes.get("value") for tag in page.all("input")}
        assert hidden["List-Unsubscribe"] == "One-Click"
    assert await count_rows(hub.house, clinic) == before


async def allow_marketing(hub: RunningHub, clinic: Clinic, patient: Patient) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await choose(work, patient.id, topic=Topic.MARKETING, allowed=True, source="desk")


@pytest.mark.parametrize("form", ["urlencoded", "multipart"])
async def test_one_click_from_a_mailbox_provider_stops_it(hub: RunningHub, clinic: Clinic, form: str) -> None:
    patient = await add_patient(hub.house, clinic)
    await allow_marketing(hub, clinic, patient)
    link = link_to(hub, clinic, patient, "unsubscribe", "marketing")
    body: dict[str, Any] = (
        {"data": ONE_CLICK} if form == "urlencoded" else {"files": {"List-Unsubscribe": (None, "One-Click")}}
    )
    async with client_of(hub, {}) as provider:
        for _ in range(2):
            answer = await provider.post(link, **body)
            page = read(answer)
            assert "set-cookie" not in answer.headers
            assert "You are unsubscribed" in page.words
            assert breaches(page) == []
    choices = await choices_of(hub, clinic, patient)
    assert not choices.topics["marketing"]
    assert sum(choices.topics.values()) == 4, "only that topic"
    async with hub.house.database.of_tenant(clinic.id) as session:
        rows = list((await session.execute(select(PatientChoice).order_by(PatientChoice.id))).scalars())
    assert [(row.allowed, row.source, row.actor_kind) for row in rows] == [
        (True, "desk", "system"),
        (False, "unsubscribe", "system"),
    ]


async def test_without_a_topic_it_is_every_email(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    async with client_of(hub, {}) as provider:
        read(await provider.post(link_to(hub, clinic, patient, "unsubscribe"), data=ONE_CLICK))
    assert (await choices_of(hub, clinic, patient)).channels == {"sms": True, "whatsapp": True, "email": False}


async def test_the_answer_is_the_same_whoever_asks_and_whatever_the_token(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic, language="ar")
    known = link_to(hub, clinic, patient, "unsubscribe", "marketing")
    stranger = make_link(hub.house.keys, clinic.id, uuid.uuid4(), "unsubscribe", "marketing", hub.house.clock())
    nowhere = make_link(hub.house.keys, uuid.uuid4(), patient.id, "unsubscribe", "marketing", hub.house.clock())
    answers: list[httpx.Response] = []
    async with client_of(hub, {}) as provider, browser_of(hub, clinic.desk) as somebody:
        for path in (known, known, "/u/x", f"{known}A", f"/u/{stranger}", f"/u/{nowhere}"):
            answers += [await each.post(path, data=ONE_CLICK) for each in (provider, somebody)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


async def test_what_is_no_one_click_changes_nothing(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    await allow_marketing(hub, clinic, patient)
    link = link_to(hub, clinic, patient, "unsubscribe", "marketing")
    async with client_of(hub, {}) as provider:
        for body, status in (
            ({"data": {}}, 422),
            ({"data": {"List-Unsubscribe": "maybe"}}, 422),
            ({"content": b"List-Unsubscribe=One-Click"}, 422),
            ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
            ({"files": {"List-Unsubscribe": ("a.txt", b"One-Click")}}, 400),
            ({"content": b"x" * 70_000}, 413),
        ):
            answer = await provider.post(link, **body)
            assert answer.status_code == status, answer.text
    assert (await choices_of(hub, clinic, patient)).topics["marketing"]


async def test_the_answer_to_the_button_is_in_the_language_of_the_page(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic, language="ar")
    async with browser_of(hub, None, **{"accept-language": "en"}) as client:
        link = link_to(hub, clinic, patient, "unsubscribe", "marketing")
        for language, lang in (("ar", "ar"), ("fr", "en")):
            (html,) = read(await client.post(link, data=ONE_CLICK | {"language": language})).all("html")
            assert html.attributes["lang"] == lang
