"""Whether a message may leave: each reason of its own, and which of two reasons counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hub.channels.vendor import Channel
from hub.messages.decide import Facts, Go, Stop, Wait, decide
from hub.messages.states import State

RIYADH = ZoneInfo("Asia/Riyadh")
NOON = datetime(2026, 3, 1, 12, tzinfo=RIYADH).astimezone(UTC)
NIGHT = datetime(2026, 3, 1, 23, 30, tzinfo=RIYADH).astimezone(UTC)
ALL = (Channel.SMS, Channel.WHATSAPP, Channel.EMAIL)
FACTS = Facts(
    withdrawn=False,
    channels=ALL,
    channel=Channel.SMS,
    has_left_before=False,
    is_critical=False,
    expires_at=None,
    zone=RIYADH,
    allows=lambda _channel: None,
    contacts={"phone": False, "email": False},
    wordings=ALL,
    vendors=ALL,
)


def test_the_first_channel_is_taken_at_a_decent_hour() -> None:
    assert decide(FACTS, NOON) == Go(Channel.SMS)


@pytest.mark.parametrize(
    ("facts", "channel"),
    [
        (
            replace(FACTS, allows=lambda channel: "channel_refused" if channel is Channel.SMS else None),
            Channel.WHATSAPP,
        ),
        (replace(FACTS, contacts={"email": False}), Channel.EMAIL),
        (replace(FACTS, contacts={"phone": True, "email": False}), Channel.EMAIL),
        (replace(FACTS, wordings=(Channel.WHATSAPP,)), Channel.WHATSAPP),
        (replace(FACTS, vendors=(Channel.EMAIL,)), Channel.EMAIL),
        (replace(FACTS, channel=Channel.WHATSAPP), Channel.WHATSAPP),
    ],
)
def test_a_channel_that_cannot_be_used_gives_way_to_the_next(facts: Facts, channel: Channel) -> None:
    assert decide(facts, NOON) == Go(channel)


@pytest.mark.parametrize(
    ("facts", "stop"),
    [
        (replace(FACTS, allows=lambda _channel: "topic_refused"), Stop(State.SKIPPED, "topic_refused")),
        (replace(FACTS, contacts={}), Stop(State.SKIPPED, "no_contact")),
        (replace(FACTS, contacts={}, has_left_before=True), Stop(State.FAILED, "no_contact")),
        (replace(FACTS, contacts={"phone": True}), Stop(State.HELD, "address_flagged")),
        (replace(FACTS, wordings=()), Stop(State.SKIPPED, "no_wording")),
        (replace(FACTS, vendors=()), Stop(State.SKIPPED, "no_vendor")),
        (replace(FACTS, expires_at=NOON), Stop(State.SKIPPED, "expired")),
    ],
)
def test_what_cannot_leave_says_why(facts: Facts, stop: Stop) -> None:
    assert decide(facts, NOON) == stop


def test_at_night_it_waits_for_the_morning_where_the_patient_is() -> None:
    morning = datetime(2026, 3, 2, 8, tzinfo=RIYADH)
    assert decide(FACTS, NIGHT) == Wait(morning, "quiet_hours")


def test_what_is_critical_does_not_wait() -> None:
    assert decide(replace(FACTS, is_critical=True), NIGHT) == Go(Channel.SMS)


def test_what_would_be_worth_nothing_in_the_morning_is_not_kept_for_it() -> None:
    assert decide(replace(FACTS, expires_at=NIGHT + timedelta(hours=3)), NIGHT) == Stop(State.SKIPPED, "quiet_hours")


def test_a_refusal_says_so_at_night_already() -> None:
    refused = replace(FACTS, allows=lambda _channel: "no_opt_in")
    assert decide(refused, NIGHT) == Stop(State.SKIPPED, "no_opt_in")
