"""Runs the web app under uvicorn, on a socket of our own so that a reader who is stuck is freed by the kernel.

Told to stop by SIGTERM it first sends the live connections away, one after the other; by Ctrl-C it just stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.realtime.framed import FramedWebSocket
from hub.realtime.held import HeldRequests

SEND_BUFFER = 64 * 1024
# A peer that acknowledges nothing for so long is gone (milliseconds).
STUCK_AFTER_MS = 12_000
BACKLOG = 4096
# Above the largest frame we take, so that we may say ourselves what is wrong with a larger one.
LARGEST_MESSAGE = 64 * 1024
FINISH_WITHIN_S = 5
# Uvicorn's own ten ticks a second cost a web process with nothing to do as much as a hundred frames.
TICK_S = 1.0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; those accepted from it inherit its send buffer and time-out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_AFTER_MS)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def configure(app: ASGIApp) -> uvicorn.Config:
    """Uvicorn as the live path needs it: no compression, bounded shutdown, a limit on messages."""
    return uvicorn.Config(
        app,
        http=HeldRequests,
        loop="uvloop",
        ws=FramedWebSocket,
        # Heartbeats and TCP_USER_TIMEOUT find dead clients.
        ws_ping_interval=None,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=FINISH_WITHIN_S,
        timeout_keep_alive=75,
        backlog=BACKLOG,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="on",
    )


def spare_the_collector() -> None:
    """Keep what was built at start, and lives for ever, out of garbage collection, and collect less often.

    A full collection over thousands of connections stops all of them for a quarter of a second (measured at 1,000);
    almost everything here is freed by its reference count anyway.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 50, 1000)


class Draining(Protocol):
    """An ASGI application with connections that are sent away before it stops."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        ...

    async def drain(self) -> None:
        """Ask every client to connect anew, and wait until they have; it takes 25 seconds at most."""
        ...


class Server(uvicorn.Server):
    """Uvicorn, which drains before it closes anything. A second signal stops it at once."""

    def __init__(self, config: uvicorn.Config, app: Draining) -> None:
        super().__init__(config)
        self._app = app
        self._draining: asyncio.Task[None] | None = None
        self._is_to_exit = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Part of uvicorn.Server."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Part of uvicorn.Server: what a signal does."""
        if sig == signal.SIGTERM and self.started and self._draining is None:
            self._loop.call_soon_threadsafe(self._begin_draining)
        else:
            super().handle_exit(sig, frame)
            if self.started:
                self._loop.call_soon_threadsafe(self._is_to_exit.set)

    async def main_loop(self) -> None:
        """Part of uvicorn.Server: look after the date in answers once a second, and else wait for the end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._is_to_exit.wait()

    def _begin_draining(self) -> None:
        self._draining = self._draining or asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        # Whoever comes now comes to another process on the same socket, or to the next one.
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, HeldRequests):
                connection.retire()
        try:
            await self._app.drain()
        finally:
            self.should_exit = True
            self._is_to_exit.set()


def allow_many_connections() -> None:
    """Take as many open files as the machine lets us have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(app: Draining, listening: socket.socket) -> None:
    """Serve on this socket until told to stop."""
    allow_many_connections()
    spare_the_collector()
    Server(configure(app), app).run(sockets=[listening])
