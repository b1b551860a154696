"""The editor of a template: what its form holds, what the form's preview shows, and what is wrong with it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from html.parser import HTMLParser
from typing import Any

from starlette.datastructures import FormData

from hub.api.bodies import printable
from hub.api.template_shapes import Shown, show_wording, wording_of
from hub.channels.vendor import Channel
from hub.console.template_words import fault, field_id, occasion, place
from hub.errors import FieldError, Invalid
from hub.guards import security_with
from hub.people.choices import Topic
from hub.people.tenants import LANGUAGES, Clinic
from hub.templates.catalogue import VARIABLES
from hub.templates.checks import PRIVACY, TYPES
from hub.templates.mail import lay_out
from hub.templates.pattern import LINK, LINK_END, LONGEST_WORDING
from hub.templates.render import Variable, Wording
from hub.templates.segments import (
    GSM_ALONE,
    GSM_EACH,
    UCS2_ALONE,
    UCS2_EACH,
    Segments,
    count_segments,
    odd_characters,
)
from hub.templates.values import Type
from hub.templates.versions import Words

Gettext = Callable[[str], str]

ENCODINGS = {"gsm7": "GSM-7", "ucs2": "UCS-2"}
LIMITS = {"gsm7": (GSM_ALONE, GSM_EACH), "ucs2": (UCS2_ALONE, UCS2_EACH)}
ISOLATES = re.compile("[\u2066-\u2069]")
PLACEABLE = re.compile(r"\{[^{}]*\}")
# More than this, or a letter of Arabic, and it is the language rather than a slip of the keyboard.
FEW_ODD = 8


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form holds."""

    code: str
    channel: Channel
    topic: Topic
    words: Words

    @property
    def wording(self) -> Wording:
        """As rendering and checking want it."""
        return wording_of(self.code, self.channel, self.topic, self.words)

    @property
    def names(self) -> list[str]:
        """The names of its variables, in order."""
        return [variable.name for variable in self.words.variables]


def read_draft(form: FormData) -> Draft:
    """What was typed; raises Invalid for what no browser sends from this form."""
    try:
        channel, topic = Channel(_text(form, "channel")), Topic(_text(form, "topic"))
        subjects = {each: _text(form, f"subject_{each}").strip() for each in LANGUAGES}
        refs = {each: _text(form, f"ref_{each}").strip() for each in LANGUAGES}
        words = Words(
            bodies={each: _text(form, f"body_{each}").strip() for each in LANGUAGES},
            variables=tuple(_variables(form)),
            subjects=subjects if channel == Channel.EMAIL else {},
            vendor_refs={each: ref for each, ref in refs.items() if ref and channel == Channel.WHATSAPP},
            note=_text(form, "note").strip(),
        )
        return Draft(_text(form, "code").strip(), channel, topic, words)
    except ValueError as error:
        raise Invalid("This form was not made here, or holds what cannot be seen.") from error


def _text(form: FormData, name: str) -> str:
    text = printable(ISOLATES.sub("", str(form.get(name) or "").replace("\r\n", "\n")))
    if len(text) > LONGEST_WORDING:
        raise ValueError(name)
    return text


def _variables(form: FormData) -> list[Variable]:
    """Those with a name or an example; the fields of a row share their place in the lists."""
    columns = [[printable(str(each)).strip() for each in form.getlist(f"variable_{name}")] for name in COLUMNS]
    rows = list(zip(*columns, strict=True))
    for _, type_, privacy, _ in rows:
        if type_ not in TYPES or privacy not in PRIVACY:
            raise ValueError(type_)
    return [
        Variable(name, type_, privacy, read_example(type_, example))
        for name, type_, privacy, example in rows
        if name or example
    ]


COLUMNS = ("name", "type", "privacy", "example")


def read_example(type_: Type | str, text: str) -> Any:
    """An example as its type has it; what cannot be read stays as it was typed, and the check says so."""
    if type_ == "money":
        amount, _, currency = text.rpartition(" ")
        return {"amount": amount.strip(), "currency": currency.upper()} if amount else text
    if type_ == "number":
        try:
            number = Decimal(text)
            if not number.is_finite():
                return text
            return int(number) if number == number.to_integral_value() else float(number)
        except (InvalidOperation, ValueError, OverflowError):
            return text
    return text


def show_example(example: Any) -> str:
    """An example as it is typed."""
    if isinstance(example, Mapping):
        return f"{example.get('amount', '')} {example.get('currency', '')}".strip()
    return "" if example is None else str(example)


