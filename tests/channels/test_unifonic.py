"""Unifonic: one request per attempt, each status and code of its tables, and asking by our reference."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from hub.channels.unifonic import SmsAccount, Unifonic, WhatsAppAccount
from hub.channels.vendor import AddressFault, Channel, Fate, ReportKind
from tests.channels.conftest import Write
from tests.channels.fakes import Deed, FakeVendors
from tests.conftest import MovableClock

APP_SID = "shhh-app-sid"
SECRET = "shhh-secret"
MINUTES_LATER = timedelta(minutes=3)


def unifonic_at(url: str, clock: MovableClock) -> Unifonic:
    return Unifonic(
        SmsAccount(SecretStr(APP_SID), "NoorClinic"),
        WhatsAppAccount("public", SecretStr(SECRET)),
        clock,
        per_second=10,
        sms_url=url,
        whatsapp_url=url,
        connect_s=0.3,
        read_s=0.3,
    )


@pytest.fixture
async def unifonic(fakes: FakeVendors, clock: MovableClock) -> AsyncIterator[Unifonic]:
    vendor = unifonic_at(fakes.url, clock)
    yield vendor
    await vendor.close()


async def test_an_sms_is_one_form_and_its_secret_in_no_address(
    unifonic: Unifonic, fakes: FakeVendors, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outgoing = write("موعدك غدا")
    outcome = await unifonic.send(outgoing)
    (request,) = fakes.requests
    assert (request.method, request.path, dict(request.query)) == ("POST", "/rest/SMS/messages", {})
    assert request.form() == {
        "AppSid": APP_SID,
        "SenderID": "NoorClinic",
        "Recipient": "966500000100",
        "Body": "موعدك غدا",
        "responseType": "JSON",
        "CorrelationID": outgoing.reference.hex,
    }
    assert outcome.fate is Fate.ACCEPTED
    assert outcome.vendor_id == fakes.taken[0].id, "a number, kept as text"
    assert (outcome.segments, outcome.cost, outcome.currency) == (1, Decimal("0.04"), "SAR")
    assert APP_SID not in caplog.text
    assert "966500000100" not in caplog.text + repr(outcome)


async def test_whatsapp_is_one_conversation_message(unifonic: Unifonic, fakes: FakeVendors, write: Write) -> None:
    values = {"10": "ten", "2": "سارة", "1": "Noor"}
    outcome = await unifonic.send(write("hello", channel=Channel.WHATSAPP))
    facts = {"approved": "reminder", "approved_values": values, "language": "ar"}
    await unifonic.send(write("نص", channel=Channel.WHATSAPP, **facts))
    plain, approved = fakes.requests
    assert (plain.path, plain.headers["publicid"], plain.headers["secret"]) == ("/v1/messages", "public", SECRET)
    assert plain.json() == {
        "recipient": {"contact": "+966500000100", "channel": "whatsapp"},
        "content": {"type": "text", "text": "hello"},
    }
    assert approved.json()["content"] == {
        "type": "template",
        "name": "reminder",
        "language": {"code": "ar"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": t} for t in ("Noor", "سارة", "ten")]}],
    }
    assert (outcome.fate, outcome.vendor_id) == (Fate.ACCEPTED, fakes.taken[0].id)
    assert APP_SID not in str(plain.headers)


@pytest.mark.parametrize(
    "body",
    [
        {"success": "true", "errorCode": "ER-00", "data": {"messageID": "3200017889310", "Cost": "0.080"}},
        {"Success": True, "ErrorCode": "ER-00", "Data": {"MessageId": 3200017889310, "Cost": 0.08}},
    ],
)
async def test_success_is_read_however_it_is_written(
    unifonic: Unifonic, fakes: FakeVendors, write: Write, body: dict[str, Any]
) -> None:
    fakes.then(Deed(200, body))
    outcome = await unifonic.send(write())
    assert (outcome.fate, outcome.vendor_id, outcome.cost) == (Fate.ACCEPTED, "3200017889310", Decimal("0.08"))


def refusal(code: str, success: object = False, status: int = 200) -> Deed:
    return Deed(status, {"success": success, "message": "+966500000100 …", "errorCode": code, "data": None})


REFUSALS = [
    (Deed(429), Fate.PASSING, None),
    *((Deed(status), Fate.PASSING, None) for status in (500, 502, 503, 504, 598)),
    *((Deed(status), Fate.OPERATOR, None) for status in (401, 402, 403, 404, 480)),
    *((Deed(status), Fate.PERMANENT, None) for status in (400, 406, 412, 422, 449, 456, 459, 460, 481, 482, 483, 599)),
    (Deed(410), Fate.PERMANENT, AddressFault.INVALID),
    (Deed(301, headers={"Location": "/x"}), Fate.OPERATOR, None),
    *((refusal(code), Fate.OPERATOR, None) for code in ("ER-01", "ER-08")),
    (refusal("ER-02"), Fate.PERMANENT, AddressFault.INVALID),
    *((refusal(code), Fate.PERMANENT, None) for code in ("ER-03", "ER-04", "ER-05", "ER-06", "ER-07", "ER-10")),
    (refusal("ER-99"), Fate.PERMANENT, None),
    (refusal("ER-00"), Fate.PERMANENT, None),
    (refusal("ER-00", "false"), Fate.PERMANENT, None),
    (refusal("ER-02", True), Fate.PERMANENT, AddressFault.INVALID),
    (refusal("ER-05", status=482), Fate.PERMANENT, None),
]


@pytest.mark.parametrize(("deed", "fate", "fault"), REFUSALS)
async def test_a_refusal_is_classed_by_status_and_code(
    unifonic: Unifonic, fakes: FakeVendors, write: Write, deed: Deed, fate: Fate, fault: AddressFault | None
) -> None:
    fakes.then(deed)
    outcome = await unifonic.send(write())
    assert (outcome.fate, outcome.fault) == (fate, fault)
    assert outcome.code == (deed.body["errorCode"] if isinstance(deed.body, dict) else f"http_{deed.status}")
    assert len(fakes.requests) == 1
    assert "966500000100" not in repr(outcome), "what is kept of an answer quotes no number"


@pytest.mark.parametrize("deed", [Deed(409), refusal("ER-09")])
async def test_a_duplicate_is_with_the_patient_already(
    unifonic: Unifonic, fakes: FakeVendors, write: Write, deed: Deed
) -> None:
    fakes.then(deed)
    outcome = await unifonic.send(write())
    assert (outcome.fate, outcome.vendor_id, outcome.answer["status"]) == (Fate.ACCEPTED, None, "duplicate")


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.WHATSAPP])
@pytest.mark.parametrize(
    "deed",
    [Deed(hangs=True), Deed(cut_before=True), Deed(cut_midway=True), Deed(delay_s=1), Deed(200, "<html>"),
     Deed(200, {"success": True, "errorCode": "ER-00", "data": {}}), Deed(200, {"success": True})],
)  # fmt: skip
async def test_without_a_readable_answer_it_may_have_been_sent(
    unifonic: Unifonic, fakes: FakeVendors, write: Write, channel: Channel, deed: Deed
) -> None:
    fakes.then(deed)
    assert (await unifonic.send(write(channel=channel))).fate is Fate.UNKNOWN
    await asyncio.sleep(0.1)
    assert len(fakes.requests) == 1


@pytest.mark.parametrize(
    ("status", "fate"),
    [(400, Fate.PERMANENT), (401, Fate.OPERATOR), (403, Fate.OPERATOR), (429, Fate.PASSING), (500, Fate.PASSING)],
)
async def test_a_refusal_of_whatsapp_is_classed_by_status(
    unifonic: Unifonic, fakes: FakeVendors, write: Write, status: int, fate: Fate
) -> None:
    fakes.then(Deed(status, {"code": "C-7", "message": "no"}))
    outcome = await unifonic.send(write(channel=Channel.WHATSAPP))
    assert (outcome.fate, outcome.code) == (fate, "C-7")


async def test_where_nobody_listens_it_is_tried_again(clock: MovableClock, write: Write) -> None:
    unifonic = unifonic_at("http://127.0.0.1:1", clock)
    assert (await unifonic.send(write())).fate is Fate.PASSING
    await unifonic.close()


@pytest.mark.parametrize("deed", [Deed(hangs=True, takes=True), Deed(cut_before=True, takes=True)])
async def test_asked_later_it_has_what_it_took(
    unifonic: Unifonic, fakes: FakeVendors, clock: MovableClock, write: Write, deed: Deed
) -> None:
    outgoing = write()
    fakes.then(deed)
    assert (await unifonic.send(outgoing)).fate is Fate.UNKNOWN
    found = await unifonic.ask(outgoing, None, clock())
    assert found is not None
    assert (found.fate, found.vendor_id) == (Fate.ACCEPTED, fakes.taken[0].id)
    assert (found.segments, found.cost, found.currency) == (1, Decimal("0.04"), "SAR")
    (request,) = fakes.requests[1:]
    assert (request.path, dict(request.query)) == ("/rest/SMS/Messages/GetMessagesDetails", {})
    assert request.form()["CorrelationID"] == outgoing.reference.hex


async def test_asked_later_it_never_had_what_it_did_not_take(
    unifonic: Unifonic, fakes: FakeVendors, clock: MovableClock, write: Write
) -> None:
    outgoing, since = write(), clock()
    fakes.then(Deed(cut_before=True))
    await unifonic.send(outgoing)
    assert await unifonic.ask(outgoing, None, since) is None, "it may yet be listed"
    clock.move(MINUTES_LATER)
    found = await unifonic.ask(outgoing, None, since)
    assert found is not None
    assert found.fate is Fate.PASSING


def details(*messages: dict[str, Any], success: object = True) -> Deed:
    return Deed(200, {"success": success, "errorCode": "ER-00", "data": {"messages": list(messages)}})


@pytest.mark.parametrize(
    "deed",
    [Deed(503), Deed(200, "[]"), Deed(200, "{}"), Deed(hangs=True), Deed(401), details(success=False),
     Deed(200, {"success": True, "data": {}}), details({"MessageID": 1, "CorrelationID": "another's"})],
)  # fmt: skip
async def test_an_answer_that_tells_nothing_decides_nothing(
    unifonic: Unifonic, fakes: FakeVendors, clock: MovableClock, write: Write, deed: Deed
) -> None:
    since = clock()
    clock.move(MINUTES_LATER)
    fakes.then(deed)
    assert await unifonic.ask(write(), None, since) is None


async def test_a_report_that_never_came_is_made_up_for(
    unifonic: Unifonic, fakes: FakeVendors, clock: MovableClock, write: Write
) -> None:
    outgoing = write()
    message = {"MessageID": 77, "CorrelationID": str(outgoing.reference), "Status": "Sent", "DLR": "Delivered"}
    fakes.then(details(message | {"Recipient": "966500000100", "NumberOfUnits": 2, "Cost": 0.08}))
    found = await unifonic.ask(outgoing, "77", clock())
    assert found is not None
    (report,) = found.foretold
    assert (report.kind, report.vendor_id, report.reference) == (ReportKind.DELIVERED, "77", outgoing.reference)
    assert (report.address, found.segments) == (outgoing.to, 2)
    assert fakes.requests[0].form()["MessageID"] == "77"


async def test_whatsapp_cannot_be_asked(
    unifonic: Unifonic, fakes: FakeVendors, clock: MovableClock, write: Write
) -> None:
    assert await unifonic.ask(write(channel=Channel.WHATSAPP), str(uuid.uuid4()), clock()) is None
    assert fakes.requests == []
