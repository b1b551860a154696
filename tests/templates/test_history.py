"""Looking templates up, comparing versions, and figures of use."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.channels.vendor import Channel
from hub.errors import Conflict, NotFound
from hub.templates.catalogue import VARIABLES
from hub.templates.defaults import defaults, install_defaults
from hub.templates.history import (
    Filters,
    Line,
    Usage,
    diff,
    read_template,
    read_templates,
    read_version,
    read_versions,
    usage,
)
from hub.templates.versions import Words, delete, publish, save_draft, words_of
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic
from tests.messages.rows import make_message, make_request
from tests.templates.wordings import PLAIN, wording

WORDS = Words(PLAIN, wording().variables)
EVERYTHING = Filters()


async def listed(
    house: House, clinic: Clinic, filters: Filters = EVERYTHING, after: tuple[str, str] | None = None, limit: int = 100
) -> list[tuple[str, str]]:
    async with house.database.of_tenant(clinic.id) as session:
        found = await read_templates(session, filters, after, limit)
    return [(each.template.code, each.template.channel) for each in found]


async def find(house: House, clinic: Clinic, code: str, channel: str = "sms") -> uuid.UUID:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
        (found,) = await read_templates(work.session, Filters(search=code, channel=channel), None, 10)
    return found.template.id


async def test_templates_are_listed_by_code_and_channel_in_pages(house: House, clinic: Clinic) -> None:
    await find(house, clinic, "announcement")
    first = await listed(house, clinic, limit=20)
    rest = await listed(house, clinic, after=first[-1])
    assert first + rest == sorted((each.code, each.channel.value) for each in defaults())


async def test_filters_narrow_the_list(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    await find(house, clinic, "announcement")
    assert len(await listed(house, clinic, Filters(channel="email"))) == 18
    assert await listed(house, clinic, Filters(topic="results", channel="sms")) == [("results_ready", "sms")]
    assert await listed(house, clinic, Filters(search="PAYMENT_R", channel="sms")) == [
        ("payment_received", "sms"),
        ("payment_reminder", "sms"),
    ]
    assert await listed(house, clinic, Filters(search="%")) == []
    assert await listed(house, clinic, Filters(active=False)) == []
    assert await listed(house, other_clinic) == []


async def test_a_template_is_shown_with_what_goes_out_and_what_is_written(house: House, clinic: Clinic) -> None:
    template = await find(house, clinic, "announcement")
    async with house.open_work(clinic.id, SYSTEM) as work:
        marketing = VARIABLES["preferences_link"]
        await save_draft(work, template, Words(dict.fromkeys(("en", "ar"), "{ $preferences_link }"), (marketing,)))
        found = await read_template(work.session, template)
        with pytest.raises(NotFound):
            await read_template(work.session, uuid.uuid4())
        with pytest.raises(NotFound):
            await read_version(work.session, template, 3)
        assert (await read_version(work.session, template, 2)).state == "draft"
        assert [each.number for each in await read_versions(work.session, template, before=2)] == [1]
    assert found.published
    assert found.draft
    assert (found.published.number, found.draft.number) == (1, 2)


def test_a_difference_shows_lines_that_went_and_came() -> None:
    before = replace(WORDS, bodies={"en": "one\ntwo\nthree", "ar": "واحد"}, vendor_refs={"en": "HX1"})
    after = replace(WORDS, bodies={"en": "one\n2\nthree", "ar": "واحد"}, variables=())
    assert {each.field: each.lines for each in diff(before, after)} == {
        "bodies.en": (Line("same", "one"), Line("gone", "two"), Line("new", "2"), Line("same", "three")),
        "variables": (Line("gone", "patient: text, personal, Sara Haddad"),),
        "vendor_refs.en": (Line("gone", "HX1"),),
    }
    assert diff(before, before) == []


async def test_versions_that_were_kept_can_be_compared(house: House, clinic: Clinic) -> None:
    template = await find(house, clinic, "results_ready")
    async with house.open_work(clinic.id, SYSTEM) as work:
        now = words_of(await read_version(work.session, template, 1))
        await save_draft(work, template, replace(now, bodies={**now.bodies, "en": f"New.\n{now.bodies['en']}"}))
        await publish(work, template)
        first, second = [words_of(await read_version(work.session, template, number)) for number in (1, 2)]
    assert [each.field for each in diff(first, second)] == ["bodies.en"]


async def test_figures_tell_what_became_of_it_and_what_it_cost(house: House, clinic: Clinic) -> None:
    template = await find(house, clinic, "results_ready")
    async with house.database.of_tenant(clinic.id) as session:
        assert await usage(session, template) == Usage(0, 0, 0, 0, {}, None)
        version = (await read_version(session, template, 1)).id
    message = await make_message(house, clinic, None)
    rows: list[dict[str, Any]] = [
        {"state": "sent", "segments_billed": 2, "cost": "0.05"},
        {"state": "delivered", "cost": "0.07"},
        {"state": "read", "cost": "1", "currency": "SAR"},
        {"state": "bounced"},
        {"state": "failed"},
        {"state": "refused"},
        {"state": "unknown"},
    ]
    for number, row in enumerate(rows, 1):
        await make_request(house, clinic, message, number=number, template_version_id=version, **row)
    other = await find(house, clinic, "results_ready", Channel.EMAIL)
    async with house.open_work(clinic.id, SYSTEM) as work:
        figures = await usage(work.session, template)
        assert (figures.sent, figures.delivered, figures.failed, figures.segments) == (5, 2, 3, 6)
        assert figures.costs == {"USD": Decimal("0.12"), "SAR": Decimal(1)}
        assert figures.last_used_at
        assert (await usage(work.session, template, figures.last_used_at - timedelta(days=1))).sent == 5
        assert (await usage(work.session, template, figures.last_used_at + timedelta(days=1))).sent == 0
        assert (await usage(work.session, other)).sent == 0
        with pytest.raises(Conflict, match="Switch it off"):
            await delete(work, template)
