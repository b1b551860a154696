"""Settings: read from the environment alone, and never such that a cookie travels in clear."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hub.settings import Settings, is_loopback

RIGHT: dict[str, Any] = {"database_url": "postgresql://a:secret@b/c", "redis_url": "redis://b", "hub_keys": "k:x"}


def made(**more: Any) -> Settings:
    return Settings(**(RIGHT | more))


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (RIGHT | {"port": "9000", "idle_minutes": "5", "demo": "true", "unknown": "x"}).items():
        monkeypatch.setenv(name.upper(), value)
    settings = Settings()
    assert (settings.port, settings.idle_minutes, settings.demo) == (9000, 5, True)
    assert settings.database_url.get_secret_value() == RIGHT["database_url"]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RIGHT:
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert {error["loc"][0] for error in refusal.value.errors()} == set(RIGHT)


def test_secrets_are_not_shown() -> None:
    assert "secret@" not in repr(made())
    assert "k:x" not in repr(made())


@pytest.mark.parametrize("url", ["http://hub.example", "http://192.0.2.1:8080", "http://0.0.0.0:8080"])
def test_outside_this_machine_it_takes_https(url: str) -> None:
    with pytest.raises(ValidationError, match="https"):
        made(public_url=url)


@pytest.mark.parametrize("url", ["", "hub.example", "ftp://hub.example", "https://", "javascript:alert(1)", "/"])
def test_an_address_is_one_of_the_web(url: str) -> None:
    with pytest.raises(ValidationError, match="PUBLIC_URL"):
        made(public_url=url)


@pytest.mark.parametrize(
    "change", [{"port": 0}, {"port": 65536}, {"port": "x"}, {"idle_minutes": 0}, {"idle_minutes": 1441}, {"demo": "x"}]
)
def test_numbers_are_within_reason(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(**change)


@pytest.mark.parametrize(
    ("url", "https", "origins"),
    [
        ("https://hub.example", True, {"https://hub.example"}),
        ("https://hub.example:8443/", True, {"https://hub.example:8443"}),
        ("https://Hub.Example", True, {"https://hub.example"}),
        ("http://127.0.0.1:8080", False, {"http://127.0.0.1:8080", "http://localhost:8080"}),
        ("http://localhost", False, {"http://127.0.0.1", "http://localhost"}),
    ],
)
def test_the_hubs_own_origins_are_exactly_these(url: str, https: bool, origins: set[str]) -> None:
    settings = made(public_url=url)
    assert settings.is_https is https
    assert settings.origins == origins


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("192.0.2.1", False), ("x", False)],
)
def test_this_machine_knows_its_names(host: str, here: bool) -> None:
    assert is_loopback(host) is here


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        made().__setattr__("port", 1)


@pytest.mark.parametrize(
    ("public_url", "origin"),
    [
        ("https://hub.example:443", "https://hub.example"),
        ("HTTPS://Hub.Example/", "https://hub.example"),
        ("https://hub.example:8443", "https://hub.example:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(public_url: str, origin: str) -> None:
    settings = made(public_url=public_url)
    assert origin in settings.origins
    assert settings.is_https == origin.startswith("https")


@pytest.mark.parametrize("public_url", ["http://127.0.0.1:99999", "https://hub.example:port", "https://:8443"])
def test_an_address_that_cannot_be_reached_is_refused(public_url: str) -> None:
    with pytest.raises(ValidationError, match="PUBLIC_URL must be an http"):
        made(public_url=public_url)


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", set()),
        ("https://practice.example", {"https://practice.example"}),
        ("https://a.example, https://b.example:8443", {"https://a.example", "https://b.example:8443"}),
        ("http://127.0.0.1:9000 http://[::1]:9000", {"http://127.0.0.1:9000", "http://[::1]:9000"}),
    ],
)
def test_origins_that_may_show_the_bell_come_as_one_line(
    monkeypatch: pytest.MonkeyPatch, text: str, origins: set[str]
) -> None:
    for name, value in (RIGHT | {"embed_origins": text}).items():
        monkeypatch.setenv(name.upper(), value)
    assert Settings().embed_origins == origins


@pytest.mark.parametrize(
    "text",
    ["*", "null", "practice.example", "https://practice.example/", "https://practice.example/app", "https://A.example",
     "https://a.example:443", "http://practice.example", "https://*.example", "https://me@a.example", "ftp://a.example"],
)  # fmt: skip
def test_an_origin_that_may_show_the_bell_is_one_origin(text: str) -> None:
    with pytest.raises(ValidationError, match="EMBED_ORIGINS"):
        made(embed_origins=text)
