"""`/api/v1/appointment-rules` and `/api/v1/tellings`: when a clinic reminds, and who is told what over what."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import caller_of, house_of
from hub.api.bodies import Body, read_body
from hub.api.message_shapes import Code
from hub.appointments.reminders import MOST_REMINDERS
from hub.appointments.rules import LONGEST_HOLD, Rules, change_rules, read_rules
from hub.appointments.switches import Setting, read_settings, switch
from hub.appointments.tellings import BY_KEY, Event, Recipient, Way
from hub.errors import NotFound
from hub.people.roles import Permission

MINUTE = timedelta(minutes=1)


class RulesBody(Body):
    """When patients are reminded, as ISO 8601 durations, and how long a missed visit is kept quiet about."""

    reminders: Annotated[list[Annotated[str, Field(max_length=20)]], Field(max_length=MOST_REMINDERS)]
    no_show_hold_minutes: Annotated[int, Field(ge=0, le=LONGEST_HOLD // MINUTE)]


class SwitchBody(Body):
    """Whether this is told, and by which template; without one, by the usual one."""

    enabled: bool
    code: Code | None = None


def rules_json(rules: Rules) -> dict[str, Any]:
    """A clinic's rules as the API shows them."""
    return {
        "reminders": [str(ahead) for ahead in rules.reminders],
        "no_show_hold_minutes": rules.no_show_hold // MINUTE,
    }


def setting_json(setting: Setting) -> dict[str, Any]:
    """One row of the table as the API shows it; `usual` is whether a clinic that never decided tells it."""
    event, to, over = setting.telling.key
    return {
        "event": event,
        "to": to,
        "over": over,
        "code": setting.code,
        "enabled": setting.enabled,
        "usual": setting.telling.usual,
        "changed": setting.changed,
    }


async def show(request: Request) -> Response:
    """GET: the clinic's rules."""
    caller = await caller_of(request)
    caller.needs(Permission.APPOINTMENTS_READ)
    async with house_of(request).database.of_tenant(caller.tenant) as session:
        rules = await read_rules(session)
    return JSONResponse(rules_json(rules))


async def write(request: Request) -> Response:
    """PUT: decide anew; every visit ahead is planned by it."""
    caller = await caller_of(request)
    caller.needs(Permission.RULES_MANAGE)
    body = await read_body(request, RulesBody)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        rules = await change_rules(work, body.reminders, body.no_show_hold_minutes)
    return JSONResponse(rules_json(rules))


async def list_tellings(request: Request) -> Response:
    """GET: the whole table as it stands for the clinic."""
    caller = await caller_of(request)
    caller.needs(Permission.APPOINTMENTS_READ)
    async with house_of(request).database.of_tenant(caller.tenant) as session:
        settings = await read_settings(session)
    return JSONResponse({"items": [setting_json(setting) for setting in settings.values()]})


async def switch_telling(request: Request) -> Response:
    """PUT: decide about one row of the table."""
    caller = await caller_of(request)
    caller.needs(Permission.RULES_MANAGE)
    event, to, over = _row(*(request.path_params[part] for part in ("event", "to", "over")))
    body = await read_body(request, SwitchBody)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        setting = await switch(work, event, to, over, enabled=body.enabled, code=body.code)
    return JSONResponse(setting_json(setting))


def _row(event: str, to: str, over: str) -> tuple[Event, Recipient, Way]:
    for key in BY_KEY:
        if key == (event, to, over):
            return key
    raise NotFound("There is no such row; `GET /api/v1/tellings` lists them all.")
