"""Email by Amazon SES, version 2: exactly one request for each attempt, whatever comes back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectorError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ProxyConnectionError,
    SSLError,
)
from pydantic import SecretStr

from hub.channels.amazon import Access, client
from hub.channels.mime import check_mail, html_of, mailbox, refused_here, unsubscribe_headers
from hub.channels.vendor import Channel, Fate, File, Outcome, Outgoing
from hub.errors import Invalid
from hub.logs import get_logger

if TYPE_CHECKING:
    from types_aiobotocore_sesv2.client import SESV2Client

log = get_logger(__name__)

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 20.0
# What an account gets first when it leaves SES's own sandbox, in emails a second.
USUAL_RATE = 14.0

TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
UTF8 = "UTF-8"
UNTRACKED = {"OpenTrackingEnabled": "DISABLED", "ClickTrackingEnabled": "DISABLED"}

# How long to leave an account alone, in seconds: its rate is counted by the second, its quota by the day.
RATE_PAUSE_S = 5.0
LIMIT_PAUSE_S = 15 * 60.0
QUOTA_PAUSE_S = 60 * 60.0
THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestThrottled"})

NOT_NOW = THROTTLED | {"LimitExceededException", "RequestTimeout", "ConcurrentModificationException"}
NEVER = frozenset({"MessageRejected", "BadRequestException", "InvalidParameterValue", "ValidationException"})
OURS = frozenset(
    {
        "AccessDeniedException",
        "AccountSuspendedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MailFromDomainNotVerifiedException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotFoundException",
        "OptInRequired",
        "RequestExpired",
        "SendingPausedException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
FATES: Mapping[str, Fate] = {
    **dict.fromkeys(NOT_NOW, Fate.PASSING),
    **dict.fromkeys(NEVER, Fate.PERMANENT),
    **dict.fromkeys(OURS, Fate.OPERATOR),
}
# A gateway that stops waiting knows no more than we do: the request may be on its way.
BY_STATUS: Mapping[int, Fate] = {
    401: Fate.OPERATOR,
    403: Fate.OPERATOR,
    404: Fate.OPERATOR,
    408: Fate.PASSING,
    429: Fate.PASSING,
    504: Fate.UNKNOWN,
}
# Errors of a request that never left; every other one may come after it was written.
NEVER_WRITTEN = (ConnectTimeoutError, ProxyConnectionError, SSLError)


class Ses:
    """One account of SES in one region."""

    name = "ses"
    channels = frozenset({Channel.EMAIL})

    def __init__(
        self,
        *,
        region: str,
        access_key_id: str,
        secret_access_key: SecretStr,
        sender: str,
        configuration_set: str | None = None,
        base_url: str | None = None,
        per_second: float = USUAL_RATE,
        connect_within_s: float = CONNECT_WITHIN_S,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        """`sender` is a verified address; `base_url` stands for the region's own endpoint."""
        self.account = f"ses:{region}"
        self.per_second = per_second
        self._sender = sender
        self._set = configuration_set
        self._access = Access(region, access_key_id, secret_access_key, base_url)
        self._connect_within_s, self._answer_within_s = connect_within_s, answer_within_s
        self._opening = asyncio.Lock()
        self._connections = AsyncExitStack()
        self._client: SESV2Client | None = None

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Make exactly one request; never raises for anything that SES or the network does."""
        try:
            request = self._request(outgoing)
        except Invalid as refused:
            return refused_here(refused)
        try:
            ses = await self._opened()
        except (BotoCoreError, ValueError) as error:
            log.error("ses: the account is not set up as SES needs it", error=type(error).__name__)
            return Outcome(Fate.OPERATOR, code=type(error).__name__)
        try:
            # Each byte of an answer gives it time again; this is for all of it.
            async with asyncio.timeout(self._connect_within_s + self._answer_within_s):
                answer = await ses.send_email(**request)
        except ClientError as error:
            return _refusal(error)
        except Exception as error:  # the client's parser raises anything at an answer that it did not expect
            return _silence(error)
        if not answer.get("MessageId"):
            return Outcome(Fate.UNKNOWN, code="no_message_id")
        return Outcome(Fate.ACCEPTED, vendor_id=answer["MessageId"], answer=_trace(answer))

    async def ask(self, outgoing: Outgoing, vendor_id: str | None, since: datetime) -> Outcome | None:
        """SES answers no such question; its events, which carry our reference, tell."""
        return None

    async def close(self) -> None:
        """Give the connections back."""
        await self._connections.aclose()
        self._client = None

    async def _opened(self) -> SESV2Client:
        async with self._opening:
            if self._client is not None:
                return self._client
            opening = client("sesv2", self._access, self._connect_within_s, self._answer_within_s)
            made: SESV2Client = await self._connections.enter_async_context(opening)
            self._client = made
            return made

    def _request(self, outgoing: Outgoing) -> dict[str, Any]:
        check_mail(outgoing)
        request: dict[str, Any] = {
            "FromEmailAddress": mailbox(outgoing.sender_name, self._sender),
            "Destination": {"ToAddresses": [outgoing.to]},
            "Content": {"Simple": _content(outgoing)},
            "EmailTags": [_tag("hub_message_id", str(outgoing.reference)), _tag("tenant", str(outgoing.tenant))],
            "ConfigurationOverrides": {"Tracking": UNTRACKED},
        }
        return request | ({"ConfigurationSetName": self._set} if self._set else {})


def _content(outgoing: Outgoing) -> dict[str, Any]:
    headers = [{"Name": name, "Value": value} for name, value in unsubscribe_headers(outgoing)]
    content: dict[str, Any] = {
        "Subject": _words(outgoing.subject),
        "Body": {"Text": _words(outgoing.text), "Html": _words(html_of(outgoing))},
    }
    if headers:
        content["Headers"] = headers
    if outgoing.files:
        content["Attachments"] = [_attachment(file) for file in outgoing.files]
    return content


def _words(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": UTF8}


def _attachment(file: File) -> dict[str, Any]:
    return {
        "FileName": file.name,
        "ContentType": file.content_type,
        "RawContent": file.content,
        "ContentDisposition": "ATTACHMENT",
        "ContentTransferEncoding": "BASE64",
    }


def _tag(name: str, value: str) -> dict[str, str]:
    """A tag, which comes back in events and is seen in logs: an id, nothing else."""
    if not TAG.fullmatch(value):
        raise Invalid("This cannot go out by SES: a tag holds letters, digits, _ and - only.")
    return {"Name": name, "Value": value}


def _refusal(error: ClientError) -> Outcome:
    """What SES answered. Its words are read and not kept: they may quote an address."""
    told = error.response.get("Error", {})
    code, words = told.get("Code", ""), told.get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    fate = FATES.get(code) or _fate_by(status)
    pause = _pause(code, status, words) if fate is Fate.PASSING else None
    return Outcome(fate, code=code or str(status), answer=_trace(error.response), retry_after_s=pause)


def _fate_by(status: int) -> Fate:
    if status < 400:  # sent elsewhere, where nothing of ours goes: the endpoint is not SES's
        return Fate.OPERATOR
    return BY_STATUS.get(status) or (Fate.PASSING if status >= 500 else Fate.PERMANENT)


def _pause(code: str, status: int, words: str) -> float | None:
    if "quota" in words.lower():
        return QUOTA_PAUSE_S
    if code == "LimitExceededException":
        return LIMIT_PAUSE_S
    return RATE_PAUSE_S if code in THROTTLED or status == 429 else None


def _silence(error: Exception) -> Outcome:
    """No answer that can be read. Only what certainly never left may be sent again."""
    kind = type(error).__name__
    if isinstance(error, ParamValidationError):
        return Outcome(Fate.PERMANENT, code="refused_here")
    never_written = isinstance(error, NEVER_WRITTEN) or _never_connected(error)
    log.warning("ses: no answer", error=kind, written=not never_written)
    return Outcome(Fate.PASSING if never_written else Fate.UNKNOWN, code=kind)


def _never_connected(error: Exception) -> bool:
    """Whether there was no connection at all: a reset in the middle comes under the same name."""
    return isinstance(error, EndpointConnectionError) and isinstance(error.kwargs.get("error"), ClientConnectorError)


def _trace(response: Mapping[str, Any]) -> dict[str, Any]:
    told = response.get("ResponseMetadata", {})
    return {"status": told.get("HTTPStatusCode"), "request": told.get("RequestId")}
