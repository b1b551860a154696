"""Looking templates up: lists, versions, what changed between two, and how a template is used."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Literal

from sqlalchemy import or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from hub.errors import NotFound
from hub.templates.tables import Template, TemplateVersion
from hub.templates.versions import NO_SUCH_TEMPLATE, Words


@dataclass(frozen=True, slots=True)
class Listed:
    """A template, with the version that goes out and the one that is being written."""

    template: Template
    published: TemplateVersion | None
    draft: TemplateVersion | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which templates to list; nothing named means all. `search` is a part of the code; these `codes` are found too."""

    channel: str | None = None
    topic: str | None = None
    active: bool | None = None
    search: str = ""
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a text, and what became of it."""

    change: Literal["same", "gone", "new"]
    words: str


@dataclass(frozen=True, slots=True)
class Difference:
    """How one field of a version differs from another's: `bodies.ar`, `variables`."""

    field: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What went out by a template: `sent` are requests that a vendor took, `failed` those that came to nothing."""

    sent: int
    delivered: int
    failed: int
    segments: int
    costs: dict[str, Decimal]
    last_used_at: datetime | None


async def read_template(session: AsyncSession, template_id: uuid.UUID) -> Listed:
    """One template; raises NotFound, also for another tenant's."""
    template = (await session.execute(select(Template).where(Template.id == template_id))).scalar_one_or_none()
    if template is None:
        raise NotFound(NO_SUCH_TEMPLATE)
    return (await _with_versions(session, [template]))[0]


async def read_templates(
    session: AsyncSession, filters: Filters, after: tuple[str, str] | None, limit: int
) -> list[Listed]:
    """Templates by code and channel, those behind `after`."""
    query = select(Template).order_by(Template.code, Template.channel).limit(limit)
    if after is not None:
        query = query.where(tuple_(Template.code, Template.channel) > after)
    if filters.channel is not None:
        query = query.where(Template.channel == filters.channel)
    if filters.topic is not None:
        query = query.where(Template.topic == filters.topic)
    if filters.active is not None:
        query = query.where(Template.active == filters.active)
    if filters.search:
        called = Template.code.icontains(filters.search, autoescape=True)
        query = query.where(or_(called, Template.code.in_(filters.codes)))
    return await _with_versions(session, list((await session.execute(query)).scalars()))


async def _with_versions(session: AsyncSession, templates: list[Template]) -> list[Listed]:
    ids = [template.id for template in templates]
    query = select(TemplateVersion).where(
        TemplateVersion.template_id.in_(ids), TemplateVersion.state.in_(("published", "draft"))
    )
    found = {(row.template_id, row.state): row for row in (await session.execute(query)).scalars()}
    return [Listed(each, found.get((each.id, "published")), found.get((each.id, "draft"))) for each in templates]


async def read_versions(
    session: AsyncSession, template_id: uuid.UUID, before: int | None = None, limit: int = 50
) -> list[TemplateVersion]:
    """A template's versions, the newest first, those with a number below `before`."""
    query = select(TemplateVersion).where(TemplateVersion.template_id == template_id)
    if before is not None:
        query = query.where(TemplateVersion.number < before)
    return list((await session.execute(query.order_by(TemplateVersion.number.desc()).limit(limit))).scalars())


async def read_version(session: AsyncSession, template_id: uuid.UUID, number: int) -> TemplateVersion:
    """One version by its number; raises NotFound."""
    query = select(TemplateVersion).where(TemplateVersion.template_id == template_id, TemplateVersion.number == number)
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"This template has no version {number}.")
    return found


def diff(before: Words, after: Words) -> list[Difference]:
    """What changed from one version's words to another's, field by field; fields that stayed are left out."""
    old, new = dict(_fields(before)), dict(_fields(after))
    names = [*new, *(name for name in old if name not in new)]
    return [
        Difference(name, tuple(_lines(old.get(name, []), new.get(name, []))))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _fields(words: Words) -> Iterator[tuple[str, list[str]]]:
    for place, texts in (("subjects", words.subjects), ("bodies", words.bodies), ("vendor_refs", words.vendor_refs)):
        for language in sorted(texts, reverse=True):
            yield f"{place}.{language}", texts[language].splitlines()
    yield "variables", [f"{each.name}: {each.type}, {each.privacy}, {each.example}" for each in words.variables]


def _lines(old: list[str], new: list[str]) -> Iterator[Line]:
    for kind, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Line("same", words) for words in old[old_from:old_to])
            continue
        yield from (Line("gone", words) for words in old[old_from:old_to])
        yield from (Line("new", words) for words in new[new_from:new_to])


async def usage(session: AsyncSession, template_id: uuid.UUID, since: datetime | None = None) -> Usage:
    """Figures of all the template's versions, of requests begun since; currencies are never added together."""
    parameters = {"template": template_id, "since": since}
    counted = (await session.execute(COUNTED, parameters)).one()
    costs = {row.currency: row.cost for row in await session.execute(COSTS, parameters)}
    return Usage(counted.sent, counted.delivered, counted.failed, counted.segments, costs, counted.last_used_at)


# The room of messages stands above this one: its table is asked in SQL.
OF_TEMPLATE = """
    FROM message_attempts AS attempt JOIN template_versions AS version
        ON (version.tenant_id, version.id) = (attempt.tenant_id, attempt.template_version_id)
    WHERE version.template_id = :template
        AND (CAST(:since AS timestamptz) IS NULL OR attempt.started_at >= CAST(:since AS timestamptz))
"""
TAKEN = "attempt.state IN ('sent', 'delivered', 'read', 'failed', 'bounced')"
COUNTED = text(f"""
    SELECT count(*) FILTER (WHERE {TAKEN}) AS sent,
        count(*) FILTER (WHERE attempt.state IN ('delivered', 'read')) AS delivered,
        count(*) FILTER (WHERE attempt.state IN ('refused', 'failed', 'bounced')) AS failed,
        coalesce(sum(coalesce(attempt.segments_billed, attempt.segments_estimated)) FILTER (WHERE {TAKEN}), 0)
            AS segments,
        max(attempt.started_at) AS last_used_at
    {OF_TEMPLATE}""")
COSTS = text(f"""
    SELECT attempt.currency, sum(attempt.cost) AS cost
    {OF_TEMPLATE} AND attempt.cost IS NOT NULL AND attempt.currency IS NOT NULL GROUP BY attempt.currency""")
