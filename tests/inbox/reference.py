"""What an inbox should be, said a second time and simply: no database, no frames, every moment remembered."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Entry:
    """One notification at one moment."""

    number: int
    seq: int
    read: bool = False
    archived: bool = False


@dataclass
class Reference:
    """One person's inbox, and what it was at each number."""

    entries: dict[uuid.UUID, Entry] = field(default_factory=dict)
    moments: list[dict[uuid.UUID, Entry]] = field(default_factory=lambda: [{}])

    @property
    def seq(self) -> int:
        """The number of the last change."""
        return len(self.moments) - 1

    def create(self, notification: uuid.UUID) -> None:
        """It is rung for."""
        self._change({notification: Entry(self.seq + 1, 0)})

    def mark(self, as_: str, ids: Sequence[uuid.UUID]) -> None:
        """Some are marked; those already so stay as they are."""
        changed = {}
        for each in ids:
            old = self.entries[each]
            new = {
                "read": replace(old, read=True),
                "unread": replace(old, read=False, archived=False),
                "archive": replace(old, read=True, archived=True),
            }[as_]
            if new != old:
                changed[each] = new
        self._change(changed)

    def read_all(self, upto: int) -> None:
        """Everything seen up to a number is read."""
        self._change(
            {each: replace(old, read=True) for each, old in self.entries.items() if not old.read and old.seq <= upto}
        )

    def go_back(self, changes: int) -> None:
        """The last changes never were; a creation stays."""
        last_creation = max((entry.number for entry in self.entries.values()), default=0)
        del self.moments[max(last_creation, self.seq - changes) + 1 :]
        self.entries = dict(self.moments[-1])

    def unread_at(self, seq: int) -> int:
        """How many were unread at a moment."""
        return sum(not entry.read for entry in self.moments[seq].values())

    def _change(self, changed: dict[uuid.UUID, Entry]) -> None:
        if changed:
            self.entries |= {each: replace(entry, seq=self.seq + 1) for each, entry in changed.items()}
            self.moments.append(dict(self.entries))
