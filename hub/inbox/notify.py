"""Ringing: writes one notification per recipient, each under the next number of that person's inbox."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.db import fetch_directly
from hub.errors import FieldError, Invalid
from hub.inbox.feed import shared_row_of
from hub.inbox.kinds import LOUDNESS, Kind, Level, Priority
from hub.inbox.tables import Notification
from hub.people.roles import Role
from hub.people.tenants import LANGUAGES
from hub.work import Work

Everybody = Literal["everybody"]

# All are written in one transaction, in which nobody else can ring for any of them: a second or so for this many.
MOST_TOLD = 20_000


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
# Words go in once for each language, and people come out together: there may be thousands.
WRITE = """
WITH told AS (
    SELECT staff.id AS person_id, staff.language FROM staff WHERE staff.active AND {whom}
), moved AS (
    INSERT INTO inbox_heads AS head (person_id, tenant_id, seq, unread)
    SELECT person_id, $1::uuid, 1, 1 FROM told ORDER BY person_id
    ON CONFLICT (person_id) DO UPDATE SET seq = head.seq + 1, unread = head.unread + 1
    RETURNING head.person_id, head.seq, head.unread
), written AS (
    INSERT INTO notifications (tenant_id, person_id, number, seq, title, body, kind, level, priority,
        related_type, related_id, link, facts, created_at, updated_at)
    SELECT $1, person_id, moved.seq, moved.seq, words.title, words.body, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $10
    FROM moved JOIN told USING (person_id)
        JOIN unnest($11::text[], $12::text[], $13::text[]) AS words(language, title, body) USING (language)
    ORDER BY person_id
    RETURNING id, person_id, seq
)
SELECT told.language, array_agg(person_id) AS people, array_agg(written.seq) AS seqs, array_agg(moved.unread) AS unread,
    array_agg(written.id) AS ids
FROM written JOIN moved USING (person_id) JOIN told USING (person_id) GROUP BY told.language
"""
# Where Postgres does not know yet how many the staff are, it would compare everybody with everybody: 1.4 s for 3,000.
NESTED_LOOPS = "SELECT set_config('enable_nestloop', $1, true)"
FEW = 100
TO_PEOPLE = WRITE.format(whom="staff.id = ANY($2::uuid[])")
TO_ROLE = WRITE.format(whom="staff.role = $2")
TO_EVERYBODY = WRITE.format(whom="$2::text = 'everybody'")


async def notify(work: Work, to: Sequence[uuid.UUID] | Role | Everybody, notice: Notice) -> list[uuid.UUID]:
    """Ring the bell of these people, or of everybody active, in a role or at all; returns the notifications' ids.

    Nobody is told when one of the people named is unknown or inactive, or there are too many: that raises Invalid.
    """
    statement = TO_ROLE if isinstance(to, Role) else TO_EVERYBODY if isinstance(to, str) else TO_PEOPLE
    shared = _shared(work, notice)
    words = {language: notice.read_in(language) for language in LANGUAGES}
    many = isinstance(to, str) or len(to) > FEW
    if many:
        await fetch_directly(work.session, NESTED_LOOPS, "off")
    written = await fetch_directly(
        work.session,
        statement,
        work.tenant,
        to if isinstance(to, str) else list(to),
        shared.kind,
        shared.level,
        shared.priority,
        shared.related_type,
        shared.related_id,
        shared.link,
        json.dumps(shared.facts),
        work.now,
        list(words),
        [wording.title for wording in words.values()],
        [wording.body for wording in words.values()],
    )
    if many:
        await fetch_directly(work.session, NESTED_LOOPS, "on")
    told = [person for row in written for person in row["people"]]
    if not isinstance(to, str):
        _check_that_all_were_told(to, told)
    if len(told) > MOST_TOLD:
        raise Invalid(
            "These are more people than one notification may be sent to; nobody was notified.",
            [FieldError("to", f"{len(told)} people", [f"at most {MOST_TOLD} people"])],
        )
    for row in written:
        wording = words[row["language"]]
        content = shared_row_of(shared) | {"title": wording.title, "body": wording.body}
        each = zip(row["people"], row["seqs"], row["unread"], row["ids"], strict=True)
        work.rang(each, content, urgent=shared.priority == Priority.CRITICAL)
    return [id_ for row in written for id_ in row["ids"]]


def _check_that_all_were_told(to: Sequence[uuid.UUID], told: list[uuid.UUID]) -> None:
    if missing := sorted(str(person) for person in set(to).difference(told)):
        raise Invalid(
            "Some recipients are not on the active staff here; nobody was notified.",
            [FieldError("to.people", f"unknown or inactive: {person}") for person in missing[:20]],
        )


def _shared(work: Work, notice: Notice) -> Notification:
    """What all rows of a notice have in common, as a row that is not stored."""
    usual, related = LOUDNESS[notice.kind], notice.related
    return Notification(
        title="",
        body="",
        kind=notice.kind.value,
        level=(notice.level or usual.level).value,
        priority=(notice.priority or usual.priority).value,
        related_type=related.type if related else None,
        related_id=related.id if related else None,
        link=related.link if related else None,
        facts=notice.facts,
        created_at=work.now,
        updated_at=work.now,
    )
