"""Patients at the desk: found, opened, corrected; what they allow is written down with its source."""

from __future__ import annotations

import re
import uuid

from sqlalchemy import select

from hub.audit import AuditEntry
from hub.people.choices import Topic, choose, read_choices, read_consents
from hub.people.contact_points import flag_contact, open_contact, read_contacts
from hub.people.patients import Change, change_patient, read_patient
from hub.people.tables import Patient
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.console.html import breaches, read
from tests.console.test_preferences import form_of
from tests.factories import Clinic, add_patient
from tests.visitors import browser_of

PATH = "/console/patients"
HOSTILE = '<script>alert(1)</script>"><img src=x>'


def known_of(patient: Patient, **changes: str) -> dict[str, str]:
    return {
        "name": patient.name,
        "language": patient.language,
        "zone": "",
        "channels": "sms whatsapp email",
        "phone": "+966501234567",
        "email": "sara@example.org",
    } | changes


async def test_a_patient_is_added_and_their_file_shown(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.desk) as client:
        assert "No patients yet" in read(await client.get(PATH)).words
        form = {"name": f" {HOSTILE} ", "language": "ar", "phone": "٠٥٠١٢٣٤٥٦٧", "email": ""}
        answer = await client.post(PATH, data=form)
        assert answer.status_code == 303
        page = read(await client.get(answer.headers["location"]))
        assert breaches(page) == []
        assert HOSTILE in page.words, "as text"
        values = {tag.attributes.get("name"): tag.attributes.get("value") for tag in page.all("input")}
        assert (values["phone"], values["email"]) == ("+966501234567", "")
        listed = read(await client.get(PATH))
        assert answer.headers["location"] in listed.links
        assert breaches(listed) == []


