"""The values that a wording names: what each type takes, and how it is shown in each language (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal
from unicodedata import normalize
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import get_timezone_location
from babel.numbers import format_decimal, get_currency_name, get_currency_precision

from hub.templates.pattern import UNSEEN

Type = Literal["text", "number", "date", "moment", "link", "money"]

LONGEST_TEXT = 2_000
LONGEST_LINK = 2_000
# Far above any price or count, and far below where a number becomes a way to fill a message.
LARGEST = Decimal(10) ** 12

HTTP_LINK = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?(?:[/?#][!#-&(-;=?-\[\]_a-z~]*)?"
)
CURRENCY = re.compile(r"[A-Z]{3}")
MARKS = re.compile("[\u061c\u200e\u200f]")


class Link(str):
    """An address that may be clicked; text never becomes one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency (ISO 4217)."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Style:
    """How values are shown where the wording does not say; `in_full` where there is room."""

    language: str
    zone: ZoneInfo
    in_full: bool = False


Value = str | Decimal | date | datetime | Money


def read_value(type_: Type, value: Any) -> Value:
    """The value as its type has it; raises ValueError, whose words say what is taken."""
    return READERS[type_](value)


def show_value(value: Value, style: Style, options: Mapping[str, str]) -> str:
    """The value as a reader of the language expects it, in Latin digits and on one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return _show_number(value, style.language, options)
    if isinstance(value, Money):
        return _show_money(value, style.language)
    return _show_day(value, style, options) if not isinstance(value, datetime) else _show_moment(value, style, options)


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(f"text of at most {LONGEST_TEXT} characters")
    lines = (" ".join(line.split()) for line in value.splitlines())
    return MARKS.sub("", UNSEEN.sub("", normalize("NFC", "\n".join(lines).strip())))


def _read_number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("a number")
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) >= LARGEST:
        raise ValueError(f"a number below {LARGEST:,}")
    return number


def _read_date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError("a date like 2026-11-22") from error


def _read_moment(value: Any) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        # Near the ends of the calendar, a moment has no local time everywhere.
        if moment.utcoffset() is not None and 1900 <= moment.year <= 9000:
            return moment
    except (TypeError, ValueError):
        pass
    raise ValueError("a moment with its offset, like 2026-11-22T16:30:00+03:00")


def _read_link(value: Any) -> Link:
    if isinstance(value, str) and len(value) <= LONGEST_LINK and HTTP_LINK.fullmatch(value):
        return Link(value)
    raise ValueError(f"a link that begins with https:// and has at most {LONGEST_LINK} characters")


def _read_money(value: Any) -> Money:
    wanted = 'an amount as text and its currency, like {"amount": "150.00", "currency": "SAR"}'
    if isinstance(value, Money):
        return value
    if not isinstance(value, Mapping) or set(value) != {"amount", "currency"}:
        raise ValueError(wanted)
    amount, currency = value["amount"], value["currency"]
    # A float is not what somebody owes.
    if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
        raise ValueError(wanted)
    if not isinstance(currency, str) or not CURRENCY.fullmatch(currency):
        raise ValueError(wanted)
    try:
        return Money(_read_number(Decimal(amount)), currency)
    except InvalidOperation as error:
        raise ValueError(wanted) from error


READERS: Mapping[str, Callable[[Any], Value]] = {
    "text": _read_text,
    "number": _read_number,
    "date": _read_date,
    "moment": _read_moment,
    "link": _read_link,
    "money": _read_money,
}


def _show_number(number: Decimal, language: str, options: Mapping[str, str]) -> str:
    if not options and number == number.to_integral_value() and abs(number) < 1000:
        return str(int(number))
    least = int(options.get("minimumFractionDigits", "0"))
    most = max(int(options.get("maximumFractionDigits", "3")), least)
    return format_decimal(number, f"#,##0.{'0' * least}{'#' * (most - least)}", locale=language)


def _show_money(money: Money, language: str) -> str:
    """`SAR 150.00`, which costs a text message no second encoding; in Arabic the currency's name follows."""
    digits = get_currency_precision(money.currency)
    # An amount with more digits than the currency has is shown as it is.
    exponent = money.amount.as_tuple().exponent
    most = max(digits, -exponent if isinstance(exponent, int) else 0)
    amount = format_decimal(money.amount, f"#,##0.{'0' * digits}{'#' * (most - digits)}", locale=language)
    return f"{money.currency} {amount}" if language == "en" else f"{amount} {_currency(money.currency, language)}"


@lru_cache(maxsize=512)
def _currency(code: str, language: str) -> str:
    return get_currency_name(code, locale=language)


def _show_day(day: date, style: Style, options: Mapping[str, str]) -> str:
    names = _calendar(style.language)
    how = options.get("dateStyle", "full" if style.in_full else "medium")
    month = names.months[how in ("long", "full")][day.month - 1]
    weekday = {"medium": names.weekdays[0], "full": names.weekdays[1]}.get(how)
    shown = f"{day.day} {month} {day.year}"
    return f"{weekday[day.weekday()]} {shown}" if weekday else shown


def _show_moment(moment: datetime, style: Style, options: Mapping[str, str]) -> str:
    local = moment.astimezone(style.zone)
    if "dateStyle" in options and "timeStyle" not in options:
        return _show_day(local.date(), style, options)
    names = _calendar(style.language)
    shown = f"{local.hour:02}:{local.minute:02}"
    if options.get("timeStyle") == "full" or (style.in_full and not options):
        shown += f" ({names.time_of.format(_city(style.zone, style.language))})"
    if "timeStyle" in options and "dateStyle" not in options:
        return shown
    return f"{_show_day(local.date(), style, options)} {names.at} {shown}"


@dataclass(frozen=True, slots=True)
class _Calendar:
    """Names as CLDR has them, short ones first, and the words between them."""

    weekdays: tuple[tuple[str, ...], tuple[str, ...]]
    months: tuple[tuple[str, ...], tuple[str, ...]]
    at: str
    time_of: str


JOINTS = {"en": ("at", "{} time"), "ar": ("الساعة", "بتوقيت {}")}


@lru_cache
def _calendar(language: str) -> _Calendar:
    locale = Locale.parse(language)
    days, months = locale.days["format"], locale.months["format"]
    at, time_of = JOINTS[language]
    return _Calendar(
        weekdays=(tuple(days["abbreviated"][n] for n in range(7)), tuple(days["wide"][n] for n in range(7))),
        months=(tuple(months["abbreviated"][n] for n in range(1, 13)), tuple(months["wide"][n] for n in range(1, 13))),
        at=at,
        time_of=time_of,
    )


@lru_cache(maxsize=1024)
def _city(zone: ZoneInfo, language: str) -> str:
    """The city a zone is named for, in the reader's language."""
    return get_timezone_location(zone, locale=language, return_city=True)
