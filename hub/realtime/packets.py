"""Pushes as bytes, for the way between processes (pure).

A packet is of one tenant, which is not in it: a row of records, each a kind, a length and as many bytes. What rings
bells travels as it is kept, because there is much of it; the rest is JSON.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

from hub.realtime.pushes import STANDING, AccessEnded, InboxMoved, Push, Rang, TopicChanged

_RECORD = struct.Struct("!BI")
# When it was committed, whether it is urgent, how many bytes of standings; then those, then the shared part.
_RANG = struct.Struct("!d?I")
_RANG_KIND = 1
_KINDS: dict[int, type[InboxMoved] | type[TopicChanged] | type[AccessEnded]] = {
    2: InboxMoved,
    3: TopicChanged,
    4: AccessEnded,
}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_IDS = ("person", "session", "key", "token")


class Unreadable(ValueError):
    """These bytes are no packet."""


def pack(pushes: Iterable[Push]) -> bytes:
    """The packet of some pushes of one tenant."""
    parts: list[bytes] = []
    for push in pushes:
        if isinstance(push, Rang):
            head = _RANG.pack(push.at, push.urgent, len(push.standings))
            size = len(head) + len(push.standings) + len(push.shared)
            parts += (_RECORD.pack(_RANG_KIND, size), head, push.standings, push.shared)
        else:
            body = json.dumps(_plain(push), separators=(",", ":")).encode()
            parts += (_RECORD.pack(_NUMBERS[type(push)], len(body)), body)
    return b"".join(parts)


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
            if kind == _RANG_KIND:
                pushes.append(_read_rang(packet, start, end, tenant))
            else:
                pushes.append(_KINDS[kind](tenant=tenant, **_typed(json.loads(packet[start:end]))))
            start = end
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable("not a packet of pushes") from error
    return pushes


def _read_rang(packet: bytes, start: int, end: int, tenant: uuid.UUID) -> Rang:
    at, urgent, size = _RANG.unpack_from(packet, start)
    standings = start + _RANG.size
    shared = standings + size
    if size % STANDING.size or shared >= end:
        raise Unreadable("no whole standings")
    return Rang(tenant, packet[standings:shared], packet[shared:end], urgent, at)


def _plain(push: InboxMoved | TopicChanged | AccessEnded) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, uuid.UUID):
            return value.hex
        return value.isoformat() if isinstance(value, datetime) else value

    return {each.name: plain(getattr(push, each.name)) for each in fields(push) if each.name != "tenant"}


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    for name in _IDS:
        if values.get(name):
            values[name] = uuid.UUID(hex=values[name])
    if values.get("at"):
        values["at"] = datetime.fromisoformat(values["at"])
    return values
