"""Uvicorn's HTTP, for answers that take long: nobody's keeps the hub from stopping, and one not read is cut off."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.realtime.connection import Connection
from hub.realtime.frames import Close

# Where in the ASGI scope the protocol is found.
EXTENSION = "hub.held"


class HeldRequests(HttpToolsProtocol):
    """One connection of a client, which asks one thing after the other."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connection: Connection | None = None

    def on_message_begin(self) -> None:
        """Part of uvicorn's protocol: show itself to the app."""
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["extensions"] = {EXTENSION: self}

    def handle_websocket_upgrade(self) -> None:
        """Part of uvicorn's protocol: another one takes over."""
        super().handle_websocket_upgrade()
        self._come_apart()

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

    def cut(self) -> None:
        """Drop what the client does not read, and the client with it."""
        self.transport.abort()

    def retire(self) -> None:
        """Take nothing more after what is being answered: the client's next request comes to another process."""
        super().shutdown()

    def shutdown(self) -> None:
        """Part of uvicorn's protocol: the server stops."""
        self.retire()
        if self._connection is not None:
            self._connection.close(Close.GOING_AWAY)
