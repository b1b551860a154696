"""How templates come in over the API and go out by it, and what a wording looks like to who gets it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from hub.api.bodies import MOST_PER_PAGE, PER_PAGE, Body, Line, Prose, Search, printable, read_cursor
from hub.channels.vendor import Channel
from hub.errors import FieldError, Invalid
from hub.people.choices import Topic
from hub.people.tenants import LANGUAGES, Clinic
from hub.templates.checks import check_wording
from hub.templates.history import Listed, Usage, diff
from hub.templates.pattern import LONGEST_WORDING
from hub.templates.render import Privacy, Rendered, Variable, Wording, render
from hub.templates.segments import Segments, count_segments, odd_characters
from hub.templates.tables import TemplateVersion
from hub.templates.values import Type
from hub.templates.versions import Words, words_of

MOST_DAYS = 366

Text = Annotated[str, StringConstraints(max_length=LONGEST_WORDING), AfterValidator(printable)]
Language = Literal["en", "ar"]


def _plain(value: JsonValue) -> JsonValue:
    for each in _texts(value):
        printable(each)
    return value


def _texts(value: JsonValue) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, each in value.items() for text in (name, *_texts(each))]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []


Example = Annotated[JsonValue, AfterValidator(_plain)]


class VariableBody(Body):
    """A value that the texts name as `{ $name }`."""

    name: Line
    type: Type
    privacy: Privacy
    example: Example = None


class WordsBody(Body):
    """What a version says, by language."""

    bodies: dict[Line, Text]
    subjects: dict[Line, Text] = Field(default_factory=dict)
    variables: list[VariableBody] = Field(default_factory=list, max_length=100)
    vendor_refs: dict[Line, Line] = Field(default_factory=dict)
    note: Prose = ""

    @property
    def words(self) -> Words:
        """The same for the verbs."""
        named = tuple(Variable(**each.model_dump()) for each in self.variables)
        return Words(self.bodies, named, self.subjects, self.vendor_refs, self.note)


class NewTemplate(WordsBody):
    """A template and its first draft."""

    code: Line
    channel: Channel
    topic: Topic


class PreviewBody(WordsBody):
    """Words to look at, saved or not; `values` instead of the examples."""

    channel: Channel
    code: Line = "preview"
    topic: Topic = Topic.REMINDERS
    values: dict[Line, Example] = Field(default_factory=dict, max_length=100)


class Switch(Body):
    """Whether the template is used."""

    active: bool


class Earlier(Body):
    """Which version comes back."""

    version: Annotated[int, Field(ge=1, le=1_000_000)]


class TestBody(Body):
    """Where a test goes; the draft is sent where there is one, unless a version is named."""

    to: Line
    language: Language
    version: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    values: dict[Line, Example] = Field(default_factory=dict, max_length=100)


class Listing(Body):
    """Which templates, by code and channel; `q` is a part of the code."""

    q: Search = ""
    channel: Channel | None = None
    topic: Topic | None = None
    active: bool | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE


class VersionListing(Body):
    """Which versions, newest first."""

    before: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE


class Span(Body):
    """Of how many days, today included."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """What a patient reads in one language, or the reason why nothing can be shown; parts are those of an SMS."""

    language: str
    rendered: Rendered | None
    segments: Segments | None
    errors: tuple[FieldError, ...] = ()


def show_wording(wording: Wording, clinic: Clinic, values: Mapping[str, Any]) -> list[Shown]:
    """The wording in each language (pure)."""
    return [_shown(wording, clinic, values, language) for language in LANGUAGES]


def _shown(wording: Wording, clinic: Clinic, values: Mapping[str, Any], language: str) -> Shown:
    try:
        rendered = render(wording, wording.channel, language, values, clinic=clinic.name, zone=clinic.zone)
    except Invalid as error:
        return Shown(language, None, None, tuple(error.errors))
    return Shown(language, rendered, count_segments(rendered.text) if wording.channel == Channel.SMS else None)


def version_json(found: TemplateVersion) -> dict[str, Any]:
    """A version as the API shows it."""
    return {
        "id": str(found.id),
        "version": found.number,
        "state": found.state,
        "subjects": found.subjects or {},
        "bodies": found.bodies,
        "variables": found.variables,
        "vendor_refs": found.vendor_refs,
        "note": found.note,
        "created_at": found.created_at.isoformat(),
        "created_by": str(found.created_by) if found.created_by else None,
        "published_at": found.published_at.isoformat() if found.published_at else None,
        "published_by": str(found.published_by) if found.published_by else None,
    }


def template_json(listed: Listed) -> dict[str, Any]:
    """A template with its published version and its draft, as the API shows it."""
    found = listed.template
    return {
        "id": str(found.id),
        "code": found.code,
        "channel": found.channel,
        "topic": found.topic,
        "active": found.active,
        "created_at": found.created_at.isoformat(),
        "updated_at": found.updated_at.isoformat(),
        "published": version_json(listed.published) if listed.published else None,
        "draft": version_json(listed.draft) if listed.draft else None,
    }


def changes_json(before: TemplateVersion | None, after: TemplateVersion) -> list[dict[str, Any]]:
    """What a version changed, line by line; nothing for the first one."""
    if before is None:
        return []
    return [
        {"field": each.field, "lines": [{"change": line.change, "words": line.words} for line in each.lines]}
        for each in diff(words_of(before), words_of(after))
    ]


def wording_of(code: str, channel: Channel, topic: str, words: Words) -> Wording:
    """Words that are not saved, as rendering and checking want them (pure)."""
    unsaved = uuid.UUID(int=0)
    return Wording(unsaved, code, channel, topic, words.subjects, words.bodies, words.variables, words.vendor_refs)


def errors_of(wording: Wording) -> list[FieldError]:
    """Everything that stands in the way of saving it (pure)."""
    try:
        check_wording(wording)
    except Invalid as error:
        return error.errors
    return []


def shown_json(shown: Shown) -> dict[str, Any]:
    """What a patient reads, as the API shows it."""
    if shown.rendered is None:
        return {"errors": [asdict(each) for each in shown.errors]}
    found: dict[str, Any] = {
        "subject": shown.rendered.subject,
        "text": shown.rendered.text,
        "html": shown.rendered.html,
    }
    if shown.segments is not None:
        found["segments"] = asdict(shown.segments) | {"odd_characters": odd_characters(shown.rendered.text)}
    return found


def first_moment(clinic: Clinic, now: datetime, days: int) -> datetime:
    """When so many days began at the clinic, today included."""
    return clinic.bounds_of(clinic.today(now) - timedelta(days=days - 1))[0]


def read_place(cursor: str | None) -> tuple[str, str] | None:
    """The code and channel behind which a list goes on; raises Invalid."""
    if cursor is None:
        return None
    code, channel = read_cursor(cursor, 2)
    return code, channel


def usage_json(found: Usage, since: datetime) -> dict[str, Any]:
    """How a template is used, as the API shows it; costs are decimals, as text."""
    return {
        "since": since.isoformat(),
        "sent": found.sent,
        "delivered": found.delivered,
        "failed": found.failed,
        "segments": found.segments,
        "costs": {currency: str(cost) for currency, cost in sorted(found.costs.items())},
        "last_used_at": found.last_used_at.isoformat() if found.last_used_at else None,
    }
