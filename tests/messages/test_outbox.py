"""The outbox: what the sandbox took, newest first, found by any word of it, and what its vendor may report."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import update

from hub.channels.vendor import AddressFault, Channel, ReportKind
from hub.errors import Conflict, Invalid, NotFound
from hub.messages import outbox
from hub.messages.outbox import PLAYS, Kept, Page, count_kept, folded, play, read_kept, read_outbox
from hub.messages.receipts import store_reports
from hub.messages.states import REPORTED, AttemptState
from hub.messages.tables import Attempt
from hub.wiring import House
from tests.factories import Clinic, add_patient
from tests.messages.kept import keep


async def listed(house: House, clinic: Clinic, **wanted: object) -> Page:
    async with house.database.of_tenant(clinic.id) as session:
        return await read_outbox(session, house.keys, **{"limit": 10, **wanted})  # type: ignore[arg-type]


async def opened(house: House, clinic: Clinic, attempt: uuid.UUID) -> Kept:
    async with house.database.of_tenant(clinic.id) as session:
        return await read_kept(session, house.keys, attempt)


async def keep_many(house: House, clinic: Clinic, count: int, **more: object) -> list[uuid.UUID]:
    """So many, the newest first."""
    patient = await add_patient(house, clinic)
    start = house.clock() - timedelta(days=1)
    made = [
        await keep(house, clinic, patient=patient, at=start + timedelta(minutes=index), **more)  # type: ignore[arg-type]
        for index in range(count)
    ]
    return made[::-1]


async def test_pages_lead_there_and_back(house: House, clinic: Clinic) -> None:
    made = await keep_many(house, clinic, 25)
    first = await listed(house, clinic)
    second = await listed(house, clinic, before=first.older)
    third = await listed(house, clinic, before=second.older)
    assert [kept.id for page in (first, second, third) for kept in page.items] == made
    assert (first.newer, third.older) == (None, None)
    back = await listed(house, clinic, after=third.newer)
    assert [kept.id for kept in back.items] == made[10:20]
    top = await listed(house, clinic, after=back.newer)
    assert [kept.id for kept in top.items] == made[:10]
    assert top.newer is None
    async with house.database.of_tenant(clinic.id) as session:
        assert await count_kept(session) == 25


@pytest.mark.parametrize("order", ["before", "after"])
async def test_a_search_goes_on_where_it_left_off(
    house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(outbox, "OPENED_AT_ONCE", 4)
    monkeypatch.setattr(outbox, "MOST_OPENED", 8)
    made = await keep_many(house, clinic, 10)
    wanted = [await keep(house, clinic, text="Bring your insurance card.", at=house.clock() - timedelta(days=2))]
    made += wanted
    found, page = [], await listed(house, clinic, search="insurance")
    for _ in range(5):
        found += [kept.id for kept in page.items]
        if page.older is None:
            break
        page = await listed(house, clinic, search="insurance", before=page.older)
    assert found == wanted
    if order == "after":
        page = await listed(house, clinic, search="sara", after=(house.clock() - timedelta(days=3), made[0]))
        assert [kept.id for kept in page.items][-1] == made[-1]


async def test_it_holds_only_what_the_sandbox_took_for_this_clinic(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    mine = await keep(house, clinic)
    theirs = await keep(house, other_clinic)
    billed = await keep(house, clinic, vendor="twilio")
    assert [kept.id for kept in (await listed(house, clinic)).items] == [mine]
    for foreign in (theirs, billed, uuid.uuid4()):
        with pytest.raises(NotFound):
            await opened(house, clinic, foreign)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("قحطانى", True),
        ("القحطاني سارة", True),
        ("0011", True),
        ("٠٠١١", True),
        ("dr. omar", True),
        ("OMAR sunday", False),
        ("james", False),
    ],
)
async def test_a_search_reads_names_numbers_and_words(house: House, clinic: Clinic, search: str, found: bool) -> None:
    patient = await add_patient(house, clinic, name="سارة القحطاني", language="ar")
    text = "مرحبًا، موعدكم مع \u2068Dr. Omar\u2069 يوم الأحد"
    await keep(house, clinic, patient=patient, to="+966500000011", text=text, language="ar")
    assert bool((await listed(house, clinic, search=search)).items) == found


def test_letters_are_folded_as_people_type_them() -> None:
    assert folded("Émile \u2068أحمد\u2069 فاطمة ١٢٣") == "emile احمد فاطمه 123"


async def test_one_channel_can_be_looked_at_alone(house: House, clinic: Clinic) -> None:
    mail = await keep(house, clinic, channel=Channel.EMAIL, to="sara@example.org", subject="Hello")
    await keep(house, clinic)
    assert [kept.id for kept in (await listed(house, clinic, channel=Channel.EMAIL)).items] == [mail]


async def test_one_whose_key_is_gone_is_still_listed(house: House, clinic: Clinic) -> None:
    lost = await keep(house, clinic)
    async with house.database.of_tenant(clinic.id) as session:
        await session.execute(update(Attempt).where(Attempt.id == lost).values(sealed=b"\x02k9" + bytes(40)))
    (kept,) = (await listed(house, clinic)).items
    assert (kept.is_open, kept.to, kept.text) == (False, "", "")


async def test_what_is_played_is_stored_as_a_webhook_stores_it(house: House, clinic: Clinic) -> None:
    kept = await opened(house, clinic, await keep(house, clinic))
    report = play(kept, ReportKind.DELIVERED, house.clock())
    assert (report.vendor, report.reference, report.address) == ("sandbox", kept.id, kept.to)
    assert await store_reports(house.database, house.keys, [report], b"", house.clock()) == 1
    again = play(kept, ReportKind.DELIVERED, house.clock())
    assert again.transport_id != report.transport_id
    assert await store_reports(house.database, house.keys, [again], b"", house.clock()) == 0, "the same fact"
    stops = [play(kept, ReportKind.STOP, house.clock() + timedelta(seconds=index)) for index in range(2)]
    assert await store_reports(house.database, house.keys, stops, b"", house.clock()) == 2, "said twice, meant twice"


async def test_a_bounce_says_what_is_wrong_with_the_address(house: House, clinic: Clinic) -> None:
    kept = await opened(house, clinic, await keep(house, clinic, channel=Channel.EMAIL, to="sara@example.org"))
    report = play(kept, ReportKind.BOUNCED, house.clock())
    assert (report.code, report.fault) == ("no_mailbox", AddressFault.INVALID)


async def test_a_vendor_reports_only_what_it_can(house: House, clinic: Clinic) -> None:
    for channel, kinds in PLAYS.items():
        kept = await opened(house, clinic, await keep(house, clinic, channel=channel))
        for kind in set(REPORTED) - set(kinds):
            with pytest.raises(Invalid) as refusal:
                play(kept, kind, house.clock())
            assert refusal.value.errors[0].accepted == [each.value for each in kinds]
    for state in (AttemptState.REFUSED, AttemptState.NEVER_SENT):
        refused = await opened(house, clinic, await keep(house, clinic, state=state))
        with pytest.raises(Conflict):
            play(refused, ReportKind.DELIVERED, house.clock())
