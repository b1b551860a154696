"""Frames written straight to the transport: to real clients, on both event loops, and to a line that we hold."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode

from hub.clock import system_clock
from hub.inbox.feed import Head
from hub.realtime import framed
from hub.realtime.backlog import MOST_BYTES
from hub.realtime.connection import Connection
from hub.realtime.door import Door, Doorkeeper
from hub.realtime.framed import FramedWebSocket
from hub.realtime.frames import Close
from hub.realtime.held import HeldRequests
from hub.realtime.pushes import AccessEnded, changed
from hub.realtime.socket import LiveSocket
from hub.realtime.switchboard import Switchboard
from hub.realtime.wire import Frame, encode
from hub.serve import SEND_BUFFER, configure
from tests.conftest import QuietServer
from tests.live_client import LiveClient, open_socket
from tests.realtime.books import OMAR, TENANT, Books, of, running
from tests.realtime.conftest import CLOSED_WITHIN_S, eventually
from tests.realtime.pipes import ev, listener

NOT_FOUND = PlainTextResponse("There is nothing here.", 404)
LARGE = 16 * 1024
# What the kernel and the transport keep at the most for a client that reads nothing, and small.
UNREAD = (4 * SEND_BUFFER) // LARGE
STUCK_AFTER_S = 0.5


class Impatient(FramedWebSocket):
    """Cuts off sooner."""

    stuck_after_s = STUCK_AFTER_S


class Small:
    """A hub with real sockets and a ledger of plain values."""

    def __init__(self, books: Books, board: Switchboard, server: uvicorn.Server, url: str) -> None:
        self.books = books
        self.server = server
        self.board = board
        self.url = url
        books.people |= {"omar": of()}

    def tell(self, seq: int, size: int = LARGE) -> None:
        row = {"id": f"{seq}", "number": seq, "seq": seq, "read_at": None, "x": "x" * size}
        self.board.deliver([changed(TENANT, OMAR, seq, seq, [row])])
        self.books.heads[OMAR] = Head(seq, seq, "epoch")

    @asynccontextmanager
    async def tab(self, *, receive_buffer: int | None = None) -> AsyncIterator[LiveClient]:
        async with open_socket(self.url, receive_buffer=receive_buffer) as live:
            await live.say(t="hello", v=1, token="omar")
            await live.hear_until("snap")
            yield live

    @asynccontextmanager
    async def deaf_tab(self) -> AsyncIterator[None]:
        """A tab that reads nothing after its first rows."""
        async with self.tab(receive_buffer=4096) as deaf:
            yield
            # A polite end would wait for an answer that is not read.
            deaf.socket.transport.abort()


@asynccontextmanager
async def small_hub(ws: Any = Impatient, http: Any = HeldRequests) -> AsyncIterator[Small]:
    books = Books()
    board = Switchboard(books.ledger(), system_clock)
    live = LiveSocket(Door(board, books.ledger(), Doorkeeper(lambda _: None, _mark, lambda *_: True)))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{answer}.complete"})
        elif scope["type"] == "websocket":
            await live(scope, receive, send)
        else:
            await NOT_FOUND(scope, receive, send)

    config = configure(app)
    config.ws, config.http = ws, http
    server = QuietServer(config)
    async with running(board), server.running(0):
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Small(books, board, server, f"ws://127.0.0.1:{port}/live")


async def _mark(*_: Any) -> None:
    """Everything is carried out."""


Body = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Body], None]:
    """Runs a test on one of the loops."""
    factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[request.param]

    def run_on(body: Body) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(body())

    return run_on


def on_both_loops(body: Body) -> Any:
    """The test as a plain function, for a loop of its own."""

    def test(run: Callable[[Body], None]) -> None:
        run(body)

    test.__name__ = body.__name__
    return test


# --- real clients -----------------------------------------------------------------------------------


@on_both_loops
async def test_who_reads_again_in_time_gets_everything_once_and_in_order() -> None:
    async with small_hub() as hub, hub.tab(receive_buffer=32 * 1024) as slow, hub.tab() as quick:
        many = UNREAD + 10
        for seq in range(1, many + 1):
            hub.tell(seq)
        assert any(connection.waiting for connection in hub.board)
        await quick.hear_everything(many)
        await slow.hear_everything(many)
        for tab in (slow, quick):
            assert [frame["seq"] for frame in tab.frames if frame["t"] == "ev"] == list(range(1, many + 1))
        hub.tell(many + 1)
        await slow.hear_everything(many + 1)
        assert {frame["t"] for frame in slow.frames} == {"welcome", "snap", "ev"}


@on_both_loops
async def test_what_is_critical_overtakes_what_a_slow_reader_did_not_take() -> None:
    async with small_hub() as hub, hub.tab(receive_buffer=32 * 1024) as slow:
        many = UNREAD + 10
        for seq in range(1, many + 1):
            hub.tell(seq)
        (connection,) = hub.board
        row = {"id": "urgent", "number": many + 1, "seq": many + 1, "read_at": None}
        data = encode({"t": "ev", "seq": many + 1, "prev": many, "unread": 1, "items": [row]})
        connection.offer(many + 1, 1, Frame(data, moves_to=many + 1, urgent=True))
        await slow.hear_everything(many + 1)
        told = [frame.get("seq", frame["t"]) for frame in slow.frames if frame["t"] in ("ev", "ahead")]
        assert [each for each in told if each != "ahead"] == list(range(1, many + 2))
        assert told.count("ahead") == 1
        assert told.index("ahead") < many


@on_both_loops
async def test_who_overflows_is_told_to_resync_and_has_everything_after() -> None:
    async with small_hub() as hub, hub.tab(receive_buffer=32 * 1024) as slow:
        many = UNREAD + MOST_BYTES // LARGE + 20
        for seq in range(1, many + 1):
            hub.tell(seq)
        await slow.hear_everything(many)
        assert [frame["t"] for frame in slow.frames][-2:] == ["resync", "fill"]


@on_both_loops
async def test_who_takes_nothing_is_cut_off_in_time_and_the_others_read_on() -> None:
    async with small_hub() as hub, hub.deaf_tab(), hub.tab() as quick:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for seq in range(1, UNREAD + 10):
            hub.tell(seq)
        await eventually(lambda: hub.board.connections_of(OMAR) == 1)
        assert STUCK_AFTER_S <= loop.time() - began < STUCK_AFTER_S + 3
        hub.tell(UNREAD + 10)
        await quick.hear_everything(UNREAD + 10)
        assert {frame["t"] for frame in quick.frames} == {"welcome", "snap", "ev"}


@on_both_loops
async def test_who_is_stuck_and_loses_the_right_to_listen_is_cut_off_at_once() -> None:
    async with small_hub(FramedWebSocket) as hub, hub.deaf_tab(), hub.tab() as quick:
        for seq in range(1, UNREAD + 10):
            hub.tell(seq)
        await quick.hear_everything(UNREAD + 9)
        hub.board.deliver([AccessEnded(TENANT, OMAR)])
        await eventually(lambda: len(hub.board) == 0, within=CLOSED_WITHIN_S)
        assert await quick.hear_the_end(timeout=CLOSED_WITHIN_S) == Close.SESSION_ENDED


@on_both_loops
async def test_who_does_not_answer_a_close_is_cut_off() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framed, "CLOSE_WITHIN_S", 0.3)
        async with small_hub(FramedWebSocket) as hub, hub.deaf_tab():
            (protocol,) = hub.server.server_state.connections
            seq = 0
            while not protocol.transport.get_write_buffer_size():
                seq += 1
                hub.tell(seq, 4096)
            hub.board.deliver([AccessEnded(TENANT, OMAR)])
            await eventually(lambda: not hub.server.server_state.connections, within=3)


@on_both_loops
async def test_the_close_code_and_its_reason_arrive() -> None:
    async with small_hub() as hub:
        for code in (Close.SESSION_ENDED, Close.TOKEN_EXPIRED, Close.GOING_AWAY):
            async with hub.tab() as tab:
                (connection,) = hub.board
                hub.tell(hub.books.head(OMAR).seq + 1)
                connection.close(code)
                assert await tab.hear_the_end() == code
                assert tab.socket.close_reason == code.reason
                assert tab.frames[-1]["t"] == "ev"
            await eventually(lambda: len(hub.board) == 0)


@on_both_loops
async def test_nothing_is_said_after_the_close() -> None:
    async with small_hub() as hub:
        hub.books.open["missed"].set()
        reader, writer = await _handshake(hub.url)
        writer.write(_masked(Opcode.TEXT, b'{"t":"hello","v":1,"token":"omar"}'))
        await eventually(lambda: any(connection.is_greeted for connection in hub.board))
        (connection,) = hub.board
        hub.books.open["missed"].clear()
        writer.write(_masked(Opcode.TEXT, b'{"t":"fill","from":0}'))
        await eventually(lambda: ("missed", 1) in hub.books.asked[2:])
        writer.write(_masked(Opcode.TEXT, b"nonsense"))
        await eventually(lambda: len(hub.board) == 0)
        hub.books.open["missed"].set()
        connection.send(Frame(b"{}"))
        await asyncio.sleep(0.15)
        writer.write(_masked(Opcode.CLOSE, Close.MALFORMED.to_bytes(2, "big")))
        said = await reader.read()
        last = TheirFrame(Opcode.CLOSE, Close.MALFORMED.to_bytes(2, "big")).serialize(mask=False)[2:]
        assert b"fill" not in said.partition(last)[0]
        assert said.partition(last)[2].count(b"{") == 0
        writer.close()


@on_both_loops
async def test_a_message_in_pieces_is_understood_and_a_ping_answered() -> None:
    async with small_hub() as hub, open_socket(hub.url) as live:
        hello = json.dumps({"t": "hello", "v": 1, "token": "omar"})
        await live.socket.send(iter([hello[:5], hello[5:20], hello[20:]]))
        await live.hear_until("snap")
        async with asyncio.timeout(10):
            await (await live.socket.ping())
        hub.tell(1)
        await live.hear_everything(1)


@on_both_loops
async def test_a_client_that_hangs_up_is_forgotten() -> None:
    async with small_hub() as hub:
        async with hub.tab(), hub.tab() as torn:
            assert len(hub.board) == 2
            torn.socket.transport.abort()
            await eventually(lambda: len(hub.board) == 1)
        await eventually(lambda: len(hub.board) == 0)


@on_both_loops
async def test_rows_too_large_for_the_line_and_what_follows_them_arrive_at_a_newcomer() -> None:
    async with small_hub() as hub:
        for _ in range(10):
            hub.books.open["missed"].clear()
            async with open_socket(hub.url, receive_buffer=4096) as live:
                await live.say(t="hello", v=1, token="omar")
                await eventually(lambda: len(hub.board) == 1)
                seq = hub.books.head(OMAR).seq
                for number in range(seq + 1, seq + UNREAD + 5):
                    hub.tell(number)
                hub.books.open["missed"].set()
                await live.hear_everything(seq + UNREAD + 4)
            await eventually(lambda: len(hub.board) == 0)


@on_both_loops
async def test_connections_that_ended_are_freed_without_the_collector() -> None:
    seen: list[weakref.ref[Any]] = []

    class Seen(FramedWebSocket):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            seen.extend((weakref.ref(self), weakref.ref(self.conn)))

    class SeenBefore(HeldRequests):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            seen.append(weakref.ref(self))

    async with small_hub(Seen, http=SeenBefore) as hub:
        gc.collect()
        gc.disable()
        try:
            async with AsyncExitStack() as tabs:
                for _ in range(3):
                    await tabs.enter_async_context(hub.tab())
                hub.tell(1)
                hub.board.deliver([AccessEnded(TENANT, OMAR)])
                await eventually(lambda: len(hub.board) == 0)
            async with hub.tab() as torn, hub.tab():
                torn.socket.transport.abort()
                await eventually(lambda: len(hub.board) == 1)
            async with open_socket(hub.url) as nobody:
                await nobody.say(t="hello", v=1, token="nobody")
                assert await nobody.hear_the_end() == Close.TOKEN_EXPIRED
            async with httpx.AsyncClient(base_url=hub.url.replace("ws", "http", 1)) as visitor:
                for _ in range(2):
                    assert (await visitor.get("/")).status_code == 404
            await eventually(lambda: len(hub.board) == 0)
            await asyncio.sleep(0.1)
            assert len(seen) == 19
            assert [each() for each in seen if each() is not None] == []
        finally:
            gc.enable()
            gc.collect()


# --- a line that we hold ----------------------------------------------------------------------------


class Line(asyncio.Transport):
    """A transport that says when it is full, as real ones do: in the middle of being written to."""

    def __init__(self, protocol: FramedWebSocket, room: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.room = room
        self.written: list[bytes] = []
        self.left = 0
        self.aborted = False
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))
        self.left += len(data)
        if self.left > self.room:
            self.protocol.pause_writing()

    def take(self, size: int) -> None:
        """The client reads so much."""
        self.left -= size

    def take_all(self) -> None:
        """The client reads everything."""
        self.left = 0
        self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def close(self) -> None:
        self.aborted = True


def lined(room: int) -> tuple[FramedWebSocket, Line, Connection]:
    """A connection on such a line, live."""
    config = configure(_nothing)
    config.load()
    protocol = Impatient(config, ServerState(), {}, asyncio.get_running_loop())
    line = Line(protocol, room)
    protocol.handshake_complete = True
    opened = Connection(listener(), protocol)
    opened.caught_up(0, 0, "epoch")
    return protocol, line, opened


async def _nothing(_scope: Any, receive: Any, _send: Any) -> None:
    """An app that does nothing while the line lasts."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


