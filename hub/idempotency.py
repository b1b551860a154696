"""Requests that carry an Idempotency-Key: the first one acts, the same again gets the first one's answer."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, Text, delete, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base, OfTenant
from hub.errors import FieldError, Invalid
from hub.work import Work

KEPT = timedelta(hours=24)
LONGEST_KEY = 200


class IdempotencyKey(OfTenant, Base):
    """One request that was answered; `answer` holds ids, never a patient's words."""

    __tablename__ = "idempotency_keys"

    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    caller_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """What identifies a request: its key, and the route and body the key was used with."""

    key: str
    fingerprint: bytes

    @classmethod
    def of(cls, key: str, route: str, body: bytes) -> IdempotentRequest:
        """Raises Invalid when the key is empty, too long or not printable ASCII."""
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            accepted = [f"1 to {LONGEST_KEY} printable ASCII characters"]
            raise Invalid(
                "The Idempotency-Key header cannot be used.",
                [FieldError("Idempotency-Key", "not a usable key", accepted)],
            )
        return cls(key, hashlib.sha256(route.encode() + b"\0" + body).digest())


async def recall(work: Work, request: IdempotentRequest | None) -> dict[str, Any] | None:
    """The answer given to this request before, or None: then act, and `remember` in the same transaction.

    A second request with the same key waits here until the first one's transaction has ended.
    Raises Invalid when the key was used for something else.
    """
    if request is None:
        return None
    caller = work.actor.id or work.tenant
    mine = {"tenant_id": work.tenant, "caller_id": caller, "key": request.key}
    claim = insert(IdempotencyKey).values(**mine, fingerprint=request.fingerprint, created_at=work.now)
    claimed = await work.session.execute(claim.on_conflict_do_nothing().returning(IdempotencyKey.key))
    if claimed.scalar_one_or_none() is not None:
        return None
    earlier = (await work.session.execute(select(IdempotencyKey).filter_by(**mine))).scalar_one()
    if earlier.fingerprint != request.fingerprint:
        raise Invalid(
            "This Idempotency-Key was used with another request. Use a new key for a new request.",
            [FieldError("Idempotency-Key", "already used with another body")],
        )
    return earlier.answer


async def remember(work: Work, request: IdempotentRequest | None, answer: dict[str, Any]) -> None:
    """Keep what was answered, for whoever asks again."""
    if request is None:
        return
    mine = {"tenant_id": work.tenant, "caller_id": work.actor.id or work.tenant, "key": request.key}
    await work.session.execute(update(IdempotencyKey).filter_by(**mine).values(answer=answer))


async def once(
    work: Work, request: IdempotentRequest | None, act: Callable[[], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """What `act` answers, or answered when the same request came before; the answer is ids, never words.

    Raises Invalid when the key was used for something else.
    """
    answer = await recall(work, request)
    if answer is None:
        answer = await act()
        await remember(work, request, answer)
    return answer


async def forget_old(work: Work) -> int:
    """Drop the tenant's keys that are older than a day; returns how many."""
    old = delete(IdempotencyKey).where(IdempotencyKey.created_at < work.now - KEPT)
    return len((await work.session.execute(old.returning(IdempotencyKey.key))).all())
