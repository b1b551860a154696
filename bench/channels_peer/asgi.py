"""The web process: whoever brings a signed cookie joins the group of one person."""

from __future__ import annotations

from typing import Any

import django

django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.sessions import CookieMiddleware  # noqa: E402
from django.core.signing import BadSignature, Signer  # noqa: E402
from django.urls import path  # noqa: E402

from bench.channels_peer.groups import COOKIE, READY, group_of  # noqa: E402


class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # as above
    """One connection."""

    async def connect(self) -> None:
        """Recognise the person."""
        try:
            self.group = group_of(Signer().unsign(self.scope["cookies"].get(COOKIE, "")))
        except BadSignature:
            await self.close(4150)
            return
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        if hasattr(self, "group"):
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer the client's hello."""
        await self.send(text_data=READY)

    async def notification(self, event: dict[str, Any]) -> None:
        """Pass on what was sent to the group."""
        await self.send(text_data=event["text"])


app = ProtocolTypeRouter({"websocket": CookieMiddleware(URLRouter([path("live", Consumer.as_asgi())]))})
