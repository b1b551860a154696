"""What a clinic tells of appointments, to whom and over what; when it reminds; how long it is silent of a missed visit.

Administrators decide, everybody at the desk may read it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.appointments.due import DAY_CODE, HOURS_CODE
from hub.appointments.reminders import MOST_REMINDERS
from hub.appointments.rules import Rules, change_rules, lock_rules, read_rules
from hub.appointments.switches import BROUGHT, CHANNELS, FOR_PATIENTS, Setting, read_settings, switch
from hub.appointments.tellings import TELLINGS, Recipient, Telling
from hub.channels.vendor import Channel
from hub.console.appointment_words import WAY_ICONS, Say, events_in_words, recipients_in_words, ways_in_words
from hub.console.message_words import Words
from hub.console.reader import go, needs, pages_of, read_form, reader_of, show, text_of
from hub.errors import Invalid
from hub.people.patients import USUAL_CHANNELS
from hub.people.roles import ALLOWED, Permission
from hub.people.sessions import Person
from hub.templates.history import Filters, Listed, read_templates
from hub.work import Actor, Work

PATH = "/console/appointment-rules"
MOST_TEMPLATES = 500
# What a form says of a length of time, and how ISO 8601 writes it.
UNITS = {"days": "P{}D", "hours": "PT{}H", "minutes": "PT{}M"}
HOLDS = (0, 30, 60, 120, 240, 480, 1440)
STAFF_PREFIX = "staff_"
LONGEST_NUMBER = 5
MINUTE = timedelta(minutes=1)
Verb = Callable[[Work, FormData], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Refused:
    """What was posted, where on the page it stands, and what is wrong with it."""

    place: str
    form: FormData
    why: str
    row: str = ""


class _InRow(Exception):
    """A row of the table cannot be switched so."""

    def __init__(self, row: str, refused: Invalid) -> None:
        super().__init__(row)
        self.row, self.refused = row, refused


async def page(request: Request) -> Response:
    """GET: the rules as they stand."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_READ)
    return await _show(request, person)


async def save_tellings(request: Request) -> Response:
    """POST: the table; rows that were not touched stay as they are by now."""

    async def switch_rows(work: Work, form: FormData) -> None:
        told, was = ({str(each) for each in form.getlist(name)} for name in ("told", "was"))
        for telling in TELLINGS:
            name = _name(telling)
            enabled, code = name in told, text_of(form, f"code.{name}") or telling.code
            if _stands(name, code, enabled=enabled) in was:
                continue
            try:
                await switch(work, *telling.key, enabled=enabled, code=code)
            except Invalid as refused:
                raise _InRow(name, refused) from refused

    return await _save(request, "tellings", switch_rows)


