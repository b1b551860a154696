"""All tables, gathered for migrations and tests."""

from hub.appointments import tables as _appointments
from hub.audit import AuditEntry
from hub.db import Base
from hub.idempotency import IdempotencyKey
from hub.inbox import tables as _inbox
from hub.people import tables as _people
from hub.scheduler import tables as _scheduler

__all__ = ["AuditEntry", "Base", "IdempotencyKey", "_appointments", "_inbox", "_people", "_scheduler"]

metadata = Base.metadata
