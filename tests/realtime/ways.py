"""One client for each way to the hub, all with the same face: what is heard on one is heard on every other."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.inbox import Inbox, Row

WAYS = ("socket", "events", "poll")
OWN = "the hub's own"
# What an answer by HTTP says, as the first close code of the range that asks for the same.
CODES = {400: 4000, 503: 4100, 401: 4150}
UNSPOKEN = 1006


class Refused(Exception):
    """Not let in; `code` is the first of its range: 4000 stop, 4100 come back later, 4150 with another proof."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Ended(Exception):
    """The hub ended it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Visit:
    """By which proof somebody comes, from which page, and what is said first."""

    url: str
    cookie: str = ""
    token: str | None = None
    origin: str | None = OWN
    fetch_site: str | None = None
    version: Any = 1
    cursor: Row | None = None
    extra: Row | None = None
    topics: Sequence[str] = ()
    wait: int = 25

    @property
    def headers(self) -> dict[str, str]:
        """Those of a browser."""
        origin = self.url if self.origin == OWN else self.origin
        found = {"cookie": self.cookie, "origin": origin, "sec-fetch-site": self.fetch_site}
        return {name: value for name, value in found.items() if value}

    @property
    def hello(self) -> Row:
        """What a socket says first."""
        said: Row = {"t": "hello", "v": self.version, "cursor": self.cursor, "token": self.token} | (self.extra or {})
        return {name: value for name, value in said.items() if value is not None}

    @property
    def query(self) -> list[tuple[str, str]]:
        """The same as a query."""
        said = {"v": self.version} | (self.cursor or {}) | (self.extra or {})
        topics = [("topic", topic) for topic in self.topics]
        return [(name, str(value)) for name, value in said.items() if value is not None] + topics


class Client:
    """What all ways share: an inbox, and what was heard."""

    def __init__(self, visit: Visit, inbox: Inbox) -> None:
        self.visit = visit
        self.inbox = inbox
        self.frames: list[Row] = []
        self._heard: asyncio.Queue[Row | Exception] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Come in; raises Refused."""
        raise NotImplementedError

    async def say(self, *frames: Row) -> None:
        """Say something; answers are heard like everything else."""
        raise NotImplementedError

    async def listen(self) -> None:
        """Pass on what comes until it ends."""
        raise NotImplementedError

    async def close(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def begin(self) -> None:
        """Listen from now on."""
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            await self.listen()
        except Exception as error:
            self._heard.put_nowait(error)
        else:
            self._heard.put_nowait(Ended(UNSPOKEN))

    def heard(self, frame: Row) -> None:
        """A frame came."""
        self._heard.put_nowait(Ended(frame["code"]) if frame["t"] == "bye" else frame)

    async def hear(self, timeout: float = 15, *, beats: bool = False) -> Row:
        """The next frame, which is no heartbeat unless those are wanted; raises Ended."""
        async with asyncio.timeout(timeout):
            while True:
                frame = await self._heard.get()
                if isinstance(frame, Exception):
                    raise frame
                missing_since = self.inbox.apply(frame)
                if missing_since is not None:
                    await self.say({"t": "fill", "from": missing_since})
                if beats or frame["t"] != "hb":
                    self.frames.append(frame)
                    return frame

    async def hear_until(self, *kinds: str, timeout: float = 15) -> Row:
        """The next frame of these kinds, with everything before it applied."""
        while (frame := await self.hear(timeout, beats="hb" in kinds))["t"] not in kinds:
            pass
        return frame

    async def hear_everything(self, cursor: int, timeout: float = 20) -> None:
        """Listen until the inbox stands at `cursor` or beyond."""
        async with asyncio.timeout(timeout):
            while self.inbox.cursor is None or self.inbox.cursor < cursor:
                await self.hear(timeout)

    async def hear_the_end(self, timeout: float = 15) -> int:
        """Listen until the hub ends it; returns the code."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self.hear(timeout)
        except Ended as ended:
            return ended.code

    async def ask(self, frame: Row) -> Row:
        """Say something that is answered; returns the answer."""
        await self.say(frame)
        return await self.hear_until(*({"fill", "snap"} if frame["t"] == "fill" else {"ok", "err"}))

    @property
    def kinds(self) -> list[str]:
        """What was heard."""
        return [frame["t"] for frame in self.frames]


class SocketClient(Client):
    """By WebSocket."""

    socket: ClientConnection

    async def open(self) -> None:
        """Say hello, and hear the welcome."""
        headers = self.visit.headers
        origin: Any = headers.pop("origin", None)
        url = self.visit.url.replace("http", "ws", 1) + "/live"
        protocols: Any = ["hub.v1"]
        try:
            self.socket = await connect(
                url, origin=origin, subprotocols=protocols, additional_headers=headers, max_size=None
            )
        except InvalidStatus as error:
            assert error.response.headers["retry-after"].isdecimal()
            raise Refused(CODES[error.response.status_code]) from error
        await self.say(self.visit.hello)
        try:
            self.heard(json.loads(await self.socket.recv()))
        except ConnectionClosed as closed:
            raise Refused(range_of(self.socket.close_code or UNSPOKEN)) from closed
        for topic in self.visit.topics:
            await self.say({"t": "watch", "topic": topic.partition(":")[0]})
        self.begin()

    async def say(self, *frames: Row) -> None:
        """Each as a message."""
        for frame in frames:
            await self.socket.send(json.dumps(frame))

    async def listen(self) -> None:
        """Pass on messages."""
        try:
            async for message in self.socket:
                self.heard(json.loads(message))
        except ConnectionClosed:
            pass
        raise Ended(self.socket.close_code or UNSPOKEN)

    async def close(self) -> None:
        """Hang up."""
        await super().close()
        if hasattr(self, "socket"):
            await self.socket.close()


class HttpClient(Client):
    """By requests."""

    def __init__(self, visit: Visit, inbox: Inbox) -> None:
        super().__init__(visit, inbox)
        headers = visit.headers | (
            {"authorization": f"Bearer {visit.token}".strip()} if visit.token is not None else {}
        )
        self.http = httpx.AsyncClient(base_url=visit.url, headers=headers, timeout=40, verify=False)

    async def post(self, frames: Any) -> httpx.Response:
        """Say whatever it is."""
        return await self.http.post("/live/say", json=frames)

    async def say(self, *frames: Row) -> None:
        """All in one request; raises Refused."""
        answer = await self.post(list(frames))
        check(answer)
        for frame in answer.json():
            self.heard(frame)

    async def close(self) -> None:
        """Hang up."""
        await super().close()
        await self.http.aclose()


class EventsClient(HttpClient):
    """By an event stream."""

    async def open(self) -> None:
        """Ask for the stream, and hear its head."""
        request = self.http.build_request("GET", "/live/events", params=urlencode(self.visit.query))
        self.answer = await self.http.send(request, stream=True)
        if self.answer.status_code != 200:
            await self.answer.aread()
        check(self.answer)
        assert self.answer.headers["content-type"].startswith("text/event-stream")
        self.begin()

    async def listen(self) -> None:
        """Pass on messages, and see that their ids are the cursor."""
        epoch, at = "", None
        with suppress(httpx.RemoteProtocolError, httpx.ReadError):
            async for line in self.answer.aiter_lines():
                if line.startswith("id: "):
                    at = line.removeprefix("id: ")
                elif line.startswith("data: "):
                    frame = json.loads(line.removeprefix("data: "))
                    epoch = frame.get("epoch", epoch)
                    moves_to = {"ev": "seq", "snap": "seq", "fill": "to"}.get(frame["t"])
                    assert at == (f"{epoch}:{frame[moves_to]}" if moves_to else None)
                    at = None
                    self.heard(frame)
                else:
                    assert line == "" or line.startswith(":")

    async def close(self) -> None:
        """Hang up."""
        if hasattr(self, "answer"):
            await self.answer.aclose()
        await super().close()


class PollClient(HttpClient):
    """By one request after the other."""

    async def open(self) -> None:
        """Ask where the inbox stands."""
        # What the next request names is what the answers before it moved to, whether anybody took them yet or not.
        self._behind = copy.deepcopy(self.inbox)
        self._versions = dict(_versioned(topic) for topic in self.visit.topics)
        await self._poll(self.visit.query)
        self.begin()

    async def listen(self) -> None:
        """Wait for news again and again."""
        while True:
            versions = [("topic", f"{topic}:{version}") for topic, version in self._versions.items() if version >= 0]
            asking = {"again": "1", "wait": str(self.visit.wait)}
            try:
                await self._poll(
                    [*replace(self.visit, cursor=self._behind.place, topics=()).query, *versions, *asking.items()]
                )
            except Refused as refused:
                raise Ended(refused.code) from refused

    async def _poll(self, query: list[tuple[str, str]]) -> None:
        answer = await self.http.get("/live/poll", params=urlencode(query))
        check(answer)
        for frame in answer.json():
            if frame["t"] == "state":
                self._versions[frame["topic"]] = frame["ver"]
            if frame["t"] != "bye":
                self._behind.apply(frame)
            self.heard(frame)


CLIENTS: dict[str, type[Client]] = {"socket": SocketClient, "events": EventsClient, "poll": PollClient}


def _versioned(topic: str) -> tuple[str, int]:
    name, _, version = topic.partition(":")
    return name, int(version) if version.isdecimal() else -1


def range_of(code: int) -> int:
    """The first close code of those that ask for the same."""
    return max(first for first in (UNSPOKEN, 4000, 4100, 4150, 4200) if first <= code)


def check(answer: httpx.Response) -> None:
    """Raise Refused for a problem document, which has everything that one has."""
    if answer.status_code == 200:
        assert answer.headers["cache-control"].startswith("no-store")
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    if answer.status_code == 503:
        assert answer.headers["retry-after"].isdecimal()
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    raise Refused(CODES.get(answer.status_code, answer.status_code))


@asynccontextmanager
async def come(way: str, visit: Visit, inbox: Inbox | None = None) -> AsyncIterator[Client]:
    """Be connected by a way; raises Refused. With an inbox, from where that stands."""
    if inbox is not None and visit.cursor is None:
        visit = replace(visit, cursor=inbox.place)
    client = CLIENTS[way](visit, inbox or Inbox())
    try:
        await client.open()
        yield client
    finally:
        await client.close()
