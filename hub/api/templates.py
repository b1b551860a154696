"""`/api/v1/templates`: what patients are told, its drafts and versions, what it looks like, how much it is used."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import caller_of, house_of
from hub.api.bodies import Body, idempotency_of, read_body, read_number_cursor, read_query, write_cursor
from hub.api.template_shapes import (
    Earlier,
    Listing,
    NewTemplate,
    PreviewBody,
    Span,
    Switch,
    TestBody,
    VersionListing,
    WordsBody,
    changes_json,
    errors_of,
    first_moment,
    read_place,
    show_wording,
    shown_json,
    template_json,
    usage_json,
    version_json,
    wording_of,
)
from hub.channels.vendor import Channel
from hub.errors import FieldError, Invalid
from hub.idempotency import once
from hub.messages.compose import send_test
from hub.people.contact_points import normalise_email, normalise_phone, region_of
from hub.people.roles import Permission
from hub.people.tenants import Clinic
from hub.templates import versions
from hub.templates.history import Filters, Listed, read_template, read_templates, read_version, read_versions, usage
from hub.templates.tables import Template, TemplateVersion
from hub.work import Work


async def list_(request: Request) -> Response:
    """GET: the templates, by code and channel."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_READ)
    listing = read_query(request, Listing)
    filters = Filters(listing.channel, listing.topic, listing.active, listing.q)
    async with house_of(request).database.of_tenant(caller.tenant) as session:
        found = await read_templates(session, filters, read_place(listing.after), listing.limit + 1)
    shown = found[: listing.limit]
    last = shown[-1].template if len(found) > listing.limit else None
    more = write_cursor(last.code, last.channel) if last else None
    return JSONResponse({"items": [template_json(each) for each in shown], "after": more})


async def create(request: Request) -> Response:
    """POST: begin a template with its first draft."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    new = await read_body(request, NewTemplate)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def add() -> dict[str, Any]:
            version = await versions.add_template(work, new.code, new.channel, new.topic, new.words)
            return {"id": str(version.template_id)}

        answer = await once(work, idempotency, add)
        found = await read_template(work.session, uuid.UUID(answer["id"]))
    return JSONResponse(template_json(found), 201, {"Location": f"/api/v1/templates/{found.template.id}"})


async def show(request: Request) -> Response:
    """GET: one template with its versions, the newest first, and what each changed."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_READ)
    listing = read_query(request, VersionListing)
    template = request.path_params["id"]
    async with house_of(request).database.at_one_moment(caller.tenant) as session:
        found = await read_template(session, template)
        before = read_number_cursor(listing.before)
        earlier = await read_versions(session, template, before, listing.limit + 1)
    shown = earlier[: listing.limit]
    more = write_cursor(shown[-1].number) if len(earlier) > listing.limit else None
    stories = [
        version_json(each) | {"changes": changes_json(before, each)}
        for each, before in zip_longest(shown, earlier[1 : len(shown) + 1])
    ]
    return JSONResponse(template_json(found) | {"versions": stories, "before": more})


async def change(request: Request) -> Response:
    """PATCH: let a template be used, or keep it from being used."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    wanted = await read_body(request, Switch)
    template = request.path_params["id"]
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        await versions.set_active(work, template, wanted.active)
        found = await read_template(work.session, template)
    return JSONResponse(template_json(found))


async def delete(request: Request) -> Response:
    """DELETE: remove a template that nothing was ever sent by."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        await versions.delete(work, request.path_params["id"])
    return Response(status_code=204)


async def write_draft(request: Request) -> Response:
    """PUT: the draft, whether there was one or not."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    body = await read_body(request, WordsBody)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        draft = await versions.save_draft(work, request.path_params["id"], body.words)
    return JSONResponse(version_json(draft))


async def drop_draft(request: Request) -> Response:
    """DELETE: throw the draft away."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        await versions.drop_draft(work, request.path_params["id"])
    return Response(status_code=204)


async def publish(request: Request) -> Response:
    """POST: let the draft go out from now on."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    await read_body(request, Body)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        version = await versions.publish(work, request.path_params["id"])
    return JSONResponse(version_json(version))


async def roll_back(request: Request) -> Response:
    """POST: publish an earlier version's words again."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    earlier = await read_body(request, Earlier)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        version = await versions.roll_back(work, request.path_params["id"], earlier.version)
    return JSONResponse(version_json(version))


async def preview(request: Request) -> Response:
    """POST: what patients would read, in both languages, and all that stands in the way of saving it."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_READ)
    body = await read_body(request, PreviewBody)
    wording = wording_of(body.code, body.channel, body.topic, body.words)
    shown = show_wording(wording, caller.clinic, wording.examples | body.values)
    return JSONResponse(
        {
            "languages": {each.language: shown_json(each) for each in shown},
            "errors": [asdict(each) for each in errors_of(wording)],
        }
    )


async def test(request: Request) -> Response:
    """POST: send one version to an address of one's own; it counts nowhere."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_MANAGE)
    body = await read_body(request, TestBody)
    template = request.path_params["id"]
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        found = await read_template(work.session, template)
        version = await _version(work.session, found, body.version)

        async def send() -> dict[str, Any]:
            message = await send_version(work, found.template, version, body, caller.clinic)
            return {"message_id": str(message)}

        answer = await once(work, idempotency, send)
    return JSONResponse(answer, 202)


async def send_version(
    work: Work, template: Template, version: TemplateVersion, test: TestBody, clinic: Clinic
) -> uuid.UUID:
    """Queue a test of a version with its examples, the test's values laid over; raises Invalid. The message's id."""
    channel = Channel(template.channel)
    try:
        to = normalise_email(test.to) if channel == Channel.EMAIL else normalise_phone(test.to, region_of(clinic))
    except Invalid as error:
        raise Invalid(error.detail, [FieldError("to", each.detail, each.accepted) for each in error.errors]) from error
    values = versions.wording_of(template, version).examples | test.values
    return (await send_test(work, version.id, test.language, channel, to, values)).id


async def _version(session: AsyncSession, listed: Listed, number: int | None) -> TemplateVersion:
    if number is not None:
        return await read_version(session, listed.template.id, number)
    version = listed.draft or listed.published
    assert version is not None  # noqa: S101  (a template begins with a draft, and is never left without a version)
    return version


async def show_usage(request: Request) -> Response:
    """GET: what went out by it, and what became of that."""
    caller = await caller_of(request)
    caller.needs(Permission.TEMPLATES_READ)
    span = read_query(request, Span)
    template = request.path_params["id"]
    since = first_moment(caller.clinic, house_of(request).clock(), span.days)
    async with house_of(request).database.at_one_moment(caller.tenant) as session:
        await read_template(session, template)
        found = await usage(session, template, since)
    return JSONResponse(usage_json(found, since))
