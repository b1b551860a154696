"""A hub that speaks hub.v1 for one person, and loses, doubles, delays, cuts and blocks as a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.websockets import WebSocket, WebSocketDisconnect

Frame = dict[str, Any]
Fault = Callable[[Frame], list[Frame]]

WEB = Path(__file__).parents[2] / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
PAGES = Jinja2Templates(directory=Path(__file__).parent)
MOST_MISSED = 200


def no_fault(frame: Frame) -> list[Frame]:
    """Every frame arrives, once and in order."""
    return [frame]


class Reader(Protocol):
    """Whoever is told what happens."""

    async def tell(self, frame: Frame) -> None:
        """One frame arrives."""

    async def end(self, code: int) -> None:
        """Nothing more arrives, for this reason."""


@dataclass(eq=False)
class SocketReader:
    """At the other end of a WebSocket."""

    websocket: WebSocket

    async def tell(self, frame: Frame) -> None:
        """One frame arrives, unless nobody is there."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self.websocket.send_text(json.dumps(frame))

    async def end(self, code: int) -> None:
        """The socket is closed."""
        with contextlib.suppress(RuntimeError):
            await self.websocket.close(code)


@dataclass(eq=False)
class QueueReader:
    """At the other end of an answer over HTTP."""

    frames: asyncio.Queue[Frame | None] = field(default_factory=asyncio.Queue)

    async def tell(self, frame: Frame) -> None:
        """One frame is to be written."""
        self.frames.put_nowait(frame)

    async def end(self, code: int) -> None:
        """The last frame says why it is the last."""
        self.frames.put_nowait({"t": "bye", "code": code, "reason": "cut"})
        self.frames.put_nowait(None)

    def waiting(self) -> list[Frame]:
        """What can be written at once."""
        frames = [self.frames.get_nowait() for _ in range(self.frames.qsize())]
        return [frame for frame in frames if frame is not None]


