"""Taking back what has not left: a message that became untrue before its moment, or while its vendor was asked."""

from __future__ import annotations

import uuid

from hub.work import Work

WITHDRAWN = "withdrawn"


async def withdraw(work: Work, *, about: uuid.UUID, by: int, prefix: str | None = None) -> int:
    """Take back the messages about an object, or those whose reference begins with `prefix`; returns how many.

    What is queued or held is cancelled. What a worker has at this moment is marked: should that request not have
    reached its vendor, nothing is sent again. `by` names what made them untrue, for `restore`.
    """
    raise NotImplementedError


async def restore(work: Work, *, about: uuid.UUID, withdrawn_by: int) -> int:
    """Queue again what was withdrawn for a reason that turned out wrong; returns how many."""
    raise NotImplementedError
