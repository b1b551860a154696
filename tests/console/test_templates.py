"""The pages of templates by plain forms: what works without a script works for everybody."""

from __future__ import annotations

import re
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub.channels.vendor import Channel
from hub.console.template_editor import read_example, show_example, styles_of
from hub.console.template_words import codes_called, fault, field_id, place
from hub.console.templates import word_by_word
from hub.errors import FieldError
from hub.guards import CONTENT_SECURITY, security_with
from hub.messages.tables import Message
from hub.people.staff import change_staff
from hub.templates.defaults import install_defaults
from hub.templates.history import Filters, read_templates
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, write_template
from tests.visitors import browser_of

PATH = "/console/templates"
HOSTILE = '<script>alert("x")</script>'


def form(**changes: Any) -> dict[str, Any]:
    """What the editor sends, unless spoilt."""
    return {
        "code": "greeting",
        "channel": "sms",
        "topic": "reminders",
        "subject_en": "",
        "subject_ar": "",
        "body_en": "Hello { $patient }",
        "body_ar": "مرحبًا \u2066{ $patient }\u2069",
        "variable_name": ["patient", ""],
        "variable_type": ["text", "text"],
        "variable_privacy": ["personal", "personal"],
        "variable_example": ["Sara", ""],
        "note": "",
        "do": "save",
    } | changes


def value_of(page: Html, name: str) -> str:
    return next(tag.attributes["value"] for tag in page.all("input") if tag.attributes.get("name") == name)


def editor(client: httpx.AsyncClient, template: uuid.UUID) -> str:
    return f"{PATH}/{template}/edit"


