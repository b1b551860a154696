"""API keys of integrations: made by an administrator, shown once, stored hashed, revocable."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.crypto import hash_secret, new_secret
from hub.db import Database
from hub.errors import FieldError, Invalid, NotFound
from hub.people.roles import SCOPES, Permission
from hub.people.tables import ApiKey, Tenant
from hub.people.tenants import Clinic, clinic_of
from hub.work import Work

PREFIX = "hub_"
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """An integration, as of this request."""

    id: uuid.UUID
    name: str
    clinic: Clinic
    scopes: frozenset[Permission]


async def add_key(work: Work, name: str, scopes: Collection[str]) -> tuple[ApiKey, str]:
    """Make a key; returns its row and the whole key, which is never to be had again.

    Raises Invalid on an unknown scope or none.
    """
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        accepted = sorted(SCOPES)
        detail = f"unknown: {', '.join(unknown)}" if unknown else "choose at least one"
        raise Invalid("These scopes cannot be given to a key.", [FieldError("scopes", detail, [*accepted])])
    secret = new_secret()
    key = ApiKey(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        name=name,
        prefix=secret[:6],
        secret_hash=hash_secret(secret),
        scopes=sorted(set(scopes)),
        created_at=work.now,
    )
    work.session.add(key)
    await work.session.flush()
    await audit.record(work, "key.added", "api_key", key.id, after={"name": name, "scopes": key.scopes})
    return key, f"{PREFIX}{work.tenant.hex}_{secret}"


async def revoke_key(work: Work, key_id: uuid.UUID) -> ApiKey:
    """End a key at once, with every live token it asked for; revoking it again changes nothing. Raises NotFound."""
    key = (await work.session.execute(select(ApiKey).where(ApiKey.id == key_id))).scalar_one_or_none()
    if key is None:
        raise NotFound("There is no such key.")
    if key.revoked_at is None:
        key.revoked_at = work.now
        await work.session.flush()
        await audit.record(work, "key.revoked", "api_key", key.id, after={"name": key.name})
        work.access_ended(key=key.id)
    return key


async def list_keys(session: AsyncSession, before: datetime | None, limit: int) -> list[ApiKey]:
    """The tenant's keys, newest first, those made before `before`."""
    query = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id).limit(limit)
    if before is not None:
        query = query.where(ApiKey.created_at < before)
    return list((await session.execute(query)).scalars())


async def resolve_key(database: Database, text: str, now: datetime) -> KeyHolder | None:
    """Whose key this is, or None when it is nobody's or revoked."""
    tenant_hex, _, secret = text.removeprefix(PREFIX).partition("_")
    try:
        tenant = uuid.UUID(hex=tenant_hex)
    except ValueError:
        return None
    async with database.of_tenant(tenant) as session:
        query = (
            select(ApiKey, Tenant)
            .join(Tenant, Tenant.id == ApiKey.tenant_id)
            .where(ApiKey.secret_hash == hash_secret(secret), ApiKey.revoked_at.is_(None))
        )
        row = (await session.execute(query)).one_or_none()
        if row is None:
            return None
        if row.ApiKey.last_used_at is None or now - row.ApiKey.last_used_at > USE_NOTED_EVERY:
            await session.execute(update(ApiKey).where(ApiKey.id == row.ApiKey.id).values(last_used_at=now))
        scopes = frozenset(Permission(scope) for scope in row.ApiKey.scopes)
        return KeyHolder(row.ApiKey.id, row.ApiKey.name, clinic_of(row.Tenant), scopes)
