"""The log of a message: each step of its way, added in the transaction that takes it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from hub.messages.tables import MessageStep
from hub.work import Work


def step(
    work: Work,
    message: uuid.UUID,
    state: str,
    *,
    attempt: int | None = None,
    channel: str | None = None,
    vendor: str | None = None,
    reason: str | None = None,
    detail: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The row of one step."""
    return {
        "tenant_id": work.tenant,
        "message_id": message,
        "at": work.now,
        "state": state,
        "attempt": attempt,
        "channel": channel,
        "vendor": vendor,
        "reason": reason,
        "detail": detail,
    }


async def add_steps(work: Work, steps: Sequence[dict[str, Any]]) -> None:
    """Add many steps at once."""
    if steps:
        await work.session.execute(insert(MessageStep), list(steps))


async def note(
    work: Work,
    message: uuid.UUID,
    state: str,
    *,
    attempt: int | None = None,
    channel: str | None = None,
    vendor: str | None = None,
    reason: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add one step."""
    row = step(work, message, state, attempt=attempt, channel=channel, vendor=vendor, reason=reason, detail=detail)
    await add_steps(work, [row])
