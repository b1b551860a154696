"""The bytes of a frame, with the `websockets` library to say what they should be."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode

from hub.realtime.pushes import InboxMoved, rang
from hub.realtime.wire import Frame, ahead_of, encode, text_message

TENANT, PERSON, ROW = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3))
row_members = st.dictionaries(texts.filter(lambda name: name not in ("id", "number", "seq")), values, min_size=1)


def theirs(data: bytes) -> bytes:
    return TheirFrame(Opcode.TEXT, data).serialize(mask=False)


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 1_000_000])
def test_a_message_of_any_size_is_framed_as_the_library_does(size: int) -> None:
    data = b"x" * size
    assert text_message(data) == theirs(data)
    assert (Frame(data).wire, Frame(data).data) == (theirs(data), data)


@given(st.binary(max_size=70_000))
def test_whatever_is_in_a_message_it_is_framed_as_the_library_does(data: bytes) -> None:
    assert text_message(data) == theirs(data)


def test_frames_are_sent_as_they_are_read_without_escapes() -> None:
    assert encode({"title": "وصول سارة"}) == '{"title":"وصول سارة"}'.encode()


@given(st.integers(1, 2**53), st.integers(0, 2**31), row_members)
def test_a_ring_joined_of_its_parts_is_the_event_as_it_would_be_written_whole(
    seq: int, unread: int, row: dict[str, object]
) -> None:
    push = rang(TENANT, [(PERSON, seq, unread, ROW)], row, urgent=False, at=0.0)
    assert isinstance(push, InboxMoved)
    whole = {"id": str(ROW), "number": seq, "seq": seq} | row
    assert json.loads(push.data) == {"t": "ev", "seq": seq, "prev": seq - 1, "unread": unread, "items": [whole]}
    told = ahead_of(push)
    assert json.loads(told.data) == {"t": "ahead", "items": [whole]}
    assert (told.urgent, told.moves_to) == (False, None)
