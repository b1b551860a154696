"""What stands for Amazon here: an HTTP server that says anything or nothing, and keys that sign as SNS does."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from hub.channels.sns import Farewell, Handshake, Notification, SnsDoor
from hub.channels.sns_certificates import Certificates

TOPIC = "arn:aws:sns:eu-west-1:111122223333:hub-ses"
HOST = "https://sns.eu-west-1.amazonaws.com"
ELSEWHERE = {
    "arn:aws-us-gov:sns:us-gov-west-1:111122223333:hub": "sns.us-gov-west-1.amazonaws.com",
    "arn:aws-cn:sns:cn-north-1:111122223333:hub": "sns.cn-north-1.amazonaws.com.cn",
    "arn:aws-eusc:sns:eusc-de-east-1:111122223333:hub": "sns.eusc-de-east-1.amazonaws.eu",
}
CERTIFICATE_URL = f"{HOST}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
NOW = datetime(2026, 3, 1, 8, 0, 5, tzinfo=UTC)


class Silence(Enum):
    """No answer: for ever, by a closed connection, or by one that is torn."""

    HANG = 1
    CLOSE = 2
    RESET = 3


@dataclass(frozen=True)
class Reply:
    """An answer of the server."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        headers = {"Content-Type": "application/json", "Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class FakeHttp:
    """Records every request, and answers what it is told to."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.connections = 0
        self.says: Callable[[Request], Reply | Silence] = lambda request: Reply()
        self._talks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeHttp]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for talk in self._talks:
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk
        self._talks.add(talk)
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ")
        request = Request(method, path, headers, body)
        self.requests.append(request)
        said = self.says(request)
        if said is Silence.HANG:
            await asyncio.sleep(3600)
        if isinstance(said, Silence):
            if said is Silence.RESET:
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            return False
        writer.write(said.encoded())
        await writer.drain()
        return True


class TowardsFake(httpx.AsyncBaseTransport):
    """Takes every request, wherever it is meant for, to the fake."""

    def __init__(self, fake: FakeHttp) -> None:
        self._fake = fake
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpx.URL(self._fake.url).copy_with(raw_path=request.url.raw_path)
        asked = httpx.Request(request.method, url, headers=request.headers, extensions=request.extensions)
        return await self._inner.handle_async_request(asked)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Signer:
    """A key and its certificate, as SNS has them."""

    def __init__(
        self, *, since: datetime = NOW - timedelta(days=30), until: datetime = NOW + timedelta(days=30)
    ) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = certificate_of(self.key, since, until)

    def sign(self, fields: Mapping[str, Any], algorithm: hashes.HashAlgorithm | None = None) -> str:
        """The signature of these fields, written here from the vendor's own description."""
        text = canonical(fields).encode("utf-8", "surrogatepass")
        return base64.b64encode(self.key.sign(text, padding.PKCS1v15(), algorithm or hashes.SHA256())).decode()

    def signed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {**fields, "Signature": self.sign(fields)}


def certificate_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, since: datetime, until: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), since, until)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def canonical(fields: Mapping[str, Any]) -> str:
    if fields.get("Type") == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    return "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)


def notification(**changes: Any) -> dict[str, Any]:
    """A notification before it is signed; a change to None takes the field away."""
    fields = {
        "Type": "Notification",
        "MessageId": str(uuid.UUID(int=0x5B1F0A52)),
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": '{"eventType":"Send","mail":{},"send":{}}\n',
        "Timestamp": "2026-03-01T08:00:02.900Z",
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": f"{HOST}/?Action=Unsubscribe&SubscriptionArn=x",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def handshake(kind: str = "SubscriptionConfirmation", **changes: Any) -> dict[str, Any]:
    """A confirmation before it is signed."""
    own = {"Type": kind, "Token": "2336412f37fb687f5d51e6e2425", "SubscribeURL": f"{HOST}/?Action=ConfirmSubscription"}
    return notification(**{"Subject": None, "UnsubscribeURL": None, **own, **changes})


def headers_for(fields: Mapping[str, Any]) -> dict[str, str]:
    """The headers that SNS sends beside a body."""
    return {
        "x-amz-sns-message-type": str(fields.get("Type", "")),
        "x-amz-sns-message-id": str(fields.get("MessageId", "")),
        "x-amz-sns-topic-arn": str(fields.get("TopicArn", "")),
        "content-type": "text/plain; charset=UTF-8",
    }


class Visits:
    """A door, and what it was made to ask for."""

    def __init__(self, amazon: FakeHttp, *, accepts: bool = True) -> None:
        self.amazon = amazon
        self.certificates = Certificates(TowardsFake(amazon))
        self.door = SnsDoor(
            topics=[TOPIC, *ELSEWHERE],
            accepts_subscriptions=accepts,
            access_key_id="AKIDEXAMPLE",
            secret_access_key=SecretStr("a-secret-key-of-amazon"),
            certificates=self.certificates,
            base_url=amazon.url,
        )

    async def knock(
        self, fields: Any, *, headers: dict[str, str] | None = None, now: datetime = NOW
    ) -> Notification | Handshake | Farewell:
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        return await self.door.verify(headers_for(fields) if headers is None else headers, body, now)

    async def knows_the_certificate(self, signer: Signer) -> None:
        await self.knock(signer.signed(notification()))
        self.amazon.requests.clear()


@asynccontextmanager
async def visiting(signer: Signer, *, accepts: bool = True) -> AsyncIterator[Visits]:
    """A door, and an Amazon that serves this signer's certificate."""
    async with FakeHttp().running() as fake:
        fake.says = lambda request: Reply(body=signer.certificate)
        visits = Visits(fake, accepts=accepts)
        yield visits
        await visits.door.close()
