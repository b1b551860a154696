"""Every way in which the hub says no. Verbs raise these; only the ways in turn them into answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of the input, and what it accepts."""

    field: str
    detail: str
    accepted: list[str] | None = None


class HubError(Exception):
    """A refusal that the caller can understand; the message says what was wrong and what to do."""

    code = "error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Invalid(HubError):
    """The input is understood but not acceptable."""

    code = "invalid"

    def __init__(self, detail: str, errors: list[FieldError] | None = None) -> None:
        super().__init__(detail)
        self.errors = errors or []


class NotFound(HubError):
    """There is no such thing, or it is another tenant's, which is the same."""

    code = "not-found"


class NotSignedIn(HubError):
    """The caller has not said who they are, or the proof has expired."""

    code = "not-signed-in"


class Forbidden(HubError):
    """The caller is known and may not do this."""

    code = "forbidden"


class Conflict(HubError):
    """The thing is not in a state that allows this."""

    code = "conflict"


class Throttled(HubError):
    """Too many tries; `retry_after` is in seconds."""

    code = "throttled"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class TooLarge(HubError):
    """The body is larger than the hub reads."""

    code = "too-large"


class Malformed(HubError):
    """The body is not what its content type says."""

    code = "malformed"


class Unavailable(HubError):
    """Something the hub stands on does not answer; trying again later helps."""

    code = "unavailable"