async def test_what_cannot_be_is_said_beside_its_field_and_nothing_is_lost(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client:
        before = await count_rows(hub.house, clinic)
        for changes, words in (
            ({"phone": "12"}, "This is no telephone number."),
            ({"email": "sara@"}, "This is no email address."),
            ({"name": " "}, "Give a name"),
            ({"name": "x" * 201}, "Give a name"),
        ):
            form = {"name": "Omar Roe", "language": "en", "phone": "", "email": "omar@example.org"} | changes
            page = read(await client.post(PATH, data=form), 422)
            assert words in page.words
            values = {tag.attributes.get("name"): tag.attributes.get("value") for tag in page.all("input")}
            assert values["email"] == form["email"]
            page = read(await client.post(f"{PATH}/{patient.id}", data=known_of(patient, **changes)), 422)
            assert words in page.words
        for changes in ({"zone": "Mars/Base"}, {"language": "fr"}, {"channels": "pigeon"}, {"channels": ""}):
            read(await client.post(f"{PATH}/{patient.id}", data=known_of(patient, **changes)), 422)
        assert (
            "Asia/Riyadh"
            in read(await client.post(f"{PATH}/{patient.id}", data=known_of(patient, zone="Mars/Base")), 422).words
        )
    assert await count_rows(hub.house, clinic) == before


async def test_a_file_is_corrected(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    form = known_of(
        patient, name="Sara Roe", language="ar", zone="America/New_York", channels="email sms whatsapp", phone=""
    )
    async with browser_of(hub, clinic.desk) as client:
        answer = await client.post(f"{PATH}/{patient.id}", data=form | {"email": "Sara@Example.COM"})
        assert answer.headers["location"] == f"{PATH}/{patient.id}?saved=1"
        assert "Saved." in read(await client.get(answer.headers["location"])).words
    async with hub.house.database.of_tenant(clinic.id) as session:
        kept = await read_patient(session, patient.id)
        contacts = (await read_contacts(session, [patient.id]))[patient.id]
        entries = select(AuditEntry.actor_id, AuditEntry.action).filter_by(object_id=patient.id, actor_kind="staff")
        told = (await session.execute(entries.order_by(AuditEntry.number))).all()
    assert (kept.name, kept.language, kept.zone) == ("Sara Roe", "ar", "America/New_York")
    assert kept.channels == ["email", "sms", "whatsapp"]
    assert {kind: open_contact(hub.house.keys, point) for kind, point in contacts.items()} == {
        "email": "Sara@example.com"
    }
    assert {row.actor_id for row in told} == {clinic.desk.id}
    assert [row.action for row in told] == ["patient.changed", "patient.contact_changed", "patient.contact_changed"]


async def test_an_order_somebody_set_otherwise_stays(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_patient(work, patient.id, Change(channels=["email"]))
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(f"{PATH}/{patient.id}"))
    chosen = [tag.attributes["value"] for tag in page.all("option") if "selected" in tag.attributes]
    assert "email" in chosen


async def test_what_is_said_at_the_desk_is_written_down(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client:
        form = form_of(read(await client.get(f"{PATH}/{patient.id}")))
        # Meanwhile, on their own page.
        async with hub.house.open_work(clinic.id, SYSTEM) as work:
            await choose(work, patient.id, topic=Topic.BILLING, allowed=False, source="link")
        form["allowed"].append("marketing")
        await client.post(f"{PATH}/{patient.id}/choices", data=form)
        page = read(await client.get(f"{PATH}/{patient.id}"))
        assert "Said at the desk" in page.words
        assert "Marketing: allowed" in page.words
        assert "Billing: refused" in page.words
    async with hub.house.database.of_tenant(clinic.id) as session:
        choices = (await read_choices(session, [patient.id]))[patient.id]
        row = (await read_consents(session, patient.id))["marketing"]
    assert (choices.topics["billing"], choices.topics["marketing"]) == (False, True)
    assert (row.source, row.actor_id) == ("desk", clinic.desk.id)


async def test_a_flag_is_shown_with_what_to_do(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        points = (await read_contacts(work.session, [patient.id]))[patient.id]
        await flag_contact(work, points["email"].id, "bounce", None)
        await flag_contact(work, points["phone"].id, "invalid", None)
    async with browser_of(hub, clinic.desk) as client:
        assert "Flagged" in read(await client.get(PATH)).words
        words = read(await client.get(f"{PATH}/{patient.id}")).words
    assert "Messages come back from here." in words
    assert "this does not exist" in words


async def test_a_link_is_made_for_the_patient_and_it_is_written_down(hub: RunningHub, clinic: Clinic) -> None:
    patient = await add_patient(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client, browser_of(hub, None) as patients_phone:
        answer = await client.post(f"{PATH}/{patient.id}/link")
        page = read(answer)
        (link,) = set(re.findall(re.escape(hub.url) + r"/p/[\w-]+", page.words))
        assert answer.headers["cache-control"] == "no-store"
        assert "Your messages" in read(await patients_phone.get(link)).words
        assert link not in (await client.get(f"{PATH}/{patient.id}")).text
    async with hub.house.database.of_tenant(clinic.id) as session:
        made = select(AuditEntry).filter_by(action="patient.link_made", object_id=patient.id)
        assert (await session.execute(made)).scalar_one().actor_id == clinic.desk.id


async def test_patients_are_found_and_come_in_pages(hub: RunningHub, clinic: Clinic) -> None:
    for number in range(52):
        await add_patient(hub.house, clinic, name=f"Sara {number:02}", phone=None, email=None)
    await add_patient(hub.house, clinic, name="Omar Roe")
    async with browser_of(hub, clinic.desk) as client:
        for search in ("omar", "0501234567", "SARA@example.org"):
            page = read(await client.get(PATH, params={"q": search}))
            assert re.findall(r"Sara \d\d|Omar Roe", page.words) == ["Omar Roe"]
        first = read(await client.get(PATH, params={"q": "Sara"}))
        (more,) = {link for link in first.links if "after=" in link}
        assert "Sara" not in more.replace("q=Sara", ""), "no name in an address but the one typed"
        rest = read(await client.get(more))
        found = re.findall(r"Sara \d\d", first.words) + re.findall(r"Sara \d\d", rest.words)
        assert found == [f"Sara {number:02}" for number in range(52)]
        assert "Nobody is found" in read(await client.get(PATH, params={"q": "nobody"})).words
        for bad in ({"after": "x"}, {"q": "\x00"}, {"q": "x" * 201}):
            read(await client.get(PATH, params=bad), 422)


async def test_another_clinics_patient_is_not_here(hub: RunningHub, clinic: Clinic, other_clinic: Clinic) -> None:
    patient = await add_patient(hub.house, other_clinic)
    before = await count_rows(hub.house, other_clinic)
    async with browser_of(hub, clinic.admin) as client:
        for stranger in (patient.id, uuid.uuid4()):
            path = f"{PATH}/{stranger}"
            read(await client.get(path), 404)
            read(await client.post(path, data=known_of(patient)), 404)
            read(await client.post(f"{path}/choices", data={"was": "sms"}), 404)
            read(await client.post(f"{path}/choices", data={}), 404)
            read(await client.post(f"{path}/link"), 404)
    assert await count_rows(hub.house, other_clinic) == before
