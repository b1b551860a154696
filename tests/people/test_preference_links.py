"""A patient's link: short, signed, over some day, and with nobody's name in it."""

from __future__ import annotations

import base64
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto import Keys
from hub.people.choices import Topic
from hub.people.preference_links import LIFE, LONGEST, Link, Purpose, make_link, read_link

OLD, NEW = bytes(32), bytes(range(32))
KEYS = Keys({"k1": NEW})
NOW = datetime(2026, 11, 21, 7, 12, 30, tzinfo=UTC)
TENANT, PATIENT = uuid.UUID(int=7), uuid.UUID(int=2**128 - 9)
LINKS: list[tuple[Purpose, str | None]] = [
    ("preferences", None),
    ("unsubscribe", None),
    *(("unsubscribe", topic.value) for topic in Topic),
]


@pytest.mark.parametrize(("purpose", "topic"), LINKS)
def test_a_link_says_whose_it_is_and_what_for(purpose: Purpose, topic: str | None) -> None:
    token = make_link(KEYS, TENANT, PATIENT, purpose, topic, NOW)
    found = read_link(KEYS, token, NOW)
    assert isinstance(found, Link)
    assert (found.tenant, found.patient, found.purpose, found.topic) == (TENANT, PATIENT, purpose, topic)
    assert len(token) <= LONGEST
    assert re.fullmatch(r"[\w-]+", token), "it needs no escaping"


@pytest.mark.parametrize("purpose", LIFE)
def test_a_link_ends(purpose: Purpose) -> None:
    token = make_link(KEYS, TENANT, PATIENT, purpose, None, NOW)
    life = LIFE[purpose]
    assert read_link(KEYS, token, NOW + life) is not None
    assert read_link(KEYS, token, NOW + life + timedelta(hours=1)) is None


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_link_lasts_as_long_as_it_was_promised(now: datetime) -> None:
    found = read_link(KEYS, make_link(KEYS, TENANT, PATIENT, "preferences", None, now), now)
    assert found
    assert timedelta() <= found.expires_at - now - LIFE["preferences"] < timedelta(hours=1, seconds=1)


@given(st.data())
def test_a_link_that_was_touched_is_none(data: st.DataObject) -> None:
    token = make_link(KEYS, TENANT, PATIENT, "unsubscribe", "marketing", NOW)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_=+/ é\x00").filter(lambda each: each != token[at]))
    assert read_link(KEYS, token[:at] + letter + token[at + 1 :], NOW) is None


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_was_never_a_link_is_none(token: str) -> None:
    assert read_link(KEYS, token, NOW) is None


@pytest.mark.parametrize("more", ["=", "==", "A", "-", "\n", " ", "%3D"])
def test_a_link_has_one_spelling(more: str) -> None:
    token = make_link(KEYS, TENANT, PATIENT, "preferences", None, NOW)
    assert read_link(KEYS, token + more, NOW) is None


def test_an_older_key_still_reads_and_an_unknown_one_does_not() -> None:
    token = make_link(Keys({"old": OLD}), TENANT, PATIENT, "preferences", None, NOW)
    assert read_link(Keys({"new": NEW, "old": OLD}), token, NOW) is not None
    assert read_link(Keys({"new": NEW}), token, NOW) is None
    assert make_link(Keys({"new": NEW, "old": OLD}), TENANT, PATIENT, "preferences", None, NOW) != token


def test_a_link_made_again_at_once_is_the_same() -> None:
    soon = NOW + timedelta(minutes=10)
    assert make_link(KEYS, TENANT, PATIENT, "preferences", None, NOW) == make_link(
        KEYS, TENANT, PATIENT, "preferences", None, soon
    )


def test_a_topic_nobody_could_have_makes_no_link() -> None:
    with pytest.raises(ValueError, match="too long"):
        make_link(KEYS, TENANT, PATIENT, "unsubscribe", "x" * 60, NOW)
