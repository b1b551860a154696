"""Writing a template: the page of its draft, what saving it says, and the preview of what is not saved yet."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.api.bodies import Body, Search, read_query
from hub.api.template_shapes import errors_of
from hub.channels.vendor import Channel
from hub.console.reader import go, needs, page_of, pages_of, read_form, reader_of, show, text_of
from hub.console.template_editor import Draft, editor_view, messages_view, policy, problems_view, read_draft
from hub.console.template_words import Gettext, occasion
from hub.errors import Conflict, FieldError, Invalid
from hub.people.choices import Topic
from hub.people.roles import ALLOWED, Permission
from hub.people.sessions import Person
from hub.templates import versions
from hub.templates.history import Listed, read_template
from hub.templates.versions import Words, words_of
from hub.work import Actor, Work

PATH = "/console/templates"
NO_VARIABLE = {"name": "", "type": "text", "privacy": "personal", "example": ""}


async def reader_here(request: Request) -> Person:
    """Who reads; raises Forbidden for those whom templates do not concern."""
    person = await reader_of(request)
    needs(person, Permission.TEMPLATES_READ)
    return person


async def manager_of(request: Request) -> Person:
    """Who writes; raises Forbidden for those who may not."""
    person = await reader_of(request)
    needs(person, Permission.TEMPLATES_MANAGE)
    return person


def may_manage(person: Person) -> bool:
    """Whether this person writes templates, or only reads them."""
    return Permission.TEMPLATES_MANAGE in ALLOWED[person.role]


def words_for(request: Request, person: Person) -> Gettext:
    """How something is said to this person."""
    return pages_of(request).gettext(person.language)


def work_of(request: Request, person: Person) -> AbstractAsyncContextManager[Work]:
    """A unit of work of this person's."""
    return house_of(request).open_work(person.tenant, Actor("staff", person.id))


class Begun(Body):
    """What the overview knows of a template that is to be made."""

    code: Search = ""
    channel: Channel = Channel.SMS
    topic: Topic = Topic.REMINDERS


async def new(request: Request) -> Response:
    """GET: an empty editor."""
    person = await manager_of(request)
    begun = read_query(request, Begun)
    return await _editor(request, person, Draft(begun.code, begun.channel, begun.topic, Words({})), [])


async def create(request: Request) -> Response:
    """POST: begin a template."""
    person = await manager_of(request)
    form = await read_form(request)
    draft = read_draft(form)
    if kept := await _unsaved(request, person, form, draft):
        return kept
    try:
        async with work_of(request, person) as work:
            version = await versions.add_template(work, draft.code, draft.channel, draft.topic, draft.words)
            if text_of(form, "do") == "publish":
                await versions.publish(work, version.template_id)
    except (Invalid, Conflict) as error:
        return await _refused(request, person, draft, error)
    return _saved(form, version.template_id)


async def editor(request: Request) -> Response:
    """GET: the draft, or what is published as the beginning of one."""
    person = await manager_of(request)
    async with house_of(request).database.at_one_moment(person.tenant) as session:
        listed = await read_template(session, request.path_params["id"])
    return await _editor(request, person, _draft_of(listed), [], listed)


async def save(request: Request) -> Response:
    """POST: save the draft, publish it, or only look at it."""
    person = await manager_of(request)
    template = request.path_params["id"]
    form = await read_form(request)
    async with house_of(request).database.of_tenant(person.tenant) as session:
        listed = await read_template(session, template)
    draft = _of(listed, read_draft(form))
    if kept := await _unsaved(request, person, form, draft, listed):
        return kept
    try:
        async with work_of(request, person) as work:
            await versions.save_draft(work, template, draft.words)
            if text_of(form, "do") == "publish":
                await versions.publish(work, template)
    except Invalid as error:
        return await _refused(request, person, draft, error, listed)
    return _saved(form, template)


async def _unsaved(
    request: Request, person: Person, form: FormData, draft: Draft, listed: Listed | None = None
) -> Response | None:
    """The editor again, without a script: to look at the preview, or to have one more row."""
    if text_of(form, "do") not in ("preview", "add"):
        return None
    return await _editor(request, person, draft, [], listed, rows=1 if text_of(form, "do") == "add" else 0)


def _saved(form: FormData, template: object) -> Response:
    published = text_of(form, "do") == "publish"
    return go(f"{PATH}/{template}?done=published" if published else f"{PATH}/{template}/edit?saved=yes")


async def _refused(
    request: Request, person: Person, draft: Draft, error: Invalid | Conflict, listed: Listed | None = None
) -> Response:
    status = 409 if isinstance(error, Conflict) else 422
    errors = error.errors if isinstance(error, Invalid) else []
    _ = words_for(request, person)
    problem = _("This cannot be saved yet.") if errors else _("There is a template for this code and channel already.")
    return await _editor(request, person, draft, errors, listed, problem=problem, status=status)


def _draft_of(listed: Listed) -> Draft:
    version = listed.draft or listed.published
    assert version is not None  # noqa: S101  (a template begins with a draft, and is never left without a version)
    words = words_of(version)
    if listed.draft is None:
        words = Words(words.bodies, words.variables, words.subjects, words.vendor_refs)
    found = listed.template
    return Draft(found.code, Channel(found.channel), Topic(found.topic), words)


def _of(listed: Listed, draft: Draft) -> Draft:
    """What a form says of a template's code, channel and topic is not asked."""
    found = listed.template
    return Draft(found.code, Channel(found.channel), Topic(found.topic), draft.words)


async def preview(request: Request) -> Response:
    """POST: the preview of what is typed, as a fragment."""
    person = await manager_of(request)
    draft = read_draft(await read_form(request))
    context = {"preview": _preview(words_for(request, person), person, draft)}
    return HTMLResponse(pages_of(request).render("parts/template_preview.html", page_of(request, person), **context))


def _preview(_: Gettext, person: Person, draft: Draft) -> dict[str, Any]:
    said = any(draft.words.bodies.values())
    return {
        "channel": draft.channel.value,
        "shown": messages_view(_, draft.wording, person.clinic),
        "problems": problems_view(_, errors_of(draft.wording), draft.names) if said else [],
    }


async def _editor(
    request: Request,
    person: Person,
    draft: Draft,
    errors: list[FieldError],
    listed: Listed | None = None,
    *,
    problem: str = "",
    status: int = 200,
    rows: int = 0,
) -> Response:
    _ = words_for(request, person)
    view = editor_view(_, draft, errors) | {
        "id": listed.template.id if listed else None,
        "number": listed.draft.number if listed and listed.draft else None,
        "published": listed is not None and listed.published is not None,
        "title": _("Edit: %(name)s") % {"name": occasion(_, draft.code)} if listed else _("New template"),
        "problem": problem,
        "saved": _("The draft is saved.") if request.query_params.get("saved") and not problem else "",
    }
    view["variables"] += [NO_VARIABLE] * rows
    context = {"editor": view, "preview": _preview(_, person, draft)}
    answer = await show(request, "template_edit.html", person, status=status, **context)
    answer.headers["Content-Security-Policy"] = policy()
    return answer
