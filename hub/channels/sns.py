"""The door for what Amazon SNS delivers: opens only to signed messages of topics that are ours.

A signature proves that some account of Amazon's published a message; whose it was, the topic says.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import SecretStr

from hub.channels.foreign import read_json
from hub.channels.sns_certificates import CannotVerify, Certificates
from hub.errors import Forbidden, Malformed, TooLarge
from hub.logs import get_logger

# The refusals are told apart by whoever stands at the door.
__all__ = ["CannotVerify", "Farewell", "Forged", "Handshake", "Malformed", "Notification", "SnsDoor", "TooLarge"]

log = get_logger(__name__)

# SNS sends at most 256 KiB, which JSON's escapes may make longer.
MOST_BYTES = 1024 * 1024
# SNS tries for an hour at most; its clock and ours need not agree.
OLDEST = timedelta(minutes=75)
EARLIEST = timedelta(minutes=5)

NOTIFICATION, HANDSHAKE, FAREWELL = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
CONFIRMED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
# What is signed, in this order.
SIGNED: Mapping[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    HANDSHAKE: CONFIRMED,
    FAREWELL: CONFIRMED,
}
MAY_BE_MISSING = {"Subject"}
UNSIGNED = ("SignatureVersion", "Signature", "SigningCertURL")

SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-us-gov": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
}
TOPIC = re.compile(
    r"arn:(aws|aws-us-gov|aws-cn|aws-eusc):sns:([a-z]{2,8}(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:[\w-]{1,256}", re.ASCII
)
FILE = r"/SimpleNotificationService-[0-9a-f]{32}\.pem"
MESSAGE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


class Forged(Forbidden):
    """This is not a message that SNS signed for a topic of ours; it never will be."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A verified message; `message` is what was published."""

    message_id: str
    topic: str
    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Handshake:
    """A verified question whether we want a topic's messages."""

    message_id: str
    topic: str
    at: datetime
    token: str


@dataclass(frozen=True, slots=True)
class Farewell:
    """A verified word that somebody ended our subscription: to be told to people, not to be acted on."""

    message_id: str
    topic: str
    at: datetime


