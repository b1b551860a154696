"""Refusals as problem documents (RFC 9457): what was wrong, what is accepted, what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from hub.errors import FieldError, HubError, Invalid, Throttled

STATUS: dict[str, int] = {
    "malformed": 400,
    "not-signed-in": 401,
    "forbidden": 403,
    "not-found": 404,
    "conflict": 409,
    "choose-clinic": 409,
    "too-large": 413,
    "invalid": 422,
    "throttled": 429,
    "unavailable": 503,
}
RETRY_WHEN_UNAVAILABLE_S = 5
MOST_ERRORS = 20


def problem_of(error: Exception) -> dict[str, Any]:
    """The problem document of a refusal (pure)."""
    if isinstance(error, HTTPException):
        status, code, detail = error.status_code, "http", error.detail
    elif isinstance(error, HubError):
        status, code, detail = STATUS[error.code], error.code, error.detail
    else:
        status, code, detail = 500, "fault", "Something went wrong here. It has been noted; try again in a moment."
    problem: dict[str, Any] = {
        "type": f"urn:hub:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if isinstance(error, Invalid) and error.errors:
        problem["errors"] = [_field(each) for each in error.errors]
    return problem


def headers_of(error: Exception) -> dict[str, str]:
    """What goes beside the document."""
    if isinstance(error, Throttled):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, HubError) and error.code == "unavailable":
        return {"Retry-After": str(RETRY_WHEN_UNAVAILABLE_S)}
    if isinstance(error, HubError) and error.code == "not-signed-in":
        return {"WWW-Authenticate": "Bearer"}
    return dict(error.headers or {}) if isinstance(error, HTTPException) else {}


def answer(error: Exception) -> JSONResponse:
    """The response to a refusal."""
    problem = problem_of(error)
    return JSONResponse(problem, problem["status"], headers_of(error), media_type="application/problem+json")


def invalid(error: ValidationError) -> Invalid:
    """A pydantic error in the hub's words; it never repeats the input, which may be a patient's."""
    found = error.errors(include_input=False, include_url=False)[:MOST_ERRORS]
    return Invalid(
        "The request is understood but some of it cannot be accepted; nothing was changed.",
        [
            FieldError(".".join(str(part) for part in each["loc"]) or "body", each["msg"], _accepted(each))
            for each in found
        ],
    )


def _accepted(error: Any) -> list[str] | None:
    context = error.get("ctx") or {}
    if error["type"] == "enum" or error["type"] == "literal_error":
        return [str(context.get("expected"))]
    return None


def _field(error: FieldError) -> dict[str, Any]:
    found: dict[str, Any] = {"field": error.field, "detail": error.detail}
    return found | ({"accepted": error.accepted} if error.accepted else {})