@dataclass
class FakeHub:
    """The inbox of one person, and what is wrong on the way to them."""

    address: str = ""
    epoch: str = "e1"
    seq: int = 0
    hb: float = 15
    backoff: Frame = field(default_factory=lambda: {"first": 0.2, "cap": 1})
    rows: dict[str, Frame] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    blocked: dict[str, str] = field(default_factory=dict)
    retry_after: int | None = None
    heard: list[Frame] = field(default_factory=list)
    hellos: list[Frame] = field(default_factory=list)
    posts: list[tuple[str, Any]] = field(default_factory=list)
    topics: dict[str, int] = field(default_factory=lambda: {"arrivals": 1})
    fault: Fault = no_fault
    answers_marks: bool = True
    refuses_marks: str | None = None
    answers_fills: bool = True
    welcome_code: int | None = None
    down: bool = False
    arrivals: dict[str, Frame] = field(default_factory=dict)
    lists: int = 0
    boards: int = 0
    board_delay: float = 0
    arrive_status: int = 200
    session_status: int = 204
    idle_seconds: int = 1800
    beats: int = 0
    held: list[asyncio.Event] = field(default_factory=list)

    # --- the inbox ----------------------------------------------------------------------------

    @property
    def unread(self) -> int:
        """How many are unread, counted."""
        return sum(row["read_at"] is None for row in self.rows.values())

    async def notify(self, title: str = "Licence expires in 30 days", **more: Any) -> Frame:
        """Something happened: one more notification."""
        row = self.write(title, **more)
        await self.tell({"items": [row]})
        return row

    def write(self, title: str, *, ago: timedelta = timedelta(0), read: bool = False, **more: Any) -> Frame:
        """One more notification, without a word about it."""
        self.seq += 1
        at = (datetime.now(UTC) - ago).isoformat()
        row = {
            "id": str(uuid.UUID(int=self.seq)),
            "number": self.seq,
            "seq": self.seq,
            "title": title,
            "body": "",
            "kind": "system",
            "level": "info",
            "priority": "medium",
            "related": {"type": "appointment", "id": str(uuid.UUID(int=7)), "link": "/there"},
            "facts": {},
            "read_at": at if read else None,
            "archived_at": None,
            "created_at": at,
            "updated_at": at,
            **more,
        }
        self.rows[row["id"]] = row
        return row

    async def mark(self, mark: str, ids: list[str]) -> None:
        """Some of them are read, unread or archived, here or on another device."""
        now = datetime.now(UTC).isoformat()
        change: Frame = {"read_at": None, "archived_at": None}
        if mark != "unread":
            change = {"read_at": now} if mark == "read" else {"read_at": now, "archived_at": now}
        rows = [
            row for row in map(self.rows.__getitem__, ids) if any(bool(row[key]) != bool(change[key]) for key in change)
        ]
        if not rows:
            return
        self.seq += 1
        for row in rows:
            row.update(change, seq=self.seq, updated_at=now)
        await self.tell({"items": rows})

    async def read_all(self, upto: int) -> None:
        """Everything up to a number is read; told in one short frame."""
        now = datetime.now(UTC).isoformat()
        rows = [row for row in self.rows.values() if row["read_at"] is None and row["seq"] <= upto]
        if not rows:
            return
        self.seq += 1
        for row in rows:
            row.update(read_at=now, seq=self.seq, updated_at=now)
        await self.tell({"read_upto": upto, "at": now})

    # --- the wire -----------------------------------------------------------------------------

    async def tell(self, news: Frame) -> None:
        """The event of the last number, to everybody connected."""
        await self.broadcast({"t": "ev", "seq": self.seq, "prev": self.seq - 1, "unread": self.unread, **news})

    async def broadcast(self, frame: Frame) -> None:
        """One frame to everybody connected, if nothing happens to it."""
        for reader in list(self.readers):
            await self.send(reader, frame)

    async def send(self, reader: Reader, frame: Frame) -> None:
        """One frame to one reader, if nothing happens to it."""
        for arriving in self.fault(frame):
            await reader.tell(arriving)

    async def beat(self, **more: Any) -> None:
        """One heartbeat now."""
        await self.broadcast(self.heartbeat() | more)

    def heartbeat(self) -> Frame:
        """Where everything stands."""
        self.beats += 1
        head = {"head": self.seq, "unread": self.unread, "now": datetime.now(UTC).isoformat()}
        return {"t": "hb", "n": self.beats, **head, "topics": self.topics}

    async def board_moved(self) -> None:
        """The arrivals board changed."""
        self.topics["arrivals"] += 1
        await self.broadcast({"t": "state", "topic": "arrivals", "ver": self.topics["arrivals"]})

    async def cut(self, code: int = 1012) -> None:
        """Everybody's connection is closed with this code."""
        for reader in list(self.readers):
            await reader.end(code)

    def missed(self, since: int) -> Frame:
        """Everything above a number, or the newest page."""
        rows = [row for row in self.rows.values() if row["seq"] > since]
        if len(rows) > MOST_MISSED:
            return self.snap()
        items = sorted(rows, key=lambda row: int(row["seq"]))
        return {"t": "fill", "from": since, "to": self.seq, "unread": self.unread, "items": items}

    def snap(self) -> Frame:
        """The newest fifty."""
        rows = sorted((row for row in self.rows.values() if not row["archived_at"]), key=lambda row: -row["number"])
        return {"t": "snap", "seq": self.seq, "unread": self.unread, "items": rows[:50], "more": len(rows) > 50}

    # --- the ways -----------------------------------------------------------------------------

    async def live(self, websocket: WebSocket) -> None:
        """The best way: hello, welcome, what was missed, then frames both ways."""
        self.attempts.append("socket")
        blocked = self.blocked.get("socket")
        if blocked == "hangs":
            await websocket.receive()
            await websocket.receive()
            return
        if self.down or blocked == "refused" or self.retry_after is not None:
            await websocket.close()
            return
        await websocket.accept(subprotocol="hub.v1")
        reader = SocketReader(websocket)
        try:
            if blocked == "dies":
                await websocket.close(1011)
                return
            hello = json.loads(await websocket.receive_text())
            self.hellos.append(hello)
            if self.welcome_code is not None:
                await websocket.close(self.welcome_code)
                return
            if blocked != "silent":
                await self._welcome(reader, hello["cursor"])
            while True:
                frame = json.loads(await websocket.receive_text())
                self.heard.append(frame)
                await self._answer(reader, frame)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._forget(reader)

    async def events(self, request: Request) -> Response:
        """The second way: the same frames as an event stream."""
        self.attempts.append("events")
        if refusal := self._refusal("events"):
            return refusal
        reader = QueueReader()
        await self._welcome(reader, self._cursor(request, "events"))
        for name in request.query_params.getlist("topic"):
            await self._state(reader, name.partition(":")[0])
        return StreamingResponse(self._stream(reader), media_type="text/event-stream")

    async def _stream(self, reader: QueueReader) -> AsyncIterator[str]:
        try:
            if self.blocked.get("events") == "buffered":
                await asyncio.Event().wait()
            while frame := await reader.frames.get():
                place = f"id: {self.epoch}:{frame['seq']}\n" if "seq" in frame else ""
                yield f"{place}data: {json.dumps(frame)}\n\n"
        finally:
            self._forget(reader)

    async def poll(self, request: Request) -> Response:
        """The last way: what there is, or what comes while one waits."""
        again = "again" in request.query_params
        self.attempts.append("again" if again else "poll")
        if refusal := self._refusal("poll"):
            return refusal
        reader = QueueReader()
        try:
            cursor = self._cursor(request, "again" if again else "poll")
            if not again or cursor is None or cursor["epoch"] != self.epoch:
                await self._welcome(reader, cursor)
            elif cursor["seq"] < self.seq:
                await self.send(reader, self.missed(cursor["seq"]))
            for topic, _, version in (name.partition(":") for name in request.query_params.getlist("topic")):
                if not again or version != str(self.topics[topic]):
                    await self._state(reader, topic)
            if not again or reader.frames.qsize():
                return JSONResponse(reader.waiting())
            self.readers.append(reader)
            return JSONResponse(await self._news(reader, float(request.query_params["wait"])))
        finally:
            self._forget(reader)

    async def _news(self, reader: QueueReader, wait: float) -> list[Frame]:
        try:
            first = await asyncio.wait_for(reader.frames.get(), wait)
        except TimeoutError:
            return [self.heartbeat()]
        return [frame for frame in (first, *reader.waiting()) if frame]

    async def say(self, request: Request) -> Response:
        """What a client says who has no socket, and the answers."""
        if refusal := self._refusal("say"):
            return refusal
        reader = QueueReader()
        for frame in await request.json():
            self.heard.append(frame)
            await self._answer(reader, frame)
        return JSONResponse(reader.waiting())

    def _refusal(self, way: str) -> Response | None:
        status, headers = None, {}
        if self.retry_after is not None:
            status, headers = 503, {"Retry-After": str(self.retry_after)}
        elif self.down:
            status = 502
        elif self.welcome_code is not None:
            status = 401
        elif self.blocked.get(way) == "missing":
            status = 404
        elif self.blocked.get(way) == "page":
            return HTMLResponse("<!doctype html><title>Welcome to our network</title>")
        if status is None:
            return None
        return JSONResponse({"status": status}, status, headers, media_type="application/problem+json")

    def _cursor(self, request: Request, way: str) -> Frame | None:
        asked = request.query_params
        cursor = {"epoch": asked["epoch"], "seq": int(asked["seq"])} if "seq" in asked else None
        self.hellos.append({"way": way, "cursor": cursor, "token": request.headers.get("authorization")})
        return cursor

    def _forget(self, reader: Reader) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    async def _welcome(self, reader: Reader, cursor: Frame | None) -> None:
        resumes = cursor is not None and cursor["epoch"] == self.epoch and cursor["seq"] <= self.seq
        welcome = {
            "t": "welcome",
            "conn": "c1",
            "epoch": self.epoch,
            "head": self.seq,
            "unread": self.unread,
            "hb": self.hb,
            "backoff": self.backoff,
            "resume": "ok" if resumes else "reset",
            "you": {"id": "u1", "name": "Dr. Amal", "language": "en"},
            "now": datetime.now(UTC).isoformat(),
        }
        await self.send(reader, welcome)
        await self.send(reader, self.missed(cursor["seq"]) if resumes and cursor else self.snap())
        self.readers.append(reader)

    async def _state(self, reader: Reader, topic: str) -> None:
        await self.send(reader, {"t": "state", "topic": topic, "ver": self.topics[topic]})

    async def _answer(self, reader: Reader, frame: Frame) -> None:
        match frame["t"]:
            case "fill" if self.answers_fills:
                await self.send(reader, self.missed(frame["from"]))
            case "watch":
                await self._state(reader, frame["topic"])
            case "read" | "unread" | "archive" | "read_all" if self.answers_marks:
                if self.refuses_marks:
                    refusal = {"code": "not_found", "detail": self.refuses_marks}
                    await self.send(reader, {"t": "err", "nonce": frame["nonce"], **refusal})
                    return
                if frame["t"] == "read_all":
                    await self.read_all(frame["upto"])
                else:
                    await self.mark(frame["t"], frame["ids"])
                await self.send(reader, {"t": "ok", "nonce": frame["nonce"]})

    # --- the pages ----------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        """A signed-in page with a bell, and a board when it has appointments."""
        lang, shortcuts = request.query_params.get("lang", "en"), request.query_params.get("shortcuts", "on")
        return PAGES.TemplateResponse(
            request,
            "page.html",
            {"hub": self, "lang": lang, "shortcuts": shortcuts},
            headers={"Content-Security-Policy": POLICY},
        )

    async def board(self, request: Request) -> Response:
        """The fragment."""
        self.boards += 1
        assert request.headers["x-fragment"] == "board"
        assert request.headers["x-background"] == "1"
        board = PAGES.TemplateResponse(request, "board.html", {"hub": self, "done": None})
        await asyncio.sleep(self.board_delay)
        return board

    async def arrive(self, request: Request) -> Response:
        """Somebody arrived; the fragment answers, or a problem document."""
        body = dict(await request.form())
        self.posts.append((request.url.path, body))
        await asyncio.sleep(self.board_delay)
        if self.arrive_status != 200:
            problem = {"title": "Conflict", "status": self.arrive_status, "detail": "Has already arrived."}
            return JSONResponse(problem, self.arrive_status, media_type="application/problem+json")
        assert "x-background" not in request.headers
        row = self.arrivals[request.path_params["id"]]
        row.update(state="arrived", arrived_at=(datetime.now(UTC) - timedelta(minutes=12, seconds=5)).isoformat())
        await self.board_moved()
        return PAGES.TemplateResponse(request, "board.html", {"hub": self, "done": request.path_params["id"]})

    async def listed(self, request: Request) -> Response:
        """A page of history."""
        self.lists += 1
        assert request.headers["x-background"] == "1"
        if self.down:
            return JSONResponse({"title": "Down", "status": 503}, 503)
        limit, state = int(request.query_params["limit"]), request.query_params.get("state", "all")
        rows = [row for row in self.rows.values() if not row["archived_at"]]
        rows = [row for row in rows if state == "all" or row["read_at"] is None]
        items = sorted(rows, key=lambda row: -row["number"])[:limit]
        return JSONResponse({"items": items, "unread": self.unread, "seq": self.seq, "older": None, "newer": None})

    async def posted(self, request: Request) -> Response:
        """Marks that came over HTTP."""
        body = await request.json()
        self.posts.append((request.url.path, body))
        if request.path_params["mark"] == "read-all":
            await self.read_all(body["upto"])
        else:
            await self.mark(request.path_params["mark"], body["ids"])
        return JSONResponse({"seq": self.seq, "unread": self.unread})

    async def touch(self, request: Request) -> Response:
        """The session goes on, or is over."""
        self.posts.append((request.url.path, None))
        return Response(status_code=self.session_status, headers={"X-Idle-Seconds": str(self.idle_seconds)})

    async def hold(self, _request: Request) -> Response:
        """No answer until the test lets go: a page that asks and does nothing else meanwhile hangs."""
        self.held.append(asyncio.Event())
        await self.held[-1].wait()
        return Response(status_code=204)

    async def plain(self, _request: Request) -> Response:
        """Any other place."""
        return HTMLResponse("<!doctype html><html lang=en><title>There</title><h1>There</h1></html>")

    def app(self) -> Starlette:
        """All of it."""
        routes = [
            Route("/", self.page),
            Route("/board", self.board),
            Route("/board/{id}/arrive", self.arrive, methods=["POST"]),
            Route("/api/v1/notifications", self.listed),
            Route("/api/v1/notifications/{mark}", self.posted, methods=["POST"]),
            Route("/session/touch", self.touch, methods=["POST"]),
            Route("/hold", self.hold, methods=["POST"]),
            Route("/there", self.plain),
            Route("/history", self.page),
            Route("/sign-in", self.plain),
            Route("/favicon.ico", self.plain),
            WebSocketRoute("/live", self.live),
            Route("/live/events", self.events),
            Route("/live/poll", self.poll),
            Route("/live/say", self.say, methods=["POST"]),
            Mount("/assets", StaticFiles(directory=WEB)),
            Mount("/tests", StaticFiles(directory=Path(__file__).parent)),
        ]
        return Starlette(routes=routes)


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(hub: FakeHub, port: int = 0) -> AsyncIterator[FakeHub]:
    """The hub at an address of this machine, in this very loop."""
    listening = socket.create_server(("127.0.0.1", port))
    hub.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(hub.app(), log_level="error", timeout_graceful_shutdown=1, ws="websockets-sansio")
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield hub
    finally:
        server.should_exit = True
        await task
        listening.close()
