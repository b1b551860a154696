"""Email by a mail server of the installation's own, over a few connections that are kept."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
)
from pydantic import SecretStr

from hub.channels.mime import is_address, refused_here, write_mail
from hub.channels.vendor import AddressFault, Channel, Fate, Outcome, Outgoing
from hub.clock import Clock
from hub.errors import Invalid
from hub.logs import get_logger
from hub.settings import is_loopback

log = get_logger(__name__)

Security = Literal["tls", "starttls", "none"]

CONNECT_WITHIN_S = 10.0
# For each answer. A server may look at an email for long before it takes it.
ANSWER_WITHIN_S = 60.0
MOST_CONNECTIONS = 4
# Servers close a connection that rests, after five minutes or less.
REST_AT_MOST_S = 30.0
USUAL_RATE = 20.0

# What a server says of the address itself (RFC 3463 and its registry): no such mailbox, no such domain, moved, no mail.
NO_SUCH_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
# Sign-in is asked for, refused, or too weak; `try again` among them is 454, which passes.
NOT_SIGNED_IN = frozenset({530, 534, 535, 538})
TOO_LARGE = 552
ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")


class Stage(StrEnum):
    """How far a request came."""

    CONNECT = "connect"
    SENDER = "sender"
    RECIPIENT = "recipient"
    DATA = "data"


@dataclass(slots=True)
class Progress:
    """The stage of one request, as it goes on."""

    stage: Stage = Stage.CONNECT


class Smtp:
    """One account of a mail server."""

    name = "smtp"
    channels = frozenset({Channel.EMAIL})

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        clock: Clock,
        security: Security = "starttls",
        username: str | None = None,
        password: SecretStr | None = None,
        tls: ssl.SSLContext | None = None,
        per_second: float = USUAL_RATE,
        connect_within_s: float = CONNECT_WITHIN_S,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        """`tls` stands for the system's own authorities. Raises ValueError for what would send a password in clear."""
        if username and security == "none" and not is_loopback(host):
            raise ValueError("A mail server outside this machine is signed in to over tls or starttls only.")
        if not is_address(sender):
            raise ValueError(f"The sender of emails must be an email address, not {sender!r}.")
        self.account = f"smtp:{host}"
        self.per_second = per_second
        self._host, self._port, self._security, self._tls = host, port, security, tls
        self._username, self._password = username, password
        self._sender, self._clock = sender, clock
        self._connect_within_s, self._answer_within_s = connect_within_s, answer_within_s
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)
        self._resting: list[tuple[float, SMTP]] = []

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Hand over one email once; never raises for anything that the server or the network does."""
        message_id = f"{outgoing.reference}@{self._sender.rpartition('@')[2]}"
        try:
            mail = write_mail(outgoing, self._sender, message_id, self._clock())
        except Invalid as refused:
            return refused_here(refused)
        progress = Progress()
        try:
            async with self._connection() as connection:
                answer = await self._hand_over(connection, outgoing.to, mail, progress)
        except SMTPResponseException as error:
            return _refusal(error, progress.stage)
        except Exception as error:  # whatever a connection that breaks, or never was, raises
            return _silence(error, progress.stage)
        return Outcome(Fate.ACCEPTED, vendor_id=message_id, answer={"code": 250, "status": _enhanced(answer)})

    async def ask(self, outgoing: Outgoing, vendor_id: str | None, since: datetime) -> Outcome | None:
        """A mail server answers no such question."""
        return None

    async def close(self) -> None:
        """Part from the server."""
        while self._resting:
            _, connection = self._resting.pop()
            with suppress(SMTPException, OSError):
                await connection.quit(timeout=self._connect_within_s)
            connection.close()

    async def _hand_over(self, connection: SMTP, to: str, mail: bytes, progress: Progress) -> str:
        progress.stage = Stage.SENDER
        await connection.mail(self._sender)
        progress.stage = Stage.RECIPIENT
        await connection.rcpt(to)
        progress.stage = Stage.DATA
        return (await connection.data(mail)).message

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SMTP]:
        """A connection for one email; only one on which everything is said and answered is used again."""
        async with self._places:
            connection = await self._rested() or await self._connected()
            try:
                yield connection
            except SMTPResponseException as error:
                # A refusal in order: what was begun is taken back before the next email.
                self._rest(connection, understood=_is_refusal(error))
                raise
            except BaseException:
                connection.close()
                raise
            self._rest(connection, understood=True)

    def _rest(self, connection: SMTP, *, understood: bool) -> None:
        if understood and connection.is_connected:
            self._resting.append((time.monotonic(), connection))
        else:
            connection.close()

    async def _rested(self) -> SMTP | None:
        """One that is open and answers still: nothing is written yet, so one that does not is no loss."""
        while self._resting:
            since, connection = self._resting.pop()
            if time.monotonic() - since < REST_AT_MOST_S:
                with suppress(SMTPException, OSError):
                    await connection.rset(timeout=self._connect_within_s)
                    return connection
            connection.close()
        return None

    async def _connected(self) -> SMTP:
        connection = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password.get_secret_value() if self._password else None,
            local_hostname=self._sender.rpartition("@")[2],
            timeout=self._connect_within_s,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._tls,
        )
        await connection.connect()
        connection.timeout = self._answer_within_s
        return connection


def _refusal(error: SMTPResponseException, stage: Stage) -> Outcome:
    """What the server answered. Its words are read and not kept: they may quote an address."""
    status = _enhanced(error.message)
    answer = {"code": error.code, "status": status, "stage": stage.value}
    code = f"{error.code} {status}" if status else str(error.code)
    if stage is Stage.DATA and not _is_refusal(error):
        return Outcome(Fate.UNKNOWN, code=code, answer=answer)
    fault = AddressFault.INVALID if stage is Stage.RECIPIENT and status in NO_SUCH_ADDRESS else None
    return Outcome(_fate(error, stage), code=code, answer=answer, fault=fault)


def _is_refusal(error: SMTPResponseException) -> bool:
    return 400 <= error.code <= 599


def _fate(error: SMTPResponseException, stage: Stage) -> Fate:
    if error.code in NOT_SIGNED_IN:
        return Fate.OPERATOR
    if not 500 <= error.code <= 599:
        return Fate.PASSING
    if stage is Stage.CONNECT or isinstance(error, SMTPAuthenticationError):
        return Fate.OPERATOR
    # Refused before it heard to whom: the sender's address is ours.
    return Fate.OPERATOR if stage is Stage.SENDER and error.code != TOO_LARGE else Fate.PERMANENT


def _silence(error: Exception, stage: Stage) -> Outcome:
    """No answer. After DATA began the email may be there whole; before, the server has nothing."""
    kind = type(error).__name__
    log.warning("smtp: no answer", error=kind, stage=stage.value)
    answer = {"stage": stage.value}
    if stage is Stage.DATA:
        return Outcome(Fate.UNKNOWN, code=kind, answer=answer)
    return Outcome(Fate.OPERATOR if _is_ours(error) else Fate.PASSING, code=kind, answer=answer)


def _is_ours(error: Exception) -> bool:
    """Whether another time changes nothing: the server has no TLS, another's certificate, or no such sign-in."""
    cause = error.__cause__ or error
    broken_off = isinstance(cause, ssl.SSLEOFError)
    return type(error) is SMTPException or (isinstance(cause, ssl.SSLError) and not broken_off)


def _enhanced(words: str) -> str:
    found = ENHANCED.match(words)
    return found[1] if found else ""
