"""Turns a template and plain values into HTML, in the reader's language, clock, calendar and theme.

Knows neither the database nor the request: a route hands over a `Page` (what every page needs) and the
values of its own template; dates come in as aware datetimes and are told in the clinic's time zone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from gettext import NullTranslations
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from hub.console.words import LANGUAGES, load

THEMES = ("auto", "light", "dark")

# What a browser may fetch below /assets; templates and catalogues stay on the server.
ASSET_FOLDERS = ("css", "js", "icons")

_RIGHT_TO_LEFT = frozenset({"ar"})
_DAYS_NAMED_BY_WEEKDAY = 6


@dataclass(frozen=True)
class Me:
    """The person who looks."""

    id: str
    name: str
    role: str
    language: str
    initials: str
    shortcuts: bool = True


@dataclass(frozen=True)
class Clinic:
    """Whose page it is; `zone` is an IANA name."""

    name: str
    zone: str


@dataclass(frozen=True)
class Page:
    """What every page needs. `path` is the address with its query: switches of language lead back to it.

    `has_outbox` says whether the sandbox is one of the vendors in use.
    """

    lang: str
    path: str
    now: datetime
    theme: str = "auto"
    me: Me | None = None
    clinic: Clinic | None = None
    unread: int = 0
    idle_seconds: int = 1800
    notice: str = ""
    has_outbox: bool = False

    @property
    def dir(self) -> str:
        """The direction of writing, for the `dir` attribute."""
        return "rtl" if self.lang in _RIGHT_TO_LEFT else "ltr"

    @property
    def zone(self) -> tzinfo:
        """The clinic's time zone; UTC where nobody is signed in."""
        return ZoneInfo(self.clinic.zone if self.clinic else "UTC")


@dataclass(frozen=True)
class RailItem:
    """One link of the rail."""

    key: str
    label: str
    href: str
    icon: str
    current: bool


