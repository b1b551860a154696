"""Reports of vendors: stored once, applied once, in whatever order; what nobody knows waits, and is put away."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from sqlalchemy import select, text, update

from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.crypto import Keys
from hub.messages import receipts
from hub.messages.intake import Intake
from hub.messages.progress import is_same_address
from hub.messages.receipts import apply_due_reports, insert_rows, open_event, rows_of
from hub.messages.tables import Attempt, Message, VendorEvent
from hub.wiring import House
from hub.work import SYSTEM, Job
from tests.conftest import HUB_KEYS, MovableClock
from tests.factories import Clinic
from tests.messages.reported import Taken, apply, event_of, new_number, store, taken

SENT, DELAYED, DELIVERED, READ = ReportKind.SENT, ReportKind.DELAYED, ReportKind.DELIVERED, ReportKind.READ
FAILED, SOFT, BOUNCED = ReportKind.FAILED, ReportKind.SOFT_BOUNCED, ReportKind.BOUNCED
COMPLAINED = ReportKind.COMPLAINED


async def test_a_report_moves_the_request_and_its_message(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    assert await mail.told(mail.report(DELIVERED)) == 1
    assert (await mail.attempt()).state == "delivered"
    assert (await mail.message()).state == "delivered"
    assert (await mail.steps())[-1] == ("delivered", "delivered")


async def test_what_is_stored_is_sealed_as_it_came(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    report = mail.report(DELIVERED, detail={"type": "Delivery"}, cost=Decimal("0.10"), currency="USD")
    await store(house, [report], b'{"to": "sara@example.org"}')
    event = await event_of(house, report)
    assert b"sara" not in event.sealed
    assert open_event(house.keys, event.id, event.sealed) == (report, b'{"to": "sara@example.org"}')
    for name in ("transport_id", "semantic_key", "vendor_id", "kind"):
        assert "@" not in str(getattr(event, name))


async def test_the_same_delivery_and_the_same_fact_are_stored_once(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    report = mail.report(DELIVERED)
    assert await store(house, [report]) == 1
    assert await store(house, [report]) == 0
    assert await store(house, [replace(report, transport_id=uuid.uuid4().hex)]) == 0
    assert await store(house, [replace(report, semantic_key=uuid.uuid4().hex)]) == 0
    assert await store(house, [replace(report, vendor="another")]) == 1


async def test_twenty_copies_at_once_are_one_row_and_one_effect(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    report = mail.report(SOFT)
    copies = [replace(report, transport_id=f"{report.transport_id}-{index % 10}") for index in range(20)]
    assert sum(await asyncio.gather(*(store(house, [copy]) for copy in copies))) == 1
    await asyncio.gather(*(apply(house) for _ in range(5)))
    assert (await mail.contact()).soft_failures == 1
    assert [reason for _, reason in await mail.steps()].count("soft_bounced") == 2  # the report, and where it led


async def test_keys_of_any_length_and_letters_are_stored(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    for fact in ("x" * 10_000, "م" * 3000, "a\x00b" + uuid.uuid4().hex):
        report = mail.report(SENT, fact=fact)
        assert await store(house, [report]) == 1
        assert await store(house, [report]) == 0


EMAIL_EVENTS = (SENT, DELAYED, DELIVERED, SOFT, BOUNCED, COMPLAINED)


async def end_of(mail: Taken) -> tuple[str, str, str | None]:
    """Where everything ends; who complained and bounced waits for an admin either way."""
    return (await mail.attempt()).state, (await mail.message()).state, "flag" if (await mail.contact()).flag else None


async def after_each_order(house: House, clinic: Clinic, orders: list[tuple[ReportKind, ...]]) -> set[object]:
    """How messages end after their reports came one by one, each message's in another order."""
    mails = [await taken(house, clinic) for _ in orders]
    for place in range(len(orders[0])):
        await store(house, [mail.report(order[place]) for mail, order in zip(mails, orders, strict=True)])
        await apply(house)
    return {await end_of(mail) for mail in mails}


