"""Fake vendors, and messages to send by them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hub.channels.vendor import Channel, Outgoing
from tests.channels.fakes import FakeVendors, fake_vendors

Write = Callable[..., Outgoing]


@pytest.fixture
async def fakes() -> AsyncIterator[FakeVendors]:
    """Twilio and Unifonic on this machine, for one test."""
    async with fake_vendors() as running:
        yield running


@pytest.fixture
def write() -> Write:
    """A message with a reference of its own."""

    def written(text: str = "موعدك غدا الساعة ٩", **more: Any) -> Outgoing:
        facts: dict[str, Any] = {"channel": Channel.SMS, "to": "+966500000100"} | more
        return Outgoing(reference=uuid.uuid4(), tenant=uuid.uuid4(), text=text, **facts)

    return written
