"""The figures of the live path, for whoever watches it."""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.errors import NotFound, NotSignedIn
from hub.metrics import exposition


async def show(request: Request) -> Response:
    """For whoever holds the installation's own token; without one there is nothing here."""
    house = house_of(request)
    wanted = house.settings.metrics_token
    if wanted is None:
        raise NotFound("There is nothing here. METRICS_TOKEN switches it on.")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(token.strip().encode(), wanted.get_secret_value().encode())
    if scheme.lower() != "bearer" or not same:
        raise NotSignedIn("Send METRICS_TOKEN as `Authorization: Bearer …`.")
    return Response(exposition(house), media_type=CONTENT_TYPE_PLAIN_0_0_4)
