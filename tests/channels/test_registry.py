"""Which vendors there are: as the settings name them, in that order, and never one that cannot work."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hub.channels.registry import BUILDERS, Registry, build_vendors
from hub.channels.vendor import Channel, Fate
from hub.clock import system_clock
from hub.settings import NEEDS, SANDBOX, Settings
from hub.wiring import House
from tests.channels.conftest import Write
from tests.channels.fakes import FakeVendors

BASE = {"database_url": "postgresql://a:secret@b/c", "redis_url": "redis://b", "hub_keys": "k:x"}
TWILIO = {
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": "shhh-token",
    "twilio_sms_sender": "+15005550006",
    "twilio_whatsapp_sender": "+15005550007",
}
UNIFONIC = {
    "unifonic_app_sid": "shhh-app",
    "unifonic_sms_sender": "NoorClinic",
    "unifonic_public_id": "public",
    "unifonic_secret": "shhh-secret",
    "unifonic_report_token": "shhh-report-token",
}
EMAIL = {
    "ses_region": "eu-west-1",
    "ses_access_key_id": "AKIA",
    "ses_secret_access_key": "shhh-ses",
    "ses_sender": "noor@mail.example",
    "smtp_host": "mail.example",
    "smtp_sender": "noor@mail.example",
}
ALL: dict[str, Any] = TWILIO | UNIFONIC | EMAIL


def made(monkeypatch: pytest.MonkeyPatch, **more: str) -> Settings:
    """Settings from the environment, as an installation has them."""
    for name, value in (BASE | more).items():
        monkeypatch.setenv(name.upper(), value)
    return Settings()


async def names(registry: Registry) -> dict[str, list[str]]:
    found = {channel.value: [vendor.name for vendor in registry.for_channel(channel)] for channel in Channel}
    await registry.close()
    return found


async def test_by_default_nothing_leaves(house: House) -> None:
    for channel in Channel:
        (vendor,) = house.vendors.for_channel(channel)
        assert vendor.name == SANDBOX
        assert vendor is house.vendors.by_name(SANDBOX)


async def test_vendors_stand_in_the_order_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch, sms_vendors="unifonic, twilio", whatsapp_vendors="twilio unifonic", **ALL)
    registry = build_vendors(settings, system_clock)
    assert (
        registry.for_channel(Channel.SMS)[1] is registry.for_channel(Channel.WHATSAPP)[0] is registry.by_name("twilio")
    )
    assert registry.by_name("sandbox") is registry.for_channel(Channel.EMAIL)[0]
    assert registry.by_name("nobody") is None
    found = await names(registry)
    assert found == {"sms": ["unifonic", "twilio"], "whatsapp": ["twilio", "unifonic"], "email": ["sandbox"]}


async def test_a_channel_without_vendors_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = build_vendors(made(monkeypatch, whatsapp_vendors=""), system_clock)
    assert (await names(registry))["whatsapp"] == []


@pytest.mark.parametrize(("channel", "vendor"), NEEDS)
async def test_every_vendor_that_the_settings_know_is_built(
    monkeypatch: pytest.MonkeyPatch, channel: str, vendor: str
) -> None:
    registry = build_vendors(made(monkeypatch, **{f"{channel}_vendors": vendor}, **ALL), system_clock)
    (built,) = registry.for_channel(Channel(channel))
    assert (built.name, built.channels) == (vendor, frozenset({Channel(channel)}))
    await registry.close()


def test_the_settings_know_every_vendor_that_is_built() -> None:
    assert set(BUILDERS) == {SANDBOX, *(vendor for _, vendor in NEEDS)}


@pytest.mark.parametrize(
    ("channel", "vendor", "need"), [(*key, need) for key, needs in NEEDS.items() for need in needs]
)
def test_a_vendor_without_what_it_needs_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, channel: str, vendor: str, need: str
) -> None:
    facts = ALL | {f"{channel}_vendors": vendor}
    del facts[need]
    with pytest.raises(ValidationError) as refusal:
        made(monkeypatch, **facts)
    assert f"{channel.upper()}_VENDORS names {vendor}, which also needs {need.upper()}" in str(refusal.value)
    assert "shhh" not in str(refusal.value)
    assert "secret@" not in str(refusal.value)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"sms_vendors": "twillio"}, "SMS_VENDORS knows sandbox, twilio, unifonic, not 'twillio'"),
        ({"email_vendors": "twilio"}, "EMAIL_VENDORS knows sandbox, ses, smtp, not 'twilio'"),
        ({"sms_vendors": "twilio,sandbox"}, "SMS_VENDORS names sandbox beside others"),
        ({"sms_vendors": "twilio,twilio"}, "SMS_VENDORS names twilio twice"),
        ({"twilio_url": "http://api.example"}, "https"),
        ({"unifonic_sms_url": "el.cloud.unifonic.com"}, "https"),
        ({"twilio_account_sid": "AC1"}, "TWILIO_ACCOUNT_SID"),
        ({"sms_vendors": "twilio", "twilio_auth_token": " , "}, "TWILIO_AUTH_TOKEN"),
        ({"unifonic_report_token": "short"}, "16"),
        ({"unifonic_report_token": "long-enough-to-count,short"}, "16"),
        ({"unifonic_report_token": "long/enough/but/a/path"}, "16"),
        ({"twilio_api_key": "SK1"}, "TWILIO_API_KEY and TWILIO_API_SECRET go together"),
        ({"smtp_password": "shhh"}, "SMTP_USER and SMTP_PASSWORD go together"),
        ({"twilio_per_second": "0"}, "greater than 0"),
        ({"smtp_security": "ssl"}, "starttls"),
        (
            {"smtp_security": "none", "smtp_user": "noor", "smtp_password": "shhh"},
            "SMTP_SECURITY must be starttls or tls",
        ),
        ({"smtp_sender": "mail.example"}, "SMTP_SENDER"),
    ],
)
def test_what_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, facts: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        made(monkeypatch, **(ALL | facts))
    assert words.lower() in str(refusal.value).lower()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shhh" not in repr(made(monkeypatch, sms_vendors="twilio", **ALL))


def test_several_tokens_are_believed_while_one_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"twilio_auth_token": "new, old", "unifonic_report_token": "first-report-token,second-report-token"}
    settings = made(monkeypatch, **facts)
    assert settings.twilio_tokens == ("new", "old")
    assert settings.unifonic_tokens == ("first-report-token", "second-report-token")
    assert Settings().ses_topics == ()


@pytest.mark.parametrize(
    ("public_url", "reports_to"),
    [
        ("https://hub.example", "https://hub.example/webhooks/twilio/status"),
        ("https://hub.example/", "https://hub.example/webhooks/twilio/status"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/webhooks/twilio/status"),
    ],
)
async def test_a_vendor_is_built_from_its_settings(
    monkeypatch: pytest.MonkeyPatch, fakes: FakeVendors, write: Write, public_url: str, reports_to: str
) -> None:
    where = {"public_url": public_url, "twilio_url": fakes.url, "unifonic_sms_url": fakes.url}
    facts = {"sms_vendors": "twilio,unifonic", "twilio_per_second": "7", **where}
    registry = build_vendors(made(monkeypatch, **(ALL | facts)), system_clock)
    for vendor in registry.for_channel(Channel.SMS):
        assert (await vendor.send(write())).fate is Fate.ACCEPTED
    assert [vendor.per_second for vendor in registry.for_channel(Channel.SMS)] == [7, 10]
    assert fakes.requests[0].form()["StatusCallback"].startswith(f"{reports_to}?m=")
    await registry.close()


async def test_a_vendor_elsewhere_is_not_told_an_address_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch, sms_vendors="twilio", **TWILIO)
    registry = build_vendors(settings, system_clock)
    (twilio,) = registry.for_channel(Channel.SMS)
    assert vars(twilio)["_report_url"] is None
    await registry.close()
