"""Templates: the overview by occasion, and one of them with its versions, figures and a test of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.api.bodies import MOST_PER_PAGE, Body, Search, read_number_cursor, read_query, write_cursor
from hub.api.problems import invalid
from hub.api.template_shapes import TestBody, first_moment, read_place
from hub.api.templates import send_version
from hub.channels.vendor import Channel
from hub.console.pages import address
from hub.console.reader import go, read_form, show, text_of
from hub.console.template_edit import PATH, manager_of, may_manage, reader_here, words_for, work_of
from hub.console.template_editor import messages_view, policy, variable_view
from hub.console.template_words import Gettext, codes_called, fault, occasion, place
from hub.errors import Conflict, Invalid
from hub.people.choices import Topic
from hub.people.names import names_of
from hub.people.sessions import Person
from hub.people.staff import get_staff
from hub.templates import versions
from hub.templates.history import (
    Difference,
    Filters,
    Listed,
    diff,
    read_template,
    read_templates,
    read_version,
    read_versions,
    usage,
)
from hub.templates.tables import TemplateVersion
from hub.templates.versions import wording_of, words_of
from hub.work import Work

VERSIONS_PER_PAGE = 10
USAGE_DAYS = 30
# A word or a whole placeable, with the space behind it: so a phrase that was replaced is one piece.
WORD = re.compile(r"\{[^{}]*\}\s*|[^\s{]+\s*|\{\s*|\s+")
# More digits than any version has.
LONGEST_NUMBER = 9


class Wanted(Body):
    """Which templates the overview lists."""

    q: Search = ""
    after: str | None = None


class Opened(Body):
    """How one template's page was come to."""

    before: str | None = None
    done: str = ""


async def overview(request: Request) -> Response:
    """GET: every occasion, and what is said on it over each channel."""
    person = await reader_here(request)
    wanted = read_query(request, Wanted)
    filters = Filters(search=wanted.q.strip(), codes=tuple(codes_called(words_for(request, person), wanted.q)))
    async with house_of(request).database.at_one_moment(person.tenant) as session:
        found = await read_templates(session, filters, read_place(wanted.after), MOST_PER_PAGE + 1)
    shown = found[:MOST_PER_PAGE]
    last = shown[-1].template if len(found) > MOST_PER_PAGE else None
    more = address(PATH, q=wanted.q, after=write_cursor(last.code, last.channel)) if last else None
    listed = {"topics": _by_topic(words_for(request, person), shown), "q": wanted.q, "more": more}
    return await show(request, "templates.html", person, list=listed | {"may_manage": may_manage(person)})


