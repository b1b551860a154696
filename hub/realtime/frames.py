"""The frames of protocol `hub.v1` (pure): what clients may say, what the hub says, and how a connection ends."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hub.realtime.pushes import TopicChanged
from hub.realtime.wire import Frame, encode

SUBPROTOCOL = "hub.v1"
VERSION = 1
LARGEST_FRAME = 16 * 1024
HEARTBEAT_S = 15
LONGEST_RETRY_S = 30
MOST_MARKED = 100
MOST_SAID_AT_ONCE = 20
RENEW_WITHIN_S = 60

# Subjects of frames of which only the newest counts; every topic is one as well.
WELCOME, HEARTBEAT, RENEW = "welcome", "hb", "renew"

Nonce = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=0, le=2**53)]


class Close(IntEnum):
    """Why a connection ends; the range tells the client what to do about it."""

    # Do not come back by yourself: the client is wrong.
    MALFORMED = 4000
    UNSUPPORTED_VERSION = 4001
    OUT_OF_ORDER = 4002
    TOO_LARGE = 4003
    # Come back later.
    TOO_MANY_FRAMES = 4100
    HELLO_TIMEOUT = 4101
    TOO_MANY_CONNECTIONS = 4102
    DATABASE_AWAY = 4103
    BUSY = 4104
    # Come back with another proof of who you are.
    NOT_SIGNED_IN = 4150
    SESSION_ENDED = 4151
    TOKEN_EXPIRED = 4152
    # Come back after the usual random wait.
    GOING_AWAY = 4200
    SLOW_READER = 4201

    @property
    def reason(self) -> str:
        """The code in words."""
        return self.name.lower().replace("_", " ")


class EndConnection(Exception):
    """The connection ends here; `close` says why, and so whether the client should come back."""

    def __init__(self, close: Close, detail: str) -> None:
        super().__init__(detail)
        self.close = close
        self.detail = detail


class _Frame(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Cursor(_Frame):
    """How far a client has come, in which epoch of its inbox."""

    epoch: Annotated[str, Field(max_length=64)]
    seq: Number


class Hello(_Frame):
    """The first frame."""

    t: Literal["hello"]
    v: int
    cursor: Cursor | None = None
    token: Annotated[str, Field(max_length=4096)] | None = None


class MarkFrame(_Frame):
    """Mark these read, unread or archived."""

    t: Literal["read", "unread", "archive"]
    ids: Annotated[list[Annotated[uuid.UUID, Field(strict=False)]], Field(min_length=1, max_length=MOST_MARKED)]
    nonce: Nonce


class ReadAll(_Frame):
    """Mark everything up to a number read."""

    t: Literal["read_all"]
    upto: Number
    nonce: Nonce


class FillRequest(_Frame):
    """Send what follows this number."""

    t: Literal["fill"]
    from_: Annotated[Number, Field(alias="from")]


class Watch(_Frame):
    """Tell me, or stop telling me, when a shared view changes."""

    t: Literal["watch", "unwatch"]
    topic: Annotated[str, Field(max_length=64)]


class Pong(_Frame):
    """The answer to a heartbeat; it may be left out."""

    t: Literal["pong"]
    n: int


class Renewal(_Frame):
    """A new token for the same person."""

    t: Literal["auth"]
    token: Annotated[str, Field(max_length=4096)]
    nonce: Nonce


class Receipt(_Frame):
    """The client has applied everything up to a number; the newest of it came `held_ms` milliseconds ago."""

    t: Literal["recv"]
    seq: Number
    held_ms: Annotated[int, Field(ge=0, le=60_000)]


# What may also be said by itself, without a connection.
SaidFrame = MarkFrame | ReadAll | FillRequest | Pong | Renewal | Receipt
ClientFrame = Hello | MarkFrame | ReadAll | FillRequest | Watch | Pong | Renewal | Receipt
_client_frame: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="t")])
_said_frames: TypeAdapter[list[SaidFrame]] = TypeAdapter(
    Annotated[list[Annotated[SaidFrame, Field(discriminator="t")]], Field(min_length=1, max_length=MOST_SAID_AT_ONCE)]
)


def parse(text: str | bytes | None) -> ClientFrame:
    """Read a client's frame; raises EndConnection when it is binary, too large, or not a frame of the protocol."""
    if not isinstance(text, str):
        raise EndConnection(Close.MALFORMED, "frames are JSON text")
    try:
        if len(text) > LARGEST_FRAME or len(text.encode()) > LARGEST_FRAME:
            raise EndConnection(Close.TOO_LARGE, f"a frame has at most {LARGEST_FRAME} bytes")
        return _client_frame.validate_json(text)
    except ValidationError as error:
        raise malformed(error) from error
    except UnicodeEncodeError as error:
        raise EndConnection(Close.MALFORMED, "frames are JSON text in UTF-8") from error


