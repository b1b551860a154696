"""Who gets in by SNS's door, and that nobody makes us go anywhere by knocking."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes
from pydantic import SecretStr

from hub.channels.sns import CannotVerify, Farewell, Forged, Handshake, Notification, SnsDoor
from hub.errors import Forbidden, HubError, Malformed, TooLarge
from tests.channels.fakes_aws import (
    CERTIFICATE_URL,
    TOPIC,
    FakeHttp,
    Reply,
    Request,
    Signer,
    Silence,
    Visits,
    handshake,
    headers_for,
    notification,
    visiting,
)

AT = datetime(2026, 3, 1, 8, 0, 2, 900_000, tzinfo=UTC)
FOREIGN = "arn:aws:sns:eu-west-1:999988887777:hub-ses"


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
async def visits(signer: Signer) -> AsyncIterator[Visits]:
    async with visiting(signer) as made:
        yield made


@pytest.fixture
def amazon(visits: Visits) -> FakeHttp:
    return visits.amazon


async def test_a_signed_message_of_our_topic_comes_in(visits: Visits, signer: Signer, amazon: FakeHttp) -> None:
    told = await visits.knock(signer.signed(notification(Message='{"a":"é ✓ \\u0627"}\n')))
    assert told == Notification(str(uuid.UUID(int=0x5B1F0A52)), TOPIC, AT, '{"a":"é ✓ \\u0627"}\n')
    [request] = amazon.requests
    assert f"https://sns.eu-west-1.amazonaws.com{request.path}" == CERTIFICATE_URL


async def test_what_is_not_signed_may_be_anything(visits: Visits, signer: Signer) -> None:
    attributes = {"MessageAttributes": {"a": {"Type": "String", "Value": "b"}}, "Extra": 7, "UnsubscribeURL": None}
    assert isinstance(await visits.knock(signer.signed(notification()) | attributes), Notification)
    without_subject = await visits.knock(signer.signed(notification(Subject=None)))
    assert isinstance(without_subject, Notification)


async def test_the_two_confirmations_come_in_as_what_they_are(visits: Visits, signer: Signer) -> None:
    asked = handshake()
    assert await visits.knock(signer.signed(asked)) == Handshake(asked["MessageId"], TOPIC, AT, asked["Token"])
    ended = handshake("UnsubscribeConfirmation")
    assert await visits.knock(signer.signed(ended)) == Farewell(ended["MessageId"], TOPIC, AT)


def flipped(name: str) -> Callable[[dict[str, Any], Signer], dict[str, Any]]:
    def flip(fields: dict[str, Any], signer: Signer) -> dict[str, Any]:
        letters = list(fields[name])
        letters[-2] = chr(ord(letters[-2]) ^ 1)
        return fields | {name: "".join(letters)}

    return flip


def with_signature(signature: Any) -> Callable[[dict[str, Any], Signer], dict[str, Any]]:
    return lambda fields, signer: fields | {"Signature": signature}


def resigned(**changes: Any) -> Callable[[dict[str, Any], Signer], dict[str, Any]]:
    """Signed rightly, with something changed before."""

    def sign(fields: dict[str, Any], signer: Signer) -> dict[str, Any]:
        return signer.signed({name: value for name, value in (fields | changes).items() if value is not None})

    return sign


def by_sha1(fields: dict[str, Any], signer: Signer) -> dict[str, Any]:
    return fields | {"Signature": signer.sign(fields, hashes.SHA1())}


def moved_subject(fields: dict[str, Any], signer: Signer) -> dict[str, Any]:
    """The same signed text, with the subject inside of the id before it."""
    moved = f"{fields['MessageId']}\nSubject\n{fields['Subject']}"
    return {name: value for name, value in fields.items() if name != "Subject"} | {"MessageId": moved}


def without(name: str) -> Callable[[dict[str, Any], Signer], dict[str, Any]]:
    return lambda fields, signer: {each: value for each, value in fields.items() if each != name}


def signed_by_another(fields: dict[str, Any], signer: Signer) -> dict[str, Any]:
    return Signer().signed(fields)


FORGERIES: dict[str, Callable[[dict[str, Any], Signer], dict[str, Any]]] = {
    **{
        f"{name} flipped": flipped(name)
        for name in ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    },
    **{
        f"no {name}": without(name)
        for name in (
            "Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "SignatureVersion", "Signature",
            "SigningCertURL",
        )
    },
    "SHA-1 called 2": by_sha1,
    "version 1": resigned(SignatureVersion="1"),
    "version 3": resigned(SignatureVersion="3"),
    "version as a number": resigned(SignatureVersion=2),
    "empty signature": with_signature(""),
    "signature is no base64": with_signature("####"),
    "signature with junk": lambda fields, signer: fields | {"Signature": "#" + fields["Signature"]},
    "signature of something": with_signature(base64.b64encode(b"x" * 256).decode()),
    "signature too short": with_signature(base64.b64encode(b"x").decode()),
    "signature is a number": with_signature(7),
    "another's key": signed_by_another,
    "subject moved": moved_subject,
    "subject added": lambda fields, signer: signer.signed(without("Subject")(fields, signer)) | {"Subject": "S"},
    "a foreign topic, rightly signed": resigned(TopicArn=FOREIGN),
    "our topic with a line more": resigned(TopicArn=f"{TOPIC}\n"),
    "our topic in capitals": resigned(TopicArn=TOPIC.upper()),
    "an unknown type": resigned(Type="Goodbye"),
    "message is an object": lambda fields, signer: fields | {"Message": {"eventType": "Send"}},
    "message is null": lambda fields, signer: fields | {"Message": None},
    "subject is null": lambda fields, signer: fields | {"Subject": None},
    "id is no UUID": resigned(MessageId="7"),
    "id with a line more": resigned(MessageId=f"{uuid.UUID(int=1)}\n"),
    **{
        f"time {at!r}": resigned(Timestamp=at)
        for at in (
            "", "yesterday", "2026-03-01", "2026-03-01T08:00:02.900", "2026-03-01T08:00:02.900+0000",
            "2026-03-01T08:00:02.900-05:00", "2026-02-30T08:00:02.900Z", "2026-03-01T08:00:02.900Z\n",
            "٢٠٢٦-03-01T08:00:02.900Z",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_is_refused_though_the_certificate_is_known(
    visits: Visits, signer: Signer, amazon: FakeHttp, forgery: str
) -> None:
    await visits.knows_the_certificate(signer)
    with pytest.raises(Forged):
        await visits.knock(FORGERIES[forgery](signer.signed(notification()), signer))
    assert not amazon.requests


BY_SIGNATURE_ALONE = {
    "Message flipped", "MessageId flipped", "Subject flipped", "Timestamp flipped", "no Subject", "SHA-1 called 2",
    "empty signature", "signature is no base64", "signature with junk", "signature of something",
    "signature too short", "another's key", "subject added",
}  # fmt: skip


@pytest.mark.parametrize("forgery", sorted(set(FORGERIES) - BY_SIGNATURE_ALONE))
async def test_a_forgery_that_shows_by_itself_makes_nobody_ask_for_a_certificate(
    visits: Visits, signer: Signer, amazon: FakeHttp, forgery: str
) -> None:
    with pytest.raises(Forged):
        await visits.knock(FORGERIES[forgery](signer.signed(notification()), signer))
    assert not amazon.requests


DEEP = b'{"Type":' + b"[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"7", b'"text"', b"[]", b'[{"Type":"Notification"}]', b"\xff\xfe{}", b'{"Type":"\xff"}',
        DEEP, b"[" * 100_000, b'{"a":' * 100_000, b"eventType=Send", b'{"n":' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
async def test_what_is_no_json_object_is_malformed(visits: Visits, amazon: FakeHttp, body: bytes) -> None:
    with pytest.raises(Malformed):
        await visits.knock(body, headers=headers_for(notification()))
    assert not amazon.requests


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\udfff and more"])
@pytest.mark.parametrize("name", ["Message", "Subject", "TopicArn", "Signature"])
async def test_what_no_database_holds_is_malformed(
    visits: Visits, signer: Signer, amazon: FakeHttp, name: str, text: str
) -> None:
    fields = notification(**{name: text})
    with pytest.raises(Malformed):
        await visits.knock({"Signature": signer.sign(fields), **fields})
    assert not amazon.requests


async def test_a_body_that_is_too_large_is_not_even_read(visits: Visits, amazon: FakeHttp) -> None:
    with pytest.raises(TooLarge):
        await visits.knock(b"[" * 2 * 1024 * 1024, headers={})
    assert not amazon.requests


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-amz-sns-message-type": "Notification"},
        headers_for(notification(Type="SubscriptionConfirmation")),
        headers_for(notification(MessageId=str(uuid.UUID(int=1)))),
    ],
)
async def test_headers_that_say_something_else_are_refused(
    visits: Visits, signer: Signer, amazon: FakeHttp, headers: dict[str, str]
) -> None:
    with pytest.raises(Forged):
        await visits.knock(signer.signed(notification()), headers=headers)
    assert not amazon.requests


async def test_raw_delivery_is_refused_with_a_word_of_what_to_do(visits: Visits, amazon: FakeHttp) -> None:
    headers = {**headers_for(notification()), "x-amz-sns-rawdelivery": "true"}
    with pytest.raises(Malformed, match="switch it off"):
        await visits.knock({"eventType": "Bounce"}, headers=headers)
    assert not amazon.requests


@pytest.mark.parametrize(
    ("at", "comes_in"),
    [
        (AT, True),
        (AT + timedelta(minutes=74), True),
        (AT + timedelta(minutes=76), False),
        (AT - timedelta(minutes=4), True),
        (AT - timedelta(minutes=6), False),
    ],
)
async def test_a_message_comes_in_for_a_while_only(
    visits: Visits, signer: Signer, at: datetime, comes_in: bool
) -> None:
    fields = signer.signed(notification())
    if comes_in:
        assert await visits.knock(fields, now=at)
    else:
        with pytest.raises(Forged, match="too old"):
            await visits.knock(fields, now=at)


def confirmed(request: Request) -> Reply:
    arn = f"{TOPIC}:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55"
    answer = f"<SubscriptionArn>{arn}</SubscriptionArn>"
    xml = f"<ConfirmSubscriptionResponse><ConfirmSubscriptionResult>{answer}</ConfirmSubscriptionResult>"
    return Reply(200, f"{xml}</ConfirmSubscriptionResponse>".encode(), {"Content-Type": "text/xml"})


ASKED = Handshake(str(uuid.UUID(int=1)), TOPIC, AT, "a-token")


async def test_a_handshake_is_answered_by_one_call_and_its_address_is_never_opened(
    visits: Visits, signer: Signer, amazon: FakeHttp
) -> None:
    told = await visits.knock(signer.signed(handshake(Token="a-token", SubscribeURL=f"{amazon.url}/trap")))
    assert isinstance(told, Handshake)
    amazon.requests.clear()
    amazon.says = confirmed
    await visits.door.confirm(told)
    [request] = amazon.requests
    assert (request.method, request.path) == ("POST", "/")
    said = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert said.pop("Version")
    assert said == {
        "Action": "ConfirmSubscription",
        "TopicArn": TOPIC,
        "Token": "a-token",
        "AuthenticateOnUnsubscribe": "true",
    }
    assert "/eu-west-1/sns/aws4_request" in request.headers["authorization"]


async def test_a_handshake_of_a_foreign_topic_is_answered_by_nothing(visits: Visits, amazon: FakeHttp) -> None:
    with pytest.raises(Forged):
        await visits.door.confirm(Handshake(ASKED.message_id, FOREIGN, AT, "a-token"))
    assert not amazon.requests


async def test_while_no_subscription_is_accepted_a_handshake_is_refused(signer: Signer) -> None:
    async with visiting(signer, accepts=False) as visits:
        assert isinstance(await visits.knock(signer.signed(handshake())), Handshake)
        visits.amazon.requests.clear()
        with pytest.raises(Forbidden, match="Allow them"):
            await visits.door.confirm(ASKED)
        assert not visits.amazon.requests


@pytest.mark.parametrize(
    ("code", "status", "refusal"),
    [
        ("InvalidParameter", 400, Malformed),
        ("NotFound", 404, Malformed),
        ("AuthorizationError", 403, CannotVerify),
        ("InternalError", 500, CannotVerify),
        ("Throttling", 400, CannotVerify),
    ],
)
async def test_a_confirmation_that_sns_refuses_is_told_apart_and_not_repeated(
    visits: Visits, amazon: FakeHttp, code: str, status: int, refusal: type[HubError]
) -> None:
    xml = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    amazon.says = lambda request: Reply(status, xml.encode(), {"Content-Type": "text/xml"})
    with pytest.raises(refusal):
        await visits.door.confirm(ASKED)
    assert len(amazon.requests) == 1


@pytest.mark.parametrize("said", [Silence.CLOSE, Reply(307, b"", {"Location": "/elsewhere"})])
async def test_a_confirmation_without_an_answer_should_come_again(
    visits: Visits, amazon: FakeHttp, said: Reply | Silence
) -> None:
    amazon.says = lambda request: said
    with pytest.raises(CannotVerify):
        await visits.door.confirm(ASKED)
    assert len(amazon.requests) == 1


@pytest.mark.parametrize(
    "topic", ["", "hub-ses", f"{TOPIC}.fifo", TOPIC.replace("sns", "sqs"), f"{TOPIC}\n", f" {TOPIC}"]
)
def test_a_topic_that_is_none_is_refused_when_the_door_is_made(topic: str) -> None:
    with pytest.raises(ValueError, match="ARNs"):
        SnsDoor(topics=[topic], accepts_subscriptions=False, access_key_id="", secret_access_key=SecretStr(""))
