"""The frames of protocol `hub.v1` (pure): what clients may say, what the hub says, and how a connection ends."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hub.realtime.pushes import InboxMoved, TopicChanged

SUBPROTOCOL = "hub.v1"
VERSION = 1
LARGEST_FRAME = 16 * 1024
HEARTBEAT_S = 15
FIRST_RETRY_S = 5
LONGEST_RETRY_S = 30
MOST_MARKED = 100

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
    # Come back with another proof of who you are.
    NOT_SIGNED_IN = 4150
    SESSION_ENDED = 4151
    TOKEN_EXPIRED = 4152
    # Come back after the usual random wait.
    GOING_AWAY = 4200
    SLOW_READER = 4201


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


ClientFrame = Hello | MarkFrame | ReadAll | FillRequest | Watch | Pong
_client_frame: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="t")])


def parse(text: str | bytes | None) -> ClientFrame:
    """Read a client's frame; raises EndConnection when it is binary, too large, or not a frame of the protocol."""
    if not isinstance(text, str):
        raise EndConnection(Close.MALFORMED, "frames are JSON text")
    try:
        if len(text) > LARGEST_FRAME or len(text.encode()) > LARGEST_FRAME:
            raise EndConnection(Close.TOO_LARGE, f"a frame has at most {LARGEST_FRAME} bytes")
        return _client_frame.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EndConnection(Close.MALFORMED, f"{where or 'frame'}: {first['msg']}"[:100]) from error
    except UnicodeEncodeError as error:
        raise EndConnection(Close.MALFORMED, "frames are JSON text in UTF-8") from error


def encode(frame: dict[str, Any]) -> str:
    """The text of a frame."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def welcome(
    conn: str, epoch: str, head: int, unread: int, *, reset: bool, you: dict[str, str], now: datetime
) -> dict[str, Any]:
    """The answer to hello: where the inbox stands, and how to behave."""
    return {
        "t": "welcome",
        "conn": conn,
        "epoch": epoch,
        "head": head,
        "unread": unread,
        "hb": HEARTBEAT_S,
        "backoff": {"first": FIRST_RETRY_S, "cap": LONGEST_RETRY_S},
        "resume": "reset" if reset else "ok",
        "you": you,
        "now": now.isoformat(),
    }


def fill(since: int, upto: int, unread: int, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Every row that changed after `since`, up to `upto`, as it is now."""
    return {"t": "fill", "from": since, "to": upto, "unread": unread, "items": items}


def snap(seq: int, unread: int, items: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """Forget everything and take these newest rows."""
    return {"t": "snap", "seq": seq, "unread": unread, "items": items, "more": more}


def event(push: InboxMoved) -> dict[str, Any]:
    """One step of an inbox."""
    frame: dict[str, Any] = {"t": "ev", "seq": push.seq, "prev": push.seq - 1, "unread": push.unread}
    if push.items is not None:
        return frame | {"items": push.items}
    return frame | {"read_upto": push.read_upto, "at": push.at.isoformat() if push.at else None}


def state(push: TopicChanged) -> dict[str, Any]:
    """A shared view has this version."""
    return {"t": "state", "topic": push.topic, "ver": push.version}


def heartbeat(n: int, head: int, unread: int, topics: dict[str, int], now: datetime) -> dict[str, Any]:
    """Where everything stands, so that a lost last frame is noticed."""
    return {"t": "hb", "n": n, "head": head, "unread": unread, "topics": topics, "now": now.isoformat()}


def ok(nonce: str) -> dict[str, Any]:
    """A request was carried out."""
    return {"t": "ok", "nonce": nonce}


def refused(nonce: str | None, code: str, detail: str) -> dict[str, Any]:
    """A request was not carried out."""
    return {"t": "err", "code": code, "detail": detail} | ({"nonce": nonce} if nonce else {})


RESYNC: dict[str, Any] = {"t": "resync"}