def parse_said(body: bytes) -> list[SaidFrame]:
    """Read what a client says by one request; raises EndConnection, and then none of it counts."""
    try:
        return _said_frames.validate_json(body)
    except ValidationError as error:
        raise malformed(error) from error


def malformed(error: ValidationError) -> EndConnection:
    """What was wrong first, in few words."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return EndConnection(Close.MALFORMED, f"{where or 'frame'}: {first['msg']}"[:100])


def first_retry_s(connections: int) -> int:
    """The longest first wait of a client whose connection was lost, in seconds.

    The more there are, the longer, so that of thousands no second sees more than a twentieth.
    """
    return min(20, max(5, connections // 250))


def welcome(
    conn: str,
    epoch: str,
    head: int,
    unread: int,
    *,
    reset: bool,
    you: dict[str, str],
    first_retry: int,
    now: datetime,
) -> Frame:
    """The answer to hello: where the inbox stands, and how to behave."""
    return Frame(
        encode(
            {
                "t": "welcome",
                "conn": conn,
                "epoch": epoch,
                "head": head,
                "unread": unread,
                "hb": HEARTBEAT_S,
                "backoff": {"first": first_retry, "cap": LONGEST_RETRY_S},
                "resume": "reset" if reset else "ok",
                "you": you,
                "now": now.isoformat(),
            }
        ),
        subject=WELCOME,
    )


def fill(since: int, upto: int, unread: int, items: list[dict[str, Any]]) -> Frame:
    """Every row that changed after `since`, up to `upto`, as it is now."""
    frame = {"t": "fill", "from": since, "to": upto, "unread": unread, "items": items}
    return Frame(encode(frame), moves_to=upto, rows=True)


def snap(seq: int, unread: int, items: list[dict[str, Any]], *, more: bool) -> Frame:
    """Forget everything and take these newest rows."""
    frame = {"t": "snap", "seq": seq, "unread": unread, "items": items, "more": more}
    return Frame(encode(frame), moves_to=seq, rows=True)


def state(push: TopicChanged) -> Frame:
    """A shared view has this version."""
    return Frame(encode({"t": "state", "topic": push.topic, "ver": push.version}), subject=push.topic)


_HEARTBEAT = b'{"t":"hb","n":%d,"head":%d,"unread":%d,"topics":%b,"now":"%b"}'


def heartbeat(n: int, head: int, unread: int, topics: dict[str, int] | None, now: str) -> Frame:
    """Where everything stands at `now`, so that a lost last frame is noticed."""
    # Thousands a minute, so it is filled in rather than written.
    data = _HEARTBEAT % (n, head, unread, encode(topics) if topics else b"{}", now.encode())
    return Frame(data, subject=HEARTBEAT)


def drain(after_ms: int) -> Frame:
    """The hub is about to stop: connect anew after so many milliseconds, and stay until then."""
    return Frame(encode({"t": "drain", "after_ms": after_ms}))


def renew() -> Frame:
    """The token ends soon."""
    return Frame(encode({"t": "renew", "within_s": RENEW_WITHIN_S}), subject=RENEW)


def bye(code: Close) -> Frame:
    """What a close code says, where there is no closing: an answer by HTTP ends with it."""
    return Frame(encode({"t": "bye", "code": code, "reason": code.reason}))


def ok(nonce: str) -> Frame:
    """A request was carried out."""
    return Frame(encode({"t": "ok", "nonce": nonce}))


def refused(nonce: str | None, code: str, detail: str) -> Frame:
    """A request was not carried out."""
    return Frame(encode({"t": "err", "code": code, "detail": detail} | ({"nonce": nonce} if nonce else {})))


def token_refused(nonce: str) -> Frame:
    """A new token is worth nothing here."""
    return refused(nonce, "token_refused", "This token does not count; get a new one.")


def forbidden_topic() -> Frame:
    """A shared view that is not there, or not for them."""
    return refused(None, "forbidden", "There is no such topic for you.")
