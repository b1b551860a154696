"""What an installation may set, read once from the environment when the house is built; nothing is read at import."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEFAULT_PORTS = {"http": 80, "https": 443}


def _words(value: object) -> object:
    """Words divided by commas or spaces, as an environment variable holds them."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


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
    metrics_token: SecretStr | None = Field(
        default=None, min_length=16, description="what /metrics is asked with, as a bearer token; without one it is off"
    )
    metrics_folder: Path | None = Field(
        default=None, description="where web processes on one socket leave their figures for each other"
    )
    canary_every_s: float = Field(default=15, ge=0, description="how often a process tries its live path; 0 for never")
    embed_origins: Annotated[frozenset[str], NoDecode, BeforeValidator(_words)] = Field(
        default=frozenset(), description="origins of other applications whose pages may show the bell, by live token"
    )

    @field_validator("embed_origins")
    @classmethod
    def _embed_origins_are_origins(cls, origins: frozenset[str]) -> frozenset[str]:
        for origin in origins:
            url = urlsplit(origin)
            if url.scheme not in DEFAULT_PORTS or not url.hostname or "*" in url.hostname or not _has_usable_port(url):
                raise ValueError(f"EMBED_ORIGINS holds origins such as https://practice.example, not {origin!r}")
            if url.scheme == "http" and not is_loopback(url.hostname):
                raise ValueError("EMBED_ORIGINS must be https:// outside this machine: tokens are never sent in clear")
            if origin != _origin(url, url.hostname):
                raise ValueError(f"EMBED_ORIGINS holds {origin!r}; browsers write {_origin(url, url.hostname)!r}")
        return origins

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
        return frozenset(_origin(url, name) for name in names)


def _origin(url: SplitResult, host: str) -> str:
    port = "" if url.port in (None, DEFAULT_PORTS[url.scheme]) else f":{url.port}"
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}"


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
