"""Pushes as bytes: they come out as they went in, and whatever else comes is refused."""

from __future__ import annotations

import json
import struct
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.packets import Unreadable, pack, unpack
from hub.realtime.pushes import STANDING, AccessEnded, Push, Rang, TopicChanged, changed, rang, swept

TENANT, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

ids = st.uuids()
maybe_ids = st.none() | ids
numbers = st.integers(0, 2**53)
counts = st.integers(0, 2**32 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
items = st.dictionaries(texts, texts | st.integers() | st.none() | st.booleans(), max_size=4)
times = st.datetimes(timezones=st.just(UTC))
seconds = st.floats(0, 1e11)
people = st.lists(st.tuples(ids, numbers, counts, ids), max_size=5)

rings = st.builds(
    lambda people, row, urgent, at: rang(TENANT, people, row, urgent=urgent, at=at),
    people,
    items,
    st.booleans(),
    seconds,
)
moves = st.builds(changed, st.just(TENANT), ids, numbers, counts, st.lists(items, max_size=3)) | st.builds(
    swept, st.just(TENANT), ids, numbers, counts, numbers, times
)
topics = st.builds(TopicChanged, st.just(TENANT), texts, numbers)
ends = st.builds(AccessEnded, st.just(TENANT), maybe_ids, maybe_ids, maybe_ids, maybe_ids)
# JSON that looks like a push now and then.
names = texts | st.sampled_from(["person", "seq", "at", "topic", "version", "unread"])
bodies = st.recursive(
    st.none() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(names, inner)
).map(lambda body: json.dumps(body).encode())
pushes = st.lists(rings | moves | topics | ends, max_size=6)


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("!BI", kind, len(body)) + body


@given(pushes)
def test_pushes_come_out_as_they_went_in(sent: list[Push]) -> None:
    assert unpack(pack(sent), TENANT) == sent


@given(pushes)
def test_they_are_of_the_tenant_on_whose_channel_they_come(sent: list[Push]) -> None:
    assert {push.tenant for push in unpack(pack(sent), OTHER)} <= {OTHER}


@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable_or_pushes(data: bytes) -> None:
    with suppress(Unreadable):
        assert isinstance(unpack(data, TENANT), list)


@given(st.integers(0, 8), st.binary(max_size=120) | bodies)
def test_records_of_random_content_are_unreadable_or_pushes(kind: int, body: bytes) -> None:
    with suppress(Unreadable):
        unpack(record(kind, body), TENANT)


@given(pushes.filter(bool), st.data())
def test_a_damaged_packet_is_unreadable_or_pushes(sent: list[Push], data: st.DataObject) -> None:
    packet = pack(sent)
    end = data.draw(st.integers(0, len(packet) - 1))
    changed = bytearray(packet)
    changed[end] ^= data.draw(st.integers(1, 255))
    for damaged in (packet[:end], bytes(changed)):
        with suppress(Unreadable):
            unpack(damaged, TENANT)


STANDINGS = STANDING.pack(OTHER.bytes, 1, 1, str(OTHER).encode())
HEAD = struct.pack("!I?d", len(STANDINGS), True, 0.0)
MOVED = struct.pack("!16sQI?d", OTHER.bytes, 1, 1, True, 0.0)

BAD: dict[str, Any] = {
    "half a head": b"\x03",
    "cut short": struct.pack("!BI", 3, 9) + b"{}",
    "no such kind": record(9, b"{}"),
    "no JSON": record(3, b"{"),
    "not UTF-8": record(3, b'"\xff"'),
    "a list": record(3, b"[]"),
    "a number": record(3, b"7"),
    "a field too few": record(3, b'{"version":1}'),
    "a field too many": record(3, b'{"topic":"a","version":1,"more":1}'),
    "a tenant of its own": record(3, json.dumps({"topic": "a", "version": 1, "tenant": OTHER.hex}).encode()),
    "no id": record(4, b'{"person":"x"}'),
    "an id that is a number": record(4, b'{"person":7}'),
    "a move as it was before": record(2, json.dumps({"person": OTHER.hex, "seq": 1, "unread": 1, "at": None}).encode()),
    "a ring as it was before": record(1, struct.pack("!d?I", 0.0, True, len(STANDINGS)) + STANDINGS + b"}"),
    "a move cut in its head": record(6, MOVED[:-1]),
    "a move without its event": record(6, MOVED),
    "endlessly deep": record(3, b"[" * 100_000),
    "a ring without a head": record(5, b"\0" * 5),
    "a ring without its row": record(5, HEAD + STANDINGS),
    "a ring cut in the standings": record(5, HEAD + STANDINGS[:-1]),
    "a ring of half a standing": record(5, struct.pack("!I?d", 7, True, 0.0) + b"1234567}"),
}


@pytest.mark.parametrize("bad", BAD)
def test_anything_else_is_unreadable(bad: str) -> None:
    with pytest.raises(Unreadable):
        unpack(BAD[bad], TENANT)


def test_a_ring_travels_almost_as_it_is_kept() -> None:
    push = rang(
        TENANT, [(uuid.uuid4(), 1, 1, uuid.uuid4()) for _ in range(1000)], {"title": "x" * 100}, urgent=True, at=1.0
    )
    assert isinstance(push, Rang)
    assert len(push) == 1000
    assert len(pack([push])) < len(push.standings) + len(push.shared) + 50
    assert unpack(pack([push]), TENANT) == [push]