class SnsDoor:
    """Verifies what comes, and answers the handshakes of topics that are ours."""

    def __init__(
        self,
        *,
        topics: Collection[str],
        accepts_subscriptions: bool,
        access_key_id: str,
        secret_access_key: SecretStr,
        certificates: Certificates | None = None,
        base_url: str | None = None,
    ) -> None:
        """`topics` are ARNs; `base_url` stands for SNS's own endpoint. Raises ValueError for what is no topic."""
        self._hosts = {topic: _host(topic) for topic in topics}
        self._accepts = accepts_subscriptions
        self._access_key_id, self._secret_access_key = access_key_id, secret_access_key
        self._certificates = certificates or Certificates()
        self._base_url = base_url

    async def verify(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notification | Handshake | Farewell:
        """What a request says, once it is certain that SNS says it; the headers' names are in small letters.

        Raises TooLarge, Malformed and Forged for what never will be accepted, and CannotVerify for what should come
        again.
        """
        fields = _read(headers, body)
        at = _check_form(fields)
        self._check_origin(fields)
        await self._check_signature(fields, now)
        if not now - OLDEST <= at <= now + EARLIEST:
            raise Forged("The message is too old, or of the future.")
        return _say(fields, at)

    async def confirm(self, handshake: Handshake) -> None:
        """Subscribe to a topic by SNS's own call.

        Raises Forbidden while no new subscriptions are accepted, Forged for a foreign topic, Malformed when SNS does
        not know the token (any more), and CannotVerify when it does not answer.
        """
        if handshake.topic not in self._hosts:
            raise Forged("The topic is none of ours.")
        if not self._accepts:
            raise Forbidden("No new subscriptions are accepted now. Allow them, then ask SNS for a confirmation again.")
        # What talks to Amazon takes long to load, and this happens once in the life of a topic.
        from hub.channels.amazon import Access
        from hub.channels.sns_subscriptions import confirm

        region = handshake.topic.split(":")[3]
        access = Access(region, self._access_key_id, self._secret_access_key, self._base_url)
        await confirm(access, handshake.topic, handshake.token)

    async def close(self) -> None:
        """Give the connections back."""
        await self._certificates.close()

    def _check_origin(self, fields: Mapping[str, str]) -> None:
        """Refuse what is not for a topic of ours, or names a certificate elsewhere than at SNS in its own region."""
        host = self._hosts.get(fields["TopicArn"])
        if host is None:
            raise Forged("The topic is none of ours.")
        if fields["SignatureVersion"] != "2":
            raise Forged("Only signatures of version 2 count: set the topic's SignatureVersion to 2.")
        # Compared as it stands: whatever takes an address apart first, forgives something.
        if not re.fullmatch(f"https://{re.escape(host)}{FILE}", fields["SigningCertURL"]):
            raise Forged("The certificate's address is not SNS's own.")

    async def _check_signature(self, fields: Mapping[str, str], now: datetime) -> None:
        key = await self._certificates.key_at(fields["SigningCertURL"], now)
        signed = "".join(f"{name}\n{fields[name]}\n" for name in SIGNED[fields["Type"]] if name in fields)
        try:
            signature = base64.b64decode(fields["Signature"], validate=True)
            key.verify(signature, signed.encode(), PKCS1v15(), SHA256())
        except (binascii.Error, ValueError, InvalidSignature) as error:
            raise Forged("The signature is not right.") from error


def _host(topic: str) -> str:
    """Where SNS keeps the certificates for a topic."""
    found = TOPIC.fullmatch(topic)
    if not found:
        raise ValueError(f"SNS topics are ARNs such as arn:aws:sns:eu-west-1:111122223333:name, not {topic!r}.")
    partition, region = found.groups()
    return f"sns.{region}.{SUFFIXES[partition]}"


def _read(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The fields that count, each of them a text."""
    if len(body) > MOST_BYTES:
        raise TooLarge(f"A message of SNS has at most {MOST_BYTES} bytes.")
    if headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
        log.error("sns: raw message delivery is on, which leaves out the signature; switch it off at the subscription")
        raise Malformed("Raw message delivery leaves out the signature; switch it off at the subscription.")
    found = read_json(body)
    kind = found.get("Type")
    if not isinstance(kind, str) or kind not in SIGNED:
        raise Forged("The type is none that SNS sends.")
    for header, name in (("x-amz-sns-message-type", "Type"), ("x-amz-sns-message-id", "MessageId")):
        if headers.get(header) != found.get(name):
            raise Forged(f"The header {header} says something else than the body.")
    wanted = [name for name in (*SIGNED[kind], *UNSIGNED) if name in found or name not in MAY_BE_MISSING]
    return {name: _text(name, found.get(name)) for name in wanted}


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise Forged(f"{name} is missing, or no text.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Malformed(f"{name} holds half a character.") from error
    if "\0" in value:
        raise Malformed(f"{name} holds what no database keeps.")
    return value


def _check_form(fields: Mapping[str, str]) -> datetime:
    """Refuse fields that could hide another one: the signed text has no escapes. Returns the message's time."""
    if not MESSAGE_ID.fullmatch(fields["MessageId"]):
        raise Forged("MessageId is no UUID.")
    try:
        if TIMESTAMP.fullmatch(fields["Timestamp"]):
            return datetime.fromisoformat(fields["Timestamp"])
    except ValueError:
        pass
    raise Forged("Timestamp is no moment as SNS writes it.")


def _say(fields: Mapping[str, str], at: datetime) -> Notification | Handshake | Farewell:
    message_id, topic = fields["MessageId"], fields["TopicArn"]
    if fields["Type"] == NOTIFICATION:
        return Notification(message_id, topic, at, fields["Message"])
    if fields["Type"] == HANDSHAKE:
        return Handshake(message_id, topic, at, fields["Token"])
    return Farewell(message_id, topic, at)
