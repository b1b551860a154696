"""What opens a socket at once, what is left to the library, and that the answer is the library's."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.streams import StreamReader
from websockets.uri import parse_uri

from hub.realtime.handshake import LONGEST_LINE, MOST_HEADERS, address_of, answer_to, subprotocols_of, switching

KEY = base64.b64encode(bytes(range(16)))
USUAL = [
    (b"host", b"hub.example"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", KEY),
    (b"sec-websocket-version", b"13"),
    (b"cookie", b"session=1"),
]


def asked(
    *more: tuple[bytes, bytes],
    without: bytes = b"",
    method: bytes = b"GET",
    version: str = "1.1",
    url: bytes = b"/live",
) -> str | None:
    return answer_to(method, version, url, [*(each for each in USUAL if each[0] != without), *more])


def read(answer: bytes) -> Response:
    """An answer as the library reads it."""
    reader = StreamReader()
    reader.feed_data(answer)
    parsing = Response.parse(reader.read_line, reader.read_exact, reader.read_to_eof)
    try:
        while True:
            next(parsing)
    except StopIteration as end:
        response: Response = end.value
        return response


@given(st.binary(min_size=16, max_size=16))
def test_the_usual_request_is_answered_as_the_library_would(nonce: bytes) -> None:
    key = base64.b64encode(nonce)
    headers = [(name, key if name == b"sec-websocket-key" else value) for name, value in USUAL]
    theirs = ServerProtocol().accept(Request("/live", Headers([(n.decode(), v.decode()) for n, v in headers])))
    assert theirs.status_code == 101
    assert answer_to(b"GET", "1.1", b"/live", headers) == theirs.headers["Sec-WebSocket-Accept"]


def test_a_client_of_the_library_takes_the_answer() -> None:
    client = ClientProtocol(parse_uri("ws://hub.example/live"), subprotocols=["hub.v1"])  # type: ignore[list-item]
    request = client.connect()
    client.send_request(request)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.raw_items()]
    accept = answer_to(b"GET", "1.1", b"/live", headers)
    assert accept is not None
    assert subprotocols_of(headers) == ["hub.v1"]
    client.receive_data(switching(accept, [(b"date", b"now")], "hub.v1"))
    assert client.handshake_exc is None
    assert (client.state.name, client.subprotocol) == ("OPEN", "hub.v1")


def test_headers_of_the_server_and_the_app_go_along() -> None:
    response = read(switching("abc", [(b"date", b"now"), (b"set-cookie", b"a=1")], None))
    assert (response.status_code, response.headers["Upgrade"], response.headers["Connection"]) == (
        101,
        "websocket",
        "Upgrade",
    )
    assert (response.headers["Date"], response.headers["Set-Cookie"]) == ("now", "a=1")
    assert "Sec-WebSocket-Protocol" not in response.headers


UNUSUAL: dict[str, dict[str, Any]] = {
    "another method": {"method": b"POST"},
    "an old protocol": {"version": "1.0"},
    "no key": {"without": b"sec-websocket-key"},
    "no version": {"without": b"sec-websocket-version"},
    "an address that is not ASCII": {"url": "/live?q=é".encode()},
    "an endless address": {"url": b"/" + b"x" * LONGEST_LINE},
}
MORE: dict[str, tuple[bytes, bytes]] = {
    "two keys": (b"sec-websocket-key", KEY),
    "two versions": (b"sec-websocket-version", b"13"),
    "two upgrades": (b"upgrade", b"h2c"),
    "a body": (b"content-length", b"5"),
    "a body in chunks": (b"transfer-encoding", b"chunked"),
    "an endless header": (b"cookie", b"x" * LONGEST_LINE),
}


def test_the_usual_request_is_usual() -> None:
    assert asked() is not None


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_what_is_unusual_is_left_to_the_library(unusual: str) -> None:
    assert asked(**UNUSUAL[unusual]) is None


@pytest.mark.parametrize("more", MORE)
def test_what_comes_on_top_is_left_to_the_library(more: str) -> None:
    assert asked(MORE[more]) is None


def test_more_headers_than_anybody_sends_are_left_to_the_library() -> None:
    assert asked(*[(b"x", b"y")] * (MOST_HEADERS - len(USUAL))) is not None
    assert asked(*[(b"x", b"y")] * (MOST_HEADERS - len(USUAL) + 1)) is None


@pytest.mark.parametrize("key", [b"", b"x", KEY[:-1], KEY + KEY, b"!" * 24, KEY + b"\n", b" " + KEY, "ключ".encode()])
def test_a_key_that_is_none_is_left_to_the_library(key: bytes) -> None:
    assert asked((b"sec-websocket-key", key), without=b"sec-websocket-key") is None


@pytest.mark.parametrize("version", [b"8", b"13 ", b"13, 8", b""])
def test_a_version_that_is_not_ours_is_left_to_the_library(version: bytes) -> None:
    assert asked((b"sec-websocket-version", version), without=b"sec-websocket-version") is None


def test_an_address_is_taken_apart() -> None:
    assert address_of(b"/li%76e?a=b&c=%20?", "") == {
        "root_path": "",
        "path": "/live",
        "raw_path": b"/li%76e",
        "query_string": b"a=b&c=%20?",
    }
    mounted = address_of(b"/live", "/hub")
    assert (mounted["path"], mounted["raw_path"], mounted["query_string"]) == ("/hub/live", b"/hub/live", b"")


def test_subprotocols_come_in_the_order_in_which_they_are_offered() -> None:
    assert subprotocols_of([(b"sec-websocket-protocol", b"a, b"), (b"x", b"y"), (b"sec-websocket-protocol", b"c")]) == [
        "a",
        "b",
        "c",
    ]
    assert subprotocols_of(USUAL) == []
