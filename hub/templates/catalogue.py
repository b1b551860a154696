"""The variables that the hub's own events bring, with their types, how private they are, and an example (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from hub.templates.render import Variable

# A text that goes out must make sense on somebody else's screen: `reason` and `next_steps` are words for the patient
# ("The clinic is closed that day"), never findings. What is of health is read behind `link`, after proving who one is.
_EVENTS = (
    Variable("patient", "text", "personal", "Sara Haddad"),
    Variable("clinic", "text", "public", "Noor Clinic"),
    Variable("clinician", "text", "personal", "Dr. Omar Farouk"),
    Variable("starts_at", "moment", "personal", "2026-11-22T16:30:00+03:00"),
    Variable("old_starts_at", "moment", "personal", "2026-11-19T09:00:00+03:00"),
    Variable("reason", "text", "personal", "The clinic is closed then."),
    Variable("link", "link", "personal", "https://hub.example.com/v/8Yx2kQ7mT4bN"),
    Variable("preferences_link", "link", "personal", "https://hub.example.com/p/3Fq9wLr6Zc1D"),
    Variable("amount", "money", "personal", {"amount": "350.00", "currency": "SAR"}),
    Variable("due_on", "date", "personal", "2026-12-01"),
    Variable("invoice", "text", "personal", "INV-2026-0042"),
    Variable("days", "number", "personal", 3),
    Variable("next_steps", "text", "personal", "Please book your next visit within 3 months."),
    Variable("announcement", "text", "personal", "We now open on Saturdays from 9:00 to 13:00."),
)
VARIABLES: Mapping[str, Variable] = {variable.name: variable for variable in _EVENTS}
