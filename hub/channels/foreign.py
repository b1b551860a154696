"""Reads what others wrote, and trusts none of it: JSON, texts, moments (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.errors import Malformed

LONGEST_TEXT = 200
_decoder = json.JSONDecoder(parse_float=Decimal)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def read_json(raw: str | bytes) -> dict[str, Any]:
    """A JSON object; raises Malformed for anything else, however it is broken or nested.

    Numbers with a point come as Decimal, as they were written.
    """
    try:
        found = _decoder.decode(raw if isinstance(raw, str) else raw.decode())
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Malformed("The body is not valid JSON.") from error
    if not isinstance(found, dict):
        raise Malformed("The body must be a JSON object.")
    return found


def fields_of(value: object) -> dict[str, Any]:
    """The fields of an object; none, if it is something else."""
    return value if isinstance(value, dict) else {}


def items_of(value: object) -> list[Any]:
    """The items of a list; none, if it is something else."""
    return value if isinstance(value, list) else []


def text_of(value: object) -> str:
    """A text or a whole number as one short printable line; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    try:
        text = str(value)
    except ValueError:  # a number of thousands of digits
        return ""
    if not text.isprintable():
        text = "".join(each for each in text if each.isprintable())
    return text.strip()[:LONGEST_TEXT]


def amount_of(value: object) -> Decimal | None:
    """An amount of money without its sign, from a number or a text; None for anything else."""
    try:
        found = value if isinstance(value, Decimal) else Decimal(text_of(value))
    except InvalidOperation:
        return None
    return abs(found) if found.is_finite() else None


def moment_of(value: object, now: datetime) -> datetime:
    """A moment as text in any ISO form; one without a zone is UTC. Nonsense is `now`, and so is what lies ahead."""
    try:
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if found is None:
            return now
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return now
    return found if EARLIEST <= found < now else now


def without_case(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Fields by their names in small letters, for vendors who write them now so and now so; the first one counts."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), value)
    return found


def first_of(fields: dict[str, Any], *names: str) -> str:
    """The first of these fields that says something, as text."""
    return next((text for name in names if (text := text_of(fields.get(name)))), "")
