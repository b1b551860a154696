"""What a clinic tells: the table as it stands there, and deciding about its rows."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from hub.appointments.switches import Setting, read_settings, switch
from hub.appointments.tables import TellingSwitch
from hub.appointments.tellings import BY_KEY, TELLINGS, Event, Recipient, Way
from hub.audit import AuditEntry
from hub.channels.vendor import Channel
from hub.errors import Invalid, NotFound
from hub.templates.defaults import install_defaults
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.factories import Clinic, write_template

Key = tuple[Event, Recipient, Way]
TEXT_OF_CONFIRMED = (Event.CONFIRMED, Recipient.PATIENT, Way.TEXT)
TEXT_OF_BOOKED = (Event.BOOKED, Recipient.PATIENT, Way.TEXT)
BELL = (Event.CONFIRMED, Recipient.CLINICIAN, Way.IN_APP)
MAIL_TO_CLINICIAN = (Event.CANCELLED, Recipient.CLINICIAN, Way.EMAIL)


async def decide(house: House, clinic: Clinic, key: Key, enabled: bool, code: str | None = None) -> Setting:
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        return await switch(work, *key, enabled=enabled, code=code)


async def settings_of(house: House, clinic: Clinic) -> dict[Key, Setting]:
    async with house.database.of_tenant(clinic.id) as session:
        return dict(await read_settings(session))


async def decisions(house: House, clinic: Clinic) -> int:
    async with house.database.of_tenant(clinic.id) as session:
        return (await session.execute(select(func.count()).select_from(TellingSwitch))).scalar_one()


@pytest.fixture
async def worded(house: House, clinic: Clinic) -> Clinic:
    """A clinic with the words that every clinic begins with."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    return clinic


def test_no_row_stands_twice_and_templates_are_for_messages_alone() -> None:
    assert len(BY_KEY) == len(TELLINGS)
    assert all((row.code is None) == (row.over is Way.IN_APP) for row in TELLINGS)
    assert not [row for row in TELLINGS if row.event is Event.IN_PROGRESS]


async def test_a_clinic_that_never_decided_tells_the_table_as_it_is(house: House, clinic: Clinic) -> None:
    settings = await settings_of(house, clinic)
    assert list(settings) == [row.key for row in TELLINGS]
    assert all(
        (each.enabled, each.code, each.changed) == (row.usual, row.code, False)
        for row, each in zip(TELLINGS, settings.values(), strict=True)
    )
    assert [key for key, each in settings.items() if not each.enabled] == [
        TEXT_OF_BOOKED,
        (Event.BOOKED, Recipient.PATIENT, Way.EMAIL),
    ]


@pytest.mark.parametrize("key", [TEXT_OF_CONFIRMED, BELL], ids=["a message", "a ring"])
async def test_a_row_is_switched_off_and_on_again(house: House, clinic: Clinic, other_clinic: Clinic, key: Key) -> None:
    off = await decide(house, clinic, key, False)
    assert (off.enabled, off.changed, off.code) == (False, True, BY_KEY[key].code)
    settings = await settings_of(house, clinic)
    assert [each for each, setting in settings.items() if setting.changed] == [key]
    assert settings[key] == off
    assert not (await settings_of(house, other_clinic))[key].changed
    on = await decide(house, clinic, key, True)
    assert (on.enabled, on.changed) == (True, False)
    assert await decisions(house, clinic) == 0


async def test_another_template_is_chosen_and_forgotten(house: House, worded: Clinic) -> None:
    chosen = await decide(house, worded, TEXT_OF_CONFIRMED, True, "appointment_reminder_day")
    assert (chosen.code, chosen.changed) == ("appointment_reminder_day", True)
    assert (await settings_of(house, worded))[TEXT_OF_CONFIRMED] == chosen
    usual = await decide(house, worded, TEXT_OF_CONFIRMED, True)
    assert (usual.code, usual.changed) == ("appointment_confirmed", False)
    assert await decisions(house, worded) == 0


@pytest.mark.parametrize(
    ("key", "code", "accepts"),
    [
        (TEXT_OF_CONFIRMED, "no_such_template", "appointment_booked"),
        (TEXT_OF_CONFIRMED, "staff_appointment_booked", "appointment_booked"),
        (TEXT_OF_CONFIRMED, "invoice_issued", "appointment_booked"),
        (MAIL_TO_CLINICIAN, "appointment_cancelled", "staff_appointment_cancelled"),
    ],
    ids=["one there is not", "one for email alone", "one about money", "one with a patient's choices, to staff"],
)
async def test_a_template_that_cannot_say_it_is_refused_with_those_that_can(
    house: House, worded: Clinic, key: Key, code: str, accepts: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await decide(house, worded, key, True, code)
    ((field, accepted),) = [(each.field, each.accepted or []) for each in refused.value.errors]
    assert field == "code"
    assert accepts in accepted
    assert code not in accepted
    assert await decisions(house, worded) == 0


async def test_a_draft_is_no_template_yet(house: House, clinic: Clinic) -> None:
    await write_template(house, clinic, "own_words", Channel.SMS, ("Hello",))
    with pytest.raises(Invalid):
        await decide(house, clinic, TEXT_OF_CONFIRMED, True, "own_words")
    await write_template(house, clinic, "other_words", Channel.WHATSAPP)
    assert (await decide(house, clinic, TEXT_OF_CONFIRMED, True, "other_words")).code == "other_words"


async def test_an_optional_row_is_switched_on_where_there_are_words_for_it(house: House, clinic: Clinic) -> None:
    with pytest.raises(Invalid):
        await decide(house, clinic, TEXT_OF_BOOKED, True)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    on = await decide(house, clinic, TEXT_OF_BOOKED, True)
    assert (on.enabled, on.code, on.changed) == (True, "appointment_booked", True)


async def test_a_ring_takes_no_template(house: House, clinic: Clinic) -> None:
    with pytest.raises(Invalid, match="no template"):
        await decide(house, clinic, BELL, True, "appointment_confirmed")


async def test_what_is_no_row_cannot_be_switched(house: House, clinic: Clinic) -> None:
    with pytest.raises(NotFound):
        await decide(house, clinic, (Event.IN_PROGRESS, Recipient.PATIENT, Way.TEXT), True)


async def test_a_decision_is_audited_and_the_same_one_again_is_none(house: House, clinic: Clinic) -> None:
    for _ in range(2):
        await decide(house, clinic, BELL, False)
    async with house.database.of_tenant(clinic.id) as session:
        switched = select(AuditEntry).where(AuditEntry.action == "telling.switched")
        entries = (await session.execute(switched)).scalars().all()
    row: dict[str, Any] = {"event": "confirmed", "to": "clinician", "over": "in_app", "code": None}
    assert [(each.actor_id, each.before, each.after) for each in entries] == [
        (clinic.admin.id, row | {"enabled": True}, row | {"enabled": False})
    ]
