"""SES, against a server that says whatever Amazon may say, and nothing at all."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from hub.channels.ses import Ses
from hub.channels.vendor import AddressFault, Channel, Fate, File, Outgoing
from tests.channels.fakes_aws import FakeHttp, Reply, Silence
from tests.channels.test_mime import read_words

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SENDER = "noreply@mail.noor.example"
SECRET = SecretStr("a-secret-key-of-amazon")
MAIL = Outgoing(
    reference=uuid.UUID("0192f0c4-0000-7000-8000-000000000001"),
    tenant=uuid.UUID("0192f0c4-0000-7000-8000-000000000002"),
    channel=Channel.EMAIL,
    to="sara@example.org",
    text="موعدك يوم الأحد",
    subject="عيادة النور: موعدك",
    html='<p dir="rtl">موعدك يوم الأحد</p>',
    language="ar",
    sender_name="عيادة النور",
    unsubscribe_url="https://hub.example.com/u/" + "a" * 270,
)


@pytest.fixture
async def amazon() -> AsyncIterator[FakeHttp]:
    async with FakeHttp().running() as fake:
        fake.says = lambda request: Reply(body=b'{"MessageId":"0100019aa1-77c0"}')
        yield fake


@pytest.fixture
async def ses(amazon: FakeHttp) -> AsyncIterator[Ses]:
    vendor = account(amazon.url)
    yield vendor
    await vendor.close()


def account(url: str, **changes: Any) -> Ses:
    chosen = {"configuration_set": "hub-transactional", "answer_within_s": 1.5, "connect_within_s": 5, **changes}
    return Ses(
        region="eu-west-1", access_key_id="AKIDEXAMPLE", secret_access_key=SECRET, sender=SENDER, base_url=url, **chosen
    )


def refusal(code: str, status: int = 400, words: str = "said") -> Reply:
    return Reply(status, json.dumps({"message": words}).encode(), {"x-amzn-ErrorType": code, "x-amzn-RequestId": "r1"})


async def test_a_request_says_all_that_is_needed_and_nothing_more(ses: Ses, amazon: FakeHttp) -> None:
    outcome = await ses.send(MAIL)
    assert (outcome.fate, outcome.vendor_id) == (Fate.ACCEPTED, "0100019aa1-77c0")
    [request] = amazon.requests
    assert (request.method, request.path) == ("POST", "/v2/email/outbound-emails")
    said = request.json
    name, _, address = said.pop("FromEmailAddress").rpartition(" ")
    assert (read_words(name), address) == ("عيادة النور", f"<{SENDER}>")
    assert said == {
        "Destination": {"ToAddresses": ["sara@example.org"]},
        "ConfigurationSetName": "hub-transactional",
        "ConfigurationOverrides": {"Tracking": {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}},
        "EmailTags": [
            {"Name": "hub_message_id", "Value": str(MAIL.reference)},
            {"Name": "tenant", "Value": str(MAIL.tenant)},
        ],
        "Content": {
            "Simple": {
                "Subject": {"Data": MAIL.subject, "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": MAIL.text, "Charset": "UTF-8"},
                    "Html": {"Data": MAIL.html, "Charset": "UTF-8"},
                },
                "Headers": [
                    {"Name": "List-Unsubscribe", "Value": f"<{MAIL.unsubscribe_url}>"},
                    {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
                ],
            }
        },
    }
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,256}", tag["Value"]) for tag in said["EmailTags"])


async def test_without_a_set_or_html_or_a_way_to_leave_both_bodies_still_go(amazon: FakeHttp) -> None:
    ses = account(amazon.url, configuration_set=None)
    await ses.send(replace(MAIL, html="", unsubscribe_url=""))
    await ses.close()
    said = amazon.requests[0].json
    assert "ConfigurationSetName" not in said
    simple = said["Content"]["Simple"]
    assert "Headers" not in simple
    assert MAIL.text in simple["Body"]["Html"]["Data"]
    assert 'dir="rtl"' in simple["Body"]["Html"]["Data"]


async def test_files_go_as_they_are(ses: Ses, amazon: FakeHttp) -> None:
    content = bytes(range(256))
    await ses.send(replace(MAIL, files=(File("نتائج.pdf", "application/pdf", content),)))
    [file] = amazon.requests[0].json["Content"]["Simple"]["Attachments"]
    assert base64.b64decode(file.pop("RawContent")) == content
    assert file == {
        "FileName": "نتائج.pdf",
        "ContentType": "application/pdf",
        "ContentDisposition": "ATTACHMENT",
        "ContentTransferEncoding": "BASE64",
    }


@pytest.mark.parametrize(
    ("said", "fate", "pause"),
    [
        (refusal("TooManyRequestsException", 429, "Maximum sending rate exceeded."), Fate.PASSING, 5),
        (refusal("ThrottlingException", 400, "Maximum sending rate exceeded."), Fate.PASSING, 5),
        (refusal("Throttling", 429, "Daily message quota exceeded."), Fate.PASSING, 3600),
        (refusal("LimitExceededException"), Fate.PASSING, 900),
        (refusal("SlowDown", 429), Fate.PASSING, 5),
        (refusal("InternalFailure", 500), Fate.PASSING, None),
        (Reply(502, b"<html>Bad Gateway</html>"), Fate.PASSING, None),
        (refusal("ServiceUnavailable", 503), Fate.PASSING, None),
        (Reply(504, b"<html>Gateway Time-out</html>"), Fate.UNKNOWN, None),
        (refusal("MessageRejected", 400, "Email address is not verified: sara@example.org"), Fate.PERMANENT, None),
        (refusal("BadRequestException"), Fate.PERMANENT, None),
        (refusal("InvalidParameterValue"), Fate.PERMANENT, None),
        (refusal("SomethingNew", 418), Fate.PERMANENT, None),
        (refusal("MailFromDomainNotVerifiedException"), Fate.OPERATOR, None),
        (refusal("AccountSuspendedException"), Fate.OPERATOR, None),
        (refusal("SendingPausedException"), Fate.OPERATOR, None),
        (refusal("NotFoundException", 404), Fate.OPERATOR, None),
        (refusal("AccessDeniedException", 403), Fate.OPERATOR, None),
        (refusal("UnrecognizedClientException", 403), Fate.OPERATOR, None),
        (refusal("ExpiredToken", 400), Fate.OPERATOR, None),
        (refusal("SignatureDoesNotMatch", 403), Fate.OPERATOR, None),
        (refusal("SomethingNew", 403), Fate.OPERATOR, None),
        *((Reply(status, b"", {"Location": "/elsewhere"}), Fate.OPERATOR, None) for status in (301, 302, 307, 308)),
        (Reply(200, b"{}"), Fate.UNKNOWN, None),
        (Reply(200, b"<html>not json"), Fate.UNKNOWN, None),
        (Reply(200, b'["a list"]'), Fate.UNKNOWN, None),
        (Reply(200, b'{"MessageId"', {"Content-Length": "900"}), Fate.UNKNOWN, None),
        (Silence.HANG, Fate.UNKNOWN, None),
        (Silence.CLOSE, Fate.UNKNOWN, None),
        (Silence.RESET, Fate.UNKNOWN, None),
    ],
)
async def test_whatever_comes_back_there_was_one_request(
    ses: Ses, amazon: FakeHttp, said: Reply | Silence, fate: Fate, pause: float | None
) -> None:
    amazon.says = lambda request: said
    outcome = await ses.send(MAIL)
    assert (outcome.fate, outcome.retry_after_s) == (fate, pause)
    assert outcome.code
    assert "sara" not in repr(outcome)
    assert len(amazon.requests) == 1


async def test_a_connection_that_was_never_made_may_be_tried_again() -> None:
    async with FakeHttp().running() as gone:
        url = gone.url
    ses = account(url)
    outcome = await ses.send(MAIL)
    await ses.close()
    assert outcome.fate is Fate.PASSING


async def test_an_answer_that_trickles_is_waited_for_no_longer_than_any_other() -> None:
    sent: list[bytes] = []

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            sent.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            for _ in range(100):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    ses = account(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connect_within_s=1.5)
    began = time.monotonic()
    assert (await ses.send(MAIL)).fate is Fate.UNKNOWN
    assert time.monotonic() - began < 8
    assert len(sent) == 1
    await ses.close()
    server.close()


async def test_connections_are_kept_and_used_again(ses: Ses, amazon: FakeHttp) -> None:
    for _ in range(5):
        await ses.send(MAIL)
    assert (len(amazon.requests), amazon.connections) == (5, 1)


async def test_many_send_at_once(ses: Ses, amazon: FakeHttp) -> None:
    outcomes = await asyncio.gather(*(ses.send(MAIL) for _ in range(50)))
    assert {outcome.fate for outcome in outcomes} == {Fate.ACCEPTED}
    assert len(amazon.requests) == 50


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (replace(MAIL, to="سارة@example.org"), AddressFault.INVALID),
        (replace(MAIL, to="a@example.org, b@example.org"), AddressFault.INVALID),
        (replace(MAIL, subject="a\r\nBcc: b@example.org"), None),
        (replace(MAIL, sender_name="a\nb"), None),
        (replace(MAIL, files=(File("a\n.pdf", "application/pdf", b""),)), None),
        (replace(MAIL, tenant=cast(uuid.UUID, "Noor Clinic")), None),
        (replace(MAIL, reference=cast(uuid.UUID, "a=b, c=d")), None),
        (replace(MAIL, reference=cast(uuid.UUID, "")), None),
    ],
)
async def test_what_cannot_be_an_email_is_refused_before_the_call(
    ses: Ses, amazon: FakeHttp, bad: Outgoing, fault: AddressFault | None
) -> None:
    outcome = await ses.send(bad)
    assert (outcome.fate, outcome.code, outcome.fault) == (Fate.PERMANENT, "refused_here", fault)
    assert not amazon.requests


async def test_an_account_that_cannot_be_used_at_all_is_the_operators() -> None:
    ses = account("not an address")
    assert (await ses.send(MAIL)).fate is Fate.OPERATOR
    await ses.close()


async def test_it_sends_again_after_its_connections_were_given_back(ses: Ses) -> None:
    await ses.send(MAIL)
    await ses.close()
    assert (await ses.send(MAIL)).fate is Fate.ACCEPTED


async def test_nobody_can_be_asked_what_became_of_an_email(ses: Ses, amazon: FakeHttp) -> None:
    assert await ses.ask(MAIL, "0100019aa1-77c0", NOW) is None
    assert not amazon.requests


def test_its_secret_is_not_shown() -> None:
    ses = account("http://127.0.0.1:1")
    assert ses.account == "ses:eu-west-1"
    assert "AKID" not in ses.account
    assert SECRET.get_secret_value() not in repr(ses)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def test_another_hand_at_playing_amazon_takes_the_email(moto: str) -> None:
    ses = account(moto, answer_within_s=20)
    refused = await ses.send(MAIL)
    assert refused.fate is Fate.PERMANENT  # moto, too, knows who may send
    async with httpx.AsyncClient(base_url=moto, trust_env=False) as client:
        credential = (
            "AWS4-HMAC-SHA256 Credential=a/20260301/eu-west-1/ses/aws4_request, SignedHeaders=host, Signature=a"
        )
        made = await client.post(
            "/v2/email/identities", json={"EmailIdentity": SENDER}, headers={"authorization": credential}
        )
        assert made.status_code == 200, made.text
        sent = await ses.send(MAIL)
        await ses.close()
        kept = (await client.get("/moto-api/data.json")).json()["ses"]["Message"]
    assert sent.fate is Fate.ACCEPTED
    [message] = [each for each in kept if each["id"] == sent.vendor_id]
    assert message["destinations"]["ToAddresses"] == ["sara@example.org"]
    assert message["body"] == MAIL.html
