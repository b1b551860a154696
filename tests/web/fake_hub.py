"""A hub that speaks hub.v1 for one person, and loses, doubles, delays and cuts as a test wants it."""

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
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
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


@dataclass
class FakeHub:
    """The inbox of one person, and what is wrong on the way to them."""

    address: str = ""
    epoch: str = "e1"
    seq: int = 0
    hb: float = 15
    backoff: Frame = field(default_factory=lambda: {"first": 0.2, "cap": 1})
    rows: dict[str, Frame] = field(default_factory=dict)
    sockets: list[WebSocket] = field(default_factory=list)
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
        """The event of the last number, to every socket."""
        await self.broadcast({"t": "ev", "seq": self.seq, "prev": self.seq - 1, "unread": self.unread, **news})

    async def broadcast(self, frame: Frame) -> None:
        """One frame to every socket, if nothing happens to it."""
        for websocket in list(self.sockets):
            await self.send(websocket, frame)

    async def send(self, websocket: WebSocket, frame: Frame) -> None:
        """One frame to one socket, if nothing happens to it."""
        for arriving in self.fault(frame):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_text(json.dumps(arriving))

    async def beat(self, **more: Any) -> None:
        """One heartbeat now."""
        self.beats += 1
        head = {"head": self.seq, "unread": self.unread, "now": datetime.now(UTC).isoformat()}
        await self.broadcast({"t": "hb", "n": self.beats, **head, "topics": self.topics, **more})

    async def board_moved(self) -> None:
        """The arrivals board changed."""
        self.topics["arrivals"] += 1
        await self.broadcast({"t": "state", "topic": "arrivals", "ver": self.topics["arrivals"]})

    async def cut(self, code: int = 1012) -> None:
        """Every socket is closed with this code."""
        for websocket in list(self.sockets):
            with contextlib.suppress(RuntimeError):
                await websocket.close(code)

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

    async def live(self, websocket: WebSocket) -> None:
        """The endpoint: hello, welcome, what was missed, then frames both ways."""
        if self.down:
            await websocket.close()
            return
        await websocket.accept(subprotocol="hub.v1")
        try:
            hello = json.loads(await websocket.receive_text())
            self.hellos.append(hello)
            if self.welcome_code is not None:
                await websocket.close(self.welcome_code)
                return
            await self._welcome(websocket, hello["cursor"])
            while True:
                frame = json.loads(await websocket.receive_text())
                self.heard.append(frame)
                await self._answer(websocket, frame)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            if websocket in self.sockets:
                self.sockets.remove(websocket)

    async def _welcome(self, websocket: WebSocket, cursor: Frame | None) -> None:
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
        await self.send(websocket, welcome)
        await self.send(websocket, self.missed(cursor["seq"]) if resumes and cursor else self.snap())
        self.sockets.append(websocket)

    async def _answer(self, websocket: WebSocket, frame: Frame) -> None:
        match frame["t"]:
            case "fill" if self.answers_fills:
                await self.send(websocket, self.missed(frame["from"]))
            case "watch":
                topic = frame["topic"]
                await self.send(websocket, {"t": "state", "topic": topic, "ver": self.topics[topic]})
            case "read" | "unread" | "archive" | "read_all" if self.answers_marks:
                if self.refuses_marks:
                    refusal = {"code": "not_found", "detail": self.refuses_marks}
                    await self.send(websocket, {"t": "err", "nonce": frame["nonce"], **refusal})
                    return
                if frame["t"] == "read_all":
                    await self.read_all(frame["upto"])
                else:
                    await self.mark(frame["t"], frame["ids"])
                await self.send(websocket, {"t": "ok", "nonce": frame["nonce"]})

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
        board = PAGES.TemplateResponse(request, "board.html", {"hub": self})
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
        return PAGES.TemplateResponse(request, "board.html", {"hub": self})

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
            Route("/there", self.plain),
            Route("/history", self.page),
            Route("/sign-in", self.plain),
            Route("/favicon.ico", self.plain),
            WebSocketRoute("/live", self.live),
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
