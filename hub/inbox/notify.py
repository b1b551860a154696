"""Ringing: writes one notification per recipient, each under the next number of that person's inbox."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from hub.inbox.feed import row_of
from hub.inbox.kinds import LOUDNESS, Kind, Level, Priority
from hub.people.roles import Role
from hub.people.staff import active_staff, active_staff_in_role
from hub.people.tables import Staff
from hub.work import Work


@dataclass(frozen=True, slots=True)
class Wording:
    """What the recipient reads."""

    title: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Related:
    """The object a notification is about, and where it is shown."""

    type: str
    id: uuid.UUID
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell; `wording` may depend on the recipient's language."""

    kind: Kind
    wording: Wording | Callable[[str], Wording]
    level: Level | None = None
    priority: Priority | None = None
    related: Related | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def read_in(self, language: str) -> Wording:
        """The words for a reader of this language."""
        return self.wording if isinstance(self.wording, Wording) else self.wording(language)


# Heads are locked in order of person, so that two notices to the same people never wait for each other.
WRITE_SQL = text("""
WITH told AS (
    SELECT * FROM unnest(CAST(:people AS uuid[]), CAST(:titles AS text[]), CAST(:bodies AS text[]))
        AS t(person_id, title, body) ORDER BY person_id
), moved AS (
    INSERT INTO inbox_heads AS head (person_id, tenant_id, seq, unread)
    SELECT person_id, CAST(:tenant AS uuid), 1, 1 FROM told ORDER BY person_id
    ON CONFLICT (person_id) DO UPDATE SET seq = head.seq + 1, unread = head.unread + 1
    RETURNING head.person_id, head.seq, head.unread
), written AS (
    INSERT INTO notifications (tenant_id, person_id, number, seq, title, body, kind, level, priority,
        related_type, related_id, link, facts, created_at, updated_at)
    SELECT CAST(:tenant AS uuid), person_id, moved.seq, moved.seq, told.title, told.body,
        CAST(:kind AS text), CAST(:level AS text), CAST(:priority AS text),
        CAST(:related_type AS text), CAST(:related_id AS uuid), CAST(:link AS text),
        CAST(:facts AS jsonb), :now, :now
    FROM moved JOIN told USING (person_id)
    RETURNING *
)
SELECT written.*, moved.unread FROM written JOIN moved USING (person_id) ORDER BY person_id
""")
WRITE = WRITE_SQL.bindparams(bindparam("now", type_=DateTime(timezone=True))).columns(facts=JSONB)


async def notify(work: Work, to: Sequence[uuid.UUID] | Role, notice: Notice) -> list[uuid.UUID]:
    """Ring the bell of these people, or of everybody active in a role; returns the notifications' ids.

    Nobody is told when one of the people named is unknown or inactive: that raises Invalid.
    """
    if isinstance(to, Role):
        recipients = await active_staff_in_role(work.session, to)
    else:
        recipients = await active_staff(work.session, to)
    return await _write(work, recipients, notice) if recipients else []


async def _write(work: Work, recipients: list[Staff], notice: Notice) -> list[uuid.UUID]:
    words = [notice.read_in(person.language) for person in recipients]
    usual = LOUDNESS[notice.kind]
    related = notice.related
    values = {
        "tenant": work.tenant,
        "people": [person.id for person in recipients],
        "titles": [word.title for word in words],
        "bodies": [word.body for word in words],
        "kind": notice.kind,
        "level": notice.level or usual.level,
        "priority": notice.priority or usual.priority,
        "related_type": related.type if related else None,
        "related_id": related.id if related else None,
        "link": related.link if related else None,
        "facts": json.dumps(notice.facts),
        "now": work.now,
    }
    written = (await work.session.execute(WRITE, values)).all()
    for row in written:
        work.inbox_moved(row.person_id, row.seq, row.unread, [row_of(row)])
    return [row.id for row in written]
