"""Which vendors this installation uses: those of each channel, in the order in which they stand in for each other.

Only these are loaded: what talks to Amazon alone takes half a second of every process's start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from urllib.parse import urlsplit

from pydantic import SecretStr

from hub.channels.sandbox import Sandbox
from hub.channels.vendor import Channel, Vendor
from hub.clock import Clock
from hub.settings import Settings, is_loopback

TWILIO_REPORTS = "/webhooks/twilio/status"


class Registry:
    """All vendors of one process, each with its connections."""

    def __init__(self, by_channel: Mapping[Channel, Sequence[Vendor]]) -> None:
        self._by_channel = {channel: tuple(vendors) for channel, vendors in by_channel.items()}
        self._by_name = {vendor.name: vendor for vendors in self._by_channel.values() for vendor in vendors}

    def for_channel(self, channel: Channel) -> tuple[Vendor, ...]:
        """Those that send over a channel, the first before those that stand in for it; none where it is off."""
        return self._by_channel.get(channel, ())

    def by_name(self, name: str) -> Vendor | None:
        """The vendor of this name, if it is used."""
        return self._by_name.get(name)

    async def close(self) -> None:
        """Give all connections back."""
        for vendor in self._by_name.values():
            await vendor.close()


def build_vendors(settings: Settings, clock: Clock) -> Registry:
    """Every vendor that the settings name, built once, whatever it carries; the settings know what each one needs."""
    names = {
        Channel.SMS: settings.sms_vendors,
        Channel.WHATSAPP: settings.whatsapp_vendors,
        Channel.EMAIL: settings.email_vendors,
    }

    @cache
    def vendor(name: str) -> Vendor:
        return BUILDERS[name](settings, clock, frozenset(each for each in Channel if name in names[each]))

    return Registry({channel: [vendor(name) for name in named] for channel, named in names.items()})


def _sandbox(settings: Settings, clock: Clock, _channels: frozenset[Channel]) -> Vendor:
    return Sandbox(clock, settings.sandbox_per_second)


def _twilio(settings: Settings, clock: Clock, channels: frozenset[Channel]) -> Vendor:
    from hub.channels.twilio import Account, Twilio

    sid, token = settings.twilio_account_sid, SecretStr(settings.twilio_tokens[0])
    key, secret = settings.twilio_api_key, settings.twilio_api_secret
    senders = {Channel.SMS: settings.twilio_sms_sender, Channel.WHATSAPP: settings.twilio_whatsapp_sender}
    return Twilio(
        Account(sid, key, secret) if key and secret else Account(sid, sid, token),
        {channel: senders[channel] for channel in channels},
        clock,
        report_url=_report_url(settings, settings.twilio_url),
        per_second=settings.twilio_per_second,
        base_url=settings.twilio_url,
    )


def _report_url(settings: Settings, vendor_url: str) -> str | None:
    """Where Twilio reports to; nowhere, if only this machine reaches us: it refuses a message with such an address."""
    ours, theirs = (urlsplit(url).hostname or "" for url in (settings.public_url, vendor_url))
    if is_loopback(ours) and not is_loopback(theirs):
        return None
    return settings.public_url.rstrip("/") + TWILIO_REPORTS


def _unifonic(settings: Settings, clock: Clock, channels: frozenset[Channel]) -> Vendor:
    from hub.channels.unifonic import SmsAccount, Unifonic, WhatsAppAccount

    app_sid, secret = settings.unifonic_app_sid, settings.unifonic_secret
    return Unifonic(
        SmsAccount(app_sid, settings.unifonic_sms_sender) if app_sid and Channel.SMS in channels else None,
        WhatsAppAccount(settings.unifonic_public_id, secret) if secret and Channel.WHATSAPP in channels else None,
        clock,
        per_second=settings.unifonic_per_second,
        sms_url=settings.unifonic_sms_url,
        whatsapp_url=settings.unifonic_whatsapp_url,
    )


def _ses(settings: Settings, _clock: Clock, _channels: frozenset[Channel]) -> Vendor:
    from hub.channels.ses import Ses

    return Ses(
        region=settings.ses_region,
        access_key_id=settings.ses_access_key_id,
        secret_access_key=settings.ses_secret_access_key or SecretStr(""),
        sender=settings.ses_sender,
        configuration_set=settings.ses_configuration_set or None,
        base_url=settings.ses_url,
        per_second=settings.ses_per_second,
    )


def _smtp(settings: Settings, clock: Clock, _channels: frozenset[Channel]) -> Vendor:
    from hub.channels.smtp import Smtp

    return Smtp(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_user or None,
        password=settings.smtp_password,
        sender=settings.smtp_sender,
        clock=clock,
        per_second=settings.smtp_per_second,
    )


BUILDERS: dict[str, Callable[[Settings, Clock, frozenset[Channel]], Vendor]] = {
    "sandbox": _sandbox,
    "ses": _ses,
    "smtp": _smtp,
    "twilio": _twilio,
    "unifonic": _unifonic,
}
