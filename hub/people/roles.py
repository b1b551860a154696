"""Who may do what (pure): the roles of staff, and the same permissions as scopes of an API key."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a member of staff is."""

    ADMIN = "admin"
    FRONT_DESK = "front_desk"
    PROVIDER = "provider"


class Permission(StrEnum):
    """One thing that can be allowed; its value is also the scope of an API key."""

    NOTIFICATIONS_SEND = "notifications:send"
    APPOINTMENTS_READ = "appointments:read"
    APPOINTMENTS_READ_OWN = "appointments:read-own"
    APPOINTMENTS_WRITE = "appointments:write"
    RULES_MANAGE = "rules:manage"
    STAFF_READ = "staff:read"
    STAFF_MANAGE = "staff:manage"
    KEYS_MANAGE = "keys:manage"
    LIVE_TOKENS = "live:tokens"
    MESSAGES_READ = "messages:read"
    MESSAGES_SEND = "messages:send"
    MESSAGES_RETRY = "messages:retry"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_MANAGE = "templates:manage"
    PATIENTS_READ = "patients:read"
    PATIENTS_WRITE = "patients:write"
    OUTBOX_READ = "outbox:read"


_DESK = frozenset(
    {
        Permission.APPOINTMENTS_READ,
        Permission.APPOINTMENTS_WRITE,
        Permission.STAFF_READ,
        Permission.MESSAGES_READ,
        Permission.MESSAGES_SEND,
        Permission.MESSAGES_RETRY,
        Permission.TEMPLATES_READ,
        Permission.PATIENTS_READ,
        Permission.PATIENTS_WRITE,
        Permission.OUTBOX_READ,
    }
)
ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: _DESK
    | {
        Permission.NOTIFICATIONS_SEND,
        Permission.RULES_MANAGE,
        Permission.STAFF_MANAGE,
        Permission.KEYS_MANAGE,
        Permission.TEMPLATES_MANAGE,
    },
    Role.FRONT_DESK: _DESK,
    Role.PROVIDER: frozenset({Permission.APPOINTMENTS_READ_OWN}),
}

# Managing people and keys takes a person: a key that leaks must not be able to make others.
SCOPES: frozenset[Permission] = frozenset(
    {
        Permission.NOTIFICATIONS_SEND,
        Permission.APPOINTMENTS_READ,
        Permission.APPOINTMENTS_WRITE,
        Permission.STAFF_READ,
        Permission.LIVE_TOKENS,
        Permission.MESSAGES_READ,
        Permission.MESSAGES_SEND,
        Permission.MESSAGES_RETRY,
        Permission.TEMPLATES_READ,
        Permission.TEMPLATES_MANAGE,
        Permission.PATIENTS_READ,
        Permission.PATIENTS_WRITE,
    }
)
