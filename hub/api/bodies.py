"""Reading requests: bodies, queries and cursors, each checked before a verb sees it."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, date, datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import Request

from hub.api.problems import invalid
from hub.errors import FieldError, Invalid, Malformed
from hub.idempotency import IdempotentRequest

MOST_PER_PAGE = 100
PER_PAGE = 50

# Far from the ends of the calendar, where changing a time's zone overflows.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def printable(text: str) -> str:
    """The text; raises ValueError for what the database does not take, or nobody can see."""
    if _control.search(text):
        raise ValueError("control characters are not accepted")
    return text


def _in_one_line(text: str) -> str:
    if any(each in text for each in "\t\n\r"):
        raise ValueError("this is one line, without tabs")
    return printable(text)


def _plannable(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"not between {EARLIEST.year} and {LATEST.year}")
    return moment


def _plannable_day(day: date) -> date:
    if not EARLIEST.date() <= day < LATEST.date():
        raise ValueError(f"not between {EARLIEST.year} and {LATEST.year}")
    return day


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_in_one_line)
]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000), AfterValidator(printable)]
ExternalId = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_in_one_line)
]
Email = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$"), AfterValidator(printable)
]
Search = Annotated[str, StringConstraints(max_length=200), AfterValidator(printable)]
Moment = Annotated[AwareDatetime, AfterValidator(_plannable)]
Day = Annotated[date, AfterValidator(_plannable_day)]


class Body(BaseModel):
    """A request's body: exactly the fields declared, nothing more."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """The request's JSON body as `model`; raises Malformed or Invalid."""
    raw = await request.body()
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and content_type != "application/json":
        raise Malformed("Send the body as JSON, with `Content-Type: application/json`.")
    try:
        # Strict: a number is no text, and no yes or no. Half a surrogate is no JSON.
        return model.model_validate_json(raw or b"{}", strict=True)
    except ValidationError as error:
        if error.errors(include_input=False, include_url=False)[0]["type"] == "json_invalid":
            raise Malformed("The body is not valid JSON.") from error
        raise invalid(error) from error


def read_query(request: Request, model: type[Model]) -> Model:
    """The request's query as `model`; raises Invalid, also for a parameter that is unknown or comes twice."""
    found = dict(request.query_params)
    if len(request.query_params.multi_items()) != len(found):
        raise Invalid("A query parameter came twice.", [FieldError("query", "each parameter at most once")])
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise invalid(error) from error


async def idempotency_of(request: Request) -> IdempotentRequest | None:
    """What identifies the request, when its sender gave it a key."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    return IdempotentRequest.of(key, f"{request.method} {request.url.path}", await request.body())


def write_cursor(*parts: object) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(parts, default=str).encode()).decode().rstrip("=")


def read_cursor(text: str, size: int) -> list[str]:
    """What `write_cursor` wrote, as text; raises Invalid on anything else."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(parts, list) or len(parts) != size:
            raise ValueError(text)
        return [printable(str(part)) for part in parts]
    except (ValueError, RecursionError) as error:
        raise _foreign_cursor() from error


def moment_in_cursor(part: str) -> datetime:
    """A part of a cursor that is a moment; raises Invalid."""
    try:
        return _plannable(datetime.fromisoformat(part))
    except (ValueError, TypeError) as error:
        raise _foreign_cursor() from error


def read_number_cursor(text: str | None) -> int | None:
    """A cursor that is one number; raises Invalid."""
    if text is None:
        return None
    (part,) = read_cursor(text, 1)
    if not part.isdecimal() or len(part) > 18:
        raise _foreign_cursor()
    return int(part)


def _foreign_cursor() -> Invalid:
    detail = "take it from the answer before, unchanged"
    return Invalid("This cursor was not made here.", [FieldError("cursor", detail)])
