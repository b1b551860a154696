"""The certificates of SNS: where they are asked for, how often, and what is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hub.channels import sns_certificates
from hub.channels.sns import Forged
from hub.channels.sns_certificates import CannotVerify
from tests.channels.fakes_aws import (
    CERTIFICATE_URL,
    ELSEWHERE,
    HOST,
    NOW,
    FakeHttp,
    Reply,
    Signer,
    Silence,
    Visits,
    certificate_of,
    notification,
    visiting,
)

PATH = CERTIFICATE_URL.removeprefix(HOST)
SNS = "sns.eu-west-1.amazonaws.com"
URLS = [
    "", "sns", f"http://{SNS}{PATH}", f"HTTPS://{SNS}{PATH}", f"https:/{SNS}{PATH}", f"//{SNS}{PATH}",
    f"https://user@{SNS}{PATH}", f"https://user:secret@{SNS}{PATH}", f"https://{SNS}:443{PATH}",
    f"https://{SNS}:8443{PATH}", f"https://{SNS}{PATH}?", f"https://{SNS}{PATH}?a=b", f"https://{SNS}{PATH}#a",
    f"https://sns.eu-west-2.amazonaws.com{PATH}", f"https://sns.amazonaws.com{PATH}",
    f"https://sns.s3-ap-southeast-2.amazonaws.com{PATH}", f"https://sns.s3.amazonaws.com{PATH}",
    f"https://{SNS}.evil.test{PATH}", f"https://{SNS}@evil.test{PATH}", f"https://evil.test\\@{SNS}{PATH}",
    f"https://{SNS}\\@evil.test{PATH}", f"https://evil.test/{SNS}{PATH}", f"https://evil.test#{SNS}{PATH}",
    f"https://{SNS}.{PATH}", f"https://{SNS.upper()}.{PATH}", f"https://{SNS.upper()}{PATH}",
    f"https://SNS.eu-west-1.amazonaw\u017f.com{PATH}", f"https://snsXeu-west-1.amazonaws.com{PATH}",
    f"https://xsns.eu-west-1.amazonaws.com{PATH}", f"https://{SNS}.cn{PATH}", f"https://{SNS}{PATH}\n",
    f" https://{SNS}{PATH}", f"https://{SNS}\n{PATH}", f"https://{SNS}\t{PATH}", f"https://{SNS}/{PATH}",
    f"https://{SNS}/a{PATH}", f"https://{SNS}{PATH.upper()}", f"https://{SNS}{PATH}.html",
    f"https://{SNS}{PATH.replace('.pem', 'xpem')}", f"https://{SNS}{PATH.replace('0123456789abcdef.pem', '.pem')}",
    f"https://{SNS}{PATH.replace('.pem', '0.pem')}", f"https://{SNS}{PATH.replace('abcdef', 'ABCDEF')}",
    f"https://{SNS}/..%2f{PATH}", f"https://{SNS}/../{PATH}", f"file://{SNS}{PATH}",
]  # fmt: skip


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


@pytest.mark.parametrize("url", URLS)
async def test_a_certificate_is_asked_for_at_sns_alone(
    visits: Visits, signer: Signer, amazon: FakeHttp, url: str
) -> None:
    with pytest.raises(Forged):
        await visits.knock(signer.signed(notification(SigningCertURL=url)))
    assert not amazon.requests


@pytest.mark.parametrize(("topic", "host"), ELSEWHERE.items())
async def test_each_partition_has_its_own_host(visits: Visits, signer: Signer, topic: str, host: str) -> None:
    url = CERTIFICATE_URL.replace("sns.eu-west-1.amazonaws.com", host)
    told = await visits.knock(signer.signed(notification(TopicArn=topic, SigningCertURL=url)))
    assert told.topic == topic
    with pytest.raises(Forged):
        await visits.knock(signer.signed(notification(TopicArn=topic)))


def certificate_with(key: ec.EllipticCurvePrivateKey) -> bytes:
    return certificate_of(key, NOW - timedelta(days=1), NOW + timedelta(days=1))


@pytest.mark.parametrize(
    "said",
    [
        Reply(404, b"no"),
        Reply(500, b"no"),
        Reply(301, b"", {"Location": "https://evil.test/x.pem"}),
        Reply(302, b"", {"Location": "/elsewhere.pem"}),
        Reply(200, b""),
        Reply(200, b"x" * 17 * 1024),
        Reply(200, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        Reply(200, b"cut", {"Content-Length": "900"}),
        Reply(200, certificate_with(ec.generate_private_key(ec.SECP256R1()))),
        Reply(200, Signer(until=NOW - timedelta(days=1)).certificate),
        Reply(200, Signer(since=NOW + timedelta(days=1)).certificate),
        Silence.CLOSE,
        Silence.RESET,
        Silence.HANG,
    ],
    # Keys are new each time, and the tests' names must not be.
    ids=[
        "not there",
        "fault",
        "away",
        "elsewhere",
        "nothing",
        "too large",
        "no certificate",
        "cut",
        "another kind of key",
        "over",
        "not begun",
        "closed",
        "reset",
        "silent",
    ],
)
async def test_without_a_certificate_a_message_should_come_again(
    visits: Visits, signer: Signer, amazon: FakeHttp, said: Reply | Silence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sns_certificates, "WITHIN_S", 1.5)
    amazon.says = lambda request: said
    with pytest.raises(CannotVerify):
        await visits.knock(signer.signed(notification()))
    assert len(amazon.requests) == 1


async def test_a_large_certificate_is_not_read_to_its_end(visits: Visits, signer: Signer, amazon: FakeHttp) -> None:
    amazon.says = lambda request: Reply(200, signer.certificate + b"\n" * 17 * 1024)
    with pytest.raises(CannotVerify):
        await visits.knock(signer.signed(notification()))


async def test_after_a_failure_the_next_message_asks_again(visits: Visits, signer: Signer, amazon: FakeHttp) -> None:
    good, amazon.says = amazon.says, lambda request: Reply(503, b"")
    with pytest.raises(CannotVerify):
        await visits.knock(signer.signed(notification()))
    amazon.says = good
    assert await visits.knock(signer.signed(notification()))


async def test_a_certificate_is_fetched_once_for_all_who_wait_and_kept_for_a_day(
    visits: Visits, signer: Signer, amazon: FakeHttp
) -> None:
    fields = signer.signed(notification())
    await asyncio.gather(*(visits.knock(fields) for _ in range(50)))
    assert len(amazon.requests) == 1
    await visits.certificates.key_at(CERTIFICATE_URL, NOW + timedelta(hours=23))
    assert len(amazon.requests) == 1
    await visits.certificates.key_at(CERTIFICATE_URL, NOW + timedelta(hours=25))
    assert len(amazon.requests) == 2


def url_of(number: int) -> str:
    return f"{HOST}/SimpleNotificationService-{number:032x}.pem"


async def test_no_more_certificates_are_kept_than_have_their_place(visits: Visits, amazon: FakeHttp) -> None:
    for number in range(40):
        await visits.certificates.key_at(url_of(number), NOW)
    assert len(amazon.requests) == 40
    await visits.certificates.key_at(url_of(39), NOW)
    assert len(amazon.requests) == 40
    await visits.certificates.key_at(url_of(0), NOW)
    assert len(amazon.requests) == 41


async def test_a_crowd_that_names_certificates_at_random_makes_few_requests(visits: Visits, amazon: FakeHttp) -> None:
    amazon.says = lambda request: Silence.HANG
    asking = [asyncio.create_task(visits.certificates.key_at(url_of(number), NOW)) for number in range(100)]
    done, waiting = await asyncio.wait(asking, timeout=1.5)
    assert (len(done), len(waiting)) == (96, 4)
    assert all(isinstance(each.exception(), CannotVerify) for each in done)
    await visits.door.close()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(amazon.requests) == 4


async def test_whoever_gives_up_waiting_takes_the_certificate_from_nobody(visits: Visits, amazon: FakeHttp) -> None:
    first = asyncio.create_task(visits.certificates.key_at(CERTIFICATE_URL, NOW))
    await asyncio.sleep(0)
    second = asyncio.create_task(visits.certificates.key_at(CERTIFICATE_URL, NOW))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert len(amazon.requests) == 1
