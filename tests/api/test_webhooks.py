"""Vendors' requests: what is theirs is stored before it is answered, what is not leaves no trace, nothing is a 500."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import func, select

from hub.channels.vendor import Channel
from hub.messages.intake import Intake
from hub.messages.tables import VendorEvent
from hub.migrate import migrate
from hub.settings import Settings
from hub.wiring import House
from tests.api.vendors import PUBLIC_URL, TWILIO_ACCOUNT, UNIFONIC_TOKEN, Told, sign, vendors_of
from tests.channels.fakes_aws import Signer, handshake, headers_for
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic
from tests.messages.reported import Taken, apply, taken
from tests.servers import own_postgres
from tests.visitors import browser_of, problem

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
async def told(settings: Settings, the_clock: MovableClock) -> AsyncIterator[Told]:
    async with vendors_of(settings, the_clock) as told:
        yield told


async def count(house: House) -> int:
    async with house.database.of_nobody() as session:
        return (await session.execute(select(func.count()).select_from(VendorEvent))).scalar_one()


def event(mail: Taken, kind: str, **own: Any) -> dict[str, Any]:
    """An event of SES about a message."""
    name = {"Delivery": "delivery", "Bounce": "bounce", "Send": "send"}[kind]
    about = {"messageId": mail.vendor_id, "destination": [mail.to], "tags": {"hub_message_id": [str(mail.attempt_id)]}}
    return {"eventType": kind, "mail": about, name: own}


def bounce(mail: Taken, of: str = "Permanent") -> dict[str, Any]:
    """A bounce of it."""
    recipients = [{"emailAddress": mail.to, "status": "5.1.1"}]
    own = {"bounceType": of, "bounceSubType": "General", "feedbackId": f"f-{mail.vendor_id}"}
    return event(mail, "Bounce", bouncedRecipients=recipients, timestamp="2026-03-01T08:00:03.000Z", **own)


def sid() -> str:
    return "SM" + uuid.uuid4().hex


async def test_a_signed_event_is_stored_and_then_applied(told: Told, clinic: Clinic) -> None:
    mail = await taken(told.house, clinic)
    answer = await told.by_amazon(event(mail, "Delivery", recipients=[mail.to]))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await mail.message()).state == "sent"
    await apply(told.house)
    assert (await mail.message()).state == "delivered"


async def test_twenty_copies_at_once_are_all_answered_and_stored_once(told: Told, clinic: Clinic) -> None:
    mail = await taken(told.house, clinic)
    before, same = await count(told.house), str(uuid.uuid4())
    copies = (told.by_amazon(bounce(mail, "Transient"), MessageId=same) for _ in range(20))
    assert {answer.status_code for answer in await asyncio.gather(*copies)} == {204}
    assert await count(told.house) == before + 1
    await apply(told.house)
    assert (await mail.contact()).soft_failures == 1


async def test_the_same_bounce_by_both_kinds_of_publishing_is_one(told: Told, clinic: Clinic) -> None:
    mail = await taken(told.house, clinic)
    by_identity = bounce(mail)
    by_identity["notificationType"] = by_identity.pop("eventType")
    before = await count(told.house)
    for each in (bounce(mail), by_identity):
        assert (await told.by_amazon(each)).status_code == 204
    assert await count(told.house) == before + 1


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        '{"eventType": "Invented", "mail": {"messageId": "x"}}',
        "[" * 50_000,
        '{"eventType": "Bounce", "mail": {"messageId": "a\\u0000b"}, "bounce": {"bounceType": "\\u0000"}}',
        '{"eventType": "Bounce", "mail": {"messageId": "c\\ud800d"}, "bounce": {"bounceSubType": "\\udfff"}}',
        '{"eventType": "Send", "mail": {"messageId": NaN}}',
    ],
)
async def test_signed_words_that_nobody_understands_are_stored_all_the_same(told: Told, message: str) -> None:
    before = await count(told.house)
    assert (await told.by_amazon(message)).status_code == 204
    assert await count(told.house) == before + 1
    await apply(told.house)


@pytest.mark.parametrize("field", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "Signature"])
async def test_a_forged_event_is_refused_and_leaves_nothing(told: Told, field: str) -> None:
    _, body = told.amazon.says("{}", told.house.clock())
    fields = json.loads(body)
    fields[field] = str(uuid.uuid4()) if field == "MessageId" else fields[field][:-1] + "x"
    before = await count(told.house)
    answer = await told.client.post("/webhooks/sns", content=json.dumps(fields), headers=headers_for(fields))
    problem(answer, 403)
    assert await count(told.house) == before


async def test_what_is_not_signed_by_amazons_key_of_a_topic_of_ours_is_refused(told: Told) -> None:
    for changes in (
        {"TopicArn": "arn:aws:sns:eu-west-1:999988887777:hub-ses"},
        {"SignatureVersion": "1"},
        {"SigningCertURL": "https://sns.s3.amazonaws.com/SimpleNotificationService-" + "0" * 32 + ".pem"},
        {"Timestamp": "2020-01-01T00:00:00.000Z"},
    ):
        asked = told.amazon.asked
        problem(await told.by_amazon("{}", **changes), 403)
        assert told.amazon.asked <= asked + ("Timestamp" in changes)


async def test_a_handshake_is_not_answered_while_none_is_expected(told: Told) -> None:
    at = told.house.clock().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    fields = told.amazon.signer.signed(handshake(Timestamp=at, MessageId=str(uuid.uuid4())))
    answer = await told.client.post("/webhooks/sns", json=fields, headers=headers_for(fields))
    problem(answer, 403)
    fields = told.amazon.signer.signed(handshake("UnsubscribeConfirmation", Timestamp=at, MessageId=str(uuid.uuid4())))
    with structlog.testing.capture_logs() as logs:
        answer = await told.client.post("/webhooks/sns", json=fields, headers=headers_for(fields))
    assert answer.status_code == 204
    assert [each["log_level"] for each in logs if each["event"].startswith("sns:")] == ["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"Type": "\x00"}',
        b'{"Type": "Notification"}',
        b"x" * 2**20,
    ],
    ids=["empty", "open", "list", "null", "not UTF-8", "nested", "NUL", "nearly nothing", "1 MiB"],
)
async def test_what_is_no_message_of_sns_is_refused(told: Told, body: bytes) -> None:
    answer = await told.client.post("/webhooks/sns", content=body)
    assert answer.status_code in (400, 403)


async def test_a_body_beyond_what_sns_sends_is_not_read(told: Told) -> None:
    problem(await told.client.post("/webhooks/sns", content=b"x" * (2 * 2**20)), 413)
    problem(await told.client.post("/webhooks/twilio/status", content=b"x" * (2**16 + 1)), 413)


async def test_while_the_certificate_cannot_be_had_the_vendor_is_to_try_again(
    settings: Settings, the_clock: MovableClock
) -> None:
    async with vendors_of(settings, the_clock) as told:
        told.amazon.away = True
        answer = await told.by_amazon("{}")
        problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        told.amazon.away = False
        assert (await told.by_amazon("{}")).status_code == 204


async def test_while_the_database_is_away_the_vendor_is_to_try_again(
    settings: Settings, the_clock: MovableClock
) -> None:
    with own_postgres() as postgres:
        url = postgres.url("postgres")
        await migrate(url)
        own = settings.model_copy(update={"database_url": SecretStr(url)})
        async with vendors_of(own, the_clock) as told:
            assert (await told.by_amazon("{}")).status_code == 204
            await asyncio.to_thread(postgres.stop)
            problem(await told.by_amazon("{}"), 503)
            status = {"MessageSid": sid(), "MessageStatus": "sent"}
            problem(await told.by_twilio("/webhooks/twilio/status", status), 503)
            problem(await told.by_unifonic("sms", {"MessageID": 1, "DLR": "Sent"}), 503)


async def test_a_fault_of_ours_is_no_500_and_tells_no_secret(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> int:
        raise RuntimeError("Sara Doe")

    monkeypatch.setattr(Intake, "take", fail)
    with structlog.testing.capture_logs() as logs:
        answer = await told.by_unifonic("sms", {"MessageID": 1, "DLR": "Sent"})
    problem(answer, 503)
    assert UNIFONIC_TOKEN not in str(logs)
    assert UNIFONIC_TOKEN not in answer.text


def status_path(sms: Taken) -> str:
    return f"/webhooks/twilio/status?m={sms.attempt_id}"


async def test_twilios_status_is_believed_behind_a_proxy(told: Told, clinic: Clinic) -> None:
    name = sid()
    sms = await taken(told.house, clinic, Channel.SMS, vendor_id=name)
    fields = [
        ("MessageSid", name),
        ("MessageStatus", "delivered"),
        ("To", sms.to),
        ("ErrorMessage", ""),
        ("Repeated", "2"),
        ("Repeated", "1"),
        ("Repeated", "2"),
        ("ProfileName", "سارة"),
        ("SomethingNew", "a b+c&d=e"),
    ]
    assert (await told.by_twilio(status_path(sms), fields)).status_code == 204
    await apply(told.house)
    assert (await sms.message()).state == "delivered"


async def test_twilios_request_played_again_has_no_second_effect(told: Told, clinic: Clinic) -> None:
    name = sid()
    sms = await taken(told.house, clinic, Channel.SMS, vendor_id=name)
    fields = {"MessageSid": name, "MessageStatus": "undelivered", "ErrorCode": "30003", "To": sms.to}
    for _ in range(3):
        assert (await told.by_twilio(status_path(sms), fields)).status_code == 204
        await apply(told.house)
    assert (await sms.contact()).soft_failures == 1


@pytest.mark.parametrize("order", [("delivered", "sent", "read", "queued"), ("read", "queued", "sent", "delivered")])
async def test_statuses_out_of_order_end_in_read(told: Told, clinic: Clinic, order: tuple[str, ...]) -> None:
    name = sid()
    message = await taken(told.house, clinic, Channel.WHATSAPP, vendor_id=name)
    for status in order:
        fields = {"MessageSid": name, "MessageStatus": status, "To": f"whatsapp:{message.to}", "ErrorCode": "30005"}
        assert (await told.by_twilio(status_path(message), fields)).status_code == 204
        await apply(told.house)
    assert (await message.message()).state == "read"
    assert (await message.contact()).flag is None


PATH = "/webhooks/twilio/status"
FIELDS = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "sent", "To": "+966500000001", "Blank": ""}
PAIRS = [("AccountSid", TWILIO_ACCOUNT), *FIELDS.items()]


@pytest.mark.parametrize(
    "signature",
    [
        sign("http://hub.example" + PATH, PAIRS),
        sign("https://127.0.0.1" + PATH, PAIRS),
        sign(PUBLIC_URL + PATH + "?m=1", PAIRS),
        sign(PUBLIC_URL + "/webhooks/twilio/inbound", PAIRS),
        sign(PUBLIC_URL + PATH, PAIRS[:-1]),
        sign(PUBLIC_URL + PATH, [*PAIRS, ("Added", "1")]),
        sign(PUBLIC_URL + PATH, []),
        "nonsense",
        "ÿ",
    ],
    ids=["no TLS", "host", "query", "path", "blank dropped", "one more", "no fields", "nonsense", "not ASCII"],
)
async def test_what_twilio_did_not_sign_is_refused(told: Told, signature: str) -> None:
    before = await count(told.house)
    headers = httpx.Headers({"content-type": FORM, "x-twilio-signature": signature}, encoding="latin-1")
    answer = await told.client.post(PATH, content=urlencode(PAIRS).encode(), headers=headers)
    problem(answer, 403)
    assert await count(told.house) == before


async def test_a_request_without_signature_or_of_another_kind_is_refused(told: Told) -> None:
    problem(await told.client.post(PATH, data=FIELDS), 403)
    problem(await told.client.post(PATH, json=FIELDS), 415)
    problem(await told.client.post(f"{PATH}?bodySHA256={'0' * 64}", json=FIELDS), 415)
    problem(await told.client.post(PATH, files={"a": b"x"}), 415)
    problem(await told.client.post(PATH), 415)
    assert (await told.client.get(PATH)).status_code == 405


async def test_the_host_and_scheme_a_request_claims_are_not_believed(told: Told) -> None:
    forged = sign("https://evil.example" + PATH, PAIRS)
    claims = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
    problem(await told.by_twilio(PATH, FIELDS, signature=forged, **claims), 403)
    assert (await told.by_twilio(PATH, FIELDS, **claims)).status_code == 204


async def test_another_account_is_refused_though_its_token_is_ours(told: Told) -> None:
    pairs = [("AccountSid", "AC" + "1" * 32), *FIELDS.items()]
    headers = {"content-type": FORM, "x-twilio-signature": sign(PUBLIC_URL + PATH, pairs)}
    problem(await told.client.post(PATH, content=urlencode(pairs).encode(), headers=headers), 403)


async def test_a_signed_form_that_says_nothing_is_refused(told: Told) -> None:
    problem(await told.by_twilio(PATH, {"MessageSid": "SM1", "MessageStatus": "sent"}), 400)
    problem(await told.by_twilio(PATH, {"MessageSid": sid()}), 400)
    problem(await told.by_twilio("/webhooks/twilio/inbound", {"MessageSid": sid()}), 400)
    many = [(f"Field{index}", "") for index in range(300)]
    problem(await told.by_twilio(PATH, many), 400)


async def test_a_reply_of_one_word_stops_and_starts(told: Told, clinic: Clinic) -> None:
    sms = await taken(told.house, clinic, Channel.SMS)
    for words in ("please stop by", "إيقاف", "STOP", "ابدأ"):
        fields = {"MessageSid": sid(), "From": sms.to, "To": "+15005550006", "Body": words}
        answer = await told.by_twilio("/webhooks/twilio/inbound", fields)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/xml")
        assert answer.text.endswith("<Response/>")
        await apply(told.house)
    assert await sms.choices() == [("sms", False, "reply"), ("sms", True, "reply")]


@pytest.mark.parametrize("token", ["wrong", UNIFONIC_TOKEN + "x", UNIFONIC_TOKEN[:-1], "%00", "%ff", "ü"])
@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
async def test_without_the_secret_unifonics_addresses_are_not_there(told: Told, token: str, kind: str) -> None:
    before = await count(told.house)
    problem(await told.by_unifonic(kind, {"MessageID": 1, "DLR": "Delivered"}, token), 404)
    assert await count(told.house) == before


async def test_unifonics_reports_come_as_json_and_as_forms(told: Told, clinic: Clinic) -> None:
    for content_type in ("application/json", FORM):
        name = str(uuid.uuid4().int % 10**13)
        sms = await taken(told.house, clinic, Channel.SMS, vendor="unifonic", vendor_id=name)
        fields = {"MessageID": int(name), "DLR": "Delivered", "Recipient": sms.to.removeprefix("+")}
        body = json.dumps(fields) if content_type != FORM else urlencode(fields)
        headers = {"content-type": content_type}
        path = f"/webhooks/unifonic/{UNIFONIC_TOKEN}/sms"
        answer = await told.client.post(path, content=body.encode(), headers=headers)
        assert answer.status_code == 200
        await apply(told.house)
        assert (await sms.message()).state == "delivered"


async def test_unifonics_report_about_another_recipient_or_message_changes_nothing(told: Told, clinic: Clinic) -> None:
    sms = await taken(told.house, clinic, Channel.SMS, vendor="unifonic")
    for fields in (
        {"MessageID": sms.vendor_id, "DLR": "Undeliverable", "Recipient": "966509999999"},
        {"MessageID": "999", "DLR": "Undeliverable", "Recipient": sms.to},
    ):
        assert (await told.by_unifonic("sms", fields)).status_code == 200
        await apply(told.house)
    assert (await sms.message()).state == "sent"


async def test_unifonics_whatsapp_events_move_a_message(told: Told, clinic: Clinic) -> None:
    message = await taken(told.house, clinic, Channel.WHATSAPP, vendor="unifonic")
    for kind in ("message.read", "message.delivered", "message.sent"):
        recipient = {"channel": "whatsapp", "contact": message.to}
        fields = {"messageId": message.vendor_id, "eventId": "same", "eventType": kind, "recipient": recipient}
        assert (await told.by_unifonic("whatsapp", fields)).status_code == 200
    await apply(told.house)
    assert (await message.message()).state == "read"


async def test_unifonics_nonsense_is_refused(told: Told) -> None:
    nonsense: list[Any] = [[], {}, "x", {"MessageID": []}, {"DLR": "Sent"}]
    for fields in nonsense:
        problem(await told.by_unifonic("sms", fields), 400)
        problem(await told.by_unifonic("whatsapp", fields), 400)
    path = f"/webhooks/unifonic/{UNIFONIC_TOKEN}/sms"
    problem(await told.client.post(path, content=b"x", headers={"content-type": "text/xml"}), 415)


async def test_a_hub_that_uses_no_vendor_has_no_door_for_one(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        for path in ("sns", "twilio/status", "twilio/inbound", "unifonic/x/sms", "unifonic//sms", "elsewhere"):
            problem(await client.post(f"/webhooks/{path}"), 404)


async def test_an_event_from_before_the_window_is_refused(told: Told) -> None:
    at = told.house.clock() - timedelta(hours=3)
    headers, body = told.amazon.says("{}", at)
    problem(await told.client.post("/webhooks/sns", content=body, headers=headers), 403)


async def test_another_key_than_the_certificates_is_refused(told: Told) -> None:
    headers, body = told.amazon.says("{}", told.house.clock(), Signer())
    problem(await told.client.post("/webhooks/sns", content=body, headers=headers), 403)


texts = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(["\x00", "STOP", "+966500000001", "sent"])
fields_of_twilio = st.dictionaries(
    st.sampled_from(["MessageSid", "MessageStatus", "From", "To", "Body", "ErrorCode", "OptOutType"]) | texts, texts
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
events_of_unifonic = st.dictionaries(
    st.sampled_from(["MessageID", "DLR", "Recipient", "messageId", "eventType", "eventId", "recipient", "timestamp"]),
    json_values,
)
MANY = examples(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@MANY
@given(fields=fields_of_twilio, path=st.sampled_from(["status", "inbound", "status?m=%00&m=%FF&x=%D9"]))
async def test_whatever_twilio_signs_is_answered(told: Told, fields: dict[str, str], path: str) -> None:
    signed = {name: value for name, value in fields.items() if name != "AccountSid"}
    if "MessageSid" in signed:
        signed["MessageSid"] = sid()
    answer = await told.by_twilio(f"/webhooks/twilio/{path}", signed)
    assert answer.status_code in {200, 204, 400}, answer.text


@MANY
@given(fields=events_of_unifonic | json_values, kind=st.sampled_from(["sms", "whatsapp"]))
async def test_whatever_unifonic_sends_is_answered(told: Told, fields: Any, kind: str) -> None:
    answer = await told.by_unifonic(kind, fields)
    assert answer.status_code in {200, 400}, answer.text


@MANY
@given(message=json_values.map(json.dumps) | events_of_unifonic.map(json.dumps) | texts.filter(lambda x: "\0" not in x))
async def test_whatever_amazon_signs_is_stored(told: Told, message: str) -> None:
    assert (await told.by_amazon(message)).status_code == 204


@MANY
@given(body=st.binary(max_size=200), path=st.sampled_from(["sns", "twilio/status", "unifonic/x/sms"]))
async def test_whatever_anybody_sends_is_refused(told: Told, body: bytes, path: str) -> None:
    headers = {"content-type": FORM}
    assert (await told.client.post(f"/webhooks/{path}", content=body, headers=headers)).status_code in {400, 403, 404}


async def test_everything_that_came_in_can_be_applied(told: Told) -> None:
    while await apply(told.house):
        pass
