"""Uvicorn's WebSocket, which also lets the hub write whole frames: no task, no encoding, no copy for each client."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn._types import WebSocketScope
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame as TheirFrame
from websockets.http11 import Request
from websockets.protocol import Protocol, State

from hub.realtime.connection import Connection
from hub.realtime.frames import Close
from hub.realtime.handshake import address_of, subprotocols_of, switching
from hub.realtime.meters import METERS

# Where in the ASGI scope the protocol is found.
EXTENSION = "hub.framed"
# A client that takes nothing from one look to the next is cut off: twice so long after its last byte at the latest.
STUCK_AFTER_S = 7.0
CLOSE_WITHIN_S = 5.0


class FramedWebSocket(WebSocketsSansIOProtocol):
    """The outlet of a connection under uvicorn."""

    stuck_after_s = STUCK_AFTER_S

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connection: Connection | None = None
        # What the answer to the handshake proves, until it is answered.
        self._accept: str | None = None
        self._takes = True
        self._stuck: asyncio.TimerHandle | None = None

    def open(self, url: bytes, headers: list[tuple[bytes, bytes]], accept: str) -> None:
        """Take over a connection that asked for this in the usual way; names of headers are in lower case."""
        self._accept = accept
        self.handshake_initiated = True
        # The library has no request to read any more, only frames.
        self.conn.parser.close()
        self.conn.parser = Protocol.parse(self.conn)
        next(self.conn.parser)
        scope = {
            "type": "websocket",
            "asgi": {"version": self.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "headers": headers,
            "subprotocols": subprotocols_of(headers),
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}, EXTENSION: self},
        }
        self.scope = cast(WebSocketScope, scope | address_of(url, self.root_path))
        self.queue.put_nowait({"type": "websocket.connect"})
        task = self.loop.create_task(self.run_asgi())
        task.add_done_callback(self.on_task_complete)
        self.tasks.add(task)

    def handle_connect(self, event: Request) -> None:
        """Part of uvicorn's protocol: show itself to the app."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            cast(dict[str, Any], self.scope["extensions"])[EXTENSION] = self

    async def send(self, message: Any) -> None:
        """Part of uvicorn's protocol: what the app says by ASGI."""
        if message["type"] == "websocket.accept" and self._accept is not None:
            await self.writable.wait()
            self._switch(self._accept, message)
            return
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # Refused, by an answer of our own: uvicorn would miss a handshake, and log an error for each in a storm.
            self.handshake_complete = True

    def _switch(self, accept: str, message: Any) -> None:
        if self.disconnected:
            raise ClientDisconnected
        self._accept = None
        if not self.transport.is_closing():
            headers = [*self.default_headers, *message.get("headers", ())]
            self.transport.write(switching(accept, headers, message.get("subprotocol")))
            self.conn.state = State.OPEN
            self.handshake_complete = True

    def carry(self, connection: Connection) -> None:
        """Have this connection write to the transport itself, whenever the client takes what is written."""
        if self.disconnected:
            # Each would keep the other until the collector comes by.
            return
        self._connection = connection
        if self._takes:
            connection.write = self.transport.write

    def has_news(self) -> None:
        """What waits is sent when the client takes it."""

    def end(self, code: Close) -> None:
        """Close with this code; a client that takes nothing is cut off."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        if not self._takes:
            self._cut_off()
            return
        self._takes = False
        self.conn.send_close(code, code.reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": code.reason})
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_WITHIN_S, self.transport.abort)

    def handle_ping(self) -> None:
        """Part of uvicorn's protocol: answer, unless the answers would pile up."""
        if self._takes:
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_close(self, event: TheirFrame) -> None:
        """Part of uvicorn's protocol: the client leaves; nothing comes after what answers that."""
        self._take_no_more()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """Part of uvicorn's protocol: the client does not speak WebSocket."""
        self._take_no_more()
        super().handle_parser_exception()

    def shutdown(self) -> None:
        """Part of uvicorn's protocol: the server stops; whoever is leaving is let go as they are."""
        self._take_no_more()
        if not self.transport.is_closing():
            super().shutdown()

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol: the client does not take what is written."""
        super().pause_writing()
        self._take_no_more()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol: the client took it."""
        super().resume_writing()
        self._no_longer_stuck()
        self._takes = not (self.close_sent or self.transport.is_closing())
        if self._connection is not None and self._takes and self._connection.closing is None:
            self._connection.write = self.transport.write
            self._connection.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._take_no_more()
        self._no_longer_stuck()
        self._connection = None
        super().connection_lost(exc)
        # What refers to itself waits for the collector, and that comes by rarely.
        self.conn.parser.close()
        if hasattr(self, "scope"):
            cast(dict[str, Any], self.scope["extensions"]).pop(EXTENSION, None)

    def _take_no_more(self) -> None:
        self._takes = False
        if self._connection is not None:
            self._connection.write = None

    def _watch(self, left: int) -> None:
        self._stuck = self.loop.call_later(self.stuck_after_s, self._cut_off_if_stuck, left)

    def _cut_off_if_stuck(self, left: int) -> None:
        # However slow its line is, who takes something is not stuck.
        now = self.transport.get_write_buffer_size()
        if now < left:
            self._watch(now)
        else:
            self._cut_off()

    def _cut_off(self) -> None:
        METERS.cut_off += 1
        self.transport.abort()

    def _no_longer_stuck(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
