"""A patient's own pages, behind a signed link and without a login: what they get, and how to get less of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.api.message_shapes import read_message_cursor, write_message_cursor
from hub.channels.vendor import Channel
from hub.console.message_words import Look, Words
from hub.console.pages import Clinic, Page, address
from hub.console.reader import go, page_of, pages_of, read_form, text_of
from hub.errors import Invalid, NotFound
from hub.messages.log import Filters, Listed, read_messages
from hub.messages.states import State
from hub.people.choices import Choices, Source, Topic, choose_each, read_choices
from hub.people.patients import Change, change_patient, read_patient, zone_of
from hub.people.preference_links import Link, Purpose, read_link
from hub.people.tables import Patient
from hub.people.tenants import LANGUAGES, read_clinic
from hub.work import SYSTEM

PER_PAGE = 20
# RFC 8058: what a mailbox provider posts, and so does the button of our own page.
FIELD, ONE_CLICK = "List-Unsubscribe", "one-click"


async def page(request: Request) -> Response:
    """GET /p/…: what this patient gets, by which way, and what they got."""
    link = _link_of(request, "preferences")
    if link is None:
        return ended(request)
    house = house_of(request)
    before = read_message_cursor(request.query_params.get("before") or None)
    async with house.database.at_one_moment(link.tenant) as session:
        try:
            patient, seen = await _seen(request, session, link)
        except NotFound:
            return ended(request)
        choices = (await read_choices(session, [link.patient]))[link.patient]
        filters = Filters(patient=link.patient)
        found = await read_messages(session, house.keys, filters, limit=PER_PAGE, before=before)
    path = f"/p/{request.path_params['token']}"
    say = pages_of(request).gettext(seen.lang)
    words = Words(say, seen.lang)
    context = {
        "path": path,
        "topics": [{"name": each.value, "allowed": choices.topics[each]} for each in Topic],
        "channels": [{"name": each, "allowed": choices.channels[each]} for each in patient.channels],
        "was": allowed_in(choices),
        "messages": [_row(each, words, say) for each in found.items],
        "older": address(path, before=write_message_cursor(found.older)) if found.older else None,
        "is_first": before is None,
        "saved": "saved" in request.query_params,
    }
    return HTMLResponse(pages_of(request).render("preferences.html", seen, own=context, words=words))


async def save(request: Request) -> Response:
    """POST /p/…: the patient's own choices; what they did not touch stays as it is by now."""
    link = _link_of(request, "preferences")
    if link is None:
        return ended(request)
    form = await read_form(request)
    language, first = text_of(form, "language"), text_of(form, "first")
    async with house_of(request).open_work(link.tenant, SYSTEM) as work:
        try:
            patient = await read_patient(work.session, link.patient)
        except NotFound:
            return ended(request)
        change = Change(
            language=language if language in LANGUAGES else None,
            channels=[first, *(each for each in patient.channels if each != first)]
            if first in patient.channels
            else None,
        )
        await change_patient(work, link.patient, change)
        await choose_each(work, link.patient, changed_in(form), Source.LINK)
    return go(f"/p/{request.path_params['token']}?saved=1")


async def ask(request: Request) -> Response:
    """GET /u/…: asks whether to stop; changes nothing, for scanners of mail follow every link."""
    link = _link_of(request, "unsubscribe")
    if link is None:
        return ended(request)
    async with house_of(request).database.of_tenant(link.tenant) as session:
        try:
            _, seen = await _seen(request, session, link)
        except NotFound:
            return ended(request)
    words = Words(pages_of(request).gettext(seen.lang), seen.lang)
    context = {"stage": "ask", "topic": words.topics[link.topic] if link.topic else None}
    return HTMLResponse(pages_of(request).render("unsubscribe.html", seen, **context))


async def unsubscribe(request: Request) -> Response:
    """POST /u/…: stop, at once and without a question (RFC 8058).

    Neither a cookie nor whether the link is known makes a difference to the answer.
    """
    form = await read_form(request)
    if text_of(form, FIELD).lower() != ONE_CLICK:
        raise Invalid(f"Post {FIELD}=One-Click to unsubscribe.")
    link = _link_of(request, "unsubscribe")
    if link is not None:
        about = Topic(link.topic) if link.topic else Channel.EMAIL
        try:
            async with house_of(request).open_work(link.tenant, SYSTEM) as work:
                await choose_each(work, link.patient, {about: False}, Source.UNSUBSCRIBE)
        except NotFound:
            pass
    language = text_of(form, "language")
    return _plain(request, "done", 200, language if language in LANGUAGES else None)


def ended(request: Request) -> Response:
    """What a link opens that is over, damaged or about nobody: which of these it is, is nobody's business."""
    return _plain(request, "ended", 404)


def allowed_in(choices: Choices) -> list[str]:
    """Everything a patient allows, as a form names it."""
    return [name for name, allowed in (choices.topics | choices.channels).items() if allowed]


def changed_in(form: FormData) -> dict[Topic | Channel, bool]:
    """What somebody changed on a form of choices: what is ticked against what was when the form was shown.

    A page that lay open must not take back what was chosen elsewhere since.
    """
    ticked, was = ({str(each) for each in form.getlist(name)} for name in ("allowed", "was"))
    return {about: about in ticked for about in (*Topic, *Channel) if (about in ticked) != (about in was)}


def _link_of(request: Request, purpose: Purpose) -> Link | None:
    house = house_of(request)
    link = read_link(house.keys, request.path_params["token"], purpose, house.clock())
    return link if link is not None and (link.topic is None or link.topic in set(Topic)) else None


async def _seen(request: Request, session: AsyncSession, link: Link) -> tuple[Patient, Page]:
    """The patient, and what every page needs: in their language, by their clock."""
    patient = await read_patient(session, link.patient)
    clinic = await read_clinic(session, link.tenant)
    seen = page_of(request, None)
    return patient, replace(seen, lang=patient.language, clinic=Clinic(clinic.name, zone_of(patient, clinic).key))


def _plain(request: Request, stage: str, status: int, language: str | None = None) -> Response:
    """A page that says nothing of anybody, in the language of whoever asks."""
    seen = page_of(request, None)
    seen = replace(seen, lang=language or seen.lang)
    return HTMLResponse(pages_of(request).render("unsubscribe.html", seen, stage=stage, topic=None), status)


def _row(listed: Listed, words: Words, say: Callable[[str], str]) -> dict[str, Any]:
    """A message as its patient sees it; what it says, they have where it was sent to."""
    found = listed.message
    return {
        "topic": words.topics[found.topic],
        "channel": found.channel,
        "channel_word": words.channels[found.channel],
        "at": found.created_at,
        "look": look_of(say, found.state),
    }


def look_of(_: Callable[[str], str], state: str) -> Look:
    """A state in a patient's words: whether it came, is on its way, or did not go."""
    if state in (State.DELIVERED, State.READ):
        return Look(_("Delivered"), "ok", "check")
    if state in (State.FAILED, State.BOUNCED):
        return Look(_("Could not be delivered"), "warn", "warning")
    if state in (State.SKIPPED, State.CANCELLED):
        return Look(_("Not sent"), "", "cross")
    return Look(_("Sent"), "", "send") if state == State.SENT else Look(_("On its way"), "", "clock")
