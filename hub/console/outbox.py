"""The outbox: what the sandbox took instead of sending it, and buttons that play the vendor.

Only there while some channel of this hub goes to the sandbox.
"""

from __future__ import annotations

import uuid
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.api.bodies import Body, Search, moment_in_cursor, read_cursor, read_query, write_cursor
from hub.channels.sandbox import MAGIC, NAME, Magic
from hub.channels.vendor import Channel, ReportKind
from hub.console.pages import address
from hub.console.reader import go, needs, read_form, reader_of, show, text_of
from hub.errors import FieldError, Invalid, NotFound
from hub.guards import MAIL_SECURITY
from hub.messages.outbox import PLAYS, Cursor, Kept, count_kept, play, read_attached, read_kept, read_outbox
from hub.people.roles import Permission
from hub.people.sessions import Person
from hub.templates.segments import count_segments, odd_characters, split_parts

PATH = "/console/outbox"
PER_PAGE = 30
# More than this, and it is the language rather than a slip of the keyboard.
FEW_ODD = 8


class Wanted(Body):
    """What the address asks for: which messages to list, and how to show the open one."""

    channel: Channel | Literal[""] = ""
    q: Search = ""
    before: str = ""
    after: str = ""
    view: Literal["", "text", "source"] = ""
    played: ReportKind | Literal[""] = ""

    @property
    def kept(self) -> dict[str, str | None]:
        """What leads on from here, to the same list."""
        return {"channel": self.channel, "q": self.q, "before": self.before, "after": self.after}


async def list_page(request: Request) -> Response:
    """GET: the list, and the addresses that make the sandbox answer differently."""
    person = await _reader(request)
    wanted = read_query(request, Wanted)
    return await show(request, "outbox.html", person, outbox=await _list(request, person, wanted), opened=None)


async def message_page(request: Request) -> Response:
    """GET: the list with one message beside it."""
    person = await _reader(request)
    wanted = read_query(request, Wanted)
    house = house_of(request)
    async with house.database.of_tenant(person.tenant) as session:
        kept = await read_kept(session, house.keys, request.path_params["id"])
        files = await read_attached(session, house.keys, kept.message_id) if kept.channel is Channel.EMAIL else []
    opened = _row(kept, wanted) | {
        "view": wanted.view or ("mail" if kept.html else "text"),
        "views": _views(kept, wanted),
        "html": kept.html,
        "files": files,
        "mail": f"{PATH}/{kept.id}/mail",
        "sms": _sms(kept),
        "plays": [kind.value for kind in PLAYS[kept.channel]] if kept.was_taken and kept.is_open else [],
        "played": wanted.played,
    }
    return await show(request, "outbox.html", person, outbox=await _list(request, person, wanted), opened=opened)


async def mail(request: Request) -> Response:
    """GET: a mail's HTML alone, for the frame it is shown in: it runs nothing and fetches nothing."""
    person = await _reader(request)
    house = house_of(request)
    async with house.database.of_tenant(person.tenant) as session:
        kept = await read_kept(session, house.keys, request.path_params["id"])
    if not kept.html:
        raise NotFound("This message has no HTML.")
    # Its links open beside the outbox, not inside its frame.
    html = kept.html.replace("<head>", '<head><base target="_blank">', 1)
    return HTMLResponse(html, headers={"Content-Security-Policy": MAIL_SECURITY})


async def report(request: Request) -> Response:
    """POST: report what was chosen, as the vendor's own webhook would; then back to the message."""
    person = await _reader(request)
    form = await read_form(request)
    kind = _kind(text_of(form, "as"))
    house = house_of(request)
    async with house.database.of_tenant(person.tenant) as session:
        kept = await read_kept(session, house.keys, request.path_params["id"])
    await house.intake.take([play(kept, kind, house.clock())], b"")
    kept_filters = {name: text_of(form, name) for name in ("channel", "q", "before", "after", "view")}
    return go(address(f"{PATH}/{kept.id}", kept_filters, played=kind))


