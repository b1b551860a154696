"""The rules of appointments in the browser: who is told what, when it is reminded, how long a missed visit is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
import pytest
from sqlalchemy import select

from hub.appointments.rules import read_rules
from hub.appointments.switches import read_settings
from hub.appointments.tellings import TELLINGS, Event, Recipient, Way
from hub.audit import AuditEntry
from hub.channels.vendor import Channel
from hub.templates.defaults import install_defaults
from hub.templates.history import Filters, read_templates
from hub.templates.versions import set_active
from hub.work import SYSTEM
from tests.conftest import RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, open_clinic, write_template
from tests.visitors import browser_of

PATH = "/console/appointment-rules"


@pytest.fixture
async def decided(hub: RunningHub) -> Clinic:
    """A clinic that never decided anything, with the usual words."""
    clinic = await open_clinic(hub.house)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    return clinic


def form_of(page: Html) -> dict[str, list[str]]:
    """What the browser would send of the table as it stands."""
    found: dict[str, list[str]] = {"told": [], "was": []}
    for tag in page.all("input"):
        name, value = tag.attributes.get("name", ""), tag.attributes.get("value", "")
        if name == "was" or (name == "told" and "checked" in tag.attributes):
            found[name].append(value)
    return found


async def rules(hub: RunningHub, clinic: Clinic) -> tuple[list[str], int]:
    async with hub.house.database.of_tenant(clinic.id) as session:
        found = await read_rules(session)
    return [str(each) for each in found.reminders], int(found.no_show_hold.total_seconds() // 60)


async def audited(hub: RunningHub, clinic: Clinic) -> list[str]:
    async with hub.house.database.of_tenant(clinic.id) as session:
        query = select(AuditEntry.action).where(AuditEntry.action.in_(("telling.switched", "rules.changed")))
        return list((await session.execute(query)).scalars())


async def post(client: httpx.AsyncClient, what: str, form: Mapping[str, object]) -> httpx.Response:
    return await client.post(f"{PATH}/{what}", data=dict(form))


async def test_the_page_has_the_whole_table_and_its_templates(hub: RunningHub, decided: Clinic) -> None:
    async with browser_of(hub, decided.admin) as client:
        page = read(await client.get(PATH))
        assert breaches(page) == []
        told = form_of(page)
        assert len(told["was"]) == len(TELLINGS)
        assert set(told["told"]) == {".".join(each.key) for each in TELLINGS if each.usual}
        assert "Changed here" not in page.words
        templates = [link for link in page.links if link.startswith("/console/templates/")]
        assert len(templates) > 10
        read(await client.get(templates[0]))
        assert any(tag.attributes.get("href") == PATH for tag in page.all("a")), "in the rail"
    async with browser_of(hub, decided.desk) as client:
        page = read(await client.get(PATH))
    assert not [tag for tag in page.all("form") if tag.attributes.get("action", "").startswith(PATH)]
    assert not page.all("select")
    assert "The day before, at the same hour" in page.words


async def test_rows_that_were_touched_are_switched_and_no_other(hub: RunningHub, decided: Clinic) -> None:
    async with browser_of(hub, decided.admin) as client:
        form = form_of(read(await client.get(PATH)))
        # Somebody else decides meanwhile, and keeps it.
        meanwhile = form | {"told": [each for each in form["told"] if each != "wish.front_desk.in_app"]}
        assert (await post(client, "tellings", meanwhile)).status_code == 303
        form["told"].remove("booked.clinician.email")
        form["told"].append("booked.patient.text")
        answer = await post(client, "tellings", form | {"code.no_show.patient.email": ["appointment_cancelled"]})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}?saved=tellings#tellings")
        page = read(await client.get(answer.headers["location"].partition("#")[0]))
    async with hub.house.database.of_tenant(decided.id) as session:
        found = {key: (row.enabled, row.code) for key, row in (await read_settings(session)).items() if row.changed}
    assert found == {
        (Event.WISH, Recipient.DESK, Way.IN_APP): (False, None),
        (Event.BOOKED, Recipient.CLINICIAN, Way.EMAIL): (False, "staff_appointment_booked"),
        (Event.BOOKED, Recipient.PATIENT, Way.TEXT): (True, "appointment_booked"),
        (Event.NO_SHOW, Recipient.PATIENT, Way.EMAIL): (True, "appointment_cancelled"),
    }
    assert page.words.count("Changed here") == 4
    assert "usually: Missed appointment" in re.sub(r"\s+", " ", page.words)
    assert "Saved." in page.words
    assert await audited(hub, decided) == ["telling.switched"] * 4


async def test_a_template_that_cannot_say_it_is_refused_beside_its_row(hub: RunningHub, decided: Clinic) -> None:
    await write_template(hub.house, decided, "only_text", Channel.SMS)
    async with browser_of(hub, decided.admin) as client:
        form = form_of(read(await client.get(PATH)))
        form["told"].append("booked.patient.text")
        answer = await post(client, "tellings", form | {"code.cancelled.patient.email": ["only_text"]})
        page = read(answer, 422)
        (wrong,) = page.with_attribute("aria-invalid")
        assert wrong.attributes["name"] == "code.cancelled.patient.email"
        assert "Nothing was saved" in page.words
        assert "booked.patient.text" in form_of(page)["told"], "what was ticked stays ticked"
        assert form_of(page)["was"] == form["was"], "and nothing was saved"
        choices = [tag.attributes["value"] for tag in page.all("option")]
        assert "only_text" in choices
    assert await audited(hub, decided) == []


async def test_a_template_that_is_switched_off_says_so(hub: RunningHub, decided: Clinic) -> None:
    async with hub.house.open_work(decided.id, SYSTEM) as work:
        (mail,) = await read_templates(work.session, Filters(channel="email", search="appointment_completed"), None, 1)
        await set_active(work, mail.template.id, False)
    async with browser_of(hub, decided.desk) as client:
        assert "(switched off)" in read(await client.get(PATH)).words


async def test_reminders_are_added_and_removed_in_words(hub: RunningHub, decided: Clinic) -> None:
    async with browser_of(hub, decided.admin) as client:
        for number, unit in (("3", "days"), ("90", "minutes"), ("٥", "hours")):
            assert (await post(client, "reminders", {"number": number, "unit": unit})).status_code == 303
        assert (await post(client, "reminders", {"remove": "PT2H"})).status_code == 303
        assert await rules(hub, decided) == (["P3D", "P1D", "PT5H", "PT90M"], 120)
        page = read(await client.get(PATH))
        for words in ("3 days before, at the same hour", "5 hours before", "90 minutes before"):
            assert words in page.words
        for number, unit, words in (
            ("61", "days", "at most 60 days"),
            ("0", "days", "at most 60 days"),
            ("soon", "hours", "at most 60 days"),
            ("9" * 5000, "hours", "at most 60 days"),
            ("3", "years", "at most 60 days"),
            ("", "", "at most 60 days"),
            ("5", "hours", "there already"),
        ):
            page = read(await post(client, "reminders", {"number": number, "unit": unit}), 422)
            assert words in page.words
            (wrong,) = page.with_attribute("aria-invalid")
            assert wrong.attributes["id"] == "number"
        assert (await post(client, "reminders", {"number": "1", "unit": "hours"})).status_code == 303
        page = read(await post(client, "reminders", {"number": "2", "unit": "hours"}), 422)
        assert "More than 5 reminders" in page.words
    assert set(await audited(hub, decided)) == {"rules.changed"}


async def test_how_long_a_missed_visit_is_kept_quiet_is_chosen(hub: RunningHub, decided: Clinic) -> None:
    async with browser_of(hub, decided.admin) as client:
        assert (await post(client, "hold", {"minutes": "45"})).status_code == 303
        assert await rules(hub, decided) == (["P1D", "PT2H"], 45)
        chosen = [
            tag.attributes["value"]
            for tag in read(await client.get(PATH)).all("option")
            if "selected" in tag.attributes
        ]
        assert "45" in chosen
        for minutes in ("1441", "-1", "x", "", "9" * 5000):
            assert "Choose one of the lengths." in read(await post(client, "hold", {"minutes": minutes}), 422).words
    assert await rules(hub, decided) == (["P1D", "PT2H"], 45)
