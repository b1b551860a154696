"""The hub, for the harness. Its own Python imports this, not ours, so nothing of the hub can be imported here."""

from __future__ import annotations

import os
import subprocess

# The harness's package, into which this file is taken.
from adapters import Adapter  # type: ignore[import-not-found]

PYTHON = os.environ["HUB_BENCH_PYTHON"]
# -P: where the harness runs there is a module of the same name as our package.
# Started as in production; only now it is known where.
WEB = (
    "PORT={port} PUBLIC_URL=http://127.0.0.1:{port} REDIS_URL=redis://127.0.0.1:$REDIS_PORT/0"
    ' exec "$HUB_BENCH_PYTHON" -m hub web'
)

_tokens: list[str] = []


def token(user: str) -> str:
    """A token of user `user`; all are signed anew when the harness asks for the first one, before each scenario."""
    if user == "0":
        _tokens[:] = subprocess.check_output([PYTHON, "-P", "-m", "bench.peer_tokens"], text=True).split()
    # For the publisher, which is started after the last one: as many are told of a broadcast.
    os.environ["HUB_BENCH_USERS"] = str(int(user) + 1)
    return _tokens[int(user)]


ADAPTERS = [
    Adapter(
        name="ours",
        label="ours, 1 web process",
        server=["/bin/sh", "-c", WEB],
        path="/live",
        first='{{"t":"hello","v":1,"token":"{token}"}}',
        ready='"t":"welcome"',
        token=token,
        publisher=[PYTHON, "{here}/publishers/publish.py", "bench.peer_publisher:Backend", "{port}"],
    )
]
