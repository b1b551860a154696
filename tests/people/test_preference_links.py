"""A patient's link: whose it is, what it is good for, and for how long; how it is signed is in test_signed_links."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from hub.crypto import Keys
from hub.people.choices import Topic
from hub.people.preference_links import LIFE, Link, Purpose, make_link, read_link

KEYS = Keys({"k1": bytes(range(32))})
NOW = datetime(2026, 11, 21, 7, 12, 30, tzinfo=UTC)
TENANT, PATIENT = uuid.UUID(int=7), uuid.UUID(int=2**128 - 9)
LINKS: list[tuple[Purpose, str | None]] = [
    ("preferences", None),
    ("unsubscribe", None),
    *(("unsubscribe", topic.value) for topic in Topic),
]


@pytest.mark.parametrize(("purpose", "topic"), LINKS)
def test_a_link_says_whose_it_is_and_what_for(purpose: Purpose, topic: str | None) -> None:
    found = read_link(KEYS, make_link(KEYS, TENANT, PATIENT, purpose, topic, NOW), purpose, NOW)
    assert isinstance(found, Link)
    assert (found.tenant, found.patient, found.topic) == (TENANT, PATIENT, topic)
    assert timedelta() <= found.expires_at - NOW - LIFE[purpose] < timedelta(hours=1)


@pytest.mark.parametrize(("purpose", "other"), [("preferences", "unsubscribe"), ("unsubscribe", "preferences")])
def test_a_link_is_good_for_one_thing(purpose: Purpose, other: Purpose) -> None:
    assert read_link(KEYS, make_link(KEYS, TENANT, PATIENT, purpose, None, NOW), other, NOW) is None


@pytest.mark.parametrize("purpose", LIFE)
def test_a_link_ends(purpose: Purpose) -> None:
    token = make_link(KEYS, TENANT, PATIENT, purpose, None, NOW)
    assert read_link(KEYS, token, purpose, NOW + LIFE[purpose]) is not None
    assert read_link(KEYS, token, purpose, NOW + LIFE[purpose] + timedelta(hours=1)) is None


def test_a_link_made_again_at_once_is_the_same() -> None:
    soon = NOW + timedelta(minutes=10)
    assert make_link(KEYS, TENANT, PATIENT, "preferences", None, NOW) == make_link(
        KEYS, TENANT, PATIENT, "preferences", None, soon
    )


def test_a_topic_nobody_could_have_makes_no_link() -> None:
    with pytest.raises(ValueError, match="too much"):
        make_link(KEYS, TENANT, PATIENT, "unsubscribe", "x" * 60, NOW)
