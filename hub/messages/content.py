"""What a message says, as it is kept: sealed, and bound to its row."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from hub.channels.vendor import File
from hub.crypto import Keys


def seal_content(keys: Keys, message: uuid.UUID, content: Mapping[str, Any]) -> bytes:
    """What a message says, or the values for its template's words; with where to, for a test."""
    return _seal(keys, "messages", message, content)


def open_content(keys: Keys, message: uuid.UUID, sealed: bytes) -> dict[str, Any]:
    """What `seal_content` sealed; raises CannotOpen."""
    return _open(keys, "messages", message, sealed)


def seal_request(keys: Keys, attempt: uuid.UUID, content: Mapping[str, Any]) -> bytes:
    """What goes out with one request: `to`, `subject`, `text`, `html`."""
    return _seal(keys, "message_attempts", attempt, content)


def open_request(keys: Keys, attempt: uuid.UUID, sealed: bytes) -> dict[str, Any]:
    """What `seal_request` sealed; raises CannotOpen."""
    return _open(keys, "message_attempts", attempt, sealed)


def seal_file(keys: Keys, attachment: uuid.UUID, file: File) -> bytes:
    """A file's name and bytes."""
    name = file.name.encode()
    return keys.seal(len(name).to_bytes(2, "big") + name + file.content, _place("message_attachments", attachment))


def open_file(keys: Keys, attachment: uuid.UUID, sealed: bytes, content_type: str) -> File:
    """What `seal_file` sealed; raises CannotOpen."""
    plain = keys.open(sealed, _place("message_attachments", attachment))
    end = 2 + int.from_bytes(plain[:2], "big")
    return File(plain[2:end].decode(), content_type, plain[end:])


def _seal(keys: Keys, table: str, row: uuid.UUID, content: Mapping[str, Any]) -> bytes:
    return keys.seal(json.dumps(content, ensure_ascii=False).encode(), _place(table, row))


def _open(keys: Keys, table: str, row: uuid.UUID, sealed: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(keys.open(sealed, _place(table, row)))
    return content


def _place(table: str, row: uuid.UUID) -> bytes:
    return f"{table}|sealed|{row}".encode()
