"""What a frame is, and what is none."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.realtime import frames
from hub.realtime.frames import Close, EndConnection
from hub.realtime.pushes import TopicChanged, changed, swept
from hub.realtime.wire import Frame

# Written out: every worker of a run has to give the same names to the same tests.
TENANT, PERSON, ROW = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def said(frame: Frame) -> Any:
    return json.loads(frame.data)


def refusal_of(text: str | bytes | None) -> EndConnection:
    with pytest.raises(EndConnection) as refused:
        frames.parse(text)
    return refused.value


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('{"t":"hello","v":1}', frames.Hello(t="hello", v=1)),
        (
            '{"t":"hello","v":1,"cursor":{"epoch":"e","seq":7},"token":"x"}',
            frames.Hello(t="hello", v=1, cursor=frames.Cursor(epoch="e", seq=7), token="x"),
        ),
        (
            f'{{"t":"archive","ids":["{ROW}"],"nonce":"1"}}',
            frames.MarkFrame(t="archive", ids=[ROW], nonce="1"),
        ),
        ('{"t":"read_all","upto":9,"nonce":"1"}', frames.ReadAll(t="read_all", upto=9, nonce="1")),
        ('{"t":"fill","from":3}', frames.FillRequest.model_validate({"t": "fill", "from": 3})),
        ('{"t":"watch","topic":"arrivals"}', frames.Watch(t="watch", topic="arrivals")),
        ('{"t":"unwatch","topic":"arrivals"}', frames.Watch(t="unwatch", topic="arrivals")),
        ('{"t":"pong","n":2}', frames.Pong(t="pong", n=2)),
        ('{"t":"auth","token":"x","nonce":"1"}', frames.Renewal(t="auth", token="x", nonce="1")),
        ('{"t":"recv","seq":9,"held_ms":250}', frames.Receipt(t="recv", seq=9, held_ms=250)),
    ],
)
def test_every_frame_of_the_protocol_is_understood(text: str, frame: frames.ClientFrame) -> None:
    assert frames.parse(text) == frame


@pytest.mark.parametrize(
    "text",
    [
        None,
        b'{"t":"pong","n":1}',
        "",
        "hello",
        "{",
        "[]",
        "null",
        '[{"t":"pong","n":1}]',
        "[" * 9000,
        "{}",
        '{"t":null}',
        '{"t":["pong"],"n":1}',
        '{"t":"welcome"}',
        '{"t":"pong"}',
        '{"t":"pong","n":"1"}',
        '{"t":"pong","n":1.5}',
        '{"t":"pong","n":1e999}',
        '{"t":"pong","n":1,"extra":true}',
        '{"t":"hello","v":"1"}',
        '{"t":"hello","v":1,"cursor":7}',
        '{"t":"hello","v":1,"cursor":{"epoch":"e","seq":-1}}',
        '{"t":"hello","v":1,"cursor":{"epoch":"e"}}',
        '{"t":"fill","from":-1}',
        '{"t":"fill","from":9007199254740993}',
        '{"t":"read","ids":[],"nonce":"1"}',
        '{"t":"read","ids":["x"],"nonce":"1"}',
        '{"t":"read","ids":["00000000-0000-0000-0000-000000000000"]}',
        '{"t":"read","ids":["00000000-0000-0000-0000-000000000000"],"nonce":""}',
        json.dumps({"t": "read", "ids": [str(ROW)] * 101, "nonce": "1"}),
        '{"t":"read_all","upto":true,"nonce":"1"}',
        '{"t":"fill","from":1,"\\ud800":1}',
        '{"t":"watch","topic":"\\ud800"}',
        '{"t":"auth","token":"x"}',
        '{"t":"auth","nonce":"1"}',
        json.dumps({"t": "auth", "token": "x" * 4097, "nonce": "1"}),
        '{"t":"recv","seq":-1,"held_ms":0}',
        '{"t":"recv","seq":1,"held_ms":60001}',
        '{"t":"recv","seq":1}',
        "\ud800",
    ],
)
def test_anything_else_ends_the_connection_as_malformed(text: str | bytes | None) -> None:
    assert refusal_of(text).close is Close.MALFORMED


def test_a_frame_has_at_most_16_kib_and_they_are_bytes() -> None:
    def padded(letter: str, size: int) -> str:
        return json.dumps({"t": "hello", "v": 1, "x": letter * size}, ensure_ascii=False)

    room = frames.LARGEST_FRAME - len(padded("", 0))
    assert refusal_of(padded("a", room)).close is Close.MALFORMED
    assert refusal_of(padded("a", room + 1)).close is Close.TOO_LARGE
    assert refusal_of(padded("ع", room // 2 + 1)).close is Close.TOO_LARGE


def test_a_refusal_names_the_field_and_never_its_value() -> None:
    refused = refusal_of('{"t":"fill","from":"Sara Doe"}')
    assert refused.detail.startswith("fill.from: ")
    assert "Sara" not in refused.detail


def test_an_event_carries_rows_or_how_far_all_was_read() -> None:
    moved = changed(TENANT, PERSON, 8, 3, [{"id": "a"}])
    assert said(moved) == {"t": "ev", "seq": 8, "prev": 7, "unread": 3, "items": [{"id": "a"}]}
    assert said(swept(TENANT, PERSON, 9, 0, 7, NOW)) == {
        "t": "ev",
        "seq": 9,
        "prev": 8,
        "unread": 0,
        "read_upto": 7,
        "at": "2026-11-21T09:30:00+00:00",
    }


def test_an_answer_names_its_question_if_it_had_a_name() -> None:
    assert said(frames.refused("n1", "not-found", "No.")) == {
        "t": "err",
        "code": "not-found",
        "detail": "No.",
        "nonce": "n1",
    }
    assert said(frames.refused(None, "forbidden", "No.")) == {"t": "err", "code": "forbidden", "detail": "No."}


def test_every_frame_says_first_what_it_is() -> None:
    told = [
        frames.state(TopicChanged(TENANT, "arrivals", 7)),
        frames.heartbeat(3, 9, 2, {"arrivals": 7}, NOW.isoformat()),
        frames.heartbeat(3, 9, 2, None, NOW.isoformat()),
        frames.drain(1500),
        frames.renew(),
        frames.ok("n1"),
        frames.fill(3, 5, 1, [{"id": "a"}]),
        frames.snap(5, 1, [], more=True),
    ]
    assert [said(frame) for frame in told] == [
        {"t": "state", "topic": "arrivals", "ver": 7},
        {"t": "hb", "n": 3, "head": 9, "unread": 2, "topics": {"arrivals": 7}, "now": "2026-11-21T09:30:00+00:00"},
        {"t": "hb", "n": 3, "head": 9, "unread": 2, "topics": {}, "now": "2026-11-21T09:30:00+00:00"},
        {"t": "drain", "after_ms": 1500},
        {"t": "renew", "within_s": 60},
        {"t": "ok", "nonce": "n1"},
        {"t": "fill", "from": 3, "to": 5, "unread": 1, "items": [{"id": "a"}]},
        {"t": "snap", "seq": 5, "unread": 1, "items": [], "more": True},
    ]
    assert [frame.data.startswith(b'{"t":"') for frame in told] == [True] * len(told)


@pytest.mark.parametrize(("connections", "longest"), [(0, 5), (1_000, 5), (2_500, 10), (5_000, 20), (100_000, 20)])
def test_the_more_there_are_the_longer_the_first_wait(connections: int, longest: int) -> None:
    assert frames.first_retry_s(connections) == longest