async def test_every_order_of_an_emails_events_ends_the_same(house: House, clinic: Clinic) -> None:
    orders = random.Random(4).sample(list(permutations(EMAIL_EVENTS)), 90)
    assert await after_each_order(house, clinic, orders) == {("bounced", "bounced", "flag")}
    whole = [*permutations((SENT, DELAYED, DELIVERED, SOFT))]
    assert await after_each_order(house, clinic, whole) == {("delivered", "delivered", None)}
    assert await after_each_order(house, clinic, [*permutations((SENT, SOFT, BOUNCED))]) == {
        ("bounced", "bounced", "flag")
    }
    assert await after_each_order(house, clinic, [*permutations((SENT, DELIVERED, COMPLAINED))]) == {
        ("delivered", "delivered", "flag")
    }


async def test_every_order_of_an_smss_statuses_ends_the_same(house: House, clinic: Clinic) -> None:
    orders = [*permutations((ReportKind.OTHER, SENT, DELIVERED, READ, FAILED))]
    mails = [await taken(house, clinic, Channel.WHATSAPP) for _ in orders]
    for place in range(len(orders[0])):
        await store(house, [mail.report(order[place]) for mail, order in zip(mails, orders, strict=True)])
        await apply(house)
    assert {await end_of(mail) for mail in mails} == {("read", "read", None)}


