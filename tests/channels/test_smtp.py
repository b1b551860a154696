"""Mail servers: a real one, and one that answers, hangs and breaks off as it is told."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from hub.channels.smtp import Smtp
from hub.channels.vendor import AddressFault, Channel, Fate, File, Outcome, Outgoing
from tests.channels.fakes_mail import Certificates, Postbox, ScriptedServer, real_server
from tests.channels.test_mime import headers_of, read_words

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SENDER = "noreply@mail.noor.example"
MAIL = Outgoing(
    reference=uuid.UUID(int=7),
    tenant=uuid.UUID(int=9),
    channel=Channel.EMAIL,
    to="sara@example.org",
    text="موعدك يوم الأحد\n.\n.سطر",
    subject="عيادة النور: موعدك",
    html="<p>موعدك</p>",
    sender_name="عيادة النور",
    unsubscribe_url="https://hub.example.com/u/" + "a" * 270,
)
MESSAGE_ID = f"{MAIL.reference}@mail.noor.example"


def account(port: int, **changes: Any) -> Smtp:
    chosen = {"security": "none", "connect_within_s": 1.5, "answer_within_s": 1.5, **changes}
    return Smtp(host="127.0.0.1", port=port, sender=SENDER, clock=lambda: AT, **chosen)


async def sent_to(script: Mapping[str, str | None], **changes: Any) -> tuple[Outcome, ScriptedServer]:
    server = ScriptedServer(script)
    async with server.running() as port:
        smtp = account(port, **changes)
        outcome = await smtp.send(MAIL)
        await smtp.close()
    return outcome, server


@pytest.mark.parametrize(
    ("script", "fate", "code"),
    [
        ({}, Fate.ACCEPTED, None),
        ({"GREETING": "421 4.3.2 busy"}, Fate.PASSING, "421 4.3.2"),
        ({"GREETING": "554 5.7.1 you are not welcome"}, Fate.OPERATOR, "554 5.7.1"),
        ({"GREETING": None}, Fate.PASSING, "SMTPConnectTimeoutError"),
        ({"GREETING": ""}, Fate.PASSING, "SMTPConnectError"),
        ({"GREETING": "what?"}, Fate.PASSING, "-1"),
        ({"EHLO": ""}, Fate.PASSING, "SMTPServerDisconnected"),
        ({"MAIL": "451 4.3.0 later"}, Fate.PASSING, "451 4.3.0"),
        ({"MAIL": "421 4.7.0 too many"}, Fate.PASSING, "421 4.7.0"),
        ({"MAIL": "530 5.7.0 sign in first"}, Fate.OPERATOR, "530 5.7.0"),
        ({"MAIL": "550 5.7.1 not your address"}, Fate.OPERATOR, "550 5.7.1"),
        ({"MAIL": "552 5.3.4 too large"}, Fate.PERMANENT, "552 5.3.4"),
        ({"MAIL": ""}, Fate.PASSING, "SMTPServerDisconnected"),
        ({"MAIL": None}, Fate.PASSING, "SMTPReadTimeoutError"),
        ({"RCPT": "450 4.2.1 greylisted"}, Fate.PASSING, "450 4.2.1"),
        ({"RCPT": "452 4.2.2 mailbox full"}, Fate.PASSING, "452 4.2.2"),
        ({"RCPT": "550 5.1.1 <sara@example.org> no such user"}, Fate.PERMANENT, "550 5.1.1"),
        ({"RCPT": "553 5.1.2 no such domain"}, Fate.PERMANENT, "553 5.1.2"),
        ({"RCPT": "550 5.7.1 by policy"}, Fate.PERMANENT, "550 5.7.1"),
        ({"RCPT": "550 no"}, Fate.PERMANENT, "550"),
        ({"RCPT": ""}, Fate.PASSING, "SMTPServerDisconnected"),
        ({"RCPT": None}, Fate.PASSING, "SMTPReadTimeoutError"),
        ({"DATA": "451 4.3.0 later"}, Fate.PASSING, "451 4.3.0"),
        ({"DATA": "554 5.5.1 no valid recipients"}, Fate.PERMANENT, "554 5.5.1"),
        ({".": "451 4.3.0 try again"}, Fate.PASSING, "451 4.3.0"),
        ({".": "552 5.2.3 too large"}, Fate.PERMANENT, "552 5.2.3"),
        ({".": "554 5.7.1 spam"}, Fate.PERMANENT, "554 5.7.1"),
        ({".": "what?"}, Fate.UNKNOWN, "-1"),
        ({".": ""}, Fate.UNKNOWN, "SMTPServerDisconnected"),
        ({".": None}, Fate.UNKNOWN, "SMTPReadTimeoutError"),
    ],
    ids=repr,
)
async def test_every_answer_has_its_fate(script: Mapping[str, str | None], fate: Fate, code: str | None) -> None:
    outcome, server = await sent_to(script)
    assert (outcome.fate, outcome.code) == (fate, code)
    assert "sara" not in repr(outcome)
    assert server.connections == 1
    assert server.mails <= 1


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("550 5.1.1 no such user", AddressFault.INVALID),
        ("550 5.1.10 no mail there", AddressFault.INVALID),
        ("550 5.7.1 by policy", None),
        ("550 no", None),
        ("450 4.1.1 not now", None),
    ],
)
async def test_only_an_address_that_is_not_there_is_at_fault(said: str, fault: AddressFault | None) -> None:
    outcome, _ = await sent_to({"RCPT": said})
    assert outcome.fault is fault
    spam, _ = await sent_to({".": said})
    assert spam.fault is None


async def test_an_accepted_email_is_known_by_its_message_id() -> None:
    outcome, _ = await sent_to({})
    assert outcome.vendor_id == MESSAGE_ID
    assert outcome.answer == {"code": 250, "status": "2.0.0"}


async def test_nobody_there_passes() -> None:
    server = ScriptedServer({})
    async with server.running() as port:
        pass
    assert (await account(port).send(MAIL)).fate is Fate.PASSING


async def test_what_cannot_be_an_email_never_reaches_the_server() -> None:
    server = ScriptedServer({})
    async with server.running() as port:
        outcome = await account(port).send(replace(MAIL, subject="a\r\nBcc: b@example.org"))
    assert (outcome.fate, outcome.code) == (Fate.PERMANENT, "refused_here")
    assert outcome.answer == {"fields": ["subject"]}
    assert server.connections == 0


async def test_one_connection_serves_many_emails_even_after_a_refusal() -> None:
    server = ScriptedServer({"RCPT": "550 5.1.1 no"})
    async with server.running() as port:
        smtp = account(port)
        assert (await smtp.send(MAIL)).fate is Fate.PERMANENT
        server.script["RCPT"] = "250 ok"
        assert [(await smtp.send(MAIL)).fate for _ in range(3)] == [Fate.ACCEPTED] * 3
        await smtp.close()
    assert server.connections == 1
    assert server.commands == ["EHLO", "MAIL", "RCPT", *(["RSET", "MAIL", "RCPT", "DATA"] * 3), "QUIT"]


async def test_a_connection_that_died_while_it_rested_is_replaced_before_anything_is_sent() -> None:
    server = ScriptedServer({})
    async with server.running() as port:
        smtp = account(port)
        await smtp.send(MAIL)
        server.script["RSET"] = ""
        assert (await smtp.send(MAIL)).fate is Fate.ACCEPTED
        await smtp.close()
    assert (server.connections, server.mails) == (2, 2)


async def test_many_at_once_share_a_few_connections() -> None:
    server = ScriptedServer({})
    async with server.running() as port:
        smtp = account(port, answer_within_s=10, connect_within_s=10)
        outcomes = await asyncio.gather(*(smtp.send(MAIL) for _ in range(40)))
        await smtp.close()
    assert {outcome.fate for outcome in outcomes} == {Fate.ACCEPTED}
    assert server.mails == 40
    assert server.connections <= 4


async def test_a_sending_that_is_given_up_leaves_no_half_used_connection() -> None:
    server = ScriptedServer({".": None})
    async with server.running() as port:
        smtp = account(port, answer_within_s=30)
        sending = asyncio.create_task(smtp.send(MAIL))
        while not server.mails:
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        server.script["."] = "250 ok"
        assert (await smtp.send(MAIL)).fate is Fate.ACCEPTED
        await smtp.close()
    assert server.connections == 2


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("smtp"))


async def test_a_real_server_gets_the_email_byte_for_byte_as_it_was_written() -> None:
    box = Postbox()
    async with real_server(box) as port:
        smtp = account(port, answer_within_s=10)
        files = (File("نتائج.pdf", "application/pdf", bytes(range(256)) * 40),)
        outcome = await smtp.send(replace(MAIL, files=files))
        await smtp.close()
    assert outcome.fate is Fate.ACCEPTED
    [envelope] = box.envelopes
    raw = envelope.content
    assert isinstance(raw, bytes)
    assert raw.isascii()
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, ["sara@example.org"])
    headers = headers_of(raw)
    assert headers["Message-ID"] == f"<{MESSAGE_ID}>"
    assert headers["Date"] == "Sun, 01 Mar 2026 08:00:00 +0000"
    assert read_words(headers["Subject"]) == MAIL.subject
    assert headers["List-Unsubscribe"] == f"<{MAIL.unsubscribe_url}>"


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_it_signs_in_over_a_line_that_nobody_can_read(certificates: Certificates, security: str) -> None:
    box = Postbox()
    tls = certificates.server if security == "tls" else None
    starttls = certificates.server if security == "starttls" else None
    # aiosmtpd takes a line for open unless it was STARTTLS that closed it.
    options = {"auth_required": bool(starttls), "auth_require_tls": bool(starttls), "require_starttls": bool(starttls)}
    async with real_server(box, tls=tls, tls_context=starttls, **options) as port:
        known = {"security": security, "tls": certificates.client, "username": "noor", "answer_within_s": 10}
        smtp = account(port, connect_within_s=10, password=SecretStr("open sesame"), **known)
        assert (await smtp.send(MAIL)).fate is Fate.ACCEPTED
        await smtp.close()
        smtp = account(port, connect_within_s=10, password=SecretStr("a wrong one"), **known)
        refused = await smtp.send(MAIL)
        await smtp.close()
    assert (refused.fate, refused.code) == (Fate.OPERATOR, "535 5.7.8")
    assert len(box.envelopes) == 1


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_that_nobody_vouches_for_is_the_operators(
    certificates: Certificates, security: str
) -> None:
    box = Postbox()
    tls = certificates.server if security == "tls" else None
    async with real_server(box, tls=tls, tls_context=certificates.server) as port:
        smtp = account(port, security=security, connect_within_s=10, answer_within_s=10)
        assert (await smtp.send(MAIL)).fate is Fate.OPERATOR
        await smtp.close()
    assert not box.envelopes


async def test_a_server_without_tls_gets_nothing_when_tls_is_asked_for() -> None:
    outcome, server = await sent_to({}, security="starttls")
    assert outcome.fate is Fate.OPERATOR
    assert server.commands == ["EHLO"]


def test_a_password_never_leaves_this_machine_in_clear() -> None:
    with pytest.raises(ValueError, match="tls or starttls"):
        Smtp(host="mail.example.com", port=25, sender=SENDER, clock=lambda: AT, security="none", username="noor")


def test_a_sender_that_is_no_address_is_refused_when_it_is_set_up() -> None:
    with pytest.raises(ValueError, match="email address"):
        Smtp(host="mail.example.com", port=587, sender="Noor <a@b.example>", clock=lambda: AT)


async def test_nobody_can_be_asked_what_became_of_an_email() -> None:
    assert await account(1).ask(MAIL, MESSAGE_ID, AT) is None
