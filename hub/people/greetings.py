"""Who is there, asked for many at once: what they show as they come, and later whether it still counts.

One query each, across tenants, as `hub_watch`: in a storm hundreds come in the same moment, of as many tenants.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    TableValuedAlias,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    column,
    func,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from hub.crypto import Keys
from hub.people.live_tokens import LiveToken, read_token, token_counts
from hub.people.roles import Role
from hub.people.sessions import OPEN, moments_of, read_cookie
from hub.people.tables import Staff, StaffSession

# All who are connected are looked at every few seconds: in parts, so that others have their turn in between.
MOST_AT_ONCE = 1000


class Greeting(Protocol):
    """What one client shows: the value of its session cookie, or a live token, which counts before a cookie."""

    @property
    def cookie(self) -> str | None:
        """`tenant.secret`."""
        ...

    @property
    def token(self) -> str | None:
        """A signed token."""
        ...


class Held(Protocol):
    """What somebody's right to listen rests on: a session, or else a live token."""

    @property
    def tenant(self) -> uuid.UUID:
        """The tenant whose pushes are heard."""
        ...

    @property
    def person(self) -> uuid.UUID:
        """Who hears them."""
        ...

    @property
    def session(self) -> uuid.UUID | None:
        """The session, if it is one."""
        ...

    @property
    def token(self) -> uuid.UUID | None:
        """The token, if it is one."""
        ...

    @property
    def key(self) -> uuid.UUID | None:
        """The key that asked for the token."""
        ...

    @property
    def era(self) -> int:
        """The person's era in which the token was made."""
        ...

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Who greets, and what that rests on."""

    tenant: uuid.UUID
    person: uuid.UUID
    role: Role
    name: str
    language: str
    session: uuid.UUID | None = None
    token: uuid.UUID | None = None
    key: uuid.UUID | None = None
    era: int = 0
    expires_at: datetime | None = None


Columns = dict[str, list[str]]
COOKIE: dict[str, TypeEngine[Any]] = {"place": Integer(), "tenant_id": Uuid(), "secret_hash": LargeBinary()}
SESSION: dict[str, TypeEngine[Any]] = {"place": Integer(), "tenant_id": Uuid(), "session_id": Uuid()}
TOKEN: dict[str, TypeEngine[Any]] = {
    "place": Integer(),
    "tenant_id": Uuid(),
    "person_id": Uuid(),
    "era": Integer(),
    "key_id": Uuid(),
    "token_id": Uuid(),
}


def _shown(name: str, columns: dict[str, TypeEngine[Any]]) -> TableValuedAlias:
    """What is shown, as a table: each column comes as one text, `<name>_<column>`, with a comma between two values.

    Not as arrays: the driver looks at each member of one several times before it is sent.
    """
    texts = {each: bindparam(f"{name}_{each}", type_=Text()) for each in columns}
    arrays = [cast(func.string_to_array(texts[each], ",", ""), ARRAY(kind)) for each, kind in columns.items()]
    return func.unnest(*arrays).table_valued(*(column(*each) for each in columns.items())).render_derived(name)


def _by_session(shown: TableValuedAlias, same: ColumnElement[bool]) -> Select[Any]:
    """The people whose sessions are shown and count."""
    columns = (shown.c.place, StaffSession.id.label("session_id"), Staff.id, Staff.role, Staff.name, Staff.language)
    return (
        select(*columns)
        .select_from(shown)
        .join(StaffSession, and_(same, StaffSession.tenant_id == shown.c.tenant_id))
        .join(Staff, and_(Staff.id == StaffSession.staff_id, Staff.tenant_id == StaffSession.tenant_id))
        .where(Staff.active, OPEN)
    )


def _by_token(shown: TableValuedAlias) -> Select[Any]:
    """The people whose tokens are shown and count."""
    return (
        select(shown.c.place, null().label("session_id"), Staff.id, Staff.role, Staff.name, Staff.language)
        .select_from(shown)
        .join(Staff, and_(Staff.id == shown.c.person_id, Staff.tenant_id == shown.c.tenant_id))
        .where(token_counts(shown.c.tenant_id, shown.c.token_id, shown.c.key_id, shown.c.era))
    )


_cookies, _sessions, _tokens = _shown("cookie", COOKIE), _shown("session", SESSION), _shown("token", TOKEN)
RECOGNISE = union_all(_by_session(_cookies, StaffSession.secret_hash == _cookies.c.secret_hash), _by_token(_tokens))
COUNT = union_all(
    _by_session(_sessions, StaffSession.id == _sessions.c.session_id).with_only_columns(_sessions.c.place),
    _by_token(_tokens).with_only_columns(_tokens.c.place),
)


async def recognise(
    watch: AsyncConnection, keys: Keys, greetings: Sequence[Greeting], now: datetime, idle: timedelta
) -> list[Known | None]:
    """Who each of these is, or None: what is shown is nobody's, or over. It is no use of a session."""
    cookies, tokens = _empty("cookie", COOKIE), _empty("token", TOKEN)
    read: dict[int, LiveToken | uuid.UUID] = {}
    for place, greeting in enumerate(greetings):
        if greeting.token is not None:
            if token := read_token(keys, greeting.token, now):
                read[place] = token
                _add(tokens, place, token.tenant, token.person, token.era, token.key, token.id)
        elif greeting.cookie is not None and (cookie := read_cookie(greeting.cookie)):
            read[place] = cookie[0]
            _add(cookies, place, *cookie)
    known: list[Known | None] = [None] * len(greetings)
    if read:
        for row in await watch.execute(RECOGNISE, _joined(cookies | tokens) | moments_of(now, idle)):
            known[row.place] = _known(row, read[row.place])
    return known


async def still_valid(watch: AsyncConnection, held: Sequence[Held], now: datetime, idle: timedelta) -> list[bool]:
    """Whether what was recognised would be again, for each of these."""
    valid = []
    for start in range(0, len(held), MOST_AT_ONCE):
        valid += await _still_valid(watch, held[start : start + MOST_AT_ONCE], now, idle)
    return valid


async def _still_valid(watch: AsyncConnection, held: Sequence[Held], now: datetime, idle: timedelta) -> list[bool]:
    sessions, tokens = _empty("session", SESSION), _empty("token", TOKEN)
    for place, each in enumerate(held):
        if each.session is not None:
            _add(sessions, place, each.tenant, each.session)
        elif each.expires_at is not None and now < each.expires_at:
            _add(tokens, place, each.tenant, each.person, each.era, each.key, each.token)
    valid = [False] * len(held)
    for place in (await watch.execute(COUNT, _joined(sessions | tokens) | moments_of(now, idle))).scalars():
        valid[place] = True
    return valid


def _empty(name: str, columns: dict[str, TypeEngine[Any]]) -> Columns:
    return {f"{name}_{each}": [] for each in columns}


def _add(columns: Columns, *values: Any) -> None:
    for each, value in zip(columns.values(), values, strict=True):
        each.append("" if value is None else f"\\x{value.hex()}" if isinstance(value, bytes) else str(value))


def _joined(columns: Columns) -> dict[str, Any]:
    return {name: ",".join(values) for name, values in columns.items()}


def _known(row: Any, shown: LiveToken | uuid.UUID) -> Known:
    _place, session, person, role, name, language = row
    if isinstance(shown, LiveToken):
        who = (shown.tenant, person, Role(role), name, language)
        return Known(*who, None, shown.id, shown.key, shown.era, shown.expires_at)
    return Known(shown, person, Role(role), name, language, session)