def editor_view(_: Gettext, draft: Draft, errors: list[FieldError]) -> dict[str, Any]:
    """The fields of the form, with what is wrong beside each and in one list."""
    words, names = draft.words, draft.names
    found: dict[str, str] = {}
    for error in errors:
        found.setdefault(field_id(error.field, names), fault(_, error))
    return {
        "code": draft.code,
        "name": occasion(_, draft.code),
        "channel": draft.channel.value,
        "topic": draft.topic.value,
        "subjects": {each: _as_written(words.subjects.get(each, ""), each) for each in LANGUAGES},
        "bodies": {each: _as_written(words.bodies.get(each, ""), each) for each in LANGUAGES},
        "refs": {each: words.vendor_refs.get(each, "") for each in LANGUAGES},
        "variables": [variable_view(each) for each in words.variables],
        "known": [variable_view(each) for each in VARIABLES.values()],
        "note": words.note,
        "errors": found,
        "summary": problems_view(_, errors, names),
    }


def _as_written(text: str, language: str) -> str:
    """The text for its field: within Arabic, placeables stand in isolates, or their signs would change places."""
    return PLACEABLE.sub("\u2066\\g<0>\u2069", text) if language == "ar" else text


def variable_view(variable: Variable) -> dict[str, str]:
    """A variable as the pages show it."""
    named = {"name": variable.name, "type": variable.type, "privacy": variable.privacy}
    return named | {"example": show_example(variable.example)}


def problems_view(_: Gettext, errors: list[FieldError], names: list[str]) -> list[dict[str, str]]:
    """What is wrong, each with the place on the page where it is put right."""
    return [
        {"id": field_id(each.field, names), "where": place(_, each.field, names), "text": fault(_, each)}
        for each in errors
    ]


def messages_view(_: Gettext, wording: Wording, clinic: Clinic) -> list[dict[str, Any]]:
    """What patients read in each language, with example values."""
    names = [variable.name for variable in wording.variables]
    return [
        _message(_, shown, names, blank=not wording.bodies.get(shown.language))
        for shown in show_wording(wording, clinic, wording.examples)
    ]


def _message(_: Gettext, shown: Shown, names: list[str], *, blank: bool) -> dict[str, Any]:
    view: dict[str, Any] = {
        "lang": shown.language,
        "dir": "rtl" if shown.language == "ar" else "ltr",
        "problem": "",
        "segments": None,
        "odd": [],
        "plain_parts": 0,
    }
    if blank:
        return view | {"problem": _("What you write appears here, as the patient gets it.")}
    if shown.rendered is None:
        first = shown.errors[0] if shown.errors else None
        said = f"{place(_, first.field, names)}: {fault(_, first)}" if first else ""
        return view | {"problem": said or _("With these values there is nothing left to say.")}
    view |= {name: getattr(shown.rendered, name) for name in ("subject", "text", "html")}
    return view | _segments(shown.rendered.text, shown.segments) if shown.segments else view


def _segments(text: str, found: Segments) -> dict[str, Any]:
    """How many parts it takes, and the few characters for which it takes more than it would without."""
    alone, each = LIMITS[found.encoding]
    limit = alone if found.parts <= 1 else each * found.parts
    counted = {"parts": found.parts, "units": found.units, "limit": limit, "encoding": ENCODINGS[found.encoding]}
    odd = odd_characters(text)
    if not 0 < len(odd) <= FEW_ODD or any(unicodedata.bidirectional(char) in ("R", "AL") for char in odd):
        return {"segments": counted}
    plain = count_segments("".join(char for char in unicodedata.normalize("NFC", text) if char not in odd))
    told = [{"character": char, "name": unicodedata.name(char, "").capitalize()} for char in odd]
    return {"segments": counted, "odd": told, "plain_parts": plain.parts}


@cache
def policy() -> str:
    """The policy of a page that shows a mail: the styles that a letter can wear, in either language."""
    link = f"{LINK}https://hub.example/{LINK_END}"
    everything = f"A line\n\nA button: {link}\n\n{link}\nAnother: {link}"
    letters = [lay_out(everything, language=each, subject="Subject", clinic="Clinic") for each in LANGUAGES]
    return security_with({style for letter in letters for style in styles_of(letter)})


def styles_of(html: str) -> set[str]:
    """The inline styles of a document."""
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.update(value for name, value in attributes if name == "style" and value)

    reader = Reader()
    reader.feed(html)
    reader.close()
    return found
