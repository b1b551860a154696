"""What both processes agree on."""

from __future__ import annotations

COOKIE = "session"
READY = '{"t":"ready"}'


def group_of(person: str) -> str:
    """The group of one person's connections."""
    return f"person.{person}"
