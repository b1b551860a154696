"""Short-lived signed tokens by which another application opens the live connection for one of the staff.

They are JSON Web Tokens, and nothing of them is stored. One that must end before its time is written down as revoked;
all of a person's end with the person's `token_era`, all of a key's with the key.
"""

from __future__ import annotations

import base64
import hmac
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import jwt
from sqlalchemy import ColumnElement, Uuid, and_, delete, exists, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.crypto import Keys
from hub.db import Database
from hub.errors import FieldError, Invalid
from hub.people import sessions
from hub.people.sessions import Person
from hub.people.tables import ApiKey, RevokedToken, Staff, Tenant
from hub.people.tenants import clinic_of
from hub.work import Work

LIFE = timedelta(minutes=10)
AUDIENCE = "hub-live"
PURPOSE = "live-token"
ALGORITHM = "HS256"
LONGEST = 1000
# The clock of the process that signed it may be a little ahead.
SKEW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LiveToken:
    """Whom a token speaks for, until when, and what it ends with."""

    id: uuid.UUID
    tenant: uuid.UUID
    person: uuid.UUID
    era: int
    key: uuid.UUID | None
    expires_at: datetime


def sign_token(
    keys: Keys, tenant: uuid.UUID, person: uuid.UUID, now: datetime, *, era: int = 0, key: uuid.UUID | None = None
) -> tuple[str, LiveToken]:
    """A token for one person, asked for by an API key or by the hub itself; it is good in this era of the person's."""
    signing_key_id, signing_key = next(iter(keys.signing_keys(PURPOSE).items()))
    made = LiveToken(uuid.uuid4(), tenant, person, era, key, (now + LIFE).replace(microsecond=0))
    claims = {
        "aud": AUDIENCE,
        "jti": made.id.hex,
        "tid": tenant.hex,
        "sub": person.hex,
        "era": era,
        "key": key.hex if key else None,
        "exp": made.expires_at,
    }
    return jwt.encode(claims, signing_key, ALGORITHM, headers={"kid": signing_key_id}), made


def read_token(keys: Keys, token: str, now: datetime) -> LiveToken | None:
    """Whom a token speaks for, or None when it is not ours, damaged or over."""
    # Not jwt.decode: in a storm thousands of these are read, and it takes five times as long. Nor does anything in a
    # token choose how it is checked: what is not, letter by letter, what `sign_token` writes was not written by it.
    try:
        signed, _, signature = token.encode("ascii").rpartition(b".") if len(token) <= LONGEST else (b"", b"", b"")
        header, _, payload = signed.partition(b".")
        for signing_key_id, signing_key in keys.signing_keys(PURPOSE).items():
            if header == _header(signing_key_id):
                wanted = base64.urlsafe_b64encode(hmac.digest(signing_key, signed, "sha256")).rstrip(b"=")
                return _read_claims(payload, now) if hmac.compare_digest(signature, wanted) else None
    except (KeyError, ValueError, TypeError, AttributeError):
        pass
    return None


def _read_claims(payload: bytes, now: datetime) -> LiveToken | None:
    claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    found = LiveToken(
        uuid.UUID(hex=claims["jti"]),
        uuid.UUID(hex=claims["tid"]),
        uuid.UUID(hex=claims["sub"]),
        int(claims["era"]),
        uuid.UUID(hex=claims["key"]) if claims["key"] else None,
        datetime.fromtimestamp(claims["exp"], tz=now.tzinfo),
    )
    return found if claims["aud"] == AUDIENCE and now < found.expires_at else None


@cache
def _header(signing_key_id: str) -> bytes:
    """What every token signed by this key begins with."""
    return jwt.encode({}, bytes(32), ALGORITHM, headers={"kid": signing_key_id}).encode().partition(b".")[0]


async def issue_token(
    session: AsyncSession, keys: Keys, tenant: uuid.UUID, person: uuid.UUID, key: uuid.UUID | None, now: datetime
) -> tuple[str, LiveToken]:
    """A token for somebody active at this clinic; raises Invalid when there is no such person."""
    era = (await session.execute(select(Staff.token_era).where(Staff.id == person, Staff.active))).scalar_one_or_none()
    if era is None:
        unknown = FieldError("staff_id", "unknown or inactive", ["the id of somebody on the active staff"])
        raise Invalid("There is no such person on the active staff here.", [unknown])
    return sign_token(keys, tenant, person, now, era=era, key=key)


async def revoke_token(work: Work, token: uuid.UUID) -> None:
    """End a token at once, and the connections it opened; ending it again, or one that is over, changes nothing."""
    kept_until = work.now + LIFE + SKEW
    written = insert(RevokedToken).values(tenant_id=work.tenant, id=token, kept_until=kept_until)
    new = await work.session.execute(written.on_conflict_do_nothing().returning(RevokedToken.id))
    if new.scalar_one_or_none() is not None:
        await audit.record(work, "live_token.revoked", "live_token", token)
        work.access_ended(token=token)


async def forget_revoked(work: Work) -> int:
    """Drop what is known of revoked tokens that would be over by now; returns how many."""
    over = delete(RevokedToken).where(RevokedToken.kept_until < work.now)
    return len((await work.session.execute(over.returning(RevokedToken.id))).all())


async def resolve_token(database: Database, keys: Keys, token: str, now: datetime) -> tuple[Person, datetime] | None:
    """The active person a token speaks for and when it ends, or None."""
    found = read_token(keys, token, now)
    if found is None:
        return None
    async with database.of_tenant(found.tenant) as session:
        query = select(Staff, Tenant).join(Tenant, Tenant.id == Staff.tenant_id).where(Staff.id == found.person)
        tenant, token_id, key = (literal(each, Uuid) for each in (found.tenant, found.id, found.key))
        counts = token_counts(tenant, token_id, key, literal(found.era))
        row = (await session.execute(query.where(counts))).one_or_none()
        return (sessions.person_of(row.Staff, clinic_of(row.Tenant), None), found.expires_at) if row else None


def token_counts(
    tenant: ColumnElement[uuid.UUID],
    token: ColumnElement[uuid.UUID],
    key: ColumnElement[uuid.UUID | None],
    era: ColumnElement[int],
) -> ColumnElement[bool]:
    """Whether a person's token counts, as far as the token itself does not tell."""
    good_key = exists(ApiKey.id).where(ApiKey.tenant_id == tenant, ApiKey.id == key, ApiKey.revoked_at.is_(None))
    revoked = exists(RevokedToken.id).where(RevokedToken.tenant_id == tenant, RevokedToken.id == token)
    return and_(Staff.active, Staff.token_era == era, or_(key.is_(None), good_key), ~revoked)
