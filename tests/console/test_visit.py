"""A patient's page of one visit: looking changes nothing, an answer counts once, and it says little of anybody."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from hub.appointments.answers import LONGEST_NOTE, Standing
from hub.appointments.changes import read_changes, said_with
from hub.appointments.confirmation import make_token
from hub.appointments.lifecycle import Booking, NewTime, book, complete, move
from hub.appointments.lifecycle import arrive as mark_arrived
from hub.appointments.tables import Appointment
from hub.console.visit import look_of
from hub.people.patients import Arriving
from hub.people.preference_links import make_link
from hub.people.tables import Patient
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.appointments.left import left
from tests.conftest import MovableClock, RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, add_patient
from tests.visitors import browser_of, client_of

NOW = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
AT = NOW + timedelta(days=1)  # 09:30 in Riyadh


@pytest.fixture
def stopped(clock: MovableClock) -> MovableClock:
    """The day before."""
    clock.stop(NOW)
    return clock


async def visit_of(hub: RunningHub, clinic: Clinic, patient: Patient) -> Appointment:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        booking = Booking(Arriving(patient.name, id=patient.id), clinic.omar.id, AT, tell=False)
        return await book(work, booking)


def link_to(hub: RunningHub, visit: Appointment) -> str:
    return f"/v/{make_token(hub.house.keys, visit, hub.house.clock())}"


def offered(page: Html) -> set[str]:
    """The answers that the page has a form for."""
    return {tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == "answer"}


def answering(page: Html, to: str, note: str = "") -> dict[str, str]:
    """What a browser would post."""
    occurrences = {tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == "occurrence"}
    (occurrence,) = occurrences
    return {"answer": to, "occurrence": occurrence, "note": note}


@pytest.mark.usefixtures("stopped")
async def test_whatever_opens_the_page_changes_nothing(hub: RunningHub, clinic: Clinic) -> None:
    visit = await visit_of(hub, clinic, await add_patient(hub.house, clinic))
    rows, before = await count_rows(hub.house, clinic), await left(hub.house, clinic, visit)
    link = link_to(hub, visit)
    scanners: list[dict[str, str]] = [
        {},
        {"sec-purpose": "prefetch;prerender"},
        {"user-agent": "WhatsApp/2.23.20.0"},
        {"user-agent": "Mozilla/5.0 (compatible; MSIE 9.0) BingPreview/1.0b", "sec-fetch-mode": "navigate"},
    ]
    for headers in scanners:
        async with client_of(hub, headers) as scanner:
            for method in ("GET", "HEAD"):
                answer = await scanner.request(method, link)
                assert answer.status_code == 200
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["x-robots-tag"] == "noindex, nofollow"
                assert answer.headers["referrer-policy"] == "same-origin"
                assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
                assert "set-cookie" not in answer.headers
            for query in ("?answer=confirm&occurrence=1", "?done=1", "?lang=ar"):
                assert (await scanner.get(f"{link}{query}")).status_code == 200
            for method in ("PUT", "DELETE", "PATCH"):
                assert (await scanner.request(method, link)).status_code in (403, 405)
            # Without a page of ours, not even a post counts.
            assert (await scanner.post(link, data={"answer": "cancel", "occurrence": "1"})).status_code == 403
    assert await left(hub.house, clinic, visit) == before
    assert await count_rows(hub.house, clinic) == rows


@pytest.mark.usefixtures("stopped")
async def test_the_page_says_when_and_names_nobody(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic, zone="America/New_York")
    visit = await visit_of(hub, clinic, patient)
    async with browser_of(hub, None) as client:
        answer = await client.get(link_to(hub, visit))
    page = read(answer)
    assert breaches(page) == []
    assert page.all("script") == []
    for said in ("Noor Clinic", "Saturday 21 November", "09:30", "Riyadh", "Waiting for your answer"):
        assert said in page.words
    for kept in ("Sara", "Omar", "Doe", visit.number, str(patient.id), str(visit.id), "+9665", "clearance"):
        assert kept not in answer.text
    assert offered(page) == {"confirm", "another_time", "cancel"}


@pytest.mark.usefixtures("stopped")
async def test_it_speaks_the_patients_language_unless_another_one_is_asked_for(hub: RunningHub, clinic: Clinic) -> None:
    visit = await visit_of(hub, clinic, await add_patient(hub.house, clinic, language="ar"))
    link = link_to(hub, visit)
    async with browser_of(hub, None, **{"accept-language": "en"}) as client:
        for query, language, direction in (("", "ar", "rtl"), ("?lang=en", "en", "ltr"), ("?lang=fr", "ar", "rtl")):
            page = read(await client.get(f"{link}{query}"))
            (html,) = page.all("html")
            assert (html.attributes["lang"], html.attributes["dir"]) == (language, direction)
            assert f"{link}?lang={'ar' if language == 'en' else 'en'}" in page.links
        page = read(await client.get(f"{link}?lang=en"))
        (action,) = {form.attributes["action"] for form in page.all("form")}
        answer = await client.post(action, data=answering(page, "confirm"))
        assert answer.headers["location"] == f"{link}?lang=en&done=1"
        assert (
            "Thank you. The clinic knows that you will come." in read(await client.get(f"{link}?lang=en&done=1")).words
        )
    async with hub.house.database.of_tenant(clinic.id) as session:
        assert (await session.execute(select(Patient.language))).scalar_one() == "ar", "whoever reads it forwarded"


@pytest.mark.parametrize(
    ("to", "state", "thanks", "next_answers"),
    [
        ("confirm", "confirmed", "The clinic knows that you will come", {"another_time", "cancel"}),
        ("another_time", "booked", "The clinic knows that you would like another time", {"confirm", "cancel"}),
        ("cancel", "cancelled", "The visit is cancelled", {"another_time"}),
    ],
)
@pytest.mark.usefixtures("stopped")
async def test_an_answer_counts_and_once_more_is_harmless(
    hub: RunningHub, clinic: Clinic, to: str, state: str, thanks: str, next_answers: set[str]
) -> None:
    visit = await visit_of(hub, clinic, await add_patient(hub.house, clinic))
    link = link_to(hub, visit)
    async with browser_of(hub, None) as client:
        form = answering(read(await client.get(link)), to, "mornings")
        answer = await client.post(link, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{link}?done=1")
        before = await left(hub.house, clinic, visit)
        assert before.row["state"] == state
        assert before.audit[-1][1:] == ("patient", visit.patient_id)
        assert clinic.omar.id in {person for person, _ in before.rung}
        page = read(await client.get(f"{link}?done=1"))
        assert thanks in page.words
        assert offered(page) == next_answers
        assert thanks not in read(await client.get(link)).words, "it is said once"
        assert (await client.post(link, data=form)).headers["location"] == f"{link}?done=1"
    assert await left(hub.house, clinic, visit) == before
    async with hub.house.database.of_tenant(clinic.id) as session:
        said = said_with(hub.house.keys, (await read_changes(session, visit.id))[-1])
    assert said == ("" if to == "confirm" else "mornings")


@pytest.mark.usefixtures("stopped")
async def test_nobody_is_thanked_for_what_they_have_not_said(hub: RunningHub, clinic: Clinic) -> None:
    visit = await visit_of(hub, clinic, await add_patient(hub.house, clinic))
    async with browser_of(hub, None) as client:
        assert "Thank you" not in read(await client.get(f"{link_to(hub, visit)}?done=1")).words


@pytest.mark.parametrize("to", ["confirm", "another_time", "cancel"])
@pytest.mark.usefixtures("stopped")
async def test_a_visit_that_moved_meanwhile_is_shown_at_its_new_time(hub: RunningHub, clinic: Clinic, to: str) -> None:
    visit = await visit_of(hub, clinic, await add_patient(hub.house, clinic))
    link = link_to(hub, visit)
    async with browser_of(hub, None) as client:
        form = answering(read(await client.get(link)), to)
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await move(work, visit.id, NewTime(AT + timedelta(days=1, hours=2)))
        before = await left(hub.house, clinic, visit)
        page = read(await client.post(link, data=form), 409)
        assert breaches(page) == []
        assert "The time has changed meanwhile" in page.words
        assert "Sunday 22 November" in page.words
        assert "11:30" in page.words
        assert await left(hub.house, clinic, visit) == before
        assert (await client.post(link, data=answering(page, to))).status_code == 303


async def test_where_nothing_can_be_answered_any_more_it_says_what_to_do(
    hub: RunningHub, clinic: Clinic, stopped: MovableClock
) -> None:
    patient = await add_patient(hub.house, clinic)
    arrived, over, late = [await visit_of(hub, clinic, patient) for _ in range(3)]
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await mark_arrived(work, arrived.id)
        await mark_arrived(work, over.id)
        await complete(work, over.id)
    async with browser_of(hub, None) as client:
        links = {visit.id: link_to(hub, visit) for visit in (arrived, over, late)}
        stale = answering(read(await client.get(links[late.id])), "confirm")
        stopped.move(timedelta(days=1))
        for visit, word in (
            (arrived, "The time has come"),
            (over, "This visit is over"),
            (late, "The time has come"),
        ):
            before = await left(hub.house, clinic, visit)
            page = read(await client.get(links[visit.id]))
            assert word in page.words
            assert "please call the clinic" in page.words
            assert offered(page) == set()
            page = read(await client.post(links[visit.id], data=stale), 409)
            assert "Your answer came too late" in page.words
            assert await left(hub.house, clinic, visit) == before


@pytest.mark.usefixtures("stopped")
async def test_a_note_that_is_too_long_comes_back_with_what_was_written(hub: RunningHub, clinic: Clinic) -> None:
    visit = await visit_of(hub, clinic, await add_patient(hub.house, clinic))
    link = link_to(hub, visit)
    note = "<b>" + "x" * LONGEST_NOTE
    async with browser_of(hub, None) as client:
        form = answering(read(await client.get(link)), "another_time", note)
        before = await left(hub.house, clinic, visit)
        answer = await client.post(link, data=form)
        page = read(answer, 422)
        assert "This is too long: at most 500 characters." in page.words
        assert note in page.words
        assert "<b>" not in answer.text
        (wrong,) = [tag for tag in page.all("textarea") if tag.attributes.get("aria-invalid") == "true"]
        assert "note-another_time-error" in wrong.attributes["aria-describedby"]
        for nonsense in ({"answer": "maybe"}, {"occurrence": ""}, {"occurrence": "-1"}, {"occurrence": "9" * 40}):
            assert (await client.post(link, data=form | nonsense)).status_code == 422
    assert await left(hub.house, clinic, visit) == before


async def test_a_link_that_is_over_forged_or_for_something_else_says_nothing(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, stopped: MovableClock
) -> None:
    patient = await add_patient(hub.house, clinic)
    visit = await visit_of(hub, clinic, patient)
    link = link_to(hub, visit)
    nowhere = Appointment(id=uuid.uuid4(), tenant_id=clinic.id, starts_at=AT, minutes=30)
    foreign = Appointment(id=visit.id, tenant_id=other_clinic.id, starts_at=AT, minutes=30)
    nobodys = Appointment(id=visit.id, tenant_id=uuid.uuid4(), starts_at=AT, minutes=30)
    preferences = make_link(hub.house.keys, clinic.id, visit.id, "preferences", None, NOW)
    paths = [link_to(hub, each) for each in (nowhere, foreign, nobodys)]
    paths += [f"/v/{preferences}", f"/p/{link[3:]}", f"/u/{link[3:]}", f"{link}A", f"{link[:-1]}", "/v/x", "/v/%00"]
    before = await left(hub.house, clinic, visit)
    answers: list[httpx.Response] = []
    async with browser_of(hub, None) as client:
        for path in paths:
            answers += [await client.get(path)]
            if path.startswith("/v/"):
                answers += [await client.post(path, data={"answer": "cancel", "occurrence": "1"})]
        stopped.move(timedelta(days=2, hours=1))
        answers += [await client.get(link), await client.post(link, data={"answer": "cancel", "occurrence": "1"})]
    assert "This link has ended" in read(answers[0], 404).words
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert await left(hub.house, clinic, visit) == before


@pytest.mark.usefixtures("stopped")
async def test_another_page_cannot_answer_for_a_patient(hub: RunningHub, clinic: Clinic) -> None:
    visit = await visit_of(hub, clinic, await add_patient(hub.house, clinic))
    async with browser_of(hub, None, origin="https://elsewhere.example") as client:
        answer = await client.post(link_to(hub, visit), data={"answer": "cancel", "occurrence": "1"})
    assert answer.status_code == 403


@pytest.mark.parametrize("standing", Standing)
def test_every_standing_has_a_word_and_an_icon_of_its_own(standing: Standing) -> None:
    others = [look_of(str, each) for each in Standing if each is not standing]
    assert look_of(str, standing).word not in {each.word for each in others}
