"""A template's way: drafted, published, superseded, back again."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from hub.audit import AuditEntry
from hub.channels.vendor import Channel
from hub.errors import Conflict, Invalid, NotFound
from hub.templates.history import read_template, read_versions
from hub.templates.tables import TemplateVersion
from hub.templates.versions import (
    LONGEST_NOTE,
    Words,
    add_template,
    delete,
    drop_draft,
    publish,
    published,
    roll_back,
    save_draft,
    set_active,
    wordings_by_id,
    words_of,
)
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.factories import Clinic
from tests.templates.wordings import PLAIN, wording

FIRST = Words(PLAIN, wording().variables, note="The first")
CODE = "welcome"


def saying(english: str) -> Words:
    return replace(FIRST, bodies={**PLAIN, "en": f"{english} {{ $patient }}"}, note="")


async def begin(house: House, clinic: Clinic, *, live: bool = True, code: str = CODE) -> uuid.UUID:
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        version = await add_template(work, code, Channel.SMS, "reminders", FIRST)
        if live:
            await publish(work, version.template_id)
    return version.template_id


async def change(house: House, clinic: Clinic, template: uuid.UUID, english: str) -> TemplateVersion:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await save_draft(work, template, saying(english))
        return await publish(work, template)


async def states(house: House, clinic: Clinic, template: uuid.UUID) -> list[tuple[int, str]]:
    async with house.database.of_tenant(clinic.id) as session:
        return [(each.number, each.state) for each in await read_versions(session, template)]


async def goes_out(house: House, clinic: Clinic) -> str | None:
    async with house.database.of_tenant(clinic.id) as session:
        found = await published(session, CODE)
    return found[Channel.SMS].bodies["en"] if found else None


async def test_a_draft_goes_out_once_it_is_published(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic, live=False)
    assert await goes_out(house, clinic) is None
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        version = await publish(work, template)
    assert (version.number, version.state, version.published_by) == (1, "published", clinic.admin.id)
    assert words_of(version) == FIRST
    assert await goes_out(house, clinic) == PLAIN["en"]


async def test_the_next_version_supersedes_the_one_before(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await save_draft(work, template, saying("Dear"))
    assert await states(house, clinic, template) == [(2, "draft"), (1, "published")]
    assert await goes_out(house, clinic) == PLAIN["en"]
    async with house.open_work(clinic.id, SYSTEM) as work:
        await save_draft(work, template, saying("Good day"))
        await publish(work, template)
    assert await states(house, clinic, template) == [(2, "published"), (1, "superseded")]
    assert await goes_out(house, clinic) == "Good day { $patient }"


async def test_saving_refuses_what_is_not_in_order_and_keeps_what_was(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    wrong = replace(FIRST, bodies={"en": "{ $unknown }"}, note="x" * (LONGEST_NOTE + 1))
    with pytest.raises(Invalid) as caught:
        async with house.open_work(clinic.id, SYSTEM) as work:
            await save_draft(work, template, wrong)
    assert {error.field for error in caught.value.errors} == {"note", "bodies.en", "bodies.ar"}
    with pytest.raises(Invalid):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await add_template(work, "other", Channel.SMS, "reminders", wrong)
    assert await states(house, clinic, template) == [(1, "published")]


async def test_an_earlier_version_comes_back_under_a_new_number(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    await change(house, clinic, template, "Dear")
    async with house.open_work(clinic.id, SYSTEM) as work:
        again = await roll_back(work, template, 1)
    assert (again.number, again.note, dict(again.bodies)) == (3, "Version 1 again", PLAIN)
    assert await states(house, clinic, template) == [(3, "published"), (2, "superseded"), (1, "superseded")]


async def test_a_draft_that_is_being_written_outlives_a_return(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    await change(house, clinic, template, "Dear")
    async with house.open_work(clinic.id, SYSTEM) as work:
        await save_draft(work, template, saying("Soon"))
        await roll_back(work, template, 1)
        draft = (await read_template(work.session, template)).draft
    assert draft
    assert draft.bodies["en"] == "Soon { $patient }"
    numbers = [(4, "draft"), (3, "published"), (2, "superseded"), (1, "superseded")]
    assert await states(house, clinic, template) == numbers


async def test_only_what_went_out_before_comes_back(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await save_draft(work, template, saying("Soon"))
        for number in (1, 2):
            with pytest.raises(Conflict):
                await roll_back(work, template, number)
        with pytest.raises(NotFound):
            await roll_back(work, template, 9)


async def test_a_draft_is_thrown_away_and_what_goes_out_stays(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await save_draft(work, template, saying("Soon"))
        await drop_draft(work, template)
        for verb in (drop_draft, publish):
            with pytest.raises(Conflict):
                await verb(work, template)
    assert await states(house, clinic, template) == [(1, "published")]
    alone = await begin(house, clinic, live=False, code="other")
    with pytest.raises(Conflict, match="Delete the template"):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await drop_draft(work, alone)


async def test_a_template_that_is_switched_off_is_not_used(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await set_active(work, template, False)
    assert await goes_out(house, clinic) is None
    async with house.open_work(clinic.id, SYSTEM) as work:
        await set_active(work, template, True)
        await set_active(work, template, True)
    assert await goes_out(house, clinic) == PLAIN["en"]


async def test_an_occasion_has_one_template_a_channel(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    await begin(house, clinic)
    with pytest.raises(Conflict, match="welcome"):
        await begin(house, clinic)
    assert await begin(house, other_clinic)


async def test_a_template_that_was_never_used_is_deleted_with_its_versions(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await delete(work, template)
    assert await states(house, clinic, template) == []
    with pytest.raises(NotFound):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await delete(work, template)


async def test_a_published_version_cannot_be_rewritten_even_by_mistake(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    with pytest.raises(DBAPIError, match="never rewritten"):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await work.session.execute(
                text("UPDATE template_versions SET bodies = '{}' WHERE template_id = :id"), {"id": template}
            )


@pytest.mark.parametrize("so_far", ["published", "superseded"])
async def test_what_was_published_never_becomes_a_draft_again(house: House, clinic: Clinic, so_far: str) -> None:
    template = await begin(house, clinic)
    await change(house, clinic, template, "Dear")
    back = (
        "UPDATE template_versions SET state = 'draft', published_at = NULL WHERE template_id = :id AND state = :state"
    )
    with pytest.raises(DBAPIError, match="never rewritten"):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await work.session.execute(text(back), {"id": template, "state": so_far})


async def test_anothers_templates_are_not_there(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    template = await begin(house, clinic)
    version = await change(house, clinic, template, "Dear")
    async with house.open_work(other_clinic.id, SYSTEM) as work:
        for refused in (
            save_draft(work, template, FIRST),
            publish(work, template),
            drop_draft(work, template),
            roll_back(work, template, 1),
            set_active(work, template, False),
            delete(work, template),
        ):
            with pytest.raises(NotFound):
                await refused
        assert await published(work.session, CODE) == {}
        assert await wordings_by_id(work.session, [version.id]) == {}


async def test_any_version_is_found_by_its_id(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    await change(house, clinic, template, "Dear")
    async with house.open_work(clinic.id, SYSTEM) as work:
        await save_draft(work, template, saying("Soon"))
        ids = {each.id: each.bodies["en"] for each in await read_versions(work.session, template)}
        found = await wordings_by_id(work.session, [*ids, uuid.uuid4()])
        assert {id_: each.bodies["en"] for id_, each in found.items()} == ids
        assert {each.code for each in found.values()} == {CODE}
        assert await wordings_by_id(work.session, []) == {}


async def test_two_who_publish_at_once_leave_one_version_that_goes_out(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    await asyncio.gather(*(change(house, clinic, template, f"By {name}") for name in ("Sami", "Layla", "Huda")))
    found = await states(house, clinic, template)
    assert found == [(4, "published"), (3, "superseded"), (2, "superseded"), (1, "superseded")]


async def test_who_did_what_is_written_down_without_the_words(house: House, clinic: Clinic) -> None:
    template = await begin(house, clinic)
    await change(house, clinic, template, "Dear")
    async with house.open_work(clinic.id, SYSTEM) as work:
        await roll_back(work, template, 1)
        await save_draft(work, template, saying("Soon"))
        await drop_draft(work, template)
        await set_active(work, template, False)
        await delete(work, template)
        entries = (await work.session.execute(select(AuditEntry).order_by(AuditEntry.number))).scalars().all()
    assert [(each.action.removeprefix("template."), each.before, each.after) for each in entries] == [
        ("added", None, {"code": CODE, "channel": "sms", "topic": "reminders"}),
        ("published", None, {"version": 1}),
        ("drafted", None, {"version": 2}),
        ("published", {"version": 1}, {"version": 2}),
        ("rolled_back", {"version": 2}, {"version": 3}),
        ("drafted", None, {"version": 4}),
        ("draft_dropped", {"version": 4}, None),
        ("switched", {"active": True}, {"active": False}),
        ("deleted", {"code": CODE, "channel": "sms", "topic": "reminders"}, None),
    ]
    assert {each.object_id for each in entries} == {template}
