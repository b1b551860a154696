"""Templates and their versions: draft, published, superseded. What was published stays as it was."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.channels.vendor import Channel
from hub.errors import Conflict, FieldError, Invalid, NotFound
from hub.templates.checks import check_wording
from hub.templates.render import Variable, Wording
from hub.templates.tables import Template, TemplateVersion
from hub.work import Work

LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True)
class Words:
    """What an administrator writes: everything of a version that says something."""

    bodies: Mapping[str, str]
    variables: tuple[Variable, ...] = ()
    subjects: Mapping[str, str] = field(default_factory=dict)
    vendor_refs: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def wording_of(template: Template, version: TemplateVersion) -> Wording:
    """A version as rendering and checking want it."""
    return _wording(
        version.id,
        template.code,
        template.channel,
        template.topic,
        version.subjects,
        version.bodies,
        version.variables,
        version.vendor_refs,
    )


def words_of(version: TemplateVersion) -> Words:
    """What a version says, to be written on or published again."""
    return Words(
        bodies=version.bodies,
        variables=tuple(Variable(**each) for each in version.variables),
        subjects=version.subjects or {},
        vendor_refs=version.vendor_refs,
        note=version.note,
    )


def _wording(
    version_id: uuid.UUID,
    code: str,
    channel: str,
    topic: str,
    subjects: Mapping[str, str] | None,
    bodies: Mapping[str, str],
    variables: list[dict[str, Any]],
    vendor_refs: Mapping[str, str],
) -> Wording:
    named = tuple(Variable(**each) for each in variables)
    return Wording(version_id, code, Channel(channel), topic, subjects or {}, bodies, named, vendor_refs)


async def published(session: AsyncSession, code: str) -> dict[Channel, Wording]:
    """What is said on this occasion over each channel: the published versions of its active templates."""
    query = _wordings().where(Template.code == code, Template.active, TemplateVersion.state == "published")
    wordings = [_wording(*row) for row in await session.execute(query)]
    return {wording.channel: wording for wording in wordings}


async def wordings_by_id(session: AsyncSession, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Wording]:
    """These versions, whatever their state; unknown ones are left out."""
    if not ids:
        return {}
    rows = await session.execute(_wordings().where(TemplateVersion.id.in_(ids)))
    return {row[0]: _wording(*row) for row in rows}


def _wordings() -> Select[Any]:
    columns = (TemplateVersion.subjects, TemplateVersion.bodies, TemplateVersion.variables, TemplateVersion.vendor_refs)
    query = select(TemplateVersion.id, Template.code, Template.channel, Template.topic, *columns)
    return query.join(Template, Template.id == TemplateVersion.template_id)


async def add_template(work: Work, code: str, channel: Channel, topic: str, words: Words) -> TemplateVersion:
    """Begin a template with its first draft.

    Raises Invalid with everything that is wrong, Conflict when the occasion has a template for this channel.
    """
    template = Template(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        code=code,
        channel=channel,
        topic=topic,
        active=True,
        created_at=work.now,
        updated_at=work.now,
    )
    _check(template, words)
    work.session.add(template)
    try:
        await work.session.flush()
    except IntegrityError as error:
        raise Conflict(f"There is a template for {code} by {channel} already. Change that one.") from error
    version = version_of(work, template.id, 1, words)
    work.session.add(version)
    await work.session.flush()
    after = {"code": code, "channel": channel, "topic": topic}
    await audit.record(work, "template.added", "template", template.id, after=after)
    return version


async def save_draft(work: Work, template_id: uuid.UUID, words: Words) -> TemplateVersion:
    """Write the template's draft, or begin one. Raises Invalid with everything that is wrong, NotFound."""
    template = await _lock(work, template_id)
    _check(template, words)
    draft = await _in_state(work.session, template_id, "draft")
    if draft is None:
        draft = version_of(work, template.id, await _next_number(work.session, template_id), words)
        work.session.add(draft)
    else:
        _write(draft, words)
    template.updated_at = work.now
    await work.session.flush()
    await audit.record(work, "template.drafted", "template", template_id, after={"version": draft.number})
    return draft


async def drop_draft(work: Work, template_id: uuid.UUID) -> None:
    """Throw the draft away; what goes out stays. Raises Conflict when there is none, or nothing else."""
    template = await _lock(work, template_id)
    draft = await _in_state(work.session, template_id, "draft")
    if draft is None:
        raise Conflict("This template has no draft.")
    if await _in_state(work.session, template_id, "published") is None:
        raise Conflict("This template is nothing but its draft. Delete the template.")
    await work.session.delete(draft)
    template.updated_at = work.now
    await work.session.flush()
    await audit.record(work, "template.draft_dropped", "template", template_id, before={"version": draft.number})


async def publish(work: Work, template_id: uuid.UUID) -> TemplateVersion:
    """Let the draft go out from now on, instead of what went out until now.

    Raises Conflict when there is no draft, Invalid when it no longer passes the checks.
    """
    template = await _lock(work, template_id)
    draft = await _in_state(work.session, template_id, "draft")
    if draft is None:
        raise Conflict("There is no draft to publish. Save one first.")
    return await _publish(work, template, draft, "template.published")


