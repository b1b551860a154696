"""Who calls: a member of staff by the session cookie, an integration by its key, or a bell by its live token."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from hub.errors import Forbidden, NotSignedIn
from hub.people import sessions
from hub.people.keys import PREFIX, KeyHolder, resolve_key
from hub.people.live_tokens import resolve_token
from hub.people.roles import ALLOWED, Permission
from hub.people.sessions import Person
from hub.people.tenants import Clinic
from hub.wiring import House
from hub.work import Actor

BACKGROUND = "x-background"


def house_of(connection: HTTPConnection) -> House:
    """The house this request came to."""
    house: House = connection.app.state.house
    return house


def cookie_name(house: House) -> str:
    """Over TLS the cookie is bound to this very host; on this machine, without TLS, browsers refuse that prefix."""
    return "__Host-hub" if house.settings.is_https else "hub"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may do."""

    actor: Actor
    clinic: Clinic
    allowed: frozenset[Permission]
    person: Person | None

    @property
    def tenant(self) -> uuid.UUID:
        """The tenant whose rows the caller may see."""
        return self.clinic.id

    def needs(self, permission: Permission) -> None:
        """Raises Forbidden when the caller may not do this."""
        if permission not in self.allowed:
            what = "role" if self.person else "key"
            raise Forbidden(f"Your {what} does not allow this; it takes {permission.value!r}.")

    @property
    def as_person(self) -> Person:
        """The member of staff; raises Forbidden for an integration, which has no inbox."""
        if self.person is None:
            raise Forbidden("This takes a person's session; a key has no inbox of its own.")
        return self.person


async def person_by_cookie(connection: HTTPConnection, *, in_use: bool = True) -> Person | None:
    """The member of staff whose session cookie came along, if it counts."""
    house = house_of(connection)
    cookie = connection.cookies.get(cookie_name(house))
    if not cookie:
        return None
    background = connection.headers.get(BACKGROUND) == "1"
    return await sessions.resolve(house.database, cookie, house.clock(), house.idle, in_use=in_use and not background)


async def caller_of(connection: HTTPConnection) -> Caller:
    """Who calls; raises NotSignedIn when nobody known does."""
    authorization = connection.headers.get("authorization", "")
    if authorization:
        return _by_key(await _key_holder(connection, authorization))
    person = await person_by_cookie(connection)
    if person is None:
        raise NotSignedIn("Sign in, or send an API key as `Authorization: Bearer hub_…`.")
    return Caller(Actor("staff", person.id), person.clinic, ALLOWED[person.role], person)


async def inbox_owner_of(connection: HTTPConnection) -> Person:
    """Whose inbox this is about: theirs who is signed in, or whom a live token names; it is good for nothing else."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or token.startswith(PREFIX):
        return (await caller_of(connection)).as_person
    house = house_of(connection)
    found = await resolve_token(house.database, house.keys, token.strip(), house.clock())
    if found is None:
        raise NotSignedIn("This live token is not known here, or has ended. Get a new one.")
    return found[0]


async def _key_holder(connection: HTTPConnection, authorization: str) -> KeyHolder:
    scheme, _, text = authorization.partition(" ")
    house = house_of(connection)
    if scheme.lower() == "bearer" and text.startswith(PREFIX):
        holder = await resolve_key(house.database, text.strip(), house.clock())
        if holder is not None:
            return holder
    raise NotSignedIn("This API key is not known here, or was revoked.")


def _by_key(holder: KeyHolder) -> Caller:
    return Caller(Actor("key", holder.id), holder.clinic, holder.scopes, None)
