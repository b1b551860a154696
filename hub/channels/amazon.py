"""How Amazon's services are called: one request for each call, and to nowhere but where it was meant for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from pydantic import SecretStr

MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Access:
    """With which key, and in which region; `base_url` stands for the region's own endpoint."""

    region: str
    access_key_id: str
    secret_access_key: SecretStr
    base_url: str | None = None


def client(
    service: str, access: Access, connect_within_s: float, answer_within_s: float
) -> AbstractAsyncContextManager[Any]:
    """A client, open for as long as the block runs."""
    opening: AbstractAsyncContextManager[Any] = AioSession().create_client(
        service,
        region_name=access.region,
        endpoint_url=access.base_url,
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=access.secret_access_key.get_secret_value(),
        config=AioConfig(
            connect_timeout=connect_within_s,
            read_timeout=answer_within_s,
            max_pool_connections=MOST_AT_ONCE,
            # The client's own default makes up to five requests of one call.
            retries={"mode": "standard", "total_max_attempts": 1},
            http_session_cls=NoDetours,
        ),
    )
    return opening


class NoDetours(AIOHTTPSession):
    """Follows no redirect, which would be a second request, and to anywhere."""

    async def _get_session(self, proxy_url: str | None) -> SimpleNamespace:
        session = await super()._get_session(proxy_url)  # type: ignore[misc]  # the stubs leave it out
        return SimpleNamespace(request=partial(session.request, allow_redirects=False))
