"""What reports say of numbers and addresses: flags for an admin, counts of what may pass, and what patients ask for."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub.audit import AuditEntry
from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.people.choices import choose, read_choices
from hub.people.contact_points import SOFT_LIMIT, set_contact
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient
from tests.messages.reported import apply, event_of, new_number, store, taken

FAILED, SOFT, BOUNCED = ReportKind.FAILED, ReportKind.SOFT_BOUNCED, ReportKind.BOUNCED
STOP, START = ReportKind.STOP, ReportKind.START


async def audited(house: House, clinic: Clinic, action: str) -> int:
    async with house.database.of_tenant(clinic.id) as session:
        return len((await session.execute(select(AuditEntry.id).where(AuditEntry.action == action))).all())


@pytest.mark.parametrize(
    ("channel", "kind", "fault", "flag"),
    [
        (Channel.EMAIL, BOUNCED, None, "bounce"),
        (Channel.EMAIL, BOUNCED, AddressFault.INVALID, "bounce"),
        (Channel.EMAIL, ReportKind.COMPLAINED, None, "complaint"),
        (Channel.EMAIL, FAILED, None, None),
        (Channel.EMAIL, ReportKind.DELAYED, None, None),
        (Channel.SMS, FAILED, AddressFault.INVALID, "invalid"),
        (Channel.SMS, FAILED, None, None),
        (Channel.WHATSAPP, FAILED, AddressFault.INVALID, None),
    ],
)
async def test_what_is_for_good_is_flagged_with_its_evidence(
    house: House, clinic: Clinic, channel: Channel, kind: ReportKind, fault: AddressFault | None, flag: str | None
) -> None:
    message = await taken(house, clinic, channel)
    report = message.report(kind, fault=fault)
    await message.told(report)
    point = await message.contact()
    assert point.flag == flag
    assert point.flag_event_id == ((await event_of(house, report)).id if flag else None)
    assert await audited(house, clinic, "patient.contact_flagged") == bool(flag)


async def test_the_same_bounce_by_two_ways_is_one_flag(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    await mail.told(mail.report(BOUNCED, fact="f" + mail.vendor_id), mail.report(BOUNCED, fact="f" + mail.vendor_id))
    await mail.told(mail.report(BOUNCED))
    assert await audited(house, clinic, "patient.contact_flagged") == 1


async def test_everybody_with_a_dead_address_has_it_flagged_at_this_clinic_alone(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    mail = await taken(house, clinic)
    sister, elsewhere = await taken(house, clinic, to=mail.to), await taken(house, other_clinic, to=mail.to)
    await mail.told(mail.report(BOUNCED))
    assert (await sister.contact()).flag == "bounce"
    assert (await elsewhere.contact()).flag is None


async def test_failures_that_may_pass_are_counted_and_a_delivery_forgets_them(house: House, clinic: Clinic) -> None:
    first = await taken(house, clinic, Channel.SMS)
    await first.told(first.report(SOFT, code="30003"))
    assert (await first.contact()).soft_failures == 1
    second = await taken(house, clinic, Channel.SMS, patient=first.patient, to=first.to)
    await second.told(second.report(ReportKind.DELIVERED))
    assert (await first.contact()).soft_failures == 0


async def test_too_many_of_them_flag_the_address(house: House, clinic: Clinic) -> None:
    first = await taken(house, clinic)
    for _ in range(SOFT_LIMIT):
        mail = await taken(house, clinic, patient=first.patient, to=first.to)
        await mail.told(mail.report(SOFT))
    assert (await first.contact()).flag == "bounce"


async def test_an_answer_from_a_holiday_after_the_delivery_counts_nothing(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    await mail.told(mail.report(ReportKind.DELIVERED), mail.report(SOFT))
    assert (await mail.contact()).soft_failures == 0
    assert (await mail.message()).state == "delivered"


async def test_a_vendor_that_knows_of_a_refusal_is_believed(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    await sms.told(sms.report(FAILED, code="21610", fault=AddressFault.OPTED_OUT))
    assert await sms.choices() == [("sms", False, "vendor")]
    message = await sms.message()
    assert (message.state, message.reason) == ("failed", "opted_out")
    assert (await sms.contact()).flag is None


def reply(house: House, address: str, kind: ReportKind, **changes: Any) -> Report:
    """A patient's reply, as a vendor passes it on."""
    values: dict[str, Any] = {"vendor": "twilio", "channel": Channel.SMS, "occurred_at": house.clock()}
    fact = uuid.uuid4().hex
    return Report(transport_id=fact, semantic_key=fact, kind=kind, address=address, **(values | changes))


async def test_stop_is_heeded_at_every_clinic_that_wrote_and_start_restores(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    elsewhere = await taken(house, other_clinic, Channel.SMS, to=sms.to)
    stop = reply(house, sms.to, STOP)
    await sms.told(stop)
    for each in (sms, elsewhere):
        assert await each.choices() == [("sms", False, "reply")]
    assert (await event_of(house, stop)).result == "applied"
    await sms.told(reply(house, sms.to, START))
    for each in (sms, elsewhere):
        assert await each.choices() == [("sms", False, "reply"), ("sms", True, "reply")]


async def test_stop_twice_is_stop_once(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    await sms.told(reply(house, sms.to, STOP), reply(house, sms.to, STOP))
    assert await sms.choices() == [("sms", False, "reply")]


async def test_stop_counts_for_all_who_share_the_number(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    child = await add_patient(house, clinic, name="Adam Doe", phone=sms.to, email=None)
    await sms.told(reply(house, sms.to, STOP))
    async with house.database.of_tenant(clinic.id) as session:
        choices = await read_choices(session, [child.id, sms.patient.id])
    assert [each.channels["sms"] for each in choices.values()] == [False, False]
    assert [each.channels["whatsapp"] for each in choices.values()] == [True, True]


async def test_stop_is_nothing_to_clinics_that_never_wrote_by_this_vendor_and_channel(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    other_vendor = await taken(house, other_clinic, Channel.SMS, to=sms.to, vendor="unifonic")
    await sms.told(reply(house, sms.to, STOP), reply(house, sms.to, STOP, channel=Channel.WHATSAPP))
    assert await other_vendor.choices() == []
    assert await sms.choices() == [("sms", False, "reply")]


async def test_stop_from_a_stranger_changes_nothing(house: House) -> None:
    stranger = reply(house, new_number(), STOP)
    await store(house, [stranger])
    await apply(house)
    assert (await event_of(house, stranger)).result == "nobody"


async def test_start_does_not_ask_for_what_was_never_refused(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    await sms.told(reply(house, sms.to, START))
    assert await sms.choices() == []


async def test_start_restores_what_a_vendor_said_was_refused(house: House, clinic: Clinic, clock: MovableClock) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await choose(work, sms.patient.id, channel=Channel.SMS, allowed=False, source="vendor")
    clock.move(timedelta(seconds=1))
    await sms.told(reply(house, sms.to, START))
    assert (await sms.choices())[-1] == ("sms", True, "reply")


async def test_a_test_message_has_nobody_to_flag(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic, contact_point_id=None)
    await mail.told(mail.report(BOUNCED))
    assert (await mail.message()).state == "bounced"
    assert (await mail.contact()).flag is None


async def test_an_address_that_was_replaced_meanwhile_is_let_be(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await set_contact(work, mail.patient.id, "email", f"{uuid.uuid4().hex}@example.org")
    await mail.told(mail.report(BOUNCED))
    assert (await mail.message()).state == "bounced"
    assert (await mail.contact()).flag is None