class Pages:
    """All templates under `web/pages`, ready to render; build one at start and share it."""

    def __init__(self, web: Path, public: str, *, demo: bool = False) -> None:
        self._versions = _versions(web)
        self._words = load(web / "words")
        self._environments = {
            language: self._environment(web, words, public, demo) for language, words in self._words.items()
        }

    def render(self, name: str, page: Page, **context: Any) -> str:
        """Render the template `name` (below web/pages) with `page`'s parts and the values of its own."""
        template = self._environments[page.lang].get_template(name)
        return template.render(
            page=page,
            me=page.me,
            clinic=page.clinic,
            unread=page.unread,
            idle_seconds=page.idle_seconds,
            rail=self.rail(page),
            **context,
        )

    def gettext(self, language: str) -> Callable[[str], str]:
        """How a route says something in the reader's language."""
        return self._words[language].gettext

    def rail(self, page: Page) -> list[RailItem]:
        """The links this person's role has, the current one marked."""
        if page.me is None:
            return []
        _ = self._words[page.lang].gettext
        everything = (
            ("arrivals", _("Arrivals"), ("admin", "front_desk")),
            ("messages", _("Messages"), ("admin", "front_desk")),
            ("notifications", _("Notifications"), ("admin", "front_desk", "provider")),
            ("patients", _("Patients"), ("admin", "front_desk")),
            ("templates", _("Templates"), ("admin", "front_desk")),
            ("appointment-rules", _("Rules"), ("admin",)),
            ("outbox", _("Outbox"), ("admin", "front_desk")),
            ("people", _("People"), ("admin",)),
        )
        return [
            RailItem(key, label, f"/console/{key}", key, page.path.startswith(f"/console/{key}"))
            for key, label, roles in everything
            if page.me.role in roles and (key != "outbox" or page.has_outbox)
        ]

    def asset(self, path: str) -> str:
        """The address of a file below web/, with a mark that changes when the file does."""
        return f"/assets/{path}?v={self._versions[path]}"

    def _environment(self, web: Path, words: NullTranslations, public: str, demo: bool) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(web / "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        )
        # The i18n extension adds this method while it loads, where no type can see it.
        install: Callable[..., None] = environment.install_gettext_translations  # type: ignore[attr-defined]
        install(words, newstyle=True)
        environment.filters.update(
            clock=_clock, day=_day, moment=_moment, full=_full, iso=_iso, duration=_duration, number=_number
        )
        environment.globals.update(
            asset=self.asset, address=address, public=public, demo=demo, languages=LANGUAGES, themes=THEMES
        )
        return environment


def address(path: str, parameters: Mapping[str, str | None] | None = None, **changes: str | None) -> str:
    """An address whose query holds `parameters` with `changes` laid over; empty ones are left out."""
    merged = {**(parameters or {}), **changes}
    query = urlencode({key: value for key, value in merged.items() if value})
    return f"{path}?{query}" if query else path


def _versions(web: Path) -> dict[str, str]:
    return {
        path.relative_to(web).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for folder in ASSET_FOLDERS
        for path in sorted((web / folder).rglob("*"))
        if path.is_file()
    }


def _page(context: Context) -> Page:
    page = context["page"]
    assert isinstance(page, Page)  # noqa: S101  (a template without a page is a mistake in the code)
    return page


def _word(context: Context, text: str, **values: object) -> str:
    return str(context.call(context["gettext"], text, **values))


def _counted(context: Context, one: str, many: str, number: int) -> str:
    return str(context.call(context["ngettext"], one, many, number))


@pass_context
def _clock(context: Context, value: datetime) -> str:
    """The time on the clinic's wall: 09:30."""
    page = _page(context)
    return format_time(value.astimezone(page.zone), "HH:mm", locale=page.lang)


@pass_context
def _day(context: Context, value: date | datetime) -> str:
    """A day by its name: Saturday 21 November; with the year where it is not this one."""
    page = _page(context)
    local = _local_date(page, value)
    return format_date(local, _day_pattern(page, local), locale=page.lang)


@pass_context
def _moment(context: Context, value: datetime) -> str:
    """When, as short as is clear and true for as long as the page stays open: never "5 minutes ago"."""
    page = _page(context)
    local, today = value.astimezone(page.zone), _today(page)
    clock, ago = format_time(local, "HH:mm", locale=page.lang), (today - local.date()).days
    if ago == 0:
        return clock
    if ago == 1:
        return _word(context, "Yesterday %(time)s", time=clock)
    return f"{format_date(local, _short_pattern(today, local.date(), ago), locale=page.lang)} {clock}"


@pass_context
def _full(context: Context, value: datetime) -> str:
    """Day and time in full, for the title of a short one."""
    page = _page(context)
    local = value.astimezone(page.zone)
    return f"{format_date(local, 'EEEE d MMMM y', locale=page.lang)} {format_time(local, 'HH:mm:ss', locale=page.lang)}"


def _iso(value: date | datetime) -> str:
    return value.isoformat()


@pass_context
def _duration(context: Context, minutes: int) -> str:
    """Whole minutes as words: 12 min; 1 h 5 min."""
    hours, rest = divmod(minutes, 60)
    short = _counted(context, "%(num)s min", "%(num)s min", rest)
    if not hours:
        return short
    long = _counted(context, "%(num)s h", "%(num)s h", hours)
    return _word(context, "%(hours)s %(minutes)s", hours=long, minutes=short) if rest else long


@pass_context
def _number(context: Context, value: float) -> str:
    return format_decimal(value, locale=_page(context).lang)


def _today(page: Page) -> date:
    return page.now.astimezone(page.zone).date()


def _local_date(page: Page, value: date | datetime) -> date:
    return value.astimezone(page.zone).date() if isinstance(value, datetime) else value


def _day_pattern(page: Page, value: date) -> str:
    return "EEEE d MMMM" if value.year == _today(page).year else "EEEE d MMMM y"


def _short_pattern(today: date, value: date, ago: int) -> str:
    if 1 < ago <= _DAYS_NAMED_BY_WEEKDAY:
        return "EEEE"
    return "d MMM" if value.year == today.year else "d MMM y"
