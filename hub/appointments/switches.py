"""What a clinic tells: the table of tellings as it stands for one clinic, and switching its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.appointments.tables import TellingSwitch
from hub.appointments.tellings import BY_KEY, TELLINGS, Event, Recipient, Telling, Way
from hub.channels.vendor import Channel
from hub.errors import FieldError, Invalid, NotFound
from hub.templates.tables import Template, TemplateVersion
from hub.work import Work

# Which channels a way has; in the app there are no templates.
CHANNELS: Mapping[Way, frozenset[Channel]] = {
    Way.TEXT: frozenset({Channel.SMS, Channel.WHATSAPP}),
    Way.EMAIL: frozenset({Channel.EMAIL}),
}
# What every telling has a value for: a template that wants more could never be filled in.
BROUGHT = frozenset({"patient", "clinic", "clinician", "starts_at", "old_starts_at", "reason", "next_steps", "link"})
# Staff choose nothing there.
FOR_PATIENTS = frozenset({"preferences_link"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One row as it stands for a clinic: told or not, by which template; `changed` when the clinic decided so."""

    telling: Telling
    enabled: bool
    code: str | None
    changed: bool


async def read_settings(session: AsyncSession) -> Mapping[tuple[Event, Recipient, Way], Setting]:
    """The whole table as it stands for the clinic whose rows this session sees, in the table's order."""
    columns = select(
        TellingSwitch.event, TellingSwitch.recipient, TellingSwitch.way, TellingSwitch.enabled, TellingSwitch.code
    )
    decided = {(row[0], row[1], row[2]): (row[3], row[4]) for row in await session.execute(columns)}
    return {telling.key: _setting(telling, decided.get(telling.key)) for telling in TELLINGS}


async def switch(
    work: Work, event: Event, to: Recipient, over: Way, *, enabled: bool, code: str | None = None
) -> Setting:
    """Decide about one row, by the usual template unless another is named; as the table has it, it is forgotten.

    Raises NotFound for a row that there is not, and Invalid for a template that has no published wording for that way,
    or one that wants values nobody brings. Audited.
    """
    telling = BY_KEY.get((event, to, over))
    if telling is None:
        raise NotFound("There is no such row among what is told about appointments.")
    code = code or telling.code
    if code != telling.code or (enabled and not telling.usual):
        await _check(work.session, telling, code)
    before = (await read_settings(work.session))[telling.key]
    is_usual = (enabled, code) == (telling.usual, telling.code)
    after = Setting(telling, enabled, code, changed=not is_usual)
    if after == before:
        return before
    if is_usual:
        await _forget(work, telling)
    else:
        await _write(work, after)
    await audit.record(work, "telling.switched", "telling", None, before=_row(before), after=_row(after))
    return after


async def _check(session: AsyncSession, telling: Telling, code: str | None) -> None:
    if telling.over is Way.IN_APP:
        if code is not None:
            raise Invalid("What is told in the app has no template.", [FieldError("code", "must be left out")])
        return
    fitting = await _fitting(session, telling)
    if code not in fitting:
        raise Invalid(
            f"There is no published template {code!r} that can say this over {telling.over}.",
            [FieldError("code", "not published, without a wording for this way, or with other values", fitting)],
        )


async def _fitting(session: AsyncSession, telling: Telling) -> list[str]:
    """The codes of the templates by which this could be told."""
    published = (
        select(Template.code, TemplateVersion.variables)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .where(Template.active, Template.channel.in_(CHANNELS[telling.over]), TemplateVersion.state == "published")
    )
    named: dict[str, set[str]] = defaultdict(set)
    for code, variables in await session.execute(published):
        named[code] |= {each["name"] for each in variables}
    brought = BROUGHT | FOR_PATIENTS if telling.to is Recipient.PATIENT else BROUGHT
    return sorted(code for code, names in named.items() if names <= brought)


async def _forget(work: Work, telling: Telling) -> None:
    await work.session.execute(
        delete(TellingSwitch).where(
            TellingSwitch.event == telling.event,
            TellingSwitch.recipient == telling.to,
            TellingSwitch.way == telling.over,
        )
    )


async def _write(work: Work, setting: Setting) -> None:
    event, to, over = setting.telling.key
    other_code = setting.code if setting.code != setting.telling.code else None
    decided = {"enabled": setting.enabled, "code": other_code, "changed_at": work.now}
    add = insert(TellingSwitch).values(tenant_id=work.tenant, event=event, recipient=to, way=over, **decided)
    await work.session.execute(
        add.on_conflict_do_update(index_elements=["tenant_id", "event", "recipient", "way"], set_=decided)
    )


def _setting(telling: Telling, decided: tuple[bool, str | None] | None) -> Setting:
    if decided is None:
        return Setting(telling, telling.usual, telling.code, changed=False)
    return Setting(telling, decided[0], decided[1] or telling.code, changed=True)


def _row(setting: Setting) -> dict[str, Any]:
    event, to, over = setting.telling.key
    return {"event": event, "to": to, "over": over, "enabled": setting.enabled, "code": setting.code}
