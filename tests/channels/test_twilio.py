"""Twilio: one request per attempt, each row of its tables, and asking what became of a request."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import SecretStr

from hub.channels.twilio import Account, Twilio
from hub.channels.vendor import AddressFault, Channel, Fate, ReportKind
from tests.channels.conftest import Write
from tests.channels.fakes import Deed, FakeVendors
from tests.conftest import MovableClock

SID = "AC" + "0" * 32
SECRET = "shhh-token"
MINUTES_LATER = timedelta(minutes=3)
REPORTS = "https://hub.example/webhooks/twilio/status"


def twilio_at(url: str, clock: MovableClock, **more: Any) -> Twilio:
    senders = {Channel.SMS: "+15005550006", Channel.WHATSAPP: "+15005550007"}
    facts: dict[str, Any] = {"report_url": REPORTS, "per_second": 10, "connect_s": 0.3, "read_s": 0.3} | more
    account = facts.pop("account", Account(SID, SID, SecretStr(SECRET)))
    return Twilio(account, facts.pop("senders", senders), clock, base_url=url, **facts)


@pytest.fixture
async def twilio(fakes: FakeVendors, clock: MovableClock) -> AsyncIterator[Twilio]:
    vendor = twilio_at(fakes.url, clock)
    yield vendor
    await vendor.close()


async def test_an_sms_is_one_form_with_our_reference(twilio: Twilio, fakes: FakeVendors, write: Write) -> None:
    outgoing = write("موعدك غدا")
    outcome = await twilio.send(outgoing)
    (request,) = fakes.requests
    assert (request.method, request.path) == ("POST", f"/2010-04-01/Accounts/{SID}/Messages.json")
    assert request.headers["authorization"] == "Basic " + base64.b64encode(f"{SID}:{SECRET}".encode()).decode()
    assert request.form() == {
        "To": "+966500000100",
        "From": "+15005550006",
        "Body": "موعدك غدا",
        "StatusCallback": f"{REPORTS}?m={outgoing.reference}#rc=5&rp=all",
    }
    assert outcome.fate is Fate.ACCEPTED
    assert outcome.vendor_id == fakes.taken[0].id
    assert (outcome.segments, outcome.cost, outcome.currency) == (1, None, None)
    assert fakes.taken[0].reference == str(outgoing.reference)


async def test_an_api_key_signs_in_for_the_account(fakes: FakeVendors, clock: MovableClock, write: Write) -> None:
    twilio = twilio_at(fakes.url, clock, account=Account(SID, "SK1", SecretStr("key-secret")))
    await twilio.send(write())
    await twilio.close()
    (request,) = fakes.requests
    assert f"/{SID}/" in request.path
    assert base64.b64decode(request.headers["authorization"].split()[1]) == b"SK1:key-secret"


async def test_a_service_chooses_the_sender_and_counts_later(
    fakes: FakeVendors, clock: MovableClock, write: Write
) -> None:
    service = "MG" + "1" * 32
    twilio = twilio_at(fakes.url, clock, senders={Channel.SMS: service, Channel.WHATSAPP: service}, report_url=None)
    sms, whatsapp = write(), write(channel=Channel.WHATSAPP)
    outcomes = [await twilio.send(sms), await twilio.send(whatsapp)]
    await twilio.close()
    forms = [request.form() for request in fakes.requests]
    assert [form["MessagingServiceSid"] for form in forms] == [service, service]
    assert not [form for form in forms if "From" in form or "StatusCallback" in form]
    assert [outcome.segments for outcome in outcomes] == [None, None]


async def test_whatsapp_goes_by_approved_words_outside_a_conversation(
    twilio: Twilio, fakes: FakeVendors, write: Write
) -> None:
    await twilio.send(write("نص", channel=Channel.WHATSAPP, approved="HX1", approved_values={"1": "سارة", "2": "9"}))
    await twilio.send(write("hello", channel=Channel.WHATSAPP))
    approved, plain = (request.form() for request in fakes.requests)
    assert (approved["To"], approved["From"]) == ("whatsapp:+966500000100", "whatsapp:+15005550007")
    assert (approved["ContentSid"], json.loads(approved["ContentVariables"])) == ("HX1", {"1": "سارة", "2": "9"})
    assert "Body" not in approved
    assert plain["Body"] == "hello"
    assert "ContentSid" not in plain


@pytest.mark.parametrize(
    ("ahead", "seconds"), [(timedelta(hours=1), "3600"), (timedelta(days=3), "36000"), (timedelta(seconds=-5), "1")]
)
async def test_what_expires_is_not_kept_longer(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write, ahead: timedelta, seconds: str
) -> None:
    clock.stop(datetime(2026, 3, 1, tzinfo=UTC))
    await twilio.send(write(valid_until=clock() + ahead))
    assert fakes.requests[0].form()["ValidityPeriod"] == seconds


def error(code: int, status: int = 400) -> Deed:
    return Deed(status, {"code": code, "message": "The 'To' number +966500000100 …", "more_info": "", "status": status})


REFUSALS = [
    (error(20429, 429), Fate.PASSING, None),
    (Deed(429), Fate.PASSING, None),
    *((Deed(status, "<html>"), Fate.PASSING, None) for status in (500, 502, 503, 504)),
    *((error(code, status), Fate.OPERATOR, None) for code, status in ((20003, 401), (20404, 404), (20008, 403))),
    *((error(code), Fate.PERMANENT, AddressFault.INVALID) for code in (21211, 21614, 21635, 21217)),
    *((error(code), Fate.PERMANENT, None) for code in (21408, 21612, 21606, 21603, 21659)),
    (error(21610), Fate.PERMANENT, AddressFault.OPTED_OUT),
    *((error(code), Fate.PERMANENT, None) for code in (21617, 21654, 21655, 21656, 21620)),
    *((error(code), Fate.PASSING, None) for code in (30001, 30022, 30500, 63018)),
    *((error(code), Fate.PERMANENT, None) for code in (63003, 63024)),
    (error(99999), Fate.PERMANENT, None),
    (Deed(400, "not JSON"), Fate.PERMANENT, None),
    (Deed(400, "[" * 100_000), Fate.PERMANENT, None),
    (Deed(401), Fate.OPERATOR, None),
    (Deed(404), Fate.OPERATOR, None),
    (Deed(302, headers={"Location": "https://elsewhere.example/"}), Fate.OPERATOR, None),
]


@pytest.mark.parametrize(("deed", "fate", "fault"), REFUSALS)
async def test_a_refusal_is_classed_by_its_code(
    twilio: Twilio, fakes: FakeVendors, write: Write, deed: Deed, fate: Fate, fault: AddressFault | None
) -> None:
    fakes.then(deed)
    outcome = await twilio.send(write())
    assert (outcome.fate, outcome.fault) == (fate, fault)
    assert outcome.code == (str(deed.body["code"]) if isinstance(deed.body, dict) else f"http_{deed.status}")
    assert len(fakes.requests) == 1
    assert "966500000100" not in repr(outcome), "what is kept of an answer quotes no number"


async def test_too_many_requests_says_how_long(twilio: Twilio, fakes: FakeVendors, write: Write) -> None:
    fakes.then(Deed(429, {"code": 20429}, {"Retry-After": "30"}))
    assert (await twilio.send(write())).retry_after_s == 30


@pytest.mark.parametrize(
    "deed",
    [Deed(hangs=True), Deed(cut_before=True), Deed(cut_midway=True), Deed(delay_s=1), Deed(201, "{}"), Deed(200, "x")],
)
async def test_without_a_readable_answer_it_may_have_been_sent(
    twilio: Twilio, fakes: FakeVendors, write: Write, deed: Deed
) -> None:
    fakes.then(deed)
    assert (await twilio.send(write())).fate is Fate.UNKNOWN
    await asyncio.sleep(0.1)
    assert len(fakes.requests) == 1


async def test_where_nobody_listens_it_is_tried_again(clock: MovableClock, write: Write) -> None:
    twilio = twilio_at("http://127.0.0.1:1", clock)
    assert (await twilio.send(write())).fate is Fate.PASSING
    await twilio.close()


async def test_a_message_that_failed_at_once_is_refused(twilio: Twilio, fakes: FakeVendors, write: Write) -> None:
    fakes.then(Deed(201, {"sid": "SM" + "1" * 32, "status": "failed", "error_code": 21610}))
    outcome = await twilio.send(write())
    assert (outcome.fate, outcome.fault, outcome.code) == (Fate.PERMANENT, AddressFault.OPTED_OUT, "21610")


@pytest.mark.parametrize(
    ("price", "cost"),
    [("-0.00750", Decimal("0.00750")), ("0.0075", Decimal("0.0075")), (None, None), ("", None), ("NaN", None)],
)
async def test_a_price_is_a_positive_decimal(
    twilio: Twilio, fakes: FakeVendors, write: Write, price: str | None, cost: Decimal | None
) -> None:
    said = {"sid": "SM" + "1" * 32, "status": "sent", "price": price, "price_unit": "usd", "num_segments": "3"}
    fakes.then(Deed(201, said))
    outcome = await twilio.send(write())
    assert (outcome.cost, outcome.currency, outcome.segments) == (cost, "USD" if cost else None, 3)


@pytest.mark.parametrize("deed", [Deed(hangs=True, takes=True), Deed(cut_before=True, takes=True)])
async def test_asked_later_it_has_what_it_took(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write, deed: Deed
) -> None:
    outgoing, since = write(), clock()
    fakes.then(deed)
    assert (await twilio.send(outgoing)).fate is Fate.UNKNOWN
    clock.move(MINUTES_LATER)
    found = await twilio.ask(outgoing, None, since)
    assert found is not None
    assert (found.fate, found.vendor_id) == (Fate.ACCEPTED, fakes.taken[0].id)
    assert fakes.requests[1].query["To"] == outgoing.to


async def test_asked_later_it_never_had_what_it_did_not_take(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write
) -> None:
    await twilio.send(write("something else, to the same number"))
    outgoing, since = write(), clock()
    fakes.then(Deed(cut_before=True))
    await twilio.send(outgoing)
    assert await twilio.ask(outgoing, None, since) is None, "it may yet be listed"
    clock.move(MINUTES_LATER)
    found = await twilio.ask(outgoing, None, since)
    assert found is not None
    assert found.fate is Fate.PASSING


@pytest.mark.parametrize("deed", [Deed(503), Deed(200, "[]"), Deed(200, "{}"), Deed(hangs=True), Deed(401)])
async def test_an_answer_that_tells_nothing_decides_nothing(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write, deed: Deed
) -> None:
    since = clock()
    clock.move(MINUTES_LATER)
    fakes.then(deed)
    assert await twilio.ask(write(), None, since) is None


def listed(at: datetime | None, body: str | None, **more: Any) -> dict[str, Any]:
    made = format_datetime(at) if at else "nonsense"
    facts = {"sid": "SM" + "1" * 32, "status": "sent", "direction": "outbound-api", "to": "+966500000100"}
    return facts | {"body": body, "date_created": made} | more


SINCE = datetime(2026, 3, 1, 8, tzinfo=UTC)
NEAR, WITHIN_A_DAY, LONG_AGO = (SINCE + timedelta(seconds=s) for s in (2, -3600, -200_000))
WORDS = "It's at 9 – don't be late"
LISTS: list[tuple[str, list[dict[str, Any]], Fate | None]] = [
    ("ours", [listed(NEAR, WORDS)], Fate.ACCEPTED),
    ("ours, with other quotes and dashes", [listed(NEAR, "It’s at 9 - don’t be late")], Fate.ACCEPTED),
    ("ours, behind a trial's words", [listed(NEAR, f"Sent from a trial account - {WORDS}")], Fate.ACCEPTED),
    ("ours, and another one", [listed(NEAR, "Other words"), listed(NEAR, WORDS)], Fate.ACCEPTED),
    ("nothing", [], Fate.PASSING),
    ("another one", [listed(NEAR, "Other words")], Fate.PASSING),
    ("the same words long ago", [listed(LONG_AGO, WORDS)], Fate.PASSING),
    ("a patient's answer", [listed(NEAR, WORDS, direction="inbound")], Fate.PASSING),
    ("the same words twice", [listed(NEAR, WORDS), listed(NEAR, WORDS)], None),
    ("the same words, by another clock", [listed(WITHIN_A_DAY, WORDS)], None),
    ("the same words at an unknown time", [listed(None, WORDS)], None),
    ("words that were discarded", [listed(NEAR, "")], None),
    ("words that were discarded long ago", [listed(LONG_AGO, None)], Fate.PASSING),
    ("approved words", [listed(NEAR, "Other words", to="whatsapp:+966500000100")], None),
]


@pytest.mark.parametrize(("messages", "fate"), [each[1:] for each in LISTS], ids=[each[0] for each in LISTS])
async def test_only_what_is_certain_is_believed(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write, messages: list[Any], fate: Fate | None
) -> None:
    clock.stop(SINCE + MINUTES_LATER)
    fakes.then(Deed(200, {"messages": messages, "next_page_uri": None}))
    found = await twilio.ask(write(WORDS), None, SINCE)
    assert (found and found.fate) == fate


async def test_emoji_alone_are_words_too(twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write) -> None:
    clock.stop(SINCE + MINUTES_LATER)
    fakes.then(Deed(200, {"messages": [listed(NEAR, "🎉")], "next_page_uri": None}))
    found = await twilio.ask(write("🎉"), None, SINCE)
    assert found is not None
    assert found.fate is Fate.ACCEPTED


@pytest.mark.parametrize(("oldest", "fate"), [(NEAR, None), (LONG_AGO, Fate.PASSING)])
async def test_a_list_that_goes_on_is_complete_if_it_reaches_back(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write, oldest: datetime, fate: Fate | None
) -> None:
    clock.stop(SINCE + MINUTES_LATER)
    fakes.then(Deed(200, {"messages": [listed(oldest, "Other words")], "next_page_uri": "/more"}))
    found = await twilio.ask(write(WORDS), None, SINCE)
    assert (found and found.fate) == fate


async def test_asked_by_its_id_it_tells_price_and_fate(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write
) -> None:
    outgoing = write()
    sent = await twilio.send(outgoing)
    assert sent.vendor_id
    later = await twilio.ask(outgoing, sent.vendor_id, clock())
    assert later is not None
    assert (later.fate, later.vendor_id, [r.kind for r in later.foretold]) == (
        Fate.ACCEPTED,
        sent.vendor_id,
        [ReportKind.OTHER],
    )
    assert fakes.requests[1].path.endswith(f"/Messages/{sent.vendor_id}.json")
    assert await twilio.ask(outgoing, "SM" + "f" * 32, clock()) is None


async def test_a_report_that_never_came_is_made_up_for(
    twilio: Twilio, fakes: FakeVendors, clock: MovableClock, write: Write
) -> None:
    outgoing = write()
    message = listed(NEAR, outgoing.text, status="undelivered", error_code=30005, price="-0.05", price_unit="USD")
    fakes.then(Deed(200, {"messages": [message], "next_page_uri": None}))
    clock.stop(SINCE + MINUTES_LATER)
    found = await twilio.ask(outgoing, None, SINCE)
    assert found is not None
    (report,) = found.foretold
    assert (report.kind, report.code, report.fault) == (ReportKind.FAILED, "30005", AddressFault.INVALID)
    assert (report.reference, report.address) == (outgoing.reference, outgoing.to)
    assert (found.cost, found.currency) == (Decimal("0.05"), "USD")


async def test_fifty_at_once_are_fifty_requests(twilio: Twilio, fakes: FakeVendors, write: Write) -> None:
    outcomes = await asyncio.gather(*(twilio.send(write(f"number {n}")) for n in range(50)))
    assert {outcome.fate for outcome in outcomes} == {Fate.ACCEPTED}
    assert len({outcome.vendor_id for outcome in outcomes}) == len(fakes.requests) == 50
    assert fakes.twice == {"references": [], "words": []}
