"""The hub's notification, as a Django model."""

from __future__ import annotations

import uuid

from django.db import models


class Notification(models.Model):  # type: ignore[misc]  # Django is not where types are checked
    """One notification of one person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant_id = models.UUIDField()
    person_id = models.UUIDField()
    title = models.TextField()
    body = models.TextField()
    kind = models.TextField()
    level = models.TextField()
    priority = models.TextField()
    related_type = models.TextField(null=True)
    related_id = models.UUIDField(null=True)
    link = models.TextField(null=True)
    facts = models.JSONField(default=dict)
    read_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """The indexes that reading an inbox needs."""

        indexes = (models.Index(fields=["person_id", "created_at"]),)