async def test_all_in_one_heap_end_where_one_by_one_would(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    reports = [mail.report(kind) for kind in EMAIL_EVENTS]
    random.Random(7).shuffle(reports)
    await store(house, reports)
    await apply(house)
    assert await end_of(mail) == ("bounced", "bounced", "flag")


async def test_a_delivery_corrects_a_failure(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    await sms.told(sms.report(FAILED, code="30003"))
    assert (await sms.message()).state == "failed"
    assert (await sms.attempt()).code == "30003"
    await sms.told(sms.report(DELIVERED))
    message = await sms.message()
    assert (message.state, message.reason) == ("delivered", None)


async def test_a_failure_gives_the_next_channel_its_turn(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS, channels=[Channel.SMS, Channel.EMAIL])
    await sms.told(sms.report(FAILED, code="30007"))
    message = await sms.message()
    assert (message.state, message.channel, message.tries) == ("queued", "email", 0)
    await sms.told(sms.report(FAILED, code="30008"), sms.report(BOUNCED))
    assert (await sms.message()).state == "queued"
    await sms.told(sms.report(DELIVERED))
    assert (await sms.message()).state == "queued"  # it had bounced for good: that outranks a delivery


async def test_a_late_delivery_stops_the_next_channel(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS, channels=[Channel.SMS, Channel.EMAIL])
    await sms.told(sms.report(FAILED), sms.report(DELIVERED))
    assert (await sms.message()).state == "delivered"


async def test_what_failed_once_is_told_once_however_it_is_repeated(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS, channels=[Channel.SMS, Channel.WHATSAPP, Channel.EMAIL])
    await sms.told(*(sms.report(FAILED) for _ in range(3)))
    assert (await sms.message()).channel == "whatsapp"


async def test_an_earlier_requests_failure_changes_nothing_any_more(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS, message={"attempt": 2, "state": "sent"})
    await sms.told(sms.report(FAILED))
    assert (await sms.attempt()).state == "failed"
    assert (await sms.message()).state == "sent"
    await sms.told(sms.report(DELIVERED))
    assert (await sms.message()).state == "delivered"


async def test_a_report_settles_what_nobody_knew(house: House, clinic: Clinic) -> None:
    sms = await taken(
        house, clinic, Channel.SMS, message={"state": "unknown"}, state="unknown", vendor_id=None, finished_at=None
    )
    await sms.told(sms.report(DELIVERED, vendor_id="SM9", reference=sms.attempt_id))
    assert (await sms.message()).state == "delivered"
    assert (await sms.attempt()).vendor_id == "SM9"


async def test_a_report_quicker_than_the_answer_counts(house: House, clinic: Clinic) -> None:
    lease = house.clock() + timedelta(seconds=60)
    sms = await taken(
        house, clinic, Channel.SMS, message={"state": "sending", "lease_until": lease}, state="sending", vendor_id=None
    )
    await sms.told(sms.report(DELIVERED, vendor_id="SM8", reference=sms.attempt_id))
    message = await sms.message()
    assert (message.state, message.lease_until) == ("delivered", None)


async def test_costs_and_parts_are_kept_as_they_are(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    await sms.told(sms.report(ReportKind.PRICED, cost=Decimal("0.0079"), currency="USD", segments=2))
    attempt = await sms.attempt()
    assert (attempt.cost, attempt.currency, attempt.segments_billed) == (Decimal("0.007900"), "USD", 2)
    assert (await sms.message()).state == "sent"


async def test_a_report_about_another_recipient_moves_nothing(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    report = sms.report(BOUNCED, address=new_number())
    await sms.told(report)
    assert await end_of(sms) == ("sent", "sent", None)
    assert (await event_of(house, report)).result == "other_recipient"


async def test_a_report_under_another_name_than_the_vendors_own_moves_nothing(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    report = sms.report(FAILED, vendor_id="SM7", reference=sms.attempt_id)
    await sms.told(report)
    assert await end_of(sms) == ("sent", "sent", None)
    assert (await event_of(house, report)).result == "other_request"


async def test_a_report_of_another_vendor_is_about_nothing_here(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    await sms.told(sms.report(FAILED, vendor="unifonic", reference=sms.attempt_id))
    assert (await sms.message()).state == "sent"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("+966500000001", "966500000001", True),
        ("+966500000001", "+966 50 000 0001", True),
        ("+966500000001", "+966500000002", False),
        ("Sara@Example.org", "sara@example.org", True),
        ("sara@bücher.example", "sara@xn--bcher-kva.example", True),
        ("sara@example.org", "sarah@example.org", False),
        ("sara@" + "a" * 80, "sara@" + "a" * 80, True),
    ],
)
def test_addresses_are_the_same_however_vendors_write_them(one: str, other: str, same: bool) -> None:
    assert is_same_address(one, other) is same


async def test_a_report_that_beats_our_commit_waits_for_it(house: House, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(house.clock())
    mail = await taken(house, clinic, vendor_id=None)
    late = mail.report(DELIVERED, vendor_id="known-later-" + uuid.uuid4().hex)
    await store(house, [late])
    await apply(house)
    assert (await event_of(house, late)).applied_at is None
    clock.move(timedelta(minutes=9))
    await apply(house)
    async with house.open_work(clinic.id, SYSTEM) as work:
        named = update(Attempt).where(Attempt.id == mail.attempt_id)
        await work.session.execute(named.values(vendor_id=late.vendor_id))
    clock.move(timedelta(seconds=60))
    await apply(house)
    assert (await mail.message()).state == "delivered"
    event = await event_of(house, late)
    assert (event.result, event.tenant_id, event.attempt_id) == ("applied", clinic.id, mail.attempt_id)


async def test_a_report_about_nothing_is_put_away_after_ten_minutes(house: House, clock: MovableClock) -> None:
    clock.stop(house.clock())
    lost = Report("ses", uuid.uuid4().hex, uuid.uuid4().hex, DELIVERED, house.clock(), Channel.EMAIL, vendor_id="x")
    await store(house, [lost])
    tries = 0
    while (event := await event_of(house, lost)).applied_at is None:
        assert event.due_at
        assert house.clock() - event.received_at <= timedelta(minutes=11)
        clock.stop(event.due_at)
        await apply(house)
        tries += 1
    assert event.result == "orphan"
    assert 5 < tries < 30


async def test_what_is_foretold_happens_in_its_time(house: House, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(house.clock())
    mail = await taken(house, clinic)
    await mail.told(mail.report(DELIVERED, occurred_at=house.clock() + timedelta(seconds=30)))
    assert (await mail.message()).state == "sent"
    clock.move(timedelta(seconds=30))
    await apply(house)
    assert (await mail.message()).state == "delivered"


async def test_kinds_without_consequence_are_put_away(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    unknown, opened = mail.report(ReportKind.OTHER), mail.report(ReportKind.OPENED, address=None)
    await mail.told(unknown, opened)
    assert (await event_of(house, unknown)).result == "nothing"
    assert (await event_of(house, opened)).result == "applied"
    assert (await mail.message()).state == "sent"
    assert (await mail.steps())[-1] == ("sent", "opened")


async def test_two_workers_share_what_is_due(house: House, clinic: Clinic) -> None:
    mails = [await taken(house, clinic) for _ in range(30)]
    await store(house, [mail.report(kind) for mail in mails for kind in (SENT, DELIVERED)])
    await asyncio.gather(apply(house), apply(house))
    for mail in mails:
        assert (await mail.message()).state == "delivered"
        assert [reason for _, reason in await mail.steps()].count("delivered") == 1


async def test_another_worker_follows_one_that_died(
    house: House, clinic: Clinic, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.stop(house.clock())
    mail = await taken(house, clinic)
    report = mail.report(DELIVERED)
    await store(house, [report])

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(receipts, "_apply", die)
        with pytest.raises(asyncio.CancelledError):
            await apply(house)
    await apply(house)
    assert (await mail.message()).state == "sent"
    clock.move(timedelta(seconds=61))
    await apply(house)
    assert (await mail.message()).state == "delivered"


async def test_one_report_that_cannot_be_applied_holds_up_no_other(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(house.clock())
    good, bad = await taken(house, clinic), await taken(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        # Sealed by a key that is not here.
        spoiled = update(Attempt).where(Attempt.id == bad.attempt_id)
        await work.session.execute(spoiled.values(sealed=b"\x02k9" + b"\0" * 40))
    report = bad.report(DELIVERED)
    await store(house, [report, good.report(DELIVERED)])
    await apply(house)
    assert (await good.message()).state == "delivered"
    assert (await event_of(house, report)).applied_at is None
    clock.move(timedelta(hours=25))
    await apply(house)
    assert (await event_of(house, report)).result == "fault"


async def test_a_report_sealed_by_a_lost_key_is_put_away(house: House, clinic: Clinic) -> None:
    mail = await taken(house, clinic)
    report = mail.report(DELIVERED)
    other = Keys.parse("k9:" + HUB_KEYS.partition(":")[2])
    async with house.database.of_nobody() as session:
        await insert_rows(session, rows_of(other, [report], b"", house.clock()))
    await apply(house)
    assert (await event_of(house, report)).result == "unreadable"


async def test_reports_stay_with_their_own_clinic(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    mine, theirs = await taken(house, clinic), await taken(house, other_clinic)
    await mine.told(mine.report(DELIVERED))
    assert (await theirs.message()).state == "sent"
    async with house.database.of_tenant(other_clinic.id) as session:
        assert not (await session.execute(select(Message.id).where(Message.id == mine.message_id))).first()


async def test_many_requests_are_stored_under_one_commit_and_workers_poked_once(house: House, clinic: Clinic) -> None:
    poked: list[Job] = []

    async def enqueue(jobs: list[Job]) -> None:
        poked.extend(jobs)

    intake = Intake(house.database, house.keys, house.clock, enqueue)
    mail = await taken(house, clinic)
    reports = [mail.report(SENT) for _ in range(700)]
    assert await asyncio.gather(*(intake.take([report], b"raw") for report in reports)) == [1] * 700
    assert await asyncio.gather(*(intake.take([report], b"raw") for report in reports[:20])) == [0] * 20
    await asyncio.sleep(0.5)
    assert poked == [receipts.APPLY]
    await intake.close()


async def test_what_cannot_be_stored_spoils_nothing_else(house: House, clinic: Clinic) -> None:
    async def enqueue(_jobs: list[Job]) -> None:
        pass

    intake = Intake(house.database, house.keys, house.clock, enqueue)
    mail = await taken(house, clinic)
    # Postgres takes no NUL in a text.
    bad, good = mail.report(SENT, vendor_id="\x00"), mail.report(DELIVERED)
    results = await asyncio.gather(intake.take([bad], b""), intake.take([good], b""), return_exceptions=True)
    assert isinstance(results[0], Exception)
    assert results[1] == 1
    await intake.close()


async def test_an_invalid_number_is_told_by_its_reason(house: House, clinic: Clinic) -> None:
    sms = await taken(house, clinic, Channel.SMS)
    await sms.told(sms.report(FAILED, code="30005", fault=AddressFault.INVALID))
    assert (await sms.message()).reason == "invalid_address"


async def test_applying_nothing_costs_one_look(house: House) -> None:
    while await apply_due_reports(house.database, house.open_work, house.keys, house.clock):
        pass
    async with house.database.of_nobody() as session:
        left = select(VendorEvent.id).where(VendorEvent.due_at <= house.clock(), text("applied_at IS NULL"))
        assert not (await session.execute(left)).first()