def said(line: Line) -> list[int]:
    """The numbers of the events that were written."""
    return [json.loads(frame[frame.index(b"{") :])["seq"] for frame in line.written]


async def test_the_frame_that_fills_the_line_is_sent_once() -> None:
    _protocol, line, opened = lined(room=200)
    for seq in range(1, 9):
        opened.offer(*ev(seq))
    assert opened.waiting > 0
    while opened.waiting:
        line.take_all()
    line.take_all()
    assert said(line) == list(range(1, 9))


async def test_who_takes_little_but_takes_it_is_not_cut_off() -> None:
    _protocol, line, opened = lined(room=200)
    for seq in range(1, 9):
        opened.offer(*ev(seq))
    for _ in range(8):
        await asyncio.sleep(STUCK_AFTER_S / 3)
        line.take(1)
    assert not line.aborted
    await eventually(lambda: line.aborted, within=5)


async def test_who_took_everything_in_time_is_not_cut_off_later() -> None:
    _protocol, line, opened = lined(room=200)
    for seq in range(1, 9):
        opened.offer(*ev(seq))
    line.room = 9_999
    line.take_all()
    await asyncio.sleep(2.5 * STUCK_AFTER_S)
    assert (line.aborted, opened.waiting) == (False, 0)


async def test_pings_of_a_client_that_takes_nothing_are_not_answered_without_end() -> None:
    protocol, line, opened = lined(room=200)
    await shake_hands(protocol, line)
    opened.offer(*ev(1, 300))
    for _ in range(100):
        protocol.data_received(_masked(Opcode.PING, b"x" * 100))
    assert said(line) == [1]
    line.take_all()
    protocol.data_received(_masked(Opcode.PING, b"again"))
    assert line.written[1:] == [TheirFrame(Opcode.PONG, b"again").serialize(mask=False)]
    protocol.connection_lost(None)
    await asyncio.sleep(0)


