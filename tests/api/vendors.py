"""A hub that vendors report to, and the vendors: each signs as its real one does."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from hub.app import make_app
from hub.channels.sns import SnsDoor
from hub.channels.sns_certificates import Certificates
from hub.serve import bind, configure
from hub.settings import Settings
from hub.wiring import House, build
from tests.channels.fakes_aws import TOPIC, FakeHttp, Reply, Request, Signer, TowardsFake, headers_for, notification
from tests.conftest import MovableClock, QuietServer

PUBLIC_URL = "https://hub.example"
TWILIO_TOKEN, TWILIO_ACCOUNT = "0123456789abcdef0123456789abcdef", "AC" + "0" * 32
UNIFONIC_TOKEN = "a-secret-of-unifonics-own"
SETTINGS = {
    "public_url": PUBLIC_URL,
    "ses_topics": (TOPIC,),
    "twilio_account_sid": TWILIO_ACCOUNT,
    "twilio_auth_token": SecretStr(f"the-next-one-for-twilio, {TWILIO_TOKEN}"),
    "unifonic_report_token": SecretStr(UNIFONIC_TOKEN),
}


@dataclass
class Amazon:
    """Signs notifications, and gives its certificate to whoever asks, unless it is `away`."""

    signer: Signer
    web: FakeHttp
    away: bool = False

    @property
    def asked(self) -> int:
        """How often somebody asked for the certificate."""
        return len(self.web.requests)

    def certificate(self, _request: Request) -> Reply:
        """What stands at the certificate's address."""
        return Reply(503) if self.away else Reply(body=self.signer.certificate)

    def says(
        self, message: str, at: datetime, signer: Signer | None = None, **changes: Any
    ) -> tuple[dict[str, str], bytes]:
        """The headers and body of a signed notification of a message, by another key if one is given."""
        timestamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
        named = {"Message": message, "Timestamp": timestamp, "MessageId": str(uuid.uuid4())}
        fields = (signer or self.signer).signed(notification(**(named | changes)))
        return headers_for(fields), json.dumps(fields).encode()


@dataclass(frozen=True)
class Told:
    """The hub, and the vendors who know its addresses."""

    house: House
    client: httpx.AsyncClient
    amazon: Amazon

    async def by_amazon(self, event: Mapping[str, Any] | str, **changes: Any) -> httpx.Response:
        """A signed event."""
        message = event if isinstance(event, str) else json.dumps(event)
        headers, body = self.amazon.says(message, self.house.clock(), **changes)
        return await self.client.post("/webhooks/sns", content=body, headers=headers)

    async def by_twilio(
        self, path: str, fields: Mapping[str, Any] | list[tuple[str, str]], **headers: str
    ) -> httpx.Response:
        """A signed form; Twilio calls the public address, whatever the request looks like that reaches us."""
        given = [*fields.items()] if isinstance(fields, Mapping) else fields
        pairs = [("AccountSid", TWILIO_ACCOUNT), *given]
        signed = headers.pop("signature", None) or sign(PUBLIC_URL + path, pairs)
        sent = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signed} | headers
        return await self.client.post(path, content=urlencode(pairs).encode(), headers=sent)

    async def by_unifonic(self, kind: str, fields: Any, token: str = UNIFONIC_TOKEN) -> httpx.Response:
        """A report as JSON."""
        path, headers = f"/webhooks/unifonic/{token}/{kind}", {"content-type": "application/json"}
        return await self.client.post(path, content=json.dumps(fields), headers=headers)


class Pairs(dict[str, list[str]]):
    """A form as Twilio's own package takes it."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def sign(url: str, pairs: list[tuple[str, str]]) -> str:
    """The signature that Twilio's own package makes."""
    fields = Pairs()
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return str(RequestValidator(TWILIO_TOKEN).compute_signature(url, fields))


@asynccontextmanager
async def vendors_of(settings: Settings, clock: MovableClock) -> AsyncIterator[Told]:
    """A hub behind a TLS proxy, on a port of this machine, that vendors report to."""
    amazon = Amazon(Signer(since=clock().replace(year=2020), until=clock().replace(year=2040)), FakeHttp())
    amazon.web.says = amazon.certificate
    with bind("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]

    @asynccontextmanager
    async def built(chosen: Settings) -> AsyncIterator[House]:
        certificates = Certificates(TowardsFake(amazon.web))
        door = SnsDoor(
            topics=[TOPIC],
            accepts_subscriptions=False,
            access_key_id="",
            secret_access_key=SecretStr(""),
            certificates=certificates,
        )
        async with build(chosen, "test web", clock) as house:
            yield replace(house, sns=door)
        await door.close()

    app = make_app(settings.model_copy(update={**SETTINGS, "port": port}), built)
    url = f"http://127.0.0.1:{port}"
    async with (
        amazon.web.running(),
        QuietServer(configure(app)).running(port),
        httpx.AsyncClient(base_url=url, timeout=20, verify=False) as client,
    ):
        yield Told(app.state.house, client, amazon)
