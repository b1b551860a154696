"""One message on a page of its own: what was asked, what went out, each step and why, and what may be done about it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from unicodedata import bidirectional
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.channels.vendor import Channel
from hub.console.message_words import About, Words
from hub.console.messages import PATH, costs_of, words_of
from hub.console.reader import go, needs, reader_of, show
from hub.errors import Conflict, Invalid, NotFound
from hub.guards import MAIL_SECURITY
from hub.messages import by_hand, compose
from hub.messages.log import Story, read_story
from hub.messages.states import CANCELLABLE, RETRYABLE, SETTLED, State
from hub.messages.tables import Message, MessageStep
from hub.people.patients import zone_of
from hub.people.roles import ALLOWED, Permission
from hub.people.sessions import Person
from hub.people.tenants import Clinic
from hub.templates.render import Rendered, render
from hub.templates.segments import count_segments
from hub.templates.versions import published
from hub.work import Actor, Work

# The true link is made as a message leaves; until then this one takes up its room.
SOME_LINK = "https://example.org/"

Verb = Callable[[Work, uuid.UUID], Awaitable[Message]]


async def page(request: Request) -> Response:
    """GET: the message and its story."""
    person = await reader_of(request)
    needs(person, Permission.MESSAGES_READ)
    return await _show(request, person)


async def mail(request: Request) -> Response:
    """GET: the HTML that one request sent, for the frame on the page: alone, and running nothing."""
    person = await reader_of(request)
    needs(person, Permission.MESSAGES_READ)
    house = house_of(request)
    async with house.database.of_tenant(person.tenant) as session:
        story = await read_story(session, house.keys, request.path_params["id"])
    for each in story.requests:
        if each.attempt.number == request.path_params["number"] and each.out and each.out.get("html"):
            return HTMLResponse(each.out["html"], headers={"Content-Security-Policy": MAIL_SECURITY})
    raise NotFound("There is no such email.")


async def retry(request: Request) -> Response:
    """POST: send it again."""
    return await _do(request, Permission.MESSAGES_RETRY, by_hand.retry)


async def cancel(request: Request) -> Response:
    """POST: do not send it."""
    return await _do(request, Permission.MESSAGES_SEND, by_hand.cancel)


async def hurry(request: Request) -> Response:
    """POST: do not wait any longer."""
    return await _do(request, Permission.MESSAGES_SEND, by_hand.send_now)


async def _do(request: Request, permission: Permission, verb: Verb) -> Response:
    person = await reader_of(request)
    needs(person, permission)
    try:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            await verb(work, request.path_params["id"])
    except Conflict:
        # It went on while the page was open: how it stands now is the answer.
        return await _show(request, person, went_on=True)
    return go(f"{PATH}/{request.path_params['id']}")


async def _show(request: Request, person: Person, *, went_on: bool = False) -> Response:
    house, words = house_of(request), words_of(request, person)
    async with house.database.at_one_moment(person.tenant) as session:
        story = await read_story(session, house.keys, request.path_params["id"])
        said = await _said(session, story, person.clinic)
    context = {
        "message": _facts(story, words, person.clinic) | _verbs(story, person),
        "said": said,
        "story": _steps(story, words, _zone(story, person.clinic)),
        "went_on": went_on,
        "words": words,
    }
    return await show(request, "message.html", person, status=409 if went_on else 200, **context)


def _facts(story: Story, words: Words, clinic: Clinic) -> dict[str, Any]:
    found = story.message
    about = About(found.channel, found.topic, _waits_until(found), _zone(story, clinic))
    return {
        "id": str(found.id),
        "patient": {"id": str(story.patient.id), "name": story.patient.name} if story.patient else None,
        "staff": story.staff,
        "look": words.look(found.state),
        "reason": words.reason(found.reason, about),
        "goes_on": found.state not in SETTLED,
        "topic": words.topics[found.topic],
        "code": found.code,
        "occasion": words.occasion(found.code),
        "language": found.language,
        "channel": found.channel,
        "channels": found.channels,
        "lane": found.lane,
        "asked_by": words.who(found.actor_kind, story.actor),
        "asked_at": found.created_at,
        "send_at": found.scheduled_at,
        "due_at": _waits_until(found),
        "expires_at": None if found.state in SETTLED else found.expires_at,
        "reference": found.reference,
        "department": found.department,
        "related": found.related_type == "appointment" and found.related_id,
        "files": [(each.content_type, max(1, each.size // 1024)) for each in story.files],
        "parts": story.paid.parts,
        "costs": costs_of(story.paid.costs),
    }


def _verbs(story: Story, person: Person) -> dict[str, bool]:
    state, allowed = State(story.message.state), ALLOWED[person.role]
    is_true = story.message.withdrawn_by is None
    return {
        "can_retry": is_true and state in RETRYABLE and Permission.MESSAGES_RETRY in allowed,
        "can_cancel": state in CANCELLABLE and Permission.MESSAGES_SEND in allowed,
        "can_hurry": is_true and state is State.QUEUED and Permission.MESSAGES_SEND in allowed,
    }


async def _said(session: AsyncSession, story: Story, clinic: Clinic) -> dict[str, Any] | None:
    """What the patient has, as the newest request says it; before the first one, as it would go out now."""
    found = story.message
    if story.requests:
        newest = story.requests[-1]
        if newest.out is None:
            return None
        return said_of(newest.attempt.channel, found.language, newest.out) | {
            "number": newest.attempt.number,
            "to": newest.out.get("to", ""),
        }
    if story.asked is None:
        return None
    if found.code is None:
        return said_of(found.channel, found.language, story.asked)
    rendered = await _rendered(session, story, clinic)
    if rendered is None:
        return None
    return said_of(found.channel, found.language, {"subject": rendered.subject, "text": rendered.text})


async def _rendered(session: AsyncSession, story: Story, clinic: Clinic) -> Rendered | None:
    found, asked = story.message, story.asked or {}
    wording = (await published(session, found.code or "")).get(Channel(found.channel))
    if wording is None:
        return None
    known = compose.given_values(clinic, SOME_LINK) | asked.get("values", {})
    values, zone = compose.only(wording, known), _zone(story, clinic)
    try:
        return render(wording, wording.channel, found.language, values, clinic=clinic.name, zone=zone)
    except Invalid:
        return None


def said_of(channel: str, language: str, out: dict[str, Any]) -> dict[str, Any]:
    """A message as its reader has it in hand."""
    text = out.get("text", "")
    return {
        "channel": channel,
        "lang": language,
        "dir": direction_of(text, language),
        "subject": out.get("subject", ""),
        "text": text,
        "has_html": bool(out.get("html")),
        "segments": count_segments(text) if channel == Channel.SMS else None,
        "number": None,
        "to": "",
    }


def direction_of(text: str, language: str) -> str:
    """How a phone sets a text: by its first letter outside of isolates (UAX #9, P2); `dir="auto"` looks into them."""
    depth = 0
    for each in text:
        kind = bidirectional(each)
        depth += (kind in ("FSI", "LRI", "RLI")) - (kind == "PDI" and depth > 0)
        if depth == 0 and kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return "rtl" if language == "ar" else "ltr"


def _steps(story: Story, words: Words, zone: ZoneInfo) -> list[dict[str, Any]]:
    """The steps in order; what is known of a request stands at the last step that is about it alone."""
    requests = {each.attempt.number: each for each in story.requests}
    told = [_step(step, story.message, words, zone) for step in story.steps]
    last_of = {step.attempt: place for place, step in enumerate(story.steps) if step.attempt in requests}
    for number, place in last_of.items():
        attempt, out = requests[number].attempt, requests[number].out
        told[place]["request"] = {
            "number": number,
            "look": words.look(attempt.state),
            "to": (out or {}).get("to", ""),
            "vendor": attempt.vendor,
            "vendor_id": attempt.vendor_id,
            "code": attempt.code,
            "answer": json.dumps(attempt.answer, ensure_ascii=False, indent=2) if attempt.answer else "",
            "said": said_of(attempt.channel, story.message.language, out) if out else None,
            "parts": attempt.segments_estimated if attempt.segments_billed is None else attempt.segments_billed,
            "cost": costs_of({attempt.currency: attempt.cost})[0] if attempt.cost and attempt.currency else "",
        }
    return told


def _step(step: MessageStep, message: Message, words: Words, zone: ZoneInfo) -> dict[str, Any]:
    detail = step.detail or {}
    until = detail.get("until") or detail.get("due_at")
    about = About(step.channel, message.topic, datetime.fromisoformat(until) if until else None, zone)
    if step.reason == "scheduled" and message.scheduled_at:
        about = About(step.channel, message.topic, message.scheduled_at, zone)
    return {
        "at": step.at,
        "look": words.look(step.state),
        "reason": words.reason(step.reason, about),
        "channel": step.channel,
        "vendor": step.vendor,
        "attempt": step.attempt,
        "code": detail.get("code"),
        "request": None,
    }


def _waits_until(message: Message) -> datetime | None:
    return message.due_at if message.state == State.QUEUED else None


def _zone(story: Story, clinic: Clinic) -> ZoneInfo:
    return zone_of(story.patient, clinic) if story.patient else clinic.zone
