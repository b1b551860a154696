"""A vendor that answers as a test tells it to, for what no real one can be made to do at the right moment."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime

from hub.channels.vendor import Channel, Fate, Outcome, Outgoing

ACCEPTED = Outcome(Fate.ACCEPTED)
BUSY = Outcome(Fate.PASSING, code="busy")
NEVER = Outcome(Fate.PERMANENT, code="no")
REFUSED = Outcome(Fate.OPERATOR, code="account")
SILENT = Outcome(Fate.UNKNOWN, code="timeout")


class Scripted:
    """Takes everything, unless `answers` says otherwise; remembers what it was asked to send."""

    def __init__(self, name: str = "scripted", channels: frozenset[Channel] = frozenset(Channel)) -> None:
        self.name = self.account = f"{name}-{uuid.uuid4().hex[:8]}"
        self.channels = channels
        self.per_second = 10_000.0
        self.answers: deque[Outcome] = deque()
        self.asked: Outcome | None = None
        self.sent: list[Outgoing] = []
        self.before: Callable[[Outgoing], Awaitable[None]] | None = None

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Part of Vendor."""
        self.sent.append(outgoing)
        if self.before is not None:
            await self.before(outgoing)
        answer = self.answers.popleft() if self.answers else ACCEPTED
        return answer if answer.fate is not Fate.ACCEPTED else Outcome(Fate.ACCEPTED, vendor_id=uuid.uuid4().hex)

    async def ask(self, outgoing: Outgoing, vendor_id: str | None, since: datetime) -> Outcome | None:
        """Part of Vendor."""
        return self.asked

    async def close(self) -> None:
        """Part of Vendor."""
