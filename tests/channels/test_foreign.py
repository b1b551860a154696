"""What others wrote is read without trust: whatever it is, the answer is a value or a refusal."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.foreign import first_of, moment_of, read_json, text_of, without_case
from hub.errors import Malformed

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b'{"a":1' + b"0" * 5000 + b"}"],
    ids=["empty", "open", "list", "text", "not UTF-8", "nested lists", "nested objects", "a huge number"],
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(raw)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(read_json(raw), dict)


def test_numbers_with_a_point_stay_as_they_were_written() -> None:
    assert read_json(b'{"cost": 0.10}')["cost"] == Decimal("0.10")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-01T07:00:00.120Z", datetime(2026, 3, 1, 7, 0, 0, 120_000, tzinfo=UTC)),
        ("2026-03-01T07:00:00+05:00", datetime(2026, 3, 1, 2, tzinfo=UTC)),
        ("2018-10-08T14:05:45 +0000", datetime(2018, 10, 8, 14, 5, 45, tzinfo=UTC)),
        ("2026-03-01T07:00:00", datetime(2026, 3, 1, 7, tzinfo=UTC)),
        ("2026-03-01T07:00:00-05:00", NOW),
        ("yesterday", NOW),
        ("", NOW),
        (None, NOW),
        (1740816000, NOW),
        ("0001-01-01T00:00:00+14:00", NOW),
        ("9999-12-31T23:59:59-14:00", NOW),
    ],
)
def test_moments_are_read_in_every_form_vendors_use(written: Any, read: datetime) -> None:
    assert moment_of(written, NOW) == read


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists, max_leaves=5))
def test_texts_are_short_and_printable(value: Any) -> None:
    text = text_of(value)
    assert text.isprintable()
    assert len(text) <= 200
    json.dumps(text).encode()


def test_the_first_of_several_names_counts_in_any_case() -> None:
    fields = without_case([("MessageID", 7), ("messageid", 8), ("DLR", "")])
    assert first_of(fields, "dlr", "messageid") == "7"
