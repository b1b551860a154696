"""What saving refuses, each with the field and words that help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.channels.vendor import Channel
from hub.errors import FieldError, Invalid
from hub.templates.catalogue import VARIABLES
from hub.templates.checks import MOST_PARTS, check_wording
from hub.templates.render import Variable, Wording
from tests.templates.wordings import DAYS, PLAIN, SUBJECTS, wording

PATIENT = VARIABLES["patient"]
SECRET = Variable("finding", "text", "health", "All is well")


def both(text: str) -> dict[str, str]:
    return {"en": text, "ar": text}


def refusals(version: Wording) -> list[FieldError]:
    with pytest.raises(Invalid) as caught:
        check_wording(version)
    return caught.value.errors


@pytest.mark.parametrize(
    "version",
    [
        wording(),
        wording(channel=Channel.WHATSAPP, vendor_refs={"en": "HX1", "ar": "HX2"}),
        wording(channel=Channel.EMAIL),
        wording({"en": "Due in { $days ->\n [one] a day\n *[other] { $days } days\n}", "ar": DAYS}, "days"),
        wording(both("{ $patient } { $preferences_link }"), "patient", "preferences_link", topic="marketing"),
        wording(both("{ $patient }"), replace(PATIENT, privacy="personal", example="Somebody")),
        wording(both('{ DATETIME($due_on, dateStyle: "long") } { NUMBER($days) }'), "due_on", "days"),
    ],
)
def test_a_wording_in_order_passes(version: Wording) -> None:
    check_wording(version)


@pytest.mark.parametrize(
    ("version", "field", "told"),
    [
        (wording({"en": PLAIN["en"]}), "bodies.ar", "missing"),
        (wording({**PLAIN, "ar": "  "}), "bodies.ar", "missing"),
        (wording({**PLAIN, "fr": "Bonjour"}), "bodies.fr", "not a language here"),
        (wording(both("{ $patient } { $clinician }")), "bodies.en", "{ $clinician } is not declared"),
        (wording({**PLAIN, "ar": "مرحبًا"}), "bodies.ar", "does not name { $patient }, as another language does"),
        (wording(PLAIN, "patient", "link"), "variables.1", "no text names { $link }; name it or take it out"),
        (
            wording({**PLAIN, "en": "{ patient }"}),
            "bodies.en",
            "line 1: { patient } is no variable; write { $patient }",
        ),
        (wording(both("x " * 500 + "{ $patient }")), "bodies.en", "7 parts with the examples"),
        (wording(both("ع" * 67 * MOST_PARTS + "{ $patient }")), "bodies.ar", "7 parts with the examples"),
        (wording(both("x" * 1100 + "{ $patient }"), channel=Channel.WHATSAPP), "bodies.en", "1111 characters"),
        (wording(both("{ $finding }"), SECRET), "bodies.en", "{ $finding } is health, too private for this place"),
        (
            wording(channel=Channel.EMAIL, subjects=both("{ $clinic }, { $patient }")),
            "subjects.ar",
            "{ $patient } is personal, too private for this place",
        ),
        (wording(channel=Channel.EMAIL, subjects={"en": "{ $clinic }"}), "subjects.ar", "missing"),
        (wording(channel=Channel.EMAIL, subjects={}), "subjects.en", "missing"),
        (
            wording(channel=Channel.EMAIL, subjects={**SUBJECTS, "ar": "رسالة"}),
            "subjects.ar",
            "does not name { $clinic }, as another language does",
        ),
        (wording(channel=Channel.EMAIL, subjects=both("x" * 151 + "{ $clinic }")), "subjects.en", "162 characters"),
        (wording(subjects={"en": "Hello"}), "subjects", "a message by sms has no subject"),
        (wording(topic="gossip"), "topic", "not a topic"),
        (wording(code="Appointment Confirmed"), "code", "not a code"),
        (wording(topic="marketing"), "bodies", "advertising says how to stop it"),
        (wording(PLAIN, PATIENT, PATIENT), "variables.0.name", "patient is declared twice"),
        (wording(both("{ $patient }"), replace(PATIENT, name="Name!")), "variables.0.name", "not a name"),
        (wording(PLAIN, replace(PATIENT, privacy="public")), "variables.0.privacy", "patient is personal at least"),
        (wording(PLAIN, replace(PATIENT, privacy="secret")), "variables.0.privacy", "not a degree of privacy"),  # type: ignore[arg-type]
        (wording(PLAIN, replace(PATIENT, type="name")), "variables.0.type", "not a type"),  # type: ignore[arg-type]
        (
            wording(PLAIN, replace(PATIENT, type="number", example=3)),
            "variables.0.type",
            "patient is a text everywhere",
        ),
        (
            wording(PLAIN, replace(PATIENT, example=3)),
            "variables.0.example",
            "an example of a text is needed for previews",
        ),
        (
            wording(PLAIN, replace(PATIENT, example=" ")),
            "variables.0.example",
            "an example of a text is needed for previews",
        ),
        (wording(PLAIN, *(replace(PATIENT, name=f"v{n}") for n in range(31))), "variables", "31 variables"),
        (wording(both("{ NUMBER($patient) }")), "bodies.en", "NUMBER($patient) of a text"),
        (
            wording(both("{ $patient ->\n [one] a\n *[other] b\n}")),
            "bodies.en",
            "a choice by $patient, which is a text",
        ),
        (
            wording(both('{ DATETIME($due_on, timeStyle: "short") }'), "due_on"),
            "bodies.en",
            "$due_on is a date and has no time",
        ),
        (wording(vendor_refs={"en": "HX1"}), "vendor_refs", "only WhatsApp has templates that a vendor approves"),
        (wording(channel=Channel.WHATSAPP, vendor_refs={"fr": "HX1"}), "vendor_refs.fr", "not a language here"),
        (wording(channel=Channel.WHATSAPP, vendor_refs={"en": " "}), "vendor_refs.en", "not a vendor's id"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(version: Wording, field: str, told: str) -> None:
    assert (field, told) in [(error.field, error.detail) for error in refusals(version)]


def test_all_that_is_wrong_is_told_at_once() -> None:
    version = wording({"en": "{ $unknown } {"}, "link", replace(PATIENT, privacy="public"), code="!", topic="gossip")
    assert {error.field for error in refusals(version)} == {
        "code",
        "topic",
        "variables.1.privacy",
        "bodies.en",
        "bodies.ar",
    }


def test_a_wording_that_says_nothing_with_its_examples_is_refused() -> None:
    version = wording(both('{ "" }'), channel=Channel.SMS)
    assert {error.field for error in refusals(replace(version, variables=()))} == {"bodies.en"}