async def _reader(request: Request) -> Person:
    person = await reader_of(request)
    needs(person, Permission.OUTBOX_READ)
    if house_of(request).vendors.by_name(NAME) is None:
        raise NotFound("No channel of this hub goes to the sandbox, so there is no outbox.")
    return person


async def _list(request: Request, person: Person, wanted: Wanted) -> dict[str, Any]:
    house = house_of(request)
    async with house.database.at_one_moment(person.tenant) as session:
        page = await read_outbox(
            session,
            house.keys,
            limit=PER_PAGE,
            channel=wanted.channel or None,
            search=wanted.q,
            before=_cursor(wanted.before),
            after=_cursor(wanted.after),
        )
        count = await count_kept(session)
    filters = {"channel": wanted.channel, "q": wanted.q}
    return {
        "items": [_row(kept, wanted) for kept in page.items],
        "count": count,
        "filters": filters,
        "kept": wanted.kept,
        "magic": [_magic_row(magic) for magic in MAGIC],
        "older": address(PATH, filters, before=_written(page.older)) if page.older else None,
        "newer": address(PATH, filters, after=_written(page.newer)) if page.newer else None,
    }


def _row(kept: Kept, wanted: Wanted) -> dict[str, Any]:
    text = " ".join(kept.text.split())
    return {
        "id": str(kept.id),
        "link": address(f"{PATH}/{kept.id}", wanted.kept),
        "story": f"/console/messages/{kept.message_id}",
        "channel": kept.channel,
        "state": kept.state,
        "code": kept.code,
        "number": kept.number,
        "at": kept.started_at,
        "patient": kept.patient,
        "staff": kept.staff,
        "to": kept.to,
        "subject": kept.subject,
        "text": kept.text,
        "line": text[:160],
        "template": kept.template,
        "language": kept.language,
        "dir": "rtl" if kept.language == "ar" else "ltr",
        "is_open": kept.is_open,
        "was_taken": kept.was_taken,
    }


def _views(kept: Kept, wanted: Wanted) -> list[tuple[str, str]]:
    """The ways in which a mail can be looked at, each with its address."""
    if kept.channel is not Channel.EMAIL or not kept.html:
        return []
    here = f"{PATH}/{kept.id}"
    return [(view or "mail", address(here, wanted.kept, view=view)) for view in ("", "text", "source")]


def _sms(kept: Kept) -> dict[str, Any] | None:
    if kept.channel is not Channel.SMS:
        return None
    count = count_segments(kept.text)
    odd = odd_characters(kept.text)
    return {
        "encoding": {"gsm7": "GSM-7", "ucs2": "UCS-2"}[count.encoding],
        "units": count.units,
        "parts": split_parts(kept.text),
        "odd": odd if len(odd) <= FEW_ODD else [],
    }


def _magic_row(magic: Magic) -> dict[str, Any]:
    is_email = Channel.EMAIL in magic.channels
    return {
        "key": magic.address,
        "address": f"{magic.address}@…" if is_email else f"…{magic.address}",
        "channels": [channel.value for channel in Channel if channel in magic.channels],
        "says": magic.says,
    }


def _kind(text: str) -> ReportKind:
    try:
        return ReportKind(text)
    except ValueError as error:
        accepted = sorted({kind.value for kinds in PLAYS.values() for kind in kinds})
        raise Invalid("There is no such report.", [FieldError("as", "not a report", accepted)]) from error


def _cursor(text: str) -> Cursor | None:
    if not text:
        return None
    moment, attempt = read_cursor(text, 2)
    try:
        return moment_in_cursor(moment), uuid.UUID(attempt)
    except ValueError as error:
        detail = "take it from the page before, unchanged"
        raise Invalid("This cursor was not made here.", [FieldError("cursor", detail)]) from error


def _written(cursor: Cursor) -> str:
    return write_cursor(cursor[0].isoformat(), cursor[1])
