"""Pushes as bytes, for the way between processes (pure).

A packet is of one tenant, which is not in it: a row of records, each a kind, a length and as many bytes. What moves
inboxes travels as it is kept, because there is much of it; the rest is JSON.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from hub.realtime.pushes import STANDING, AccessEnded, InboxMoved, Push, Rang, TopicChanged
from hub.realtime.wire import encode

_RECORD = struct.Struct("!BI")
# Members of InboxMoved in their order; then the event.
_MOVED = struct.Struct("!16sQI?d")
# How many bytes of standings, whether it is urgent, when it was committed; then the standings, then the shared part.
_RANG = struct.Struct("!I?d")
# A number is never used again for another layout: while a new version is put in, both are on the channel.
_RANG_KIND, _MOVED_KIND = 5, 6
_KINDS: dict[int, type[TopicChanged] | type[AccessEnded]] = {3: TopicChanged, 4: AccessEnded}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_IDS = ("person", "session", "key", "token")


class Unreadable(ValueError):
    """These bytes are no packet."""


def pack(pushes: Iterable[Push]) -> bytes:
    """The packet of some pushes of one tenant."""
    parts: list[bytes] = []
    for push in pushes:
        kind, body = _record(push)
        parts += (_RECORD.pack(kind, len(body)), body)
    return b"".join(parts)


def _record(push: Push) -> tuple[int, bytes]:
    match push:
        case InboxMoved():
            head = _MOVED.pack(push.person, push.moves_to, push.unread, push.urgent, push.rang_at)
            return _MOVED_KIND, head + push.wire
        case Rang():
            head = _RANG.pack(len(push.standings), push.urgent, push.rang_at)
            return _RANG_KIND, head + push.standings + push.shared
        case _:
            return _NUMBERS[type(push)], encode(_plain(push))


def unpack(packet: bytes, tenant: uuid.UUID) -> list[Push]:
    """The pushes in a packet of this tenant; raises Unreadable on anything that `pack` did not write."""
    pushes: list[Push] = []
    start = 0
    try:
        while start < len(packet):
            kind, size = _RECORD.unpack_from(packet, start)
            start += _RECORD.size
            end = start + size
            if end > len(packet):
                raise Unreadable("cut short")
            if kind == _MOVED_KIND:
                event = packet[start + _MOVED.size : end]
                if not event:
                    raise Unreadable("no event")
                person, seq, unread, urgent, at = _MOVED.unpack_from(packet, start)
                pushes.append(InboxMoved(tenant, person, seq, unread, urgent, at, event))
            elif kind == _RANG_KIND:
                pushes.append(_read_rang(packet, start, end, tenant))
            else:
                pushes.append(_KINDS[kind](tenant=tenant, **_typed(json.loads(packet[start:end]))))
            start = end
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable("not a packet of pushes") from error
    return pushes


def _read_rang(packet: bytes, start: int, end: int, tenant: uuid.UUID) -> Rang:
    size, urgent, at = _RANG.unpack_from(packet, start)
    standings = start + _RANG.size
    shared = standings + size
    if size % STANDING.size or shared >= end:
        raise Unreadable("no whole standings")
    return Rang(tenant, packet[standings:shared], packet[shared:end], urgent, at)


def _plain(push: TopicChanged | AccessEnded) -> dict[str, Any]:
    values = {each.name: getattr(push, each.name) for each in fields(push) if each.name != "tenant"}
    return {name: value.hex if isinstance(value, uuid.UUID) else value for name, value in values.items()}


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    for name in _IDS:
        if values.get(name):
            values[name] = uuid.UUID(hex=values[name])
    return values
