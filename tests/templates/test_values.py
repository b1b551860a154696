"""Typed values, and how each language shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from hub.templates.segments import count_segments
from hub.templates.values import LARGEST, LONGEST_LINK, LONGEST_TEXT, Money, Style, Type, read_value, show_value
from tests.templates.wordings import RIYADH

SHORT = {"en": Style("en", RIYADH), "ar": Style("ar", RIYADH)}
FULL = {"en": Style("en", RIYADH, in_full=True), "ar": Style("ar", RIYADH, in_full=True)}
MOMENT = "2026-11-22T13:30:00Z"


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        ("text", 3),
        ("text", "x" * (LONGEST_TEXT + 1)),
        ("number", "3"),
        ("number", True),
        ("number", float("nan")),
        ("number", float("inf")),
        ("number", LARGEST),
        ("date", "22/11/2026"),
        ("date", datetime(2026, 11, 22, tzinfo=UTC)),
        ("date", 20261122),
        ("moment", "2026-11-22T16:30:00"),
        ("moment", "tomorrow"),
        ("moment", "0001-01-01T00:00:00+14:00"),
        ("moment", "9999-12-31T23:59:00-12:00"),
        ("moment", None),
        ("link", "javascript:alert(1)"),
        ("link", "ftp://clinic.example/"),
        ("link", "//clinic.example/"),
        ("link", "https://"),
        ("link", "https://user@clinic.example/"),
        ("link", 'https://clinic.example/" onclick="x'),
        ("link", "https://clinic.example/ x"),
        ("link", "https://clinic.example/\nBcc: x"),
        ("link", "https://clinic.example/<b>"),
        ("link", "https://عيادة.example/"),
        ("link", "https://clinic.example/" + "x" * LONGEST_LINK),
        ("money", "150 SAR"),
        ("money", {"amount": 150.5, "currency": "SAR"}),
        ("money", {"amount": "many", "currency": "SAR"}),
        ("money", {"amount": "NaN", "currency": "SAR"}),
        ("money", {"amount": "150", "currency": "sar"}),
        ("money", {"amount": "150"}),
        ("money", {"amount": True, "currency": "SAR"}),
    ],
)
def test_a_value_of_another_type_is_refused_and_told_what_is_taken(type_: Type, given: Any) -> None:
    with pytest.raises(ValueError, match=r"^(a|an|text) "):
        read_value(type_, given)


@pytest.mark.parametrize(
    ("type_", "given", "english", "arabic"),
    [
        ("text", " Sara \t Haddad\u202e ", "Sara Haddad", "Sara Haddad"),
        ("number", 3, "3", "3"),
        ("number", 12345.5, "12,345.5", "12,345.5"),
        ("number", Decimal(-2), "-2", "-2"),
        ("date", "2026-11-22", "Sun 22 Nov 2026", "الأحد 22 نوفمبر 2026"),
        ("date", date(2026, 2, 28), "Sat 28 Feb 2026", "السبت 28 فبراير 2026"),
        ("moment", MOMENT, "Sun 22 Nov 2026 at 16:30", "الأحد 22 نوفمبر 2026 الساعة 16:30"),
        ("link", "https://clinic.example/a?b=c", "https://clinic.example/a?b=c", "https://clinic.example/a?b=c"),
        ("money", {"amount": "350", "currency": "SAR"}, "SAR 350.00", "350.00 ريال سعودي"),
        ("money", {"amount": 1350, "currency": "JPY"}, "JPY 1,350", "1,350 ين ياباني"),
        ("money", {"amount": "0.5", "currency": "KWD"}, "KWD 0.500", "0.500 دينار كويتي"),
        ("money", {"amount": "0.005", "currency": "SAR"}, "SAR 0.005", "0.005 ريال سعودي"),
        ("money", Money(Decimal(7), "XXQ"), "XXQ 7.00", "7.00 XXQ"),
    ],
)
def test_values_are_shown_in_latin_digits(type_: Type, given: Any, english: str, arabic: str) -> None:
    value = read_value(type_, given)
    assert show_value(value, SHORT["en"], {}) == english
    assert show_value(value, SHORT["ar"], {}) == arabic
    assert count_segments(english).encoding == "gsm7"


@pytest.mark.parametrize(
    ("options", "english", "arabic"),
    [
        ({}, "Sunday 22 November 2026 at 16:30 (Riyadh time)", "الأحد 22 نوفمبر 2026 الساعة 16:30 (بتوقيت الرياض)"),
        ({"dateStyle": "short"}, "22 Nov 2026", "22 نوفمبر 2026"),
        ({"dateStyle": "long"}, "22 November 2026", "22 نوفمبر 2026"),
        ({"timeStyle": "short"}, "16:30", "16:30"),
        ({"timeStyle": "full"}, "16:30 (Riyadh time)", "16:30 (بتوقيت الرياض)"),
        (
            {"dateStyle": "medium", "timeStyle": "short"},
            "Sun 22 Nov 2026 at 16:30",
            "الأحد 22 نوفمبر 2026 الساعة 16:30",
        ),
    ],
)
def test_a_moment_is_shown_by_the_readers_clock_in_the_style_asked_for(
    options: dict[str, str], english: str, arabic: str
) -> None:
    moment = read_value("moment", MOMENT)
    assert show_value(moment, FULL["en"], options) == english
    assert show_value(moment, FULL["ar"], options) == arabic


def test_a_number_has_the_digits_asked_for() -> None:
    number = read_value("number", Decimal("1234.5678"))
    assert show_value(number, SHORT["en"], {"minimumFractionDigits": "2"}) == "1,234.568"
    assert show_value(number, SHORT["en"], {"maximumFractionDigits": "0"}) == "1,235"


def test_every_zone_has_a_name_in_both_languages() -> None:
    moment = read_value("moment", MOMENT)
    for zone in available_timezones():
        for language in ("en", "ar"):
            assert "()" not in show_value(moment, Style(language, ZoneInfo(zone), in_full=True), {})