def _by_topic(_: Gettext, found: list[Listed]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Occasions under their topics, each with its templates by channel."""
    topics: dict[str, dict[str, dict[str, Any]]] = {topic.value: {} for topic in Topic}
    for listed in found:
        template = listed.template
        blank = {"code": template.code, "name": occasion(_, template.code), "channels": {}}
        row = topics[template.topic].setdefault(template.code, blank)
        row["channels"][template.channel] = {
            "id": template.id,
            "active": template.active,
            "published": listed.published.number if listed.published else None,
            "draft": listed.draft is not None,
        }
    return [(topic, list(occasions.values())) for topic, occasions in topics.items() if occasions]


async def page(request: Request) -> Response:
    """GET: one template, with its versions and how it is used."""
    return await _page(request, await reader_here(request))


async def _page(
    request: Request, person: Person, problem: str = "", test: dict[str, Any] | None = None, status: int = 200
) -> Response:
    opened = read_query(request, Opened) if request.method == "GET" else Opened()
    template, now = request.path_params["id"], house_of(request).clock()
    _ = words_for(request, person)
    async with house_of(request).database.at_one_moment(person.tenant) as session:
        listed = await read_template(session, template)
        before = read_number_cursor(opened.before)
        earlier = await read_versions(session, template, before, VERSIONS_PER_PAGE + 1)
        used = await usage(session, template, first_moment(person.clinic, now, USAGE_DAYS))
        names = await _names(session, earlier)
        email = (await get_staff(session, person.id)).email if listed.template.channel == Channel.EMAIL else ""
    context = {
        "about": _heading(_, listed),
        "published": listed.published is not None,
        "draft": listed.draft is not None,
        "shown": _shown(_, person, listed),
        "versions": [
            _version(_, each, before, names)
            for each, before in zip_longest(earlier[:VERSIONS_PER_PAGE], earlier[1 : VERSIONS_PER_PAGE + 1])
        ],
        "more_versions": _older(template, earlier),
        "usage": _figures(used.sent, used.delivered, used.failed, used.last_used_at),
        "may_manage": may_manage(person),
        "problem": problem,
        "done": _done(_, opened.done),
        "test": test or {"to": email, "language": person.language, "error": ""},
    }
    answer = await show(request, "template.html", person, status=status, **context)
    answer.headers["Content-Security-Policy"] = policy()
    return answer


def _heading(_: Gettext, listed: Listed) -> dict[str, Any]:
    found = listed.template
    columns = ("id", "code", "channel", "topic", "active", "created_at")
    return {name: getattr(found, name) for name in columns} | {"name": occasion(_, found.code)}


def _shown(_: Gettext, person: Person, listed: Listed) -> dict[str, Any]:
    """What patients read now, or would if the draft were published."""
    version = listed.published or listed.draft
    assert version is not None  # noqa: S101  (a template begins with a draft, and is never left without a version)
    wording = wording_of(listed.template, version)
    return {
        "number": version.number,
        "state": version.state,
        "messages": messages_view(_, wording, person.clinic),
        "variables": [variable_view(each) for each in wording.variables],
        "sendable": [each.number for each in (listed.published, listed.draft) if each],
    }


def _figures(sent: int, delivered: int, failed: int, last_used_at: datetime | None) -> dict[str, Any]:
    share = round(100 * delivered / sent) if sent else None
    figures = {"days": USAGE_DAYS, "total": sent, "delivered": delivered, "failed": failed}
    return figures | {"delivered_share": share, "last_used_at": last_used_at}


async def _names(session: AsyncSession, found: list[TemplateVersion]) -> dict[Any, str]:
    actors = {each for version in found for each in (version.created_by, version.published_by) if each}
    return await names_of(session, actors) if actors else {}


def _version(
    _: Gettext, found: TemplateVersion, before: TemplateVersion | None, names: dict[Any, str]
) -> dict[str, Any]:
    shown = {name: getattr(found, name) for name in ("number", "state", "note", "created_at", "published_at")}
    changes = diff(words_of(before), words_of(found)) if before else []
    who = names.get(found.published_by or found.created_by, "")
    return shown | {"who": who, "changes": [_change(_, each) for each in changes]}


def _change(_: Gettext, difference: Difference) -> dict[str, Any]:
    kind, _dot, language = difference.field.partition(".")
    spoken = language if kind in ("bodies", "subjects") else ""
    old = "\n".join(line.words for line in difference.lines if line.change != "new")
    new = "\n".join(line.words for line in difference.lines if line.change != "gone")
    return {
        "where": place(_, difference.field, []),
        "lang": spoken,
        "dir": "rtl" if spoken == "ar" else "ltr",
        "pieces": word_by_word(old, new),
    }


def word_by_word(old: str, new: str) -> list[tuple[str, str]]:
    """What stayed, went and came between two texts, in words (pure)."""
    before, after = WORD.findall(old), WORD.findall(new)
    pieces = []
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(before[i:j])))
            continue
        pieces += [(what, "".join(words)) for what, words in (("removed", before[i:j]), ("added", after[k:m])) if words]
    return pieces


def _older(template: object, found: list[TemplateVersion]) -> str | None:
    if len(found) <= VERSIONS_PER_PAGE:
        return None
    return address(f"{PATH}/{template}", before=write_cursor(found[VERSIONS_PER_PAGE - 1].number))


def _done(_: Gettext, what: str) -> str:
    words = {
        "published": _("Published. It goes out from now on."),
        "dropped": _("The draft is gone. What goes out stayed as it was."),
        "rolled-back": _("The earlier words go out again, as a new version."),
        "tested": _("The test is on its way."),
    }
    return words.get(what, "")


async def publish(request: Request) -> Response:
    """POST: let the draft go out from now on."""
    return await _act(request, lambda work, template, _form: versions.publish(work, template), "published")


async def roll_back(request: Request) -> Response:
    """POST: publish an earlier version's words again."""

    async def again(work: Work, template: uuid.UUID, form: FormData) -> None:
        number = text_of(form, "number")
        if not number.isascii() or not number.isdecimal() or len(number) > LONGEST_NUMBER:
            raise Invalid("There is no such version.")
        await versions.roll_back(work, template, int(number))

    return await _act(request, again, "rolled-back")


async def activate(request: Request) -> Response:
    """POST: let the template be used."""
    return await _act(request, lambda work, template, _form: versions.set_active(work, template, active=True))


async def deactivate(request: Request) -> Response:
    """POST: keep the template from being used."""
    return await _act(request, lambda work, template, _form: versions.set_active(work, template, active=False))


async def drop_draft(request: Request) -> Response:
    """POST: throw the draft away."""
    return await _act(request, lambda work, template, _form: versions.drop_draft(work, template), "dropped")


async def delete(request: Request) -> Response:
    """POST: remove a template that nothing was ever sent by."""
    person = await manager_of(request)
    try:
        async with work_of(request, person) as work:
            await versions.delete(work, request.path_params["id"])
    except Conflict:
        _ = words_for(request, person)
        return await _page(request, person, _("It was sent already, so it is kept. Switch it off instead."), status=409)
    return go(PATH)


async def _act(
    request: Request, verb: Callable[[Work, uuid.UUID, FormData], Awaitable[object]], done: str = ""
) -> Response:
    """Do it, and show the template again; what cannot be done now is said on its page."""
    person = await manager_of(request)
    form = await read_form(request)
    template = request.path_params["id"]
    try:
        async with work_of(request, person) as work:
            await verb(work, template, form)
    except (Conflict, Invalid) as error:
        _ = words_for(request, person)
        problem = _("Somebody was quicker: this is how it stands now.")
        if isinstance(error, Invalid):
            problem = _("The wording no longer passes the checks. Open the editor to see why.")
        return await _page(request, person, problem, status=409 if isinstance(error, Conflict) else 422)
    return go(address(f"{PATH}/{template}", done=done))


async def send_test(request: Request) -> Response:
    """POST: send one version to an address of one's own."""
    person = await manager_of(request)
    form = await read_form(request)
    template = request.path_params["id"]
    typed = {name: text_of(form, name) for name in ("to", "language", "version")}
    try:
        test = TestBody.model_validate({name: value for name, value in typed.items() if value})
        async with work_of(request, person) as work:
            listed = await read_template(work.session, template)
            number = test.version or 0
            version = await read_version(work.session, template, number)
            await send_version(work, listed.template, version, test, person.clinic)
    except (ValidationError, Invalid) as error:
        _ = words_for(request, person)
        errors = (invalid(error) if isinstance(error, ValidationError) else error).errors
        wrong = fault(_, errors[0]) if errors and errors[0].field == "to" else _("This cannot be sent as it is.")
        return await _page(request, person, test=typed | {"error": wrong}, status=422)
    return go(address(f"{PATH}/{template}", done="tested"))
