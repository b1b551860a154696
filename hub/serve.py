"""Runs the web app under uvicorn, on a socket of our own so that a reader who is stuck is freed by the kernel."""

from __future__ import annotations

import gc
import socket

import uvicorn
from starlette.types import ASGIApp

SEND_BUFFER = 64 * 1024
# A peer that acknowledges nothing for so long is gone (milliseconds).
STUCK_AFTER_MS = 12_000
BACKLOG = 4096
# Above the largest frame we take, so that we may say ourselves what is wrong with a larger one.
LARGEST_MESSAGE = 64 * 1024
FINISH_WITHIN_S = 10


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
        http="httptools",
        loop="uvloop",
        ws="websockets-sansio",
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
    gc.set_threshold(10_000, 50, 1000)


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve until told to stop."""
    spare_the_collector()
    uvicorn.Server(configure(app)).run(sockets=[bind(host, port)])
