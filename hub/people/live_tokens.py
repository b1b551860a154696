"""Short-lived signed tokens by which another application opens the live connection for one of the staff."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from hub.crypto import Keys
from hub.db import Database
from hub.errors import NotFound
from hub.people import sessions
from hub.people.sessions import Person
from hub.people.staff import get_staff
from hub.people.tenants import read_clinic

LIFE = timedelta(minutes=10)
AUDIENCE = "hub-live"


@dataclass(frozen=True, slots=True)
class LiveToken:
    """Whom a token speaks for, and until when."""

    tenant: uuid.UUID
    person: uuid.UUID
    expires_at: datetime


def sign_token(keys: Keys, tenant: uuid.UUID, person: uuid.UUID, now: datetime) -> tuple[str, datetime]:
    """A token for one person, and when it ends."""
    key_id, key = next(iter(keys.signing_keys("live-token").items()))
    expires_at = (now + LIFE).replace(microsecond=0)
    claims = {"aud": AUDIENCE, "tid": tenant.hex, "sub": person.hex, "iat": now, "exp": expires_at}
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": key_id}), expires_at


def read_token(keys: Keys, token: str, now: datetime) -> LiveToken | None:
    """Whom a token speaks for, or None when it is not ours, damaged or over."""
    try:
        key_id = str(jwt.get_unverified_header(token).get("kid"))
        key = keys.signing_keys("live-token").get(key_id)
        if key is None:
            return None
        claims = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            audience=AUDIENCE,
            options={"require": ["exp", "sub", "aud"], "verify_exp": False, "verify_iat": False},
        )
        found = LiveToken(
            uuid.UUID(hex=claims["tid"]),
            uuid.UUID(hex=claims["sub"]),
            datetime.fromtimestamp(claims["exp"], tz=now.tzinfo),
        )
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
        return None
    return found if now < found.expires_at else None


async def resolve_token(database: Database, keys: Keys, token: str, now: datetime) -> tuple[Person, datetime] | None:
    """The active person a token speaks for and when it ends, or None."""
    found = read_token(keys, token, now)
    if found is None:
        return None
    async with database.of_tenant(found.tenant) as session:
        try:
            staff = await get_staff(session, found.person)
        except NotFound:
            return None
        if not staff.active:
            return None
        return sessions.person_of(staff, await read_clinic(session, found.tenant), None), found.expires_at