async def shake_hands(protocol: FramedWebSocket, line: Line) -> None:
    """Open the WebSocket, and forget what was said for that."""
    protocol.handshake_complete = False
    protocol.data_received(HANDSHAKE)
    await protocol.send({"type": "websocket.accept"})
    line.written.clear()
    line.left = 0


@pytest.mark.parametrize("leaving", ["its close", "no frame", "the server stops"])
async def test_nothing_is_written_behind_the_last_frame(leaving: str) -> None:
    protocol, line, opened = lined(room=9_999)
    await shake_hands(protocol, line)
    if leaving == "the server stops":
        protocol.shutdown()
    else:
        protocol.data_received(_masked(Opcode.CLOSE, b"\x03\xe8") if leaving == "its close" else b"\xff\xff\xff\xff")
    (last,) = line.written
    assert last[0] == 0x80 | Opcode.CLOSE
    line.take_all()
    opened.offer(*ev(1))
    opened.send(Frame(b"{}"))
    assert line.written == [last]
    protocol.connection_lost(None)
    await asyncio.sleep(0)


async def test_a_client_that_leaves_slowly_does_not_keep_the_server_from_stopping() -> None:
    protocol, line, _ = lined(room=200)
    await shake_hands(protocol, line)
    protocol.data_received(_masked(Opcode.CLOSE, b"\x03\xe8"))
    written = list(line.written)
    protocol.shutdown()
    assert line.written == written
    protocol.connection_lost(None)
    await asyncio.sleep(0)


