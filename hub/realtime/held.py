"""Uvicorn's HTTP, for answers that take long: nobody's keeps the hub from stopping, and one not read is cut off."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.realtime.connection import Connection
from hub.realtime.framed import FramedWebSocket
from hub.realtime.frames import Close
from hub.realtime.handshake import answer_to

# Where in the ASGI scope the protocol is found.
EXTENSION = "hub.held"


class HeldRequests(HttpToolsProtocol):
    """One connection of a client, which asks one thing after the other."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connection: Connection | None = None
        self._stops = False

    def on_message_begin(self) -> None:
        """Part of uvicorn's protocol: show itself to the app."""
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["extensions"] = {EXTENSION: self}

    def handle_websocket_upgrade(self) -> None:
        """Part of uvicorn's protocol: another one takes over."""
        accept = answer_to(self.parser.get_method(), self.parser.get_http_version(), self.url, self.headers)
        protocol = self.config.ws_protocol_class
        if accept is not None and isinstance(protocol, type) and issubclass(protocol, FramedWebSocket):
            self._open_socket(protocol(self.config, self.server_state, self.app_state), accept)
        else:
            super().handle_websocket_upgrade()
        if self.flow.write_paused:
            # The transport says so once, and it has told us.
            self.transport.get_protocol().pause_writing()
        self._come_apart()

    def _open_socket(self, protocol: FramedWebSocket, accept: str) -> None:
        self.connections.discard(self)
        protocol.connection_made(self.transport)
        protocol.open(self.url, self.headers, accept)
        self.transport.set_protocol(protocol)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        super().connection_lost(exc)
        self._come_apart()

    def _come_apart(self) -> None:
        # What refers to itself waits for the collector, and that comes by rarely.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does at the end
        if self.scope is not None:
            cast(dict[str, Any], self.scope)["extensions"] = {}

    def carry(self, connection: Connection | None) -> None:
        """This one is being answered now, or none."""
        self._connection = connection
        if connection is not None and self._stops:
            # The server was told to stop while this one was greeted.
            connection.close(Close.GOING_AWAY)

    def cut(self) -> None:
        """Drop what the client does not read, and the client with it."""
        self.transport.abort()

    def retire(self) -> None:
        """Take nothing more after what is being answered: the client's next request comes to another process."""
        super().shutdown()

    def shutdown(self) -> None:
        """Part of uvicorn's protocol: the server stops."""
        self._stops = True
        self.retire()
        if self._connection is not None:
            self._connection.close(Close.GOING_AWAY)
