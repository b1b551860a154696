"""Requests that are right, for tests to spoil."""

from __future__ import annotations

from typing import Any

from tests.factories import Clinic

NOTICE: dict[str, Any] = {"to": {"role": "provider"}, "title": "Hello"}


def booking(clinic: Clinic, **changes: Any) -> dict[str, Any]:
    """A visit of Sara's with Omar."""
    return {
        "patient": {"name": "Sara Doe"},
        "clinician_id": str(clinic.omar.id),
        "starts_at": "2026-11-21T06:30:00Z",
    } | changes
