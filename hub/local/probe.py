"""Asks the web process whether it is ready."""

import http.client
import time
from collections.abc import Callable

from hub.local.errors import StartError


def answer(host: str, port: int) -> str:
    """What GET /health/ready says: its status, or why there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def ready(host: str, port: int, within: float) -> Callable[[], bool]:
    """A question to ask until it says yes; it raises when that takes too long."""
    deadline = time.monotonic() + within

    def asked() -> bool:
        said = answer(host, port)
        if said != "200" and time.monotonic() > deadline:
            raise StartError(f"the hub runs but is not ready after {within:g} s: GET /health/ready answers {said}")
        return said == "200"

    return asked
