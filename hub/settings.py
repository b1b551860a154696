"""What an installation may set, read once from the environment when the house is built; nothing is read at import."""

from __future__ import annotations

import ipaddress
from typing import Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_PORTS = {"http": 80, "https": 443}


class Settings(BaseSettings):
    """One installation's settings; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    database_url: SecretStr = Field(description="postgresql://user:password@host/name; the user owns the schema")
    redis_url: SecretStr = Field(description="redis://[:password@]host:port/number")
    hub_keys: SecretStr = Field(description="id:base64 of 32 bytes, comma separated; the first seals, all open")
    public_url: str = Field(default="http://127.0.0.1:8080", description="the address browsers use")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    idle_minutes: int = Field(default=30, ge=1, le=24 * 60, description="a session ends after so long without use")
    demo: bool = Field(default=False, description="demo installation: shows its logins on the sign-in page")

    @model_validator(mode="after")
    def _public_url_is_safe(self) -> Self:
        url = urlsplit(self.public_url)
        if url.scheme not in DEFAULT_PORTS or not url.hostname or not _has_usable_port(url):
            raise ValueError("PUBLIC_URL must be an http:// or https:// address")
        if url.scheme == "http" and not is_loopback(url.hostname):
            raise ValueError(
                "PUBLIC_URL must be https:// outside this machine: session cookies are never sent in clear"
            )
        return self

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the hub over TLS; decides the cookie's flags."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def origins(self) -> frozenset[str]:
        """Origins, as browsers write them, whose pages may act with the session cookie.

        On this machine its names are interchangeable.
        """
        url = urlsplit(self.public_url)
        host = url.hostname or ""
        names = {host, "localhost", "127.0.0.1"} if is_loopback(host) else {host}
        port = "" if url.port in (None, DEFAULT_PORTS[url.scheme]) else f":{url.port}"
        return frozenset(f"{url.scheme}://{f'[{name}]' if ':' in name else name}{port}" for name in names)


def _has_usable_port(url: SplitResult) -> bool:
    try:
        return url.port != 0
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
