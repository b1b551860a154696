"""Reading requests: bodies, queries and cursors, each checked before a verb sees it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import Request

from hub.api.problems import invalid
from hub.errors import FieldError, Invalid, Malformed
from hub.idempotency import IdempotentRequest

MOST_PER_PAGE = 100
PER_PAGE = 50

_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _printable(text: str) -> str:
    if _control.search(text):
        raise ValueError("control characters are not accepted")
    return text


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000), AfterValidator(_printable)]
ExternalId = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_printable)
]
Moment = AwareDatetime


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
        found = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not valid JSON.") from error
    try:
        return model.model_validate(found)
    except ValidationError as error:
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
    except (ValueError, binascii.Error) as error:
        detail = "take it from the answer before, unchanged"
        raise Invalid("This cursor was not made here.", [FieldError("cursor", detail)]) from error
    return [str(part) for part in parts]


def read_number_cursor(text: str | None) -> int | None:
    """A cursor that is one number; raises Invalid."""
    if text is None:
        return None
    (part,) = read_cursor(text, 1)
    if not part.isdecimal() or len(part) > 18:
        raise Invalid("This cursor was not made here.", [FieldError("cursor", "take it from the answer before")])
    return int(part)
