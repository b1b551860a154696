"""The log of messages: pages, searches, stories and figures."""

from __future__ import annotations

import uuid
from contextlib import AbstractAsyncContextManager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from hub.crypto import Keys
from hub.errors import Invalid, NotFound
from hub.messages import log
from hub.messages.figures import statistics
from hub.messages.log import Filters, Page, every_message, read_messages, read_story
from hub.wiring import House
from tests.factories import Clinic, add_patient
from tests.messages.rows import EMAIL, PHONE, at, make_message, make_request

RIYADH = ZoneInfo("Asia/Riyadh")


async def page_of(house: House, clinic: Clinic, filters: Filters | None = None, **more: Any) -> Page:
    async with house.database.at_one_moment(clinic.id) as session:
        return await read_messages(session, house.keys, filters or Filters(), **({"limit": 10} | more))


async def found(house: House, clinic: Clinic, filters: Filters) -> list[uuid.UUID]:
    return ids(await page_of(house, clinic, filters))


def ids(page: Page) -> list[uuid.UUID]:
    return [each.message.id for each in page.items]


async def test_pages_lead_to_the_older_and_back_again(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic)
    # Half of them of one moment: the id decides.
    made = [await make_message(house, clinic, patient, ago=timedelta(minutes=index // 2)) for index in range(7)]
    first = await page_of(house, clinic, limit=3)
    assert first.newer is None
    second = await page_of(house, clinic, limit=3, before=first.older)
    third = await page_of(house, clinic, limit=3, before=second.older)
    assert third.older is None
    assert len(third.items) == 1
    assert {*ids(first), *ids(second), *ids(third)} == set(made)
    back = await page_of(house, clinic, limit=3, after=third.newer)
    assert ids(back) == ids(second)
    back = await page_of(house, clinic, limit=3, after=back.newer)
    assert (ids(back), back.newer, back.older) == (ids(first), None, first.older)


async def test_each_filter_leaves_what_it_says(house: House, clinic: Clinic) -> None:
    sara, noura = (
        await add_patient(house, clinic),
        await add_patient(house, clinic, name="نورة", phone=None, email=None),
    )
    plain = await make_message(house, clinic, sara, ago=timedelta(days=3))
    mail = await make_message(house, clinic, sara, channel="email", state="bounced", code="invoice_issued")
    held = await make_message(house, clinic, noura, topic="billing", state="held", reason="address_flagged")
    now = house.clock()
    for filters, expected in (
        (Filters(), {plain, mail, held}),
        (Filters(state="bounced"), {mail}),  # type: ignore[arg-type]
        (Filters(state="attention"), {mail, held}),
        (Filters(channel="email"), {mail}),  # type: ignore[arg-type]
        (Filters(topic="billing"), {held}),  # type: ignore[arg-type]
        (Filters(code="invoice_issued"), {mail}),
        (Filters(patient=noura.id), {held}),
        (Filters(since=now - timedelta(days=1)), {mail, held}),
        (Filters(until=now - timedelta(days=1)), {plain}),
        (Filters(patient=sara.id, state="held"), set()),  # type: ignore[arg-type]
    ):
        assert set(await found(house, clinic, filters)) == expected, filters


@pytest.mark.parametrize(
    ("search", "region", "finds"),
    [
        ("sara", None, True),
        ("  Doe ", None, True),
        (PHONE, None, True),
        ("050 123 4567", "SA", True),
        ("٠٥٠١٢٣٤٥٦٧", "SA", True),
        ("050 123 4567", None, False),
        ("+966509999999", None, False),
        (EMAIL, None, True),
        ("SARA@Example.ORG", None, True),
        ("sara@example", None, False),
        ("ara@example.org", None, False),
        ("%", None, False),
        ("_", None, False),
        ("\\", None, False),
        ("", None, True),
    ],
)
async def test_patients_are_found_by_part_of_a_name_and_by_a_whole_number_or_address(
    house: House, clinic: Clinic, search: str, region: str | None, finds: bool
) -> None:
    message = await make_message(house, clinic, await add_patient(house, clinic))
    await make_message(
        house, clinic, await add_patient(house, clinic, name="Omar", phone=None, email=None), state="sent"
    )
    assert (message in await found(house, clinic, Filters(search=search, region=region))) == finds


async def test_another_clinics_messages_are_not_there(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    message = await make_message(house, other_clinic, await add_patient(house, other_clinic))
    assert await found(house, clinic, Filters(search=PHONE)) == []
    async with house.database.of_tenant(clinic.id) as session:
        with pytest.raises(NotFound):
            await read_story(session, house.keys, message)
        today = house.clock().astimezone(RIYADH).date()
        assert (await statistics(session, today, today, RIYADH)).all.total == 0


async def test_a_story_has_what_was_asked_what_went_out_and_each_step(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic)
    message = await make_message(house, clinic, patient, asked={"values": {"link": "https://example.org/x"}}, code="x")
    await make_request(house, clinic, message, state="refused", cost="0.0075")
    await make_request(house, clinic, message, number=2, segments_billed=3, cost="0.01", out={"text": "Twice."})
    async with house.database.of_tenant(clinic.id) as session:
        story = await read_story(session, house.keys, message)
    assert story.patient is not None
    assert (story.patient.id, story.actor) == (patient.id, clinic.desk.name)
    assert story.asked == {"values": {"link": "https://example.org/x"}}
    assert [each.out and each.out["text"] for each in story.requests] == ["See you at nine.", "Twice."]
    assert [step.attempt for step in story.steps] == [None, 1, 2]
    assert story.paid.costs == {"USD": Decimal("0.0175")}
    assert story.paid.parts == 4


async def test_what_cannot_be_opened_any_more_is_left_out_and_the_rest_is_told(house: House, clinic: Clinic) -> None:
    message = await make_message(house, clinic, await add_patient(house, clinic))
    await make_request(house, clinic, message)
    other = Keys({"other": bytes(32)})
    async with house.database.of_tenant(clinic.id) as session:
        story = await read_story(session, other, message)
    assert story.asked is None
    assert [each.out for each in story.requests] == [None]


async def test_a_test_has_no_patient_and_is_not_counted(house: House, clinic: Clinic) -> None:
    message = await make_message(house, clinic, None, state="sent")
    page = await page_of(house, clinic)
    assert [(each.message.id, each.patient) for each in page.items] == [(message, None)]
    today = house.clock().astimezone(RIYADH).date()
    async with house.database.of_tenant(clinic.id) as session:
        assert (await statistics(session, today, today, RIYADH)).all.total == 0


async def test_figures_are_of_the_clinics_days(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic)
    for moment, channel, state, cost in (
        ("2026-11-19T23:59:59+03:00", "sms", "sent", "9"),
        ("2026-11-20T00:00:00+03:00", "sms", "delivered", "0.01"),
        ("2026-11-20T23:59:59+03:00", "sms", "failed", "0.02"),
        ("2026-11-21T00:00:00+03:00", "email", "read", None),
        ("2026-11-21T12:00:00+03:00", "sms", "queued", None),
        ("2026-11-22T00:00:00+03:00", "sms", "sent", "9"),
    ):
        message = await make_message(house, clinic, patient, channel=channel, state=state, created_at=at(moment))
        if cost:
            await make_request(house, clinic, message, cost=cost)
    async with house.database.of_tenant(clinic.id) as session:
        figures = await statistics(session, date(2026, 11, 20), date(2026, 11, 21), RIYADH)
    assert (figures.all.total, figures.all.went_out, figures.all.went_wrong) == (4, 2, 1)
    assert figures.all.success_rate == pytest.approx(2 / 3)
    assert {channel: tally.total for channel, tally in figures.by_channel.items()} == {"email": 1, "sms": 3}
    assert figures.by_state == {"queued": 1, "delivered": 1, "read": 1, "failed": 1}
    assert {day.day: tally.total for day, tally in figures.per_day.items()} == {20: 2, 21: 2}
    assert figures.costs == {"USD": Decimal("0.03")}
    assert figures.parts == 2


async def test_days_without_messages_are_counted_too_and_have_no_rate(house: House, clinic: Clinic) -> None:
    async with house.database.of_tenant(clinic.id) as session:
        figures = await statistics(session, date(2026, 1, 1), date(2026, 1, 3), RIYADH)
    assert [tally.total for tally in figures.per_day.values()] == [0, 0, 0]
    assert figures.all.success_rate is None


@pytest.mark.parametrize(
    ("since", "until"), [(date(2026, 1, 2), date(2026, 1, 1)), (date(2025, 1, 1), date(2026, 1, 2))]
)
async def test_a_span_that_cannot_be_counted_is_refused(house: House, clinic: Clinic, since: date, until: date) -> None:
    async with house.database.of_tenant(clinic.id) as session:
        with pytest.raises(Invalid):
            await statistics(session, since, until, RIYADH)


async def test_an_export_has_everything_once_in_short_transactions(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "EXPORTED_AT_ONCE", 2)
    patient = await add_patient(house, clinic)
    made = {await make_message(house, clinic, patient) for _ in range(5)}
    opened = 0

    def open_session() -> AbstractAsyncContextManager[AsyncSession]:
        nonlocal opened
        opened += 1
        return house.database.of_tenant(clinic.id)

    exported = [each.message.id async for each in every_message(open_session, house.keys, Filters())]
    assert len(exported) == 5
    assert set(exported) == made
    assert opened == 3
