"""One request to a vendor over HTTP: made once and never again by itself, with an answer or with why there is none."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

# httpx takes ten times the processor for a request (2.5 ms against 0.25 over eight connections, 4 against 0.34 over
# forty), which would be most of what sending costs.
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)

from hub.channels.foreign import read_json
from hub.channels.vendor import Fate, Outcome
from hub.errors import Malformed

CONNECT_S = 3.0
READ_S = 10.0
# On top of both, for an answer that comes byte by byte.
DRIP_S = 7.0
# Shorter than vendors keep an idle connection, so that none is used that they are just closing.
IDLE_S = 5.0
CONNECTIONS = 200
# A list of a few hundred messages; answers to a request are below 2 KiB.
LONGEST_ANSWER = 1024 * 1024
LONGEST_RETRY_AFTER_S = 3600.0

# Nothing was written when these are raised; after any other the vendor may have the request.
NOT_WRITTEN = (ClientConnectorError, ConnectionTimeoutError)


class NoAnswer(Exception):
    """The vendor did not answer. It names neither an address nor what was sent."""

    def __init__(self, fate: Fate, code: str) -> None:
        super().__init__(code)
        self.outcome = Outcome(fate, code=code)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor answered."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of its JSON object; none, if it is anything else."""
        try:
            return read_json(self.body)
        except Malformed:
            return {}


class Line:
    """The pooled connections to one vendor. What is written in `headers` and `auth` goes with every request.

    Made inside of the loop that uses it. A POST is never repeated, whatever happens to its connection.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
    ) -> None:
        self._session = ClientSession(
            base_url,
            # An answer in plain is as long as it says, so that its cap holds.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {}), **_basic(auth)},
            timeout=ClientTimeout(
                total=connect_s + read_s + DRIP_S, connect=connect_s, sock_connect=connect_s, sock_read=read_s
            ),
            connector=TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_S),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """Read something; raises NoAnswer."""
        return await _answer(self._session.get(path, params=query, allow_redirects=False))

    async def post_form(self, path: str, form: Mapping[str, str]) -> Answer:
        """Post a form; raises NoAnswer."""
        return await _answer(self._session.post(path, data=form, allow_redirects=False))

    async def post_json(self, path: str, content: Mapping[str, Any]) -> Answer:
        """Post JSON; raises NoAnswer."""
        return await _answer(self._session.post(path, json=content, allow_redirects=False))

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()


def _basic(auth: tuple[str, str] | None) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(':'.join(auth).encode()).decode()}"} if auth else {}


async def _answer(request: AbstractAsyncContextManager[ClientResponse]) -> Answer:
    try:
        async with request as answer:
            return Answer(answer.status, await _read(answer), _retry_after(answer.headers))
    # Without their cause: what the library says of an error names the address.
    except NOT_WRITTEN:
        raise NoAnswer(Fate.PASSING, "no_connection") from None
    except (ClientError, TimeoutError, OSError):
        raise NoAnswer(Fate.UNKNOWN, "no_answer") from None


async def _read(answer: ClientResponse) -> bytes:
    """The body; nothing, if it is longer than any answer."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > LONGEST_ANSWER:
            answer.close()
            return b""
    return bytes(body)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """How long a vendor wants to be left alone: seconds, or a moment by its own clock."""
    said = headers.get("Retry-After", "").strip()
    try:
        if said.isascii() and said.isdigit():
            seconds = float(said)
        else:
            now = parsedate_to_datetime(headers["Date"])
            seconds = (parsedate_to_datetime(said) - now).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)
