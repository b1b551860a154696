"""Reading what an administrator writes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.templates.pattern import LINK, LINK_END, LONGEST_WORDING, Broken, read_pattern
from tests.templates.wordings import DAYS


def filled(source: str, language: str = "en", number: str = "3") -> str:
    return read_pattern(source, language).fill(lambda shown: f"<{shown.name}>", lambda _: Decimal(number))


def refusal(source: str, language: str = "en") -> str:
    with pytest.raises(Broken) as caught:
        read_pattern(source, language)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("Hello { $patient }.", "Hello <patient>."),
        ("{$patient}", "<patient>"),
        ("one\r\n\r\ntwo\rthree", "one\n\ntwo\nthree"),
        ("[note] a\n* b\n.c\n# d\nkey = value", "[note] a\n* b\n.c\n# d\nkey = value"),
        ("  - first\n      - second", "- first\n- second"),
        ('A brace { "{" } and { 3 } { { $patient } }', "A brace { and 3 <patient>"),
        ("invisible\u202e\u2067\u0007 marks\u2069 go", "invisible marks go"),
        ('{ "\\u202e" }x', "x"),
        ("In { $days ->\n  [one] a day\n *[other] { $days } days\n} or so\n[end]", "In <days> days or so\n[end]"),
        ("See https://clinic.example/a?b.", f"See {LINK}https://clinic.example/a?b{LINK_END}."),
        ("e\u0301", "é"),
    ],
)
def test_a_wording_is_plain_lines_with_placeables(source: str, said: str) -> None:
    assert filled(source) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("0", "اليوم"),
        ("1", "غدًا"),
        ("2", "بعد يومين"),
        ("3", "بعد <days> أيام"),
        ("10", "بعد <days> أيام"),
        ("11", "بعد <days> يومًا"),
        ("99", "بعد <days> يومًا"),
        ("100", "بعد <days> يوم"),
        ("102", "بعد <days> يوم"),
        ("103", "بعد <days> أيام"),
        ("2.5", "بعد <days> يوم"),
    ],
)
def test_arabic_has_six_forms(number: str, said: str) -> None:
    assert filled(DAYS, "ar", number) == said


def test_an_exact_number_goes_before_its_form() -> None:
    source = "{ $days ->\n [0] today\n [one] tomorrow\n *[other] later\n}"
    assert [filled(source, number=number) for number in ("0", "1", "2")] == ["today", "tomorrow", "later"]


@pytest.mark.parametrize(
    ("source", "language", "told"),
    [
        ("", "en", "is empty"),
        (" \n ", "en", "is empty"),
        ("x" * (LONGEST_WORDING + 1), "en", "at most"),
        ("Hello { $patient", "en", "line 1: cannot be read"),
        ("a\nb }", "en", "line 2: cannot be read"),
        ("a\n\n{ patient }", "en", "line 3: { patient } is no variable; write { $patient }"),
        ("{ -brand }", "en", "is no variable"),
        ("{ UPPER($patient) }", "en", "UPPER is unknown here"),
        ("{ DATETIME(3) }", "en", "write DATETIME($name)"),
        ("{ DATETIME($a, $b) }", "en", "write DATETIME($name)"),
        ('{ DATETIME($a, dateStyle: "huge") }', "en", "does not take dateStyle: huge"),
        ("{ NUMBER($a, style: 3) }", "en", "does not take style: 3"),
        ("{ NUMBER($a) ->\n *[other] x\n}", "en", "choose by a variable"),
        ("{ $days ->\n [one] x\n *[two] y\n}", "en", "the last resort is *[other]"),
        ("{ $days ->\n [uno] x\n [one] y\n *[other] z\n}", "en", "no plural form here: uno"),
        ("{ $days ->\n [one] x\n [one] y\n *[other] z\n}", "en", "says one form twice"),
        ("{ $days ->\n *[other] z\n}", "en", "other words for one; say them too"),
        ("{ $days ->\n [one] x\n *[other] z\n}", "ar", "other words for zero, two, few, many"),
        ("https://clinic.example/{ $patient }", "en", "give the whole link as one variable"),
        ("{ " * 5000, "en", "too many"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(source: str, language: str, told: str) -> None:
    assert told in refusal(source, language)


def test_all_that_is_wrong_is_told_at_once() -> None:
    told = refusal("{ patient }\n{ UPPER($a) }\n{ $days ->\n *[other] z\n}")
    assert [part in told for part in ("line 1", "line 2", "line 3")] == [True, True, True]


@given(st.text(max_size=300), st.sampled_from(["en", "ar"]))
def test_anything_is_read_or_refused(source: str, language: str) -> None:
    try:
        read_pattern(source, language)
    except Broken as broken:
        assert broken.problems


PIECES = ["{", "}", "{ $a", "}", " ->", "[one]", "*[other]", "[few]", "\n", '"', "x", ".y = z", "\\", "DATETIME(", ")"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
def test_broken_syntax_is_refused_and_never_an_accident(source: str) -> None:
    try:
        assert isinstance(filled(source), str)
    except Broken as broken:
        assert all(problem.line >= 1 and problem.detail for problem in broken.problems)
