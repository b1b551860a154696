"""What a wording must be before it is kept: everything that is wrong with it, at once (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args
from zoneinfo import ZoneInfo

from hub.channels.vendor import Channel
from hub.errors import FieldError, Invalid
from hub.people.choices import Topic
from hub.people.tenants import LANGUAGES
from hub.templates.catalogue import VARIABLES
from hub.templates.pattern import Broken, Choice, Pattern, read_pattern, walk
from hub.templates.render import Privacy, Variable, Wording, render
from hub.templates.segments import count_segments
from hub.templates.values import Type, read_value

CODE = re.compile(r"[a-z][a-z0-9_]{1,59}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

MOST_VARIABLES = 30
# What patients still read and clinics still pay for: 918 characters in English, 402 in Arabic.
MOST_PARTS = 6
# What WhatsApp takes as the body of a template.
LONGEST_WHATSAPP = 1024
# Mail programs show some 70 of a subject, and phones half of that.
LONGEST_SUBJECT = 150
LONGEST_REF = 100

PRIVACY: tuple[Privacy, ...] = get_args(Privacy)
TYPES: tuple[Type, ...] = get_args(Type)
# The most private value that may stand there: subjects are shown on locked screens and kept by everybody on the way.
CEILINGS: Mapping[str, Privacy] = {"subjects": "public", "bodies": "personal"}
TYPES_OF_FUNCTION = {"NUMBER": ("number",), "DATETIME": ("date", "moment")}


def check_wording(wording: Wording) -> None:
    """Raise Invalid with all that is wrong: names, languages, variables, privacy, lengths, and what cannot be read."""
    errors = [*_heading(wording), *_variables(wording.variables), *_vendor_refs(wording)]
    for place, words in _places(wording):
        errors += _languages(place, words)
        patterns, broken = _patterns(place, words)
        errors += broken
        for language, pattern in patterns.items():
            errors += _uses(wording, f"{place}.{language}", pattern, CEILINGS[place])
        errors += _same_names(place, patterns)
    errors += _unused(wording)
    # What cannot be filled in has no length.
    if errors := errors or _lengths(wording):
        raise Invalid("This wording cannot be saved yet.", errors)


def _places(wording: Wording) -> Iterator[tuple[str, Mapping[str, str]]]:
    if wording.channel == Channel.EMAIL:
        yield "subjects", wording.subjects
    yield "bodies", wording.bodies


def _heading(wording: Wording) -> Iterator[FieldError]:
    if not CODE.fullmatch(wording.code):
        yield FieldError("code", "not a code", ["2 to 60 of a-z, 0-9 and _, a letter first: appointment_confirmed"])
    if wording.topic not in list(Topic):
        yield FieldError("topic", "not a topic", list(Topic))
    if wording.channel != Channel.EMAIL and wording.subjects:
        yield FieldError("subjects", f"a message by {wording.channel} has no subject", ["nothing"])
    named = {name for pattern in _patterns("bodies", wording.bodies)[0].values() for name in pattern.names}
    if wording.topic == Topic.MARKETING and "preferences_link" not in named:
        yield FieldError("bodies", "advertising says how to stop it", ["a line with { $preferences_link }"])


def _languages(place: str, words: Mapping[str, str]) -> Iterator[FieldError]:
    for language in LANGUAGES:
        if not words.get(language, "").strip():
            yield FieldError(f"{place}.{language}", "missing", ["words in every language"])
    for language in words:
        if language not in LANGUAGES:
            yield FieldError(f"{place}.{language}", "not a language here", list(LANGUAGES))


def _patterns(place: str, words: Mapping[str, str]) -> tuple[dict[str, Pattern], list[FieldError]]:
    patterns, errors = {}, []
    for language in LANGUAGES:
        if not words.get(language, "").strip():
            continue
        try:
            patterns[language] = read_pattern(words[language], language)
        except Broken as broken:
            errors += [FieldError(f"{place}.{language}", f"line {at.line}: {at.detail}") for at in broken.problems]
    return patterns, errors


def _uses(wording: Wording, place: str, pattern: Pattern, ceiling: Privacy) -> Iterator[FieldError]:
    """What is wrong with the variables that one text names."""
    declared = {variable.name: variable for variable in wording.variables}
    for name in sorted(pattern.names - set(declared)):
        yield FieldError(place, f"{{ ${name} }} is not declared", sorted(declared))
    for name in sorted(pattern.names & set(declared)):
        privacy = declared[name].privacy
        if privacy in PRIVACY and PRIVACY.index(privacy) > PRIVACY.index(ceiling):
            allowed: list[str] = [each for each in PRIVACY if PRIVACY.index(each) <= PRIVACY.index(ceiling)]
            yield FieldError(place, f"{{ ${name} }} is {privacy}, too private for this place", allowed)
    for piece in walk(pattern.pieces):
        type_ = declared[piece.name].type if piece.name in declared else None
        if type_ is None:
            continue
        if isinstance(piece, Choice):
            if type_ != "number":
                yield FieldError(place, f"a choice by ${piece.name}, which is a {type_}", ["a number"])
        elif piece.function and type_ not in TYPES_OF_FUNCTION[piece.function]:
            wanted = list(TYPES_OF_FUNCTION[piece.function])
            yield FieldError(place, f"{piece.function}(${piece.name}) of a {type_}", wanted)
        elif type_ == "date" and "timeStyle" in piece.options:
            yield FieldError(place, f"${piece.name} is a date and has no time", ["dateStyle alone"])


def _same_names(place: str, patterns: Mapping[str, Pattern]) -> Iterator[FieldError]:
    everything = frozenset[str]().union(*(pattern.names for pattern in patterns.values()))
    for language, pattern in patterns.items():
        if lacking := sorted(everything - pattern.names):
            names = ", ".join(f"{{ ${name} }}" for name in lacking)
            yield FieldError(f"{place}.{language}", f"does not name {names}, as another language does")


def _unused(wording: Wording) -> Iterator[FieldError]:
    named: set[str] = set()
    for place, words in _places(wording):
        patterns, broken = _patterns(place, words)
        # Who knows what a text names that cannot be read.
        if broken or len(patterns) < len(LANGUAGES):
            return
        named |= {name for pattern in patterns.values() for name in pattern.names}
    for index, variable in enumerate(wording.variables):
        if variable.name not in named:
            yield FieldError(f"variables.{index}", f"no text names {{ ${variable.name} }}; name it or take it out")


def _variables(variables: tuple[Variable, ...]) -> Iterator[FieldError]:
    if len(variables) > MOST_VARIABLES:
        yield FieldError("variables", f"{len(variables)} variables", [f"at most {MOST_VARIABLES}"])
    times = Counter(variable.name for variable in variables)
    for index, variable in enumerate(variables):
        place = f"variables.{index}"
        if not NAME.fullmatch(variable.name):
            yield FieldError(f"{place}.name", "not a name", ["1 to 40 of a-z, 0-9 and _, a letter first"])
        if times[variable.name] > 1:
            yield FieldError(f"{place}.name", f"{variable.name} is declared twice")
        if variable.privacy not in PRIVACY:
            yield FieldError(f"{place}.privacy", "not a degree of privacy", list(PRIVACY))
        if variable.type not in TYPES:
            yield FieldError(f"{place}.type", "not a type", list(TYPES))
        else:
            yield from _example(place, variable)
        yield from _as_events_have_it(place, variable)


def _example(place: str, variable: Variable) -> Iterator[FieldError]:
    try:
        if read_value(variable.type, variable.example) != "":
            return
        wanted = "something"
    except ValueError as error:
        wanted = str(error)
    yield FieldError(f"{place}.example", f"an example of a {variable.type} is needed for previews", [wanted])


def _as_events_have_it(place: str, variable: Variable) -> Iterator[FieldError]:
    """A variable that the hub's events bring is declared as they have it, or as more private."""
    known = VARIABLES.get(variable.name)
    if known is None:
        return
    if variable.type in TYPES and variable.type != known.type:
        yield FieldError(f"{place}.type", f"{variable.name} is a {known.type} everywhere", [known.type])
    if variable.privacy in PRIVACY and PRIVACY.index(variable.privacy) < PRIVACY.index(known.privacy):
        at_least: list[str] = list(PRIVACY[PRIVACY.index(known.privacy) :])
        yield FieldError(f"{place}.privacy", f"{variable.name} is {known.privacy} at least", at_least)


