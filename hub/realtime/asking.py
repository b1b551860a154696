"""What a client says by the address it asks for, where there is no hello (pure): where it stands, what it watches."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hub.realtime import frames
from hub.realtime.frames import Close, EndConnection

LONGEST_QUERY = 4096
MOST_TOPICS = 16
LONGEST_WAIT_S = 25

_digits = re.compile(r"[0-9]{1,16}")


def _whole(text: Any) -> int:
    # Not whatever Python takes for a number: signs, spaces, underscores, digits of any script.
    if not isinstance(text, str) or not _digits.fullmatch(text):
        raise ValueError("a whole number, in digits")
    return int(text)


def _topic(text: str) -> tuple[str, int]:
    name, colon, version = text.partition(":")
    return name, _whole(version) if colon else -1


Whole = Annotated[int, Field(le=2**53), BeforeValidator(_whole)]
Topic = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], int], BeforeValidator(_topic)]


class Asking(BaseModel):
    """A query: the cursor, the topics with the version that is shown of each, and how long to wait for news."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Whole
    epoch: Annotated[str, Field(max_length=64)] | None = None
    seq: Whole | None = None
    topic: Annotated[list[Topic], Field(max_length=MOST_TOPICS)] = []
    wait: Whole = 0
    again: Literal["0", "1"] = "0"

    @model_validator(mode="after")
    def _whole_cursor(self) -> Self:
        if (self.epoch is None) != (self.seq is None):
            raise ValueError("epoch and seq come together")
        return self

    @property
    def wait_s(self) -> int:
        """How long to wait: nobody is kept longer than a proxy lets an answer take."""
        return min(self.wait, LONGEST_WAIT_S)


def read_asking(query: bytes) -> Asking:
    """Read a query; raises EndConnection, also for a parameter that is unknown or comes twice."""
    if len(query) > LONGEST_QUERY:
        raise EndConnection(Close.TOO_LARGE, f"a query has at most {LONGEST_QUERY} bytes")
    given: dict[str, Any] = {"topic": []}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name == "topic":
            given["topic"].append(value)
        elif name in given:
            raise EndConnection(Close.MALFORMED, "each parameter comes once")
        else:
            given[name] = value
    try:
        asking = Asking.model_validate(given)
    except ValidationError as error:
        raise frames.malformed(error) from error
    if asking.v != frames.VERSION:
        raise EndConnection(Close.UNSUPPORTED_VERSION, f"this hub speaks version {frames.VERSION}")
    return asking
