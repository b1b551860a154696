"""What a client gets for breaking the rules, and what the others notice of it: nothing."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from hub.realtime.frames import LARGEST_FRAME, Close
from tests.conftest import RunningHub
from tests.factories import Clinic, tell
from tests.live_client import LiveClient, open_socket
from tests.realtime.conftest import cookie_for, open_tab

TOO_LARGE_FOR_A_MESSAGE = 1009


def padded(size: int) -> str:
    frame = json.dumps({"t": "watch", "topic": ""})
    return frame.replace('""', '"' + "x" * (size - len(frame)) + '"')


BAD: dict[str, tuple[str | bytes, int]] = {
    "not JSON": ("{", Close.MALFORMED),
    "nothing": ("", Close.MALFORMED),
    "binary": (b'{"t":"pong","n":1}', Close.MALFORMED),
    "a list": ("[1]", Close.MALFORMED),
    "very deep": ("[" * 10_000, Close.MALFORMED),
    "unknown type": ('{"t":"subscribe"}', Close.MALFORMED),
    "unknown type in another script": (json.dumps({"t": "漢" * 200}, ensure_ascii=False), Close.MALFORMED),
    "unknown field": ('{"t":"fill","from":1,"to":2}', Close.MALFORMED),
    "unknown field in another script": (
        json.dumps({"t": "fill", "from": 1, "ش" * 200: 1}, ensure_ascii=False),
        Close.MALFORMED,
    ),
    "wrong type": ('{"t":"read","ids":7,"nonce":"1"}', Close.MALFORMED),
    "too many ids": (json.dumps({"t": "read", "ids": [str(uuid.uuid4())] * 101, "nonce": "1"}), Close.MALFORMED),
    "a second hello": ('{"t":"hello","v":1}', Close.OUT_OF_ORDER),
    "too large": (padded(LARGEST_FRAME + 1), Close.TOO_LARGE),
    "far too large": (padded(64 * 1024 + 1), TOO_LARGE_FOR_A_MESSAGE),
}


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_frame_ends_its_connection_by_a_code_and_no_other(
    hub: RunningHub, clinic: Clinic, bad: str
) -> None:
    frame, code = BAD[bad]
    async with open_tab(hub, clinic.omar) as offender, open_tab(hub, clinic.omar) as bystander:
        await offender.socket.send(frame)
        assert await offender.hear_the_end() == code
        await tell(hub.house, clinic, clinic.omar, title="Still here")
        await bystander.hear_everything(1)
        assert [each["t"] for each in bystander.frames] == ["welcome", "snap", "ev"]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("{", Close.MALFORMED),
        (b"\x00", Close.MALFORMED),
        (padded(LARGEST_FRAME + 1), Close.TOO_LARGE),
        ('{"t":"pong","n":1}', Close.OUT_OF_ORDER),
        ('{"t":"fill","from":0}', Close.OUT_OF_ORDER),
        ('{"t":"hello","v":2}', Close.UNSUPPORTED_VERSION),
        ('{"t":"hello","v":0}', Close.UNSUPPORTED_VERSION),
        ('{"t":"hello","v":1,"cursor":{"epoch":"e","seq":-1}}', Close.MALFORMED),
        ('{"t":"hello","v":1,"device":"phone"}', Close.MALFORMED),
    ],
)
async def test_whoever_does_not_begin_with_hello_is_turned_down(
    hub: RunningHub, clinic: Clinic, first: str | bytes, code: int
) -> None:
    async with open_socket(hub.live_url, await cookie_for(hub.house, clinic.omar)) as live:
        await live.socket.send(first)
        assert await live.hear_the_end() == code
        assert live.frames == []


@pytest.mark.parametrize("frame", ['{"t":"pong","n":1}', '{"t":"fill","from":0}', '{"t":"watch","topic":"x"}'])
async def test_whoever_says_too_much_is_told_to_back_off(hub: RunningHub, clinic: Clinic, frame: str) -> None:
    async with open_tab(hub, clinic.omar) as offender, open_tab(hub, clinic.omar) as bystander:
        for _ in range(100):
            await offender.socket.send(frame)
        assert await offender.hear_the_end() == Close.TOO_MANY_FRAMES
        await tell(hub.house, clinic, clinic.omar)
        await bystander.hear_everything(1)


async def test_a_burst_within_the_allowance_is_taken(hub: RunningHub, clinic: Clinic) -> None:
    async with open_tab(hub, clinic.omar) as live:
        for index in range(30):
            await live.say(t="read", ids=[str(uuid.uuid4())], nonce=str(index))
        assert [(await live.hear())["nonce"] for _ in range(30)] == [str(index) for index in range(30)]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x81\x05hello",  # a frame without a mask
        b"\x83\x80\x00\x00\x00\x00",  # an opcode that does not exist
        b"\x81\xfe\x00\x02\x00\x00\x00\x00\xff\xff",  # text that is not UTF-8
        b"\x88\x82\x00\x00\x00\x00\x00\x01",  # a close code that nobody may send
        b"\xc1\x80\x00\x00\x00\x00",  # a reserved bit
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",  # of nine exabytes
    ],
)
async def test_bytes_that_are_no_websocket_end_the_connection_and_no_other(
    hub: RunningHub, clinic: Clinic, raw: bytes
) -> None:
    async with open_tab(hub, clinic.omar) as offender, open_tab(hub, clinic.omar) as bystander:
        offender.socket.transport.write(raw)
        await _ends(offender)
        await tell(hub.house, clinic, clinic.omar)
        await bystander.hear_everything(1)


async def _ends(live: LiveClient) -> None:
    async with asyncio.timeout(15):
        await live.socket.wait_closed()