def _vendor_refs(wording: Wording) -> Iterator[FieldError]:
    if wording.vendor_refs and wording.channel != Channel.WHATSAPP:
        yield FieldError("vendor_refs", "only WhatsApp has templates that a vendor approves", ["nothing"])
    for language, ref in wording.vendor_refs.items():
        if language not in LANGUAGES:
            yield FieldError(f"vendor_refs.{language}", "not a language here", list(LANGUAGES))
        if not ref.strip() or len(ref) > LONGEST_REF or not ref.isprintable():
            yield FieldError(f"vendor_refs.{language}", "not a vendor's id", [f"1 to {LONGEST_REF} characters"])


def _lengths(wording: Wording) -> list[FieldError]:
    """How long it is with its examples for values."""
    errors = []
    for language in LANGUAGES:
        try:
            shown = render(wording, wording.channel, language, wording.examples, clinic="Clinic", zone=ZoneInfo("UTC"))
        except Invalid as error:
            return error.errors
        parts = count_segments(shown.text).parts
        if wording.channel == Channel.SMS and parts > MOST_PARTS:
            accepted = [f"at most {MOST_PARTS} parts"]
            errors.append(FieldError(f"bodies.{language}", f"{parts} parts with the examples", accepted))
        if wording.channel == Channel.WHATSAPP and len(shown.text) > LONGEST_WHATSAPP:
            accepted = [f"at most {LONGEST_WHATSAPP} characters"]
            errors.append(FieldError(f"bodies.{language}", f"{len(shown.text)} characters", accepted))
        if len(shown.subject) > LONGEST_SUBJECT:
            accepted = [f"at most {LONGEST_SUBJECT} characters"]
            errors.append(FieldError(f"subjects.{language}", f"{len(shown.subject)} characters", accepted))
    return errors
