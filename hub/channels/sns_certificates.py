"""The certificates that Amazon SNS signs with: fetched once, kept for a day, and never asked for without bounds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from hub.errors import Unavailable

WITHIN_S = 5.0
MOST_BYTES = 16 * 1024
KEPT_FOR = timedelta(hours=24)
# SNS uses one a region and changes it about once a year.
MOST_KEPT = 32
# Anybody may post what names a certificate that does not exist; no more than these are looked for at a time.
MOST_FETCHED_AT_ONCE = 4


class CannotVerify(Unavailable):
    """Whether a message is SNS's cannot be told now; it should come again."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key, and when it counts."""

    key: RSAPublicKey
    since: datetime
    until: datetime
    fetched_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether it need not be fetched again."""
        return timedelta(0) <= now - self.fetched_at < KEPT_FOR


class Certificates:
    """Those of one process, by their whole address."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` stands for the way into the internet."""
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._kept: OrderedDict[str, Certificate] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[Certificate]] = {}

    async def key_at(self, url: str, now: datetime) -> RSAPublicKey:
        """The key at an address that was found to be SNS's own; raises CannotVerify."""
        found = self._kept.get(url)
        if found is None or not found.is_fresh(now):
            found = await self._fetched(url, now)
        if not found.since <= now <= found.until:
            raise CannotVerify(
                "The certificate of the signature is not valid at this time; check this machine's clock."
            )
        return found.key

    async def close(self) -> None:
        """Give the connections back."""
        for fetch in list(self._fetching.values()):
            fetch.cancel()
        if self._client:
            await self._client.aclose()
            self._client = None

    async def _fetched(self, url: str, now: datetime) -> Certificate:
        """Fetched once for all who wait for it."""
        fetch = self._fetching.get(url)
        if fetch is None:
            if len(self._fetching) >= MOST_FETCHED_AT_ONCE:
                raise CannotVerify("Too many certificates are asked for at once.")
            fetch = self._fetching[url] = asyncio.create_task(self._fetch(url, now))
            fetch.add_done_callback(lambda done: self._settle(url, done))
        return await asyncio.shield(fetch)

    def _settle(self, url: str, fetch: asyncio.Task[Certificate]) -> None:
        self._fetching.pop(url, None)
        # Whoever asked may have gone; an error is then nobody's.
        if fetch.cancelled() or fetch.exception():
            return
        self._kept[url] = fetch.result()
        self._kept.move_to_end(url)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    async def _fetch(self, url: str, now: datetime) -> Certificate:
        try:
            async with asyncio.timeout(WITHIN_S):
                body = await self._download(url)
        except (httpx.HTTPError, TimeoutError) as error:
            raise CannotVerify("The certificate of the signature cannot be fetched.") from error
        try:
            found = x509.load_pem_x509_certificate(body)
            key = found.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CannotVerify("What stands at the certificate's address is none.") from error
        if not isinstance(key, RSAPublicKey):
            raise CannotVerify("The certificate of the signature holds no RSA key.")
        return Certificate(key, found.not_valid_before_utc, found.not_valid_after_utc, now)

    async def _download(self, url: str) -> bytes:
        if self._client is None:
            # Neither proxies nor authorities that the environment names: this decides whom to believe.
            self._client = httpx.AsyncClient(
                transport=self._transport, trust_env=False, follow_redirects=False, timeout=WITHIN_S
            )
        body = b""
        async with self._client.stream("GET", url, headers={"accept-encoding": "identity"}) as answer:
            if answer.status_code != httpx.codes.OK:
                raise CannotVerify(f"The certificate's address answered {answer.status_code}.")
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise CannotVerify("What stands at the certificate's address is too large for one.")
        return body