async def save_reminders(request: Request) -> Response:
    """POST: one reminder more, or one less."""

    async def change(work: Work, form: FormData) -> None:
        rules = await lock_rules(work)
        kept = [str(each) for each in rules.reminders if str(each) != text_of(form, "remove")]
        number = text_of(form, "number")
        if not text_of(form, "remove"):
            number = str(int(number)) if _is_number(number) else "?"
            kept.append(UNITS.get(text_of(form, "unit"), "{}").format(number))
        await change_rules(work, kept, rules.no_show_hold // MINUTE)

    return await _save(request, "reminders", change)


async def save_hold(request: Request) -> Response:
    """POST: how long nothing is said of a missed visit."""

    async def change(work: Work, form: FormData) -> None:
        minutes = text_of(form, "minutes")
        reminders = [str(each) for each in (await lock_rules(work)).reminders]
        # What is no number is as wrong as one that is too long.
        await change_rules(work, reminders, int(minutes) if _is_number(minutes) else -1)

    return await _save(request, "hold", change)


async def _save(request: Request, place: str, verb: Verb) -> Response:
    person = await reader_of(request)
    needs(person, Permission.RULES_MANAGE)
    form = await read_form(request)
    say = pages_of(request).gettext(person.language)
    try:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            await verb(work, form)
    except _InRow as error:
        words = say("This template says nothing for this way. Choose another one, or write it first.")
        return await _show(request, person, _Refused(place, form, words, error.row))
    except Invalid as refused:
        return await _show(request, person, _Refused(place, form, _in_words(say, place, refused)))
    return go(f"{PATH}?saved={place}#{place}")


def _in_words(_: Say, place: str, refused: Invalid) -> str:
    """What is wrong, in the reader's language."""
    if place == "hold":
        return _("Choose one of the lengths.")
    detail = refused.errors[0].detail if refused.errors else ""
    if detail.startswith("more than"):
        return _("More than %(most)s reminders are not sent. Remove one first.") % {"most": MOST_REMINDERS}
    if detail == "the same time twice":
        return _("This reminder is there already.")
    return _("Write a whole number, of at most 60 days.")


async def _show(request: Request, person: Person, refused: _Refused | None = None) -> Response:
    house, say = house_of(request), pages_of(request).gettext(person.language)
    async with house.database.at_one_moment(person.tenant) as session:
        settings = await read_settings(session)
        rules = await read_rules(session)
        templates = await read_templates(session, Filters(), None, MOST_TEMPLATES)
    table = _Table(say, Words(say, person.language), templates, refused)
    posted = refused.form if refused and refused.place == "reminders" else None
    context = {
        "groups": [
            {"event": event, "word": table.events[event], "rows": [table.row(each) for each in rows]}
            for event, rows in groupby(settings.values(), key=lambda each: each.telling.event)
        ],
        "reminders": _reminders(rules, table),
        "may_add": len(rules.reminders) < MOST_REMINDERS,
        "form": {"number": text_of(posted, "number"), "unit": text_of(posted, "unit")}
        if posted
        else {"number": "", "unit": ""},
        "hold": rules.no_show_hold // MINUTE,
        "holds": sorted({*HOLDS, rules.no_show_hold // MINUTE}),
        "errors": {refused.place: refused.why} if refused else {},
        "saved": request.query_params.get("saved", ""),
        "may_write": Permission.RULES_MANAGE in ALLOWED[person.role],
    }
    return await show(request, "appointment_rules.html", person, status=422 if refused else 200, rules=context)


class _Table:
    """Shows the rows of the table with their templates, as they stand or as they were just posted."""

    def __init__(self, say: Say, words: Words, templates: Collection[Listed], refused: _Refused | None) -> None:
        self._words = words
        self._refused = refused if refused and refused.place == "tellings" else None
        self._templates = {(each.template.code, Channel(each.template.channel)): each for each in templates}
        self.events = events_in_words(say)
        self._recipients, self._ways = recipients_in_words(say), ways_in_words(say)

    def row(self, setting: Setting) -> dict[str, Any]:
        """One row: what is usual, what the clinic decided, and which templates there are for it."""
        telling = setting.telling
        name, form = _name(telling), self._refused.form if self._refused else None
        code = (form and text_of(form, f"code.{name}")) or setting.code
        return {
            "name": name,
            "was": _stands(name, setting.code, enabled=setting.enabled),
            "to": self._recipients[telling.to],
            "over": self._ways[telling.over],
            "icon": WAY_ICONS[telling.over],
            "enabled": name in form.getlist("told") if form else setting.enabled,
            "changed": setting.changed,
            "usual": telling.usual,
            "of_the_patient": telling.of_the_patient,
            "usual_template": self._words.occasion(telling.code) if setting.code != telling.code else "",
            "code": code,
            "choices": self._choices(telling, setting.code) if telling.code else [],
            "links": self.links(setting.code, CHANNELS[telling.over]) if setting.code else [],
            "error": self._refused.why if self._refused and self._refused.row == name else "",
        }

    def links(self, code: str, channels: Collection[Channel]) -> list[dict[str, Any]]:
        """Where the templates of this code are, and whether they say anything at present."""
        found = [(each, self._templates.get((code, each))) for each in USUAL_CHANNELS if each in channels]
        return [
            {
                "word": self._words.channels[channel],
                "channel": channel,
                "href": f"/console/templates/{listed.template.id}" if listed else "",
                "speaks": listed is not None and listed.template.active and listed.published is not None,
            }
            for channel, listed in found
        ]

    def _choices(self, telling: Telling, chosen: str | None) -> list[tuple[str, str]]:
        """The templates that can say this over this way to this reader, the usual one first."""
        is_staff = telling.to is not Recipient.PATIENT
        brought = BROUGHT if is_staff else BROUGHT | FOR_PATIENTS
        fitting = {
            code
            for (code, channel), listed in self._templates.items()
            if channel in CHANNELS[telling.over]
            and listed.template.active
            and listed.published is not None
            and code.startswith(STAFF_PREFIX) == is_staff
            and {each["name"] for each in listed.published.variables} <= brought
        }
        codes = dict.fromkeys(filter(None, (telling.code, chosen, *sorted(fitting))))
        return [(code, self._words.occasion(code)) for code in codes]


def _reminders(rules: Rules, table: _Table) -> list[dict[str, Any]]:
    return [
        {
            "name": str(each),
            "days": each.days,
            "minutes": each.minutes,
            "links": table.links(DAY_CODE if each.days else HOURS_CODE, USUAL_CHANNELS),
        }
        for each in rules.reminders
    ]


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= LONGEST_NUMBER


def _name(telling: Telling) -> str:
    """What a row is called in the form."""
    return ".".join(telling.key)


def _stands(name: str, code: str | None, *, enabled: bool) -> str:
    """How a row stands, in one word: what was not touched is told from it."""
    return f"{name} {'told' if enabled else 'held'} {code or ''}".strip()