async def test_a_template_is_written_published_and_rolled_back(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        saved = await client.post(PATH, data=form())
        here = saved.headers["location"].removesuffix("/edit?saved=yes")
        assert re.fullmatch(rf"{PATH}/[0-9a-f-]{{36}}", here)
        assert "The draft is saved." in read(await client.get(saved.headers["location"])).words
        assert "Not published yet" in read(await client.get(here)).words
        published = await client.post(f"{here}/publish")
        assert published.headers["location"] == f"{here}?done=published"
        assert "In use" in read(await client.get(published.headers["location"])).words
        again = await client.post(f"{here}/edit", data=form(body_en="Dear { $patient }", do="publish", note="Kinder"))
        page = read(await client.get(again.headers["location"]))
        assert "Version 2" in page.words
        assert "Kinder" in page.words
        assert "Sami Rahman" in page.words
        assert {"ins", "del"} <= {tag.name for tag in page.tags}
        back = await client.post(f"{here}/roll-back", data={"number": "1"})
        assert back.headers["location"] == f"{here}?done=rolled-back"
        assert "Hello Sara" in read(await client.get(here)).words
        assert "Version 3" in read(await client.get(here)).words


async def test_isolates_of_the_editor_are_not_kept(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        edit = (await client.post(PATH, data=form())).headers["location"]
        assert "\u2066{ $patient }\u2069" in (await client.get(edit)).text
    async with hub.house.database.of_tenant(clinic.id) as session:
        (found,) = await read_templates(session, Filters(), None, 9)
    assert found.draft is not None
    assert found.draft.bodies == {"en": "Hello { $patient }", "ar": "مرحبًا { $patient }"}


async def test_what_is_wrong_stands_beside_its_field_and_at_the_top(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        spoilt = form(body_ar="", code="No Code", variable_name=["patient", "unused"], variable_example=["Sara", "x"])
        page = read(await client.post(PATH, data=spoilt), 422)
    (alert,) = [tag for tag in page.tags if tag.attributes.get("role") == "alert"]
    assert "autofocus" in alert.attributes
    wrong = {tag.attributes["id"] for tag in page.with_attribute("aria-invalid")}
    assert wrong == {"code", "body-ar"}
    ids = {tag.attributes["id"] for tag in page.with_attribute("id")}
    links = [tag.attributes["href"][1:] for tag in page.all("a") if tag.attributes.get("href", "").startswith("#")]
    assert wrong <= set(links) <= ids
    assert "unused" in (tag.attributes.get("value") for tag in page.all("input")), "what was typed is still there"
    assert (await count_rows(hub.house, clinic))["templates"] == 0


async def test_a_second_template_for_an_occasion_is_refused_in_the_editor(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        await client.post(PATH, data=form())
        page = read(await client.post(PATH, data=form(body_en="Typed { $patient }")), 409)
    assert "There is a template for this code and channel already." in page.words
    assert "Typed { $patient }" in page.words


@pytest.mark.parametrize(
    "spoilt",
    [
        {"channel": "fax"},
        {"topic": "gossip"},
        {"body_en": "a\x00"},
        {"body_en": "x" * 30_000},
        {"variable_type": ["magic", "text"]},
        {"variable_privacy": ["secret", "text"]},
        {"variable_example": ["only one"]},
    ],
    ids=lambda spoilt: next(iter(spoilt)),
)
async def test_what_the_form_cannot_send_is_refused(hub: RunningHub, clinic: Clinic, spoilt: dict[str, Any]) -> None:
    async with browser_of(hub, clinic.admin) as client:
        for path in (PATH, f"{PATH}/preview"):
            read(await client.post(path, data=form(**spoilt)), 422)


async def test_without_a_script_there_is_a_preview_and_one_more_row(hub: RunningHub, clinic: Clinic) -> None:
    template = await write_template(hub.house, clinic)
    async with browser_of(hub, clinic.admin) as client:
        before = await count_rows(hub.house, clinic)
        page = read(await client.post(f"{PATH}/{template}/edit", data=form(body_en="New { $patient }", do="preview")))
        assert "New Sara" in page.words
        more = read(await client.post(f"{PATH}/{template}/edit", data=form(do="add")))
        rows = [tag for tag in more.all("input") if tag.attributes.get("name") == "variable_name"]
        assert len(rows) == len([tag for tag in page.all("input") if tag.attributes.get("name") == "variable_name"]) + 1
    assert await count_rows(hub.house, clinic) == before


async def test_the_preview_is_a_fragment_that_counts_parts_and_names_the_odd_one(
    hub: RunningHub, clinic: Clinic
) -> None:
    async with browser_of(hub, clinic.admin) as client:
        answer = await client.post(f"{PATH}/preview", data=form(body_en="It’s { $patient }. " + "x" * 100))
        page = read(answer)
    assert not page.all("html")
    assert breaches(page) == []
    words = " ".join(page.words.split())
    assert "2 parts 111 of 134 characters UCS-2" in words
    assert "One character makes this message longer: ’ Without it: 1 part." in words
    assert [tag.attributes["title"] for tag in page.tags if tag.attributes.get("class") == "odd-character"] == [
        "Right single quotation mark"
    ]


async def test_a_preview_that_cannot_be_made_says_why(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        page = read(await client.post(f"{PATH}/preview", data=form(body_en="{ $patient")))
        assert "Text, English: Line 1 cannot be read." in page.words
        empty = read(await client.post(f"{PATH}/preview", data=form(body_en="", body_ar="")))
        assert "What you write appears here" in empty.words
        assert "stands in the way" not in empty.words, "nobody is told off for a page they just opened"


async def test_a_mail_is_shown_in_a_frame_that_runs_nothing_and_wears_its_own_styles_alone(
    hub: RunningHub, clinic: Clinic
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    async with hub.house.database.of_tenant(clinic.id) as session:
        found = await read_templates(session, Filters(channel="email"), None, 100)
    async with browser_of(hub, clinic.admin) as client:
        for listed in found:
            for path in (f"{PATH}/{listed.template.id}", f"{PATH}/{listed.template.id}/edit"):
                answer = await client.get(path)
                page = read(answer)
                frames = page.all("iframe")
                assert [frame.attributes["sandbox"] for frame in frames] == ["allow-same-origin"] * 2
                policy = answer.headers["content-security-policy"]
                assert policy.startswith(f"{CONTENT_SECURITY}; style-src-attr 'unsafe-hashes' ")
                for style in styles_of("".join(frame.attributes["srcdoc"] for frame in frames)):
                    (hashed,) = re.findall("'sha256-[^']+'", security_with([style]))
                    assert hashed in policy, style


async def test_the_desk_reads_and_changes_nothing(hub: RunningHub, clinic: Clinic) -> None:
    template = await write_template(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client:
        for path in (PATH, f"{PATH}/{template}"):
            page = read(await client.get(path))
            actions = {tag.attributes.get("action", "") for tag in page.all("form")}
            assert not [action for action in actions if str(template) in action]
            assert not [link for link in page.links if link.endswith(("/new", "/edit"))]


async def test_the_overview_shows_occasions_by_topic_with_their_channels(hub: RunningHub, clinic: Clinic) -> None:
    template = await write_template(hub.house, clinic, "appointment_reminder_day")
    await write_template(hub.house, clinic, "our_own_thing", Channel.EMAIL, ("Hello",))
    async with browser_of(hub, clinic.admin) as client:
        page = read(await client.get(PATH))
        assert f"{PATH}/{template}" in page.links
        words = " ".join(page.words.split())
        for said in ("Reminder a day before", "appointment_reminder_day", "Our own thing", "our_own_thing"):
            assert said in words
        assert f"{PATH}/new?code=our_own_thing&channel=sms&topic=reminders" in page.links
        for q, found in (("day BEFORE", True), ("reminder_day", True), ("%", False), ("our", False)):
            listed = f"{PATH}/{template}" in read(await client.get(PATH, params={"q": q})).links
            assert listed == found, q
        read(await client.get(f"{PATH}?after=x"), 422)


async def test_the_way_to_add_a_channel_knows_its_occasion(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        page = read(await client.get(f"{PATH}/new?code=our_own_thing&channel=whatsapp&topic=billing"))
        chosen = [tag.attributes["value"] for tag in page.all("option") if "selected" in tag.attributes]
        assert value_of(page, "code") == "our_own_thing"
        assert chosen[:2] == ["whatsapp", "billing"]
        read(await client.get(f"{PATH}/new?channel=fax"), 422)


async def test_a_template_is_switched_off_and_on_and_deleted(hub: RunningHub, clinic: Clinic) -> None:
    template = await write_template(hub.house, clinic)
    here = f"{PATH}/{template}"
    async with browser_of(hub, clinic.admin) as client:
        assert (await client.post(f"{here}/deactivate")).headers["location"] == here
        assert "This template is switched off." in read(await client.get(here)).words
        await client.post(f"{here}/activate")
        assert "This template is switched off." not in read(await client.get(here)).words
        page = read(await client.get(here))
        (dialog,) = [tag for tag in page.all("dialog") if tag.attributes["id"] == "delete"]
        assert [tag for tag in page.all("button") if tag.attributes.get("commandfor") == dialog.attributes["id"]]
        assert (await client.post(f"{here}/delete")).headers["location"] == PATH
        read(await client.get(here), 404)


async def test_a_draft_is_thrown_away_and_who_comes_too_late_is_told(hub: RunningHub, clinic: Clinic) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic)}"
    async with browser_of(hub, clinic.admin) as client:
        assert (await client.post(f"{here}/drop-draft")).headers["location"] == f"{here}?done=dropped"
        for action, data in (("drop-draft", {}), ("publish", {}), ("roll-back", {"number": "2"})):
            page = read(await client.post(f"{here}/{action}", data=data), 409)
            assert "Somebody was quicker" in page.words
        for number in ("", "x", "٣", "9" * 30):
            read(await client.post(f"{here}/roll-back", data={"number": number}), 422)


async def test_a_test_is_sent_and_a_wrong_number_is_told_beside_the_field(hub: RunningHub, clinic: Clinic) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic)}"
    sent = {"to": "+966 50 123 4567", "language": "ar", "version": "2"}
    async with browser_of(hub, clinic.admin) as client:
        answer = await client.post(f"{here}/test", data=sent)
        assert answer.headers["location"] == f"{here}?done=tested"
        page = read(await client.post(f"{here}/test", data=sent | {"to": "12"}), 422)
        assert value_of(page, "to") == "12"
        assert [tag.attributes["id"] for tag in page.with_attribute("aria-invalid")] == ["to"]
        for spoilt in ({"to": ""}, {"language": "fr"}, {"version": "x"}):
            read(await client.post(f"{here}/test", data=sent | spoilt), 422)
    async with hub.house.database.of_tenant(clinic.id) as session:
        assert (await session.execute(select(Message.channel))).scalars().all() == ["sms"]


async def test_a_test_by_email_is_offered_to_oneself(hub: RunningHub, clinic: Clinic) -> None:
    template = await write_template(hub.house, clinic, channel=Channel.EMAIL)
    async with browser_of(hub, clinic.admin) as client:
        assert value_of(read(await client.get(f"{PATH}/{template}")), "to") == clinic.admin.email


async def test_many_versions_come_in_pages(hub: RunningHub, clinic: Clinic) -> None:
    template = await write_template(hub.house, clinic, greetings=tuple("ABCDEFGHIJKL"))
    async with browser_of(hub, clinic.admin) as client:
        first = read(await client.get(f"{PATH}/{template}"))
        (more,) = [link for link in first.links if "before=" in link]
        rest = read(await client.get(more))
    assert "version-3" in {tag.attributes.get("id") for tag in first.tags}
    assert {"version-2", "version-1"} <= {tag.attributes.get("id") for tag in rest.tags}


async def test_what_people_typed_stays_text(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        for channel in Channel:
            spoilt = form(channel=channel, subject_en=HOSTILE, subject_ar=HOSTILE, note=HOSTILE)
            spoilt |= {"body_en": f"{HOSTILE} {{ $patient }}", "body_ar": f"{HOSTILE} {{ $patient }}"}
            spoilt["variable_example"] = [HOSTILE, ""]
            edit = (await client.post(PATH, data=spoilt)).headers["location"]
            for path in (edit, edit.removesuffix("/edit?saved=yes")):
                answer = await client.get(path)
                assert breaches(read(answer)) == []
                assert "<script>alert" not in answer.text


async def test_arabic_readers_are_told_in_arabic_what_is_wrong(hub: RunningHub, clinic: Clinic) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.admin.id, language="ar")
    async with browser_of(hub, clinic.admin) as client:
        page = read(await client.post(PATH, data=form(body_en="{ $nobody }", code="x")), 422)
    assert "not declared" not in page.words
    assert "This cannot be saved yet." not in page.words


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("missing", "This is still empty."),
        ("{ $x } is not declared", "{ $x } is not among the variables below."),
        (
            "{ $x } is personal, too private for this place",
            "{ $x } is personal. Only public values may stand in a subject.",
        ),
        ("line 3: cannot be read: what. How", "Line 3 cannot be read. Look for a brace too many or too few."),
        ("nobody thought of this", "nobody thought of this (a, b)"),
    ],
)
def test_faults_are_told_in_words(detail: str, words: str) -> None:
    assert fault(str, FieldError("bodies.en", detail, ["a", "b"])) == words


@pytest.mark.parametrize(
    ("field", "id_", "name"),
    [
        ("bodies.en", "body-en", "Text, English"),
        ("subjects", "subject-en", "Subject"),
        ("variables.1.type", "variable-2-type", "Variable days"),
        ("variables.0", "variable-1-name", "Variable patient"),
        ("variables.days", "variable-2-name", "Variable days"),
        ("variables.gone", "variables", "Variable gone"),
        ("variables", "variables", "Variables"),
        ("code", "code", "Code"),
    ],
)
def test_a_fault_leads_to_its_field(field: str, id_: str, name: str) -> None:
    assert field_id(field, ["patient", "days"]) == id_
    assert place(str, field, ["patient", "days"]) == name


@pytest.mark.parametrize(
    ("type_", "text", "example"),
    [
        ("money", "350.00 SAR", {"amount": "350.00", "currency": "SAR"}),
        ("money", "much", "much"),
        ("number", "3", 3),
        ("number", "2.5", 2.5),
        ("number", "NaN", "NaN"),
        ("number", "many", "many"),
        ("date", "2026-12-01", "2026-12-01"),
    ],
)
def test_examples_are_typed_as_they_are_shown(type_: str, text: str, example: object) -> None:
    assert read_example(type_, text) == example
    assert show_example(example) == text


def test_a_phrase_that_was_replaced_is_one_piece() -> None:
    assert word_by_word("{ $clinic }: we see you soon.", "{ $clinic }: your visit is soon.") == [
        ("same", "{ $clinic }: "),
        ("removed", "we see you "),
        ("added", "your visit is "),
        ("same", "soon."),
    ]


def test_occasions_are_found_by_name() -> None:
    assert codes_called(str, " Reminder ") == [
        "appointment_reminder_day",
        "appointment_reminder_hours",
        "payment_reminder",
    ]
    assert codes_called(str, " ") == []
