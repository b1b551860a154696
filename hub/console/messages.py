"""Messages to patients and staff: the list with its figures, filters in the address, an export of what they leave."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hub import audit
from hub.api.auth import house_of
from hub.api.message_shapes import Listing, Matching, read_message_cursor, write_message_cursor
from hub.api.problems import invalid
from hub.console.message_words import About, Words
from hub.console.pages import address
from hub.console.reader import needs, pages_of, read_form, reader_of, show
from hub.messages.figures import Statistics, statistics
from hub.messages.log import Filters, Listed, every_message, read_messages
from hub.messages.states import State
from hub.people.roles import Permission
from hub.people.sessions import Person
from hub.people.tenants import Clinic
from hub.templates import history
from hub.wiring import House
from hub.work import Actor

PATH = "/console/messages"
PER_PAGE = 30
DAYS_SHOWN = 14
MOST_CODES = 200
# In a spreadsheet a cell that begins so is a formula, whoever wrote it.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
# What spreadsheets know Arabic by.
BYTE_ORDER_MARK = "\ufeff"
COLUMNS = (
    "id", "created_at", "patient", "staff", "topic", "code", "channel", "state", "reason", "attempts", "parts", "cost",
    "currency", "reference", "department", "updated_at",
)  # fmt: skip


def words_of(request: Request, person: Person) -> Words:
    """The words of messages in the reader's language."""
    return Words(pages_of(request).gettext(person.language), person.language)


async def page(request: Request) -> Response:
    """GET: a page of messages, and the figures of the last days."""
    person = await reader_of(request)
    needs(person, Permission.MESSAGES_READ)
    listing = _read(Listing, request.query_params)
    before, after = read_message_cursor(listing.before), read_message_cursor(listing.after)
    house, clinic, words = house_of(request), person.clinic, words_of(request, person)
    filters = listing.filters(clinic)
    today = clinic.today(house.clock())
    async with house.database.at_one_moment(person.tenant) as session:
        found = await read_messages(session, house.keys, filters, limit=PER_PAGE, before=before, after=after)
        is_first = before is None and after is None
        first = today - timedelta(days=DAYS_SHOWN - 1)
        figures = await statistics(session, first, today, clinic.zone) if is_first else None
        templates = await history.read_templates(session, history.Filters(), None, MOST_CODES)
    kept = _kept(listing)
    context = {
        "items": [_row(each, words, clinic) for each in found.items],
        "filters": kept,
        "codes": {each.template.code: words.occasion(each.template.code) for each in templates},
        "older": address(PATH, kept, before=write_message_cursor(found.older)) if found.older else None,
        "newer": address(PATH, kept, after=write_message_cursor(found.newer)) if found.newer else None,
        "figures": _figures(figures) if figures else None,
    }
    return await show(request, "messages.html", person, log=context, words=words)


async def export(request: Request) -> Response:
    """POST: everything the filters leave, as CSV; noted in the audit log, because it takes names out of the house."""
    person = await reader_of(request)
    needs(person, Permission.MESSAGES_READ)
    matching = _read(Matching, {name: str(value) for name, value in (await read_form(request)).items()})
    house = house_of(request)
    async with house.open_work(person.tenant, Actor("staff", person.id)) as work:
        # Who was searched for is nobody's business but the searcher's.
        named = {name: value for name, value in _kept(matching).items() if value and name != "q"}
        await audit.record(work, "messages.exported", "messages", None, after=named)
    lines = _lines(house, person, matching.filters(person.clinic))
    name = f"messages-{person.clinic.today(house.clock()).isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(house: House, person: Person, filters: Filters) -> AsyncIterator[str]:
    yield BYTE_ORDER_MARK + _csv_line(COLUMNS)
    async for each in every_message(lambda: house.database.of_tenant(person.tenant), house.keys, filters):
        yield _csv_line(_cells(each, person.clinic))


def _cells(listed: Listed, clinic: Clinic) -> list[object]:
    found, paid = listed.message, listed.paid
    return [
        found.id,
        found.created_at.astimezone(clinic.zone).isoformat(timespec="seconds"),
        listed.patient,
        listed.staff,
        found.topic,
        found.code,
        found.channel,
        found.state,
        found.reason,
        found.attempt,
        paid.parts,
        " ".join(str(cost) for _, cost in sorted(paid.costs.items())),
        " ".join(sorted(paid.costs)),
        found.reference,
        found.department,
        found.updated_at.astimezone(clinic.zone).isoformat(timespec="seconds"),
    ]


def _csv_line(cells: tuple[str, ...] | list[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([as_cell(cell) for cell in cells])
    return line.getvalue()


def as_cell(value: object) -> str:
    """A value that a spreadsheet shows and never reckons with."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text


def _read(kind: type[Any], given: Mapping[str, str]) -> Any:
    try:
        return kind.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        raise invalid(error) from error


def _kept(matching: Matching) -> dict[str, str]:
    fields = ("state", "channel", "topic", "code", "patient_id", "since", "until", "q")
    return {name: str(value) if (value := getattr(matching, name)) else "" for name in fields}


def _row(listed: Listed, words: Words, clinic: Clinic) -> dict[str, Any]:
    found = listed.message
    until = found.due_at if found.state == State.QUEUED else None
    return {
        "id": str(found.id),
        "patient": listed.patient,
        "staff": listed.staff,
        "topic": words.topics[found.topic],
        "occasion": words.occasion(found.code),
        "channel": found.channel,
        "look": words.look(found.state),
        "reason": words.reason(found.reason, About(found.channel, found.topic, until, clinic.zone)),
        "parts": listed.paid.parts,
        "costs": costs_of(listed.paid.costs),
        "at": found.created_at,
    }


def costs_of(costs: Mapping[str, Any]) -> list[str]:
    """Amounts as they are billed, each with its currency; no zeros that say nothing."""
    return [f"{cost.normalize():f} {currency}" for currency, cost in sorted(costs.items())]


def _figures(found: Statistics) -> dict[str, Any]:
    most = max((tally.total for tally in found.per_day.values()), default=0) or 1
    return {
        "since": found.since,
        "until": found.until,
        "total": found.all.total,
        "rate": found.all.success_rate,
        "waiting": found.by_state.get(State.QUEUED, 0),
        "attention": sum(found.by_state.get(state, 0) for state in ("failed", "bounced", "held", "unknown")),
        "costs": costs_of(found.costs),
        "parts": found.parts,
        "channels": [(channel, tally) for channel, tally in found.by_channel.items()],
        "days": [
            {
                "day": day,
                "tally": tally,
                "rest": tally.total - tally.went_out - tally.went_wrong,
                "share": {
                    name: round(100 * count / most, 2)
                    for name, count in (
                        ("out", tally.went_out),
                        ("wrong", tally.went_wrong),
                        ("all", tally.total),
                    )
                },
            }
            for day, tally in found.per_day.items()
        ],
    }
