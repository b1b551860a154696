"""What an installation may set, read once from the environment when the house is built; nothing is read at import."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEFAULT_PORTS = {"http": 80, "https": 443}


def _words(value: object) -> object:
    """Words divided by commas or spaces, as an environment variable holds them."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


# What a vendor needs before it can carry a channel.
NEEDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("sms", "twilio"): ("twilio_account_sid", "twilio_auth_token", "twilio_sms_sender"),
    ("whatsapp", "twilio"): ("twilio_account_sid", "twilio_auth_token", "twilio_whatsapp_sender"),
    ("sms", "unifonic"): ("unifonic_app_sid", "unifonic_sms_sender", "unifonic_report_token"),
    ("whatsapp", "unifonic"): ("unifonic_public_id", "unifonic_secret", "unifonic_report_token"),
    ("email", "ses"): ("ses_region", "ses_access_key_id", "ses_secret_access_key", "ses_sender"),
    ("email", "smtp"): ("smtp_host", "smtp_sender"),
}
SANDBOX = "sandbox"

REPORT_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")
ADDRESS_OR_NOTHING = r"^([^@\s]+@[^@\s]+)?$"
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
PerSecond = Annotated[float, Field(gt=0, le=100_000)]


class VendorSettings(BaseSettings):
    """Who carries messages to patients: for each channel its vendors in order, and each vendor's account."""

    sms_vendors: Names = Field(default=(SANDBOX,), description="twilio, unifonic or sandbox; none switches SMS off")
    whatsapp_vendors: Names = (SANDBOX,)
    email_vendors: Names = Field(default=(SANDBOX,), description="ses, smtp or sandbox")
    sandbox_per_second: PerSecond = 1000

    twilio_account_sid: str = Field(default="", pattern="^(AC[0-9a-fA-F]{32})?$")
    twilio_auth_token: SecretStr | None = Field(
        default=None, description="several with commas while one is replaced: the first is used, all are believed"
    )
    twilio_api_key: str = Field(default="", description="SK…, to sign in with instead of the account's own token")
    twilio_api_secret: SecretStr | None = None
    twilio_sms_sender: str = Field(default="", description="a number, a name, or a messaging service (MG…)")
    twilio_whatsapp_sender: str = Field(default="", description="a number, or a messaging service (MG…)")
    twilio_per_second: PerSecond = Field(default=10, description="what the account's senders are allowed together")
    twilio_url: str = "https://api.twilio.com"

    unifonic_app_sid: SecretStr | None = None
    unifonic_sms_sender: str = ""
    unifonic_public_id: str = Field(default="", description="with the secret: WhatsApp's conversations API")
    unifonic_secret: SecretStr | None = None
    unifonic_report_token: SecretStr | None = Field(
        default=None, description="what the address of its reports holds; several with commas while one is replaced"
    )
    unifonic_per_second: PerSecond = 10
    unifonic_sms_url: str = "https://el.cloud.unifonic.com"
    unifonic_whatsapp_url: str = "https://apis.unifonic.com"

    ses_region: str = ""
    ses_access_key_id: str = ""
    ses_secret_access_key: SecretStr | None = None
    ses_sender: str = Field(default="", pattern=ADDRESS_OR_NOTHING, description="an address that SES has verified")
    ses_configuration_set: str = ""
    ses_topics: Names = Field(default=(), description="ARNs of the SNS topics whose events are believed")
    ses_accepts_subscription: bool = Field(default=False, description="on while a topic is being subscribed to the hub")
    ses_per_second: PerSecond = 10
    ses_url: str | None = None

    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_sender: str = Field(default="", pattern=ADDRESS_OR_NOTHING)
    smtp_per_second: PerSecond = 10

    @field_validator("twilio_url", "unifonic_sms_url", "unifonic_whatsapp_url", "ses_url")
    @classmethod
    def _secrets_are_never_sent_in_clear(cls, address: str | None) -> str | None:
        url = urlsplit(address or "https://default")
        if url.scheme not in DEFAULT_PORTS or not url.hostname or not _has_usable_port(url):
            raise ValueError("a vendor's address must be an http:// or https:// address")
        if url.scheme == "http" and not is_loopback(url.hostname):
            raise ValueError(
                "a vendor's address must be https:// outside this machine: secrets are never sent in clear"
            )
        return address

    @field_validator("unifonic_report_token")
    @classmethod
    def _report_tokens_cannot_be_guessed(cls, several: SecretStr | None) -> SecretStr | None:
        if any(not REPORT_TOKEN.fullmatch(token) for token in _secrets(several)):
            raise ValueError("each token must be 16 letters, digits, - or _, or more")
        return several

    @model_validator(mode="after")
    def _names_and_passwords_go_together(self) -> Self:
        for name, password in (("twilio_api_key", "twilio_api_secret"), ("smtp_user", "smtp_password")):
            if _is_given(getattr(self, name)) != _is_given(getattr(self, password)):
                raise ValueError(f"{name.upper()} and {password.upper()} go together: give both or neither")
        return self

    @model_validator(mode="after")
    def _mail_passwords_are_never_sent_in_clear(self) -> Self:
        if self.smtp_user and self.smtp_security == "none" and not is_loopback(self.smtp_host):
            raise ValueError("SMTP_SECURITY must be starttls or tls where SMTP_USER signs in outside this machine")
        return self

    @model_validator(mode="after")
    def _vendors_are_ready(self) -> Self:
        for channel in ("sms", "whatsapp", "email"):
            names: tuple[str, ...] = getattr(self, f"{channel}_vendors")
            if len(names) > 1 and SANDBOX in names:
                raise ValueError(f"{channel.upper()}_VENDORS names sandbox beside others: what it takes is never sent")
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{channel.upper()}_VENDORS names {name} twice")
                self._check(channel, name)
        return self

    def _check(self, channel: str, name: str) -> None:
        setting = f"{channel.upper()}_VENDORS"
        known = [SANDBOX, *(vendor for of, vendor in NEEDS if of == channel)]
        if name not in known:
            raise ValueError(f"{setting} knows {', '.join(known)}, not {name!r}")
        if missing := [need.upper() for need in NEEDS.get((channel, name), ()) if not _is_given(getattr(self, need))]:
            raise ValueError(f"{setting} names {name}, which also needs {' and '.join(missing)}")

    @property
    def twilio_tokens(self) -> tuple[str, ...]:
        """Those that Twilio may sign with, the one in use first."""
        return _secrets(self.twilio_auth_token)

    @property
    def unifonic_tokens(self) -> tuple[str, ...]:
        """Those that the address of Unifonic's reports may hold."""
        return _secrets(self.unifonic_report_token)


class Settings(VendorSettings):
    """One installation's settings; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

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
    tenant_per_second: float = Field(default=500, gt=0, description="how many messages one tenant may send a second")
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


def _is_given(value: str | SecretStr | None) -> bool:
    return bool(_secrets(value) if isinstance(value, SecretStr) else value)


def _secrets(several: SecretStr | None) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in several.get_secret_value().split(",")))) if several else ()


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
