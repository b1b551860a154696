"""Filling a wording in: typed values into a subject, a text and, for email, HTML (pure).

Values are data and never read as wording: no name can bring in a placeable, markup, a link, or a line of a subject.
In Arabic every value stands in an isolate, so that a Latin name or a number does not scramble the line; in English
only one that is itself written from right to left, because an isolate costs a text message its cheap encoding. Links
stand bare in either: many a phone would take the mark behind one for a part of it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal
from unicodedata import bidirectional
from zoneinfo import ZoneInfo

from hub.channels.vendor import Channel
from hub.errors import FieldError, Invalid
from hub.templates.mail import lay_out
from hub.templates.pattern import LINK, LINK_END, NOTHING, Broken, Pattern, Shown, read_pattern
from hub.templates.values import Link, Style, Type, Value, read_value, show_value

Privacy = Literal["public", "personal", "health"]

FSI, PDI = "\u2068", "\u2069"

_LINE_OF_NOTHING = re.compile(rf"^[^\n]*{NOTHING}[^\n]*(?:\n|$)", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_MARKS = str.maketrans("", "", LINK + LINK_END + NOTHING)


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that a wording may name; `example` is of its type, and is what previews show."""

    name: str
    type: Type
    privacy: Privacy
    example: Any


@dataclass(frozen=True, slots=True)
class Wording:
    """One version of a template: what it says in each language. `subjects` are for email alone."""

    version_id: uuid.UUID
    code: str
    channel: Channel
    topic: str
    subjects: Mapping[str, str]
    bodies: Mapping[str, str]
    variables: tuple[Variable, ...]
    vendor_refs: Mapping[str, str] = field(default_factory=dict)

    @property
    def examples(self) -> dict[str, Any]:
        """A value for every variable, as declared."""
        return {variable.name: variable.example for variable in self.variables}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What goes out. `html` only for email; `values`, each on one line, only for a template that a vendor approved."""

    subject: str
    text: str
    html: str
    values: Mapping[str, str] = field(default_factory=dict)


def render(
    version: Wording,
    channel: Channel,
    language: str,
    variables: Mapping[str, Any],
    *,
    clinic: str,
    zone: ZoneInfo,
) -> Rendered:
    """The wording with these values, moments by the clock of `zone`. A line whose value is empty is left out.

    `clinic` is also the value of a variable of that name, unless given. Raises Invalid for values that are missing,
    not declared, or of the wrong type (all at once), and when nothing is left to say.
    """
    filled = _fill(version, channel, language, variables, clinic, zone)
    text = filled.body.translate(_MARKS)
    if channel != Channel.EMAIL:
        return Rendered("", text, "", filled.form.plain_values() if language in version.vendor_refs else {})
    html = lay_out(filled.body, language=language, subject=filled.subject, clinic=filled.clinic)
    return Rendered(filled.subject, f"{text}\n\n-- \n{filled.clinic}", html)


def check_fit(
    version: Wording,
    channel: Channel,
    language: str,
    variables: Mapping[str, Any],
    *,
    clinic: str,
    zone: ZoneInfo,
) -> None:
    """Raises what `render` would raise with these values; lays nothing out, which is most of the work for email."""
    _fill(version, channel, language, variables, clinic, zone)


@dataclass(frozen=True, slots=True)
class _Filled:
    """A wording with its values, not laid out; `subject` for email alone."""

    clinic: str
    form: _Form
    body: str
    subject: str


def _fill(
    version: Wording, channel: Channel, language: str, variables: Mapping[str, Any], clinic: str, zone: ZoneInfo
) -> _Filled:
    clinic = " ".join(str(read_value("text", clinic)).split())
    values = _read(version, _with_clinic(version, variables, clinic))
    form = _Form(values, Style(language, zone, in_full=channel == Channel.EMAIL))
    body = _tidy(_pattern(version.bodies, language, "bodies").fill(form.isolated, form.number))
    _check_that_it_says_something(body, "bodies", language)
    if channel != Channel.EMAIL:
        return _Filled(clinic, form, body, "")
    subject = _pattern(version.subjects, language, "subjects").fill(form.isolated_line, form.number).translate(_MARKS)
    subject = " ".join(subject.split())
    _check_that_it_says_something(subject, "subjects", language)
    return _Filled(clinic, form, body, subject)


DO_NOT_FIT = "These values do not fit the template."


def _with_clinic(wording: Wording, variables: Mapping[str, Any], clinic: str) -> Mapping[str, Any]:
    wanted = "clinic" not in variables and any(variable.name == "clinic" for variable in wording.variables)
    return {**variables, "clinic": clinic} if wanted else variables


def _read(wording: Wording, variables: Mapping[str, Any]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    declared = {variable.name: variable.type for variable in wording.variables}
    errors = [
        FieldError(f"variables.{name}", "not a variable of this template", sorted(declared))
        for name in variables
        if name not in declared
    ]
    for name, type_ in declared.items():
        if name not in variables:
            errors.append(FieldError(f"variables.{name}", "missing", [type_]))
            continue
        given = variables[name]
        try:
            # Nothing to say is said by an empty value, whatever the type.
            values[name] = "" if given is None or given == "" else read_value(type_, given)
        except ValueError as error:
            errors.append(FieldError(f"variables.{name}", f"not a {type_}", [str(error)]))
    if errors:
        raise Invalid(DO_NOT_FIT, errors)
    return values


def _pattern(wordings: Mapping[str, str], language: str, place: str) -> Pattern:
    if language not in wordings:
        raise Invalid("This template says nothing in that language.", [FieldError(f"{place}.{language}", "missing")])
    try:
        return read_pattern(wordings[language], language)
    except Broken as error:
        errors = [FieldError(f"{place}.{language}", f"line {each.line}: {each.detail}") for each in error.problems]
        raise Invalid("This wording cannot be read.", errors) from error


@dataclass(slots=True)
class _Form:
    """The values of one message, and how they are put in."""

    values: Mapping[str, Value]
    style: Style

    def number(self, name: str) -> Decimal:
        """The number that a choice goes by."""
        value = self.values.get(name)
        if not isinstance(value, Decimal):
            raise Invalid(DO_NOT_FIT, [FieldError(f"variables.{name}", "no number to choose by", ["number"])])
        return value

    def plain_values(self) -> dict[str, str]:
        """Every value on one line, without marks."""
        return {name: " ".join(show_value(value, self.style, {}).split()) for name, value in self.values.items()}

    def isolated(self, shown: Shown) -> str:
        """A value for the body. Its own line breaks stay in email, where there is room."""
        said = self._said(shown)
        if not said:
            return NOTHING
        if isinstance(said, Link):
            return f"{LINK}{said}{LINK_END}"
        return ("\n" if self.style.in_full else " ").join(self._isolate(line) for line in said.split("\n") if line)

    def isolated_line(self, shown: Shown) -> str:
        """A value for the subject, on one line."""
        said = " ".join(self._said(shown).split())
        return self._isolate(said) if said else ""

    def _said(self, shown: Shown) -> str:
        value = self.values.get(shown.name)
        if value is None:
            raise Invalid(DO_NOT_FIT, [FieldError(f"variables.{shown.name}", "not declared")])
        return show_value(value, self.style, shown.options)

    def _isolate(self, said: str) -> str:
        if self.style.language == "ar" or not (said.isascii() or _is_all_left_to_right(said)):
            return f"{FSI}{said}{PDI}"
        return said


def _is_all_left_to_right(said: str) -> bool:
    return not any(bidirectional(char) in ("R", "AL") for char in said)


def _tidy(filled: str) -> str:
    if NOTHING in filled:
        filled = _LINE_OF_NOTHING.sub("", filled)
    return _BLANK_LINES.sub("\n\n", filled).strip()


def _check_that_it_says_something(said: str, place: str, language: str) -> None:
    if not said:
        raise Invalid("With these values there is nothing left to say.", [FieldError(f"{place}.{language}", "empty")])
