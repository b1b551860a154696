"""Filling wordings in: what is said, and what no value may do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.vendor import Channel
from hub.errors import Invalid
from hub.templates.render import FSI, PDI, Rendered, Variable, Wording, render
from tests.templates.wordings import DAYS, RIYADH, SUBJECTS, wording

LINES = {
    "en": "Hello { $patient },\n\nReason: { $reason }\nSee: { $link }",
    "ar": "مرحبًا { $patient }،\n\nالسبب: { $reason }\nالرابط: { $link }",
}
VALUES = {"patient": "Sara", "reason": "closed", "link": "https://clinic.example/v/1"}
EVERYTHING = ("patient", "clinic", "reason", "link", "starts_at", "due_on", "amount", "days")
NAMED = "\n".join(f"{name}: {{ ${name} }}" for name in EVERYTHING[2:])
BODIES = {"en": f"{{ $patient }} at {{ $clinic }}\n{NAMED}", "ar": f"{{ $patient }} لدى {{ $clinic }}\n{NAMED}\n{DAYS}"}


def say(version: Wording, values: dict[str, Any], language: str = "en", clinic: str = "Noor Clinic") -> Rendered:
    return render(version, version.channel, language, values, clinic=clinic, zone=RIYADH)


def refusals(version: Wording, values: dict[str, Any], language: str = "en") -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        say(version, values, language)
    return {error.field: error.detail for error in caught.value.errors}


def lines_of(channel: Channel) -> Wording:
    names = ("patient", "reason", "link")
    return wording(LINES, *names, *(["clinic"] if channel == Channel.EMAIL else []), channel=channel)


def test_english_stays_cheap_and_arabic_isolates_every_value() -> None:
    version = lines_of(Channel.SMS)
    assert say(version, VALUES).text == "Hello Sara,\n\nReason: closed\nSee: https://clinic.example/v/1"
    said = say(version, VALUES, "ar").text
    assert said == f"مرحبًا {FSI}Sara{PDI}،\n\nالسبب: {FSI}closed{PDI}\nالرابط: https://clinic.example/v/1"


def test_an_arabic_name_in_english_is_isolated() -> None:
    assert say(lines_of(Channel.SMS), VALUES | {"patient": "سارة"}).text.startswith(f"Hello {FSI}سارة{PDI},")
    assert say(lines_of(Channel.SMS), VALUES | {"patient": "Zoë"}).text.startswith("Hello Zoë,")


@pytest.mark.parametrize("nothing", ["", None, "\u202e", " \n "])
def test_a_line_with_nothing_to_say_is_left_out(nothing: str | None) -> None:
    assert "Reason" not in say(lines_of(Channel.SMS), VALUES | {"reason": nothing}).text
    assert say(lines_of(Channel.SMS), {"patient": "Sara", "reason": nothing, "link": None}).text == "Hello Sara,"


def test_where_nothing_is_left_nothing_is_sent() -> None:
    assert refusals(wording(), {"patient": ""}) == {"bodies.en": "empty"}
    mail = wording(channel=Channel.EMAIL, subjects={"en": "{ $patient }", "ar": "{ $patient }"})
    assert refusals(mail, {"patient": "Sara", "clinic": ""} | {"patient": ""})["bodies.en"] == "empty"
    letter = wording({"en": "Hello", "ar": "مرحبًا"}, "clinic", channel=Channel.EMAIL, subjects=dict(SUBJECTS))
    assert say(letter, {"clinic": ""}).subject == "From"


def test_all_values_that_do_not_fit_are_named_at_once() -> None:
    told = refusals(wording(BODIES, *EVERYTHING), {"patient": 3, "days": "3", "link": "javascript:1", "patinet": "x"})
    assert told["variables.patient"] == "not a text"
    assert told["variables.days"] == "not a number"
    assert told["variables.link"] == "not a link"
    assert told["variables.patinet"] == "not a variable of this template"
    assert told["variables.amount"] == told["variables.starts_at"] == "missing"
    assert "variables.clinic" not in told


def test_a_choice_needs_its_number() -> None:
    version = wording({"en": "{ $days ->\n [one] a\n *[other] b\n}", "ar": DAYS}, "days")
    assert say(version, {"days": 1}).text == "a"
    assert refusals(version, {"days": None}) == {"variables.days": "no number to choose by"}


def test_words_that_were_never_checked_are_refused_and_no_accident() -> None:
    assert refusals(wording({"en": "{ $patient", "ar": "{ $patient }"}), {"patient": "Sara"}).keys() == {"bodies.en"}
    assert refusals(wording({"en": "{ $other }"}), {"patient": "Sara"}) == {"variables.other": "not declared"}
    assert refusals(wording({"en": "Hello"}), {"patient": "Sara"}, "ar") == {"bodies.ar": "missing"}


def test_the_clinics_name_stands_unless_another_is_given() -> None:
    version = wording({"en": "{ $clinic }", "ar": "{ $clinic }"}, "clinic")
    assert say(version, {}).text == "Noor Clinic"
    assert say(version, {"clinic": "The branch"}).text == "The branch"


def test_line_breaks_of_a_value_stay_in_email_alone() -> None:
    values = VALUES | {"reason": "one\r\ntwo\u2028\n\nthree"}
    assert "Reason: one two three" in say(lines_of(Channel.SMS), values).text
    assert "Reason: one\ntwo\nthree" in say(lines_of(Channel.EMAIL), values).text
    assert f"{FSI}one{PDI}\n{FSI}two{PDI}" in say(lines_of(Channel.EMAIL), values, "ar").text


def test_an_approved_template_gets_its_values_on_one_line() -> None:
    version = wording(LINES, *VALUES, channel=Channel.WHATSAPP, vendor_refs={"ar": "HX1"})
    values = VALUES | {"reason": "one\ntwo"}
    assert say(version, values, "ar").values == VALUES | {"reason": "one two"}
    assert say(version, values, "en").values == {}


# Values ------------------------------------------------------------------------------------------------------------

ANY_VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes() | st.dates() | st.decimals(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["amount", "currency"]), inner),
    max_leaves=3,
)
HOSTILE = st.text(
    st.sampled_from("<>&\"'{}$\n\r\u2028\u0085\x0b\u2066\u2067\u2068\u2069\u202e\ufdd0\ufdd1\ufdd2ab سا")
    | st.characters(),
    max_size=40,
)
FITTING = {
    "link": "https://clinic.example/v",
    "starts_at": "2026-11-22T16:30:00+03:00",
    "due_on": "2026-12-01",
    "amount": {"amount": "1", "currency": "SAR"},
    "days": 4,
}


@given(
    st.dictionaries(st.sampled_from([*EVERYTHING, "other"]), ANY_VALUE),
    st.sampled_from(list(Channel)),
    st.sampled_from(["en", "ar", "fr"]),
    st.text(max_size=20),
)
def test_it_says_something_or_tells_what_is_wrong(
    values: dict[str, Any], channel: Channel, language: str, clinic: str
) -> None:
    try:
        said = say(wording(BODIES, *EVERYTHING, channel=channel), dict(FITTING) | values, language, clinic)
    except Invalid as error:
        assert error.errors
    else:
        assert said.text


@given(HOSTILE, HOSTILE, st.sampled_from(list(Channel)), st.sampled_from(["en", "ar"]))
def test_no_value_breaks_out_of_its_place(patient: str, reason: str, channel: Channel, language: str) -> None:
    named = [Variable("clinic", "text", "personal", "x") if name == "clinic" else name for name in EVERYTHING]
    version = wording(BODIES, *named, channel=channel)
    said = say(version, FITTING | {"patient": f"x{patient}", "reason": f"x{reason}", "clinic": f"x{reason}"}, language)
    # Isolates close on the line on which they opened; controls and halves of characters are gone.
    for line in [said.subject, *said.text.split("\n")]:
        assert re.fullmatch(f"[^{FSI}{PDI}]*({FSI}[^{FSI}{PDI}]*{PDI}[^{FSI}{PDI}]*)*", line)
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067\ufdd0-\ufdef]", said.text + said.subject
    )
    assert not re.search(r"[\r\n\u2028\u2029]", said.subject)
    said.text.encode()
    if channel != Channel.EMAIL:
        # As many lines as the wording has: a value brings none.
        assert said.text.count("\n") == BODIES["en"].count("\n") + (language == "ar")


@given(st.sampled_from(["{ $days }", "{ DATETIME($starts_at) }", "{$clinic}", '{ "x" }', "https://evil.example/x"]))
def test_a_value_is_never_read_as_wording(patient: str) -> None:
    mail = say(lines_of(Channel.EMAIL), VALUES | {"patient": patient})
    assert f"Hello {patient}," in mail.text
    assert 'href="https://evil' not in mail.html
