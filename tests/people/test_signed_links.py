"""What every link that opens something shares: it says little, ends, is spelled in one way, and cannot be forged."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto import Keys
from hub.people.signed_links import LONGEST, read, sign

OLD, NEW = bytes(32), bytes(range(32))
KEYS = Keys({"k1": NEW})
NOW = datetime(2026, 11, 21, 7, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SAID = bytes(range(40, 72))
TOKEN = sign(KEYS, "door", SAID, NOW + HOUR)


@given(
    st.binary(max_size=60),
    st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_link_says_what_it_was_made_to_say_until_the_full_hour_after(said: bytes, until: datetime) -> None:
    token = sign(KEYS, "door", said, until)
    assert len(token) <= LONGEST
    assert re.fullmatch(r"[\w-]+", token), "it needs no escaping"
    found = read(KEYS, "door", token, until - timedelta(microseconds=1))
    assert found
    assert found.said == said
    assert timedelta() <= found.expires_at - until < HOUR
    assert (found.expires_at.minute, found.expires_at.second, found.expires_at.microsecond) == (0, 0, 0)
    assert read(KEYS, "door", token, found.expires_at) is None


@given(st.integers(0, len(base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))) * 8 - 1))
def test_a_link_with_any_bit_changed_is_none(bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4)))
    raw[bit // 8] ^= 1 << bit % 8
    assert read(KEYS, "door", base64.urlsafe_b64encode(raw).decode().rstrip("="), NOW) is None


@given(st.data())
def test_a_link_with_any_letter_changed_is_none(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_=+/ é\x00").filter(lambda each: each != TOKEN[at]))
    assert read(KEYS, "door", TOKEN[:at] + letter + TOKEN[at + 1 :], NOW) is None


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_was_never_a_link_is_none(token: str) -> None:
    assert read(KEYS, "door", token, NOW) is None


@pytest.mark.parametrize("more", ["=", "==", "A", "-", "\n", " ", "%3D"])
@pytest.mark.parametrize("bytes_said", [31, 32, 33])
def test_a_link_has_one_spelling(more: str, bytes_said: int) -> None:
    token = sign(KEYS, "door", bytes(bytes_said), NOW + HOUR)
    assert read(KEYS, "door", token, NOW) is not None
    assert read(KEYS, "door", token + more, NOW) is None


def test_a_link_of_one_kind_never_passes_for_another() -> None:
    assert read(KEYS, "gate", TOKEN, NOW) is None
    assert sign(KEYS, "gate", SAID, NOW + HOUR) != TOKEN


def test_an_older_key_still_reads_and_an_unknown_one_does_not() -> None:
    token = sign(Keys({"old": OLD}), "door", SAID, NOW + HOUR)
    assert read(Keys({"new": NEW, "old": OLD}), "door", token, NOW) is not None
    assert read(Keys({"new": NEW}), "door", token, NOW) is None
    assert sign(Keys({"new": NEW, "old": OLD}), "door", SAID, NOW + HOUR) != token, "the newest one signs"


def test_what_is_too_much_to_say_makes_no_link() -> None:
    with pytest.raises(ValueError, match="too much"):
        sign(KEYS, "door", bytes(80), NOW)
    assert read(KEYS, "door", TOKEN * 2, NOW) is None
