"""The hub's publishing process, as the harness loads it: announces on the hub's own bus, sealed as in production.

The numbers of each person's inbox follow one another from where Postgres says that it stands. Rows are not written, for
nothing of the peers is either; but Postgres is told every second how far the numbers went, or clients that come later
would be greeted with a past and never be level with what is announced. Only when a web process is to be killed
(`HUB_BENCH_KEPT`), rows are written first.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg

from bench.people import Clinic
from hub.crypto import Keys
from hub.inbox.kinds import LOUDNESS, Kind
from hub.realtime.bus import Bus
from hub.realtime.pushes import Push, rang

KEPT = "HUB_BENCH_KEPT"
USERS = "HUB_BENCH_USERS"
TITLE = "Ada Lovelace commented on your document"
STAMP = re.compile(r'"ts":(\d+)')
# What a row has besides its padding, so that a frame is as long as what the harness gives, if that is longer.
OWN_SIZE = 410

HEADS = "SELECT person_id, seq FROM inbox_heads WHERE tenant_id = $1"
FOLLOW = """
UPDATE inbox_heads AS head SET seq = told.seq FROM unnest($1::uuid[], $2::bigint[]) AS told(person_id, seq)
WHERE head.person_id = told.person_id AND head.seq < told.seq
"""
MANY = 1_000
QUIET_S = 0.05
FOLLOWED_EVERY_S = 1.0
EMPTY = "WITH gone AS (DELETE FROM notifications) UPDATE inbox_heads SET seq = 0, unread = 0"
# Facts are left out: what a client gets by catching up shall not count as delivered when it was published.
KEEP = """
WITH told AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS t(id, person_id, seq)
), moved AS (
    UPDATE inbox_heads AS head SET seq = newest.seq, unread = newest.seq
    FROM (SELECT person_id, max(seq) AS seq FROM told GROUP BY person_id) AS newest
    WHERE head.person_id = newest.person_id
)
INSERT INTO notifications (id, tenant_id, person_id, number, seq, title, body, kind, level, priority,
    created_at, updated_at)
SELECT id, $1, person_id, seq, seq, $5, '', $6, $7, $8, now(), now() FROM told
"""

Told = tuple[uuid.UUID, int, int, uuid.UUID]


class Backend:
    """What the harness's publishing process calls."""

    async def open(self, _port: int) -> None:
        """Find out where everybody's inbox stands."""
        # As the harness says; it has a Redis of its own.
        redis = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/0"
        self._bus = Bus(redis, Keys.parse(os.environ["HUB_KEYS"]))
        self._postgres = await asyncpg.connect(os.environ["DATABASE_URL"])
        self._kept = KEPT in os.environ
        if self._kept:
            await self._postgres.execute(EMPTY)
        clinic = Clinic.of_environment()
        self._tenant, self._people = clinic.tenant, clinic.people[: int(os.environ[USERS])]
        heads = dict(await self._postgres.fetch(HEADS, self._tenant))
        self._seqs = [heads[person] for person in self._people]
        self._sent_at = 0.0
        if not self._kept:
            # The harness waits for its next command without letting a loop run.
            threading.Thread(target=lambda: asyncio.run(self._follow()), daemon=True).start()
        # Made beforehand, and one is enough for each: Postgres makes them otherwise, and not on the publisher's time.
        self._ids = [uuid.uuid4() for _ in self._people]

    async def send(self, batch: list[tuple[str | None, str]]) -> None:
        """Announce each message to its user, or to all of them; in it, only `ts` is looked at."""
        pushes: list[Push] = []
        rows: list[Told] = []
        now = datetime.now(UTC)
        written, at = now.isoformat(), now.timestamp()
        for user, text in batch:
            to = range(len(self._seqs)) if user is None else (int(user),)
            told = [self._tell(index) for index in to]
            rows += told
            pushes.append(rang(self._tenant, told, row(text, written), urgent=False, at=at))
        if self._kept:
            await self._keep(rows)
        await self._bus.publish(pushes)
        if len(rows) >= MANY:
            # More than the kernel takes at once, and no loop runs here between two commands.
            await self._bus.ping()
        self._sent_at = time.monotonic()

    async def _follow(self) -> None:
        postgres = await asyncpg.connect(os.environ["DATABASE_URL"])
        followed = 0.0
        while True:
            await asyncio.sleep(QUIET_S)
            sent_at, now = self._sent_at, time.monotonic()
            if followed < sent_at and (sent_at < now - QUIET_S or followed < now - FOLLOWED_EVERY_S):
                await postgres.execute(FOLLOW, self._people, list(self._seqs))
                followed = sent_at

    def _tell(self, index: int) -> Told:
        self._seqs[index] = seq = self._seqs[index] + 1
        return self._people[index], seq, seq, uuid.uuid4() if self._kept else self._ids[index]

    async def _keep(self, rows: list[Told]) -> None:
        people, seqs, _, ids = zip(*rows, strict=True)
        loudness = LOUDNESS[Kind.SYSTEM]
        kind = (Kind.SYSTEM, loudness.level, loudness.priority)
        await self._postgres.execute(KEEP, self._tenant, ids, people, seqs, TITLE, *kind)


# What is the same in each, written as Postgres gives it.
ROW: dict[str, Any] = {
    "title": TITLE,
    "kind": Kind.SYSTEM.value,
    "level": LOUDNESS[Kind.SYSTEM].level.value,
    "priority": LOUDNESS[Kind.SYSTEM].priority.value,
    "related": None,
    "read_at": None,
    "archived_at": None,
}


def row(text: str, now: str) -> dict[str, Any]:
    """The row that everybody told shares, of the length that the harness's message has (pure)."""
    stamp = STAMP.search(text)
    assert stamp
    body = "x" * (len(text) - OWN_SIZE)
    return ROW | {"body": body, "facts": {"ts": int(stamp[1])}, "created_at": now, "updated_at": now}
