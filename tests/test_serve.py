"""The listening socket: a reader who is stuck is freed by the kernel, and a port in use is told at once."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest
from starlette.applications import Starlette

from hub.realtime.framed import FramedWebSocket
from hub.realtime.frames import LARGEST_FRAME
from hub.realtime.held import HeldRequests
from hub.serve import BACKLOG, LARGEST_MESSAGE, SEND_BUFFER, STUCK_AFTER_MS, Server, bind, configure
from tests.conftest import RunningHub
from tests.visitors import browser_of


async def no_app(*_: object) -> None:
    """Answers nothing."""


def test_an_accepted_socket_inherits_its_limits() -> None:
    with bind("127.0.0.1", 0) as listening:
        listening.listen(1)
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                # Linux doubles what it is asked for.
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in (SEND_BUFFER, 2 * SEND_BUFFER)
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == STUCK_AFTER_MS


def test_a_port_in_use_is_refused() -> None:
    with bind("127.0.0.1", 0) as listening:
        listening.listen(1)
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", listening.getsockname()[1])


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_address_of_either_family_is_bound() -> None:
    with bind("::1", 0) as listening:
        assert listening.family == socket.AF_INET6


def test_uvicorn_serves_as_the_live_path_needs_it() -> None:
    config = configure(no_app)
    assert (config.http, config.ws, config.ws_per_message_deflate) == (HeldRequests, FramedWebSocket, False)
    assert config.ws_max_size == LARGEST_MESSAGE > LARGEST_FRAME
    assert (config.backlog, config.limit_concurrency) == (BACKLOG, None)
    assert config.timeout_graceful_shutdown


async def test_answers_do_not_say_what_serves_them(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        assert "server" not in (await client.get("/sign-in")).headers


class Leaving(Starlette):
    """An app with connections that take a while to leave."""

    def __init__(self) -> None:
        super().__init__()
        self.left = asyncio.Event()

    async def drain(self) -> None:
        """Part of Draining."""
        await self.left.wait()


async def test_a_server_that_drains_takes_no_more_requests_over_open_connections() -> None:
    app = Leaving()
    server = Server(configure(app), app)
    with bind("127.0.0.1", 0) as listening:
        serving = asyncio.create_task(server._serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\nNot Found")).startswith(b"HTTP/1.1 404")
        server.handle_exit(signal.SIGTERM, None)
        assert await asyncio.wait_for(reader.read(), 4) == b"", "the next request comes to another process"
        assert not serving.done()
        app.left.set()
        await asyncio.wait_for(serving, 10)
        writer.close()
