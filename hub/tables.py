"""All tables, gathered for migrations and tests."""

from hub.appointments import tables as _appointments
from hub.audit import AuditEntry
from hub.db import Base
from hub.demo_clock import Shift
from hub.idempotency import IdempotencyKey
from hub.inbox import tables as _inbox
from hub.messages import tables as _messages
from hub.people import tables as _people
from hub.scheduler import tables as _scheduler
from hub.templates import tables as _templates

__all__ = [
    "AuditEntry",
    "Base",
    "IdempotencyKey",
    "Shift",
    "_appointments",
    "_inbox",
    "_messages",
    "_people",
    "_scheduler",
    "_templates",
]

metadata = Base.metadata
