"""Wordings for tests, each a variation of one that is in order."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from hub.channels.vendor import Channel
from hub.templates.catalogue import VARIABLES
from hub.templates.render import Variable, Wording

RIYADH = ZoneInfo("Asia/Riyadh")
PLAIN = {"en": "Hello { $patient }.", "ar": "مرحبًا { $patient }."}
SUBJECTS = {"en": "From { $clinic }", "ar": "من { $clinic }"}
DAYS = """{ $days ->
    [zero] اليوم
    [one] غدًا
    [two] بعد يومين
    [few] بعد { $days } أيام
    [many] بعد { $days } يومًا
    *[other] بعد { $days } يوم
}"""


def wording(
    bodies: Mapping[str, str] = PLAIN,
    *names: str | Variable,
    channel: Channel = Channel.SMS,
    subjects: Mapping[str, str] | None = None,
    topic: str = "reminders",
    code: str = "appointment_reminder_day",
    vendor_refs: Mapping[str, str] | None = None,
) -> Wording:
    """A wording that declares these variables: names of the catalogue, or variables of one's own."""
    named = names or (("patient", "clinic") if channel == Channel.EMAIL else ("patient",))
    return Wording(
        version_id=uuid.uuid4(),
        code=code,
        channel=channel,
        topic=topic,
        subjects=subjects if subjects is not None else SUBJECTS if channel == Channel.EMAIL else {},
        bodies=bodies,
        variables=tuple(VARIABLES[name] if isinstance(name, str) else name for name in named),
        vendor_refs=vendor_refs or {},
    )
