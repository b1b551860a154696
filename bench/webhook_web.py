"""The hub's own web process, which takes SNS's certificate from a file: `python -m bench.webhook_web`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from pydantic import SecretStr

from hub.app import make_app
from hub.channels.sns import SnsDoor
from hub.channels.sns_certificates import Certificates
from hub.logs import configure_logs
from hub.serve import bind, serve
from hub.settings import Settings
from hub.wiring import House, build

CERTIFICATE = "BENCH_CERTIFICATE"


class FromFile(httpx.AsyncBaseTransport):
    """Answers every request with a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Part of httpx."""
        return httpx.Response(200, stream=httpx.ByteStream(self._path.read_bytes()))


@asynccontextmanager
async def _built(settings: Settings) -> AsyncIterator[House]:
    certificates = Certificates(FromFile(Path(os.environ[CERTIFICATE])))
    door = SnsDoor(
        topics=settings.ses_topics,
        accepts_subscriptions=False,
        access_key_id="",
        secret_access_key=SecretStr(""),
        certificates=certificates,
    )
    async with build(settings, "web") as house:
        yield replace(house, sns=door)
    await door.close()


def main() -> None:
    """Serve until told to stop."""
    configure_logs("web")
    settings = Settings()
    serve(make_app(settings, _built), bind(settings.host, settings.port))


if __name__ == "__main__":
    main()