async def test_who_is_gone_before_the_greeting_keeps_nothing() -> None:
    protocol, line, _ = lined(room=9_999)
    protocol.connection_lost(None)
    late = Connection(listener(), protocol)
    late.caught_up(0, 0, "epoch", Frame(b"{}"))
    assert line.written == []
    gone = weakref.ref(late)
    del late
    assert gone() is None


class Upgraded(Line):
    """A line that is handed on."""

    def __init__(self, http: HeldRequests) -> None:
        super().__init__(http, 9_999)  # type: ignore[arg-type]  # it begins with HTTP

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol


@pytest.mark.parametrize("more", [b"", b"Content-Length: 0\r\n"], ids=["usual", "by the library"])
async def test_who_reads_nothing_does_not_begin_anew_by_changing_to_a_socket(more: bytes) -> None:
    config = configure(_nothing)
    config.ws = Impatient
    config.load()
    http = HeldRequests(config, ServerState(), {}, asyncio.get_running_loop())
    line = Upgraded(http)
    http.pause_writing()
    http.data_received(HANDSHAKE[:-2] + more + b"\r\n")
    assert isinstance(line.protocol, Impatient)
    # The answer waits until the client takes something; if it does not, it is cut off.
    await asyncio.sleep(0)
    assert line.written == []
    await eventually(lambda: line.aborted, within=5)
    line.protocol.connection_lost(None)
    await asyncio.sleep(0)


async def test_a_line_that_is_gone_takes_nothing_more() -> None:
    protocol, line, opened = lined(room=9_999)
    protocol.connection_lost(ConnectionResetError())
    opened.offer(*ev(1))
    opened.close(Close.SESSION_ENDED)
    assert (line.written, line.aborted) == ([], False)


HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def _handshake(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of bare bytes, upgraded."""
    host, port = url.removeprefix("ws://").removesuffix("/live").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def _masked(opcode: Any, data: bytes) -> bytes:
    return TheirFrame(opcode, data).serialize(mask=True)
