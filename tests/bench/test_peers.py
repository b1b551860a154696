"""How the hub is put beside its peers: its own frames, as long as theirs, with the stamp that the harness reads."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime

import pytest

from bench.peer_publisher import row
from bench.timetable import keep
from hub.realtime.pushes import InboxMoved, rang


def message(size: int) -> str:
    """As the harness writes it."""
    text = '{"type":"notification","id":7,"ts":1234567890123456,"body":""}'
    return text[:-2] + "x" * (size - len(text)) + text[-2:]


@pytest.mark.parametrize(("size", "least", "most"), [(300, 390, 430), (4096, 4076, 4116)])
def test_a_frame_holds_the_stamp_unescaped_and_is_as_long_as_the_message(size: int, least: int, most: int) -> None:
    person = uuid.uuid4()
    now = datetime.now(UTC)
    shared = row(message(size), now.isoformat())
    push = rang(uuid.uuid4(), [(person, 12, 12, uuid.uuid4())], shared, urgent=False, at=now.timestamp())
    assert isinstance(push, InboxMoved)
    assert b'"ts":1234567890123456' in push.data
    assert json.loads(push.data)["items"][0]["facts"] == {"ts": 1234567890123456}
    assert least <= len(push.data) <= most


async def test_what_cannot_be_kept_up_with_is_not_begun_and_the_time_is_kept() -> None:
    begun = 0

    async def slow() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.2)

    took = await keep(slow, rate=2000, seconds=0.5)
    assert begun < 500
    assert took == pytest.approx(0.5, abs=0.3)