async def roll_back(work: Work, template_id: uuid.UUID, number: int) -> TemplateVersion:
    """Publish an earlier version's words again, under a new number. Raises NotFound, and Conflict as it goes out now.

    A draft that is being written gives its number up to it, and is written on under the next one.
    """
    template = await _lock(work, template_id)
    of_number = TemplateVersion.template_id == template_id, TemplateVersion.number == number
    earlier = (await work.session.execute(select(TemplateVersion).where(*of_number))).scalar_one_or_none()
    if earlier is None:
        raise NotFound(f"This template has no version {number}.")
    if earlier.state != "superseded":
        raise Conflict(f"Version {number} is {earlier.state}; only one that went out before can come back.")
    next_number = await _next_number(work.session, template_id)
    if draft := await _in_state(work.session, template_id, "draft"):
        draft.number, next_number = next_number, draft.number
        await work.session.flush()
    words = replace(words_of(earlier), note=f"Version {number} again")
    again = version_of(work, template.id, next_number, words)
    return await _publish(work, template, again, "template.rolled_back")


async def set_active(work: Work, template_id: uuid.UUID, active: bool) -> Template:
    """Let a template be used, or keep it from being used. Raises NotFound."""
    template = await _lock(work, template_id)
    if template.active != active:
        template.active, template.updated_at = active, work.now
        await work.session.flush()
        await audit.record(
            work, "template.switched", "template", template_id, before={"active": not active}, after={"active": active}
        )
    return template


async def delete(work: Work, template_id: uuid.UUID) -> None:
    """Remove a template that nothing was ever sent by. Raises NotFound, and Conflict when something was."""
    template = await _lock(work, template_id)
    if (await work.session.execute(WAS_USED, {"template": template_id})).scalar_one():
        raise Conflict("Messages went out by this template, and their story names it. Switch it off instead.")
    await work.session.delete(template)
    await work.session.flush()
    before = {"code": template.code, "channel": template.channel, "topic": template.topic}
    await audit.record(work, "template.deleted", "template", template_id, before=before)


# The room of messages stands above this one: its table is asked in SQL.
WAS_USED = text("""
    SELECT EXISTS (
        SELECT FROM message_attempts AS attempt JOIN template_versions AS version
            ON (version.tenant_id, version.id) = (attempt.tenant_id, attempt.template_version_id)
        WHERE version.template_id = :template
    )""")


async def _lock(work: Work, template_id: uuid.UUID) -> Template:
    """The template, which nobody else changes before we are done."""
    query = select(Template).where(Template.id == template_id).with_for_update()
    found = (await work.session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound(NO_SUCH_TEMPLATE)
    return found


NO_SUCH_TEMPLATE = "There is no such template."


async def _in_state(session: AsyncSession, template_id: uuid.UUID, state: str) -> TemplateVersion | None:
    query = select(TemplateVersion).where(TemplateVersion.template_id == template_id, TemplateVersion.state == state)
    return (await session.execute(query)).scalar_one_or_none()


async def _next_number(session: AsyncSession, template_id: uuid.UUID) -> int:
    latest = select(func.max(TemplateVersion.number)).where(TemplateVersion.template_id == template_id)
    return ((await session.execute(latest)).scalar_one() or 0) + 1


async def _publish(work: Work, template: Template, version: TemplateVersion, action: str) -> TemplateVersion:
    _check(template, words_of(version))
    before = await _in_state(work.session, template.id, "published")
    if before is not None:
        before.state = "superseded"
        await work.session.flush()
    version.state, version.published_at, version.published_by = "published", work.now, work.actor.id
    template.updated_at = work.now
    work.session.add(version)
    await work.session.flush()
    was = {"version": before.number} if before else None
    await audit.record(work, action, "template", template.id, before=was, after={"version": version.number})
    return version


def version_of(work: Work, template_id: uuid.UUID, number: int, words: Words) -> TemplateVersion:
    """A new draft row, which is not yet added."""
    version = TemplateVersion(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        template_id=template_id,
        number=number,
        state="draft",
        created_at=work.now,
        created_by=work.actor.id,
    )
    _write(version, words)
    return version


def _write(version: TemplateVersion, words: Words) -> None:
    version.subjects = dict(words.subjects) or None
    version.bodies = dict(words.bodies)
    version.variables = [asdict(variable) for variable in words.variables]
    version.vendor_refs = dict(words.vendor_refs)
    version.note = words.note.strip()


def _check(template: Template, words: Words) -> None:
    errors: list[FieldError] = []
    if len(words.note) > LONGEST_NOTE:
        errors.append(FieldError("note", f"{len(words.note)} characters", [f"at most {LONGEST_NOTE} characters"]))
    try:
        check_wording(
            Wording(
                version_id=uuid.UUID(int=0),
                code=template.code,
                channel=Channel(template.channel),
                topic=template.topic,
                subjects=words.subjects,
                bodies=words.bodies,
                variables=words.variables,
                vendor_refs=words.vendor_refs,
            )
        )
    except Invalid as error:
        errors += error.errors
    if errors:
        raise Invalid("This wording cannot be saved yet.", errors)
