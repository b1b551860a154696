"""A visit's own page and the rules of telling, in every way they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hub.console.message_words import Look

NOW = datetime(2026, 11, 21, 7, 12, tzinfo=UTC)
HOSTILE = '<script>alert("x")</script>'
LOOK = Look("وصلت", "ok", "check")
TOLD: dict[str, Any] = {
    "to": HOSTILE,
    "over": "وسيلة",
    "icon": "channel-sms",
    "look": LOOK,
    "reason": "",
    "link": "/console/messages/m1",
    "people": 1,
    "seen": 0,
    "at": None,
}
PLANNED: dict[str, Any] = {
    "kind": "reminder",
    "days": 1,
    "minutes": 0,
    "due_at": NOW + timedelta(hours=5),
    "is_late": False,
    "look": LOOK,
    "reason": "",
}
PARAGRAPH: dict[str, Any] = {
    "kind": "booked",
    "head": "محجوز",
    "at": NOW,
    "who": HOSTILE,
    "said": "",
    "undone_at": None,
    "undid": None,
    "moved": None,
    "told": [],
    "dropped": [],
}


def visit_page(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A visit with everything that can be told of one, one of which nothing is, and one a clinician looks at."""
    moved = {"was": NOW, "became": NOW + timedelta(hours=1), "to": HOSTILE, "same_time": False}
    missed = PLANNED | {"kind": "no_show", "days": 0, "reason": "سبب"}
    lengths = [
        PLANNED,
        PLANNED | {"days": 3},
        PLANNED | {"days": 0, "minutes": 120},
        PLANNED | {"minutes": 90, "days": 0},
    ]
    tellings = [
        TOLD,
        TOLD | {"link": "", "reason": "سبب", "at": NOW},
        TOLD | {"link": "", "people": 4, "seen": 2, "icon": "bell"},
    ]
    reminded = {key: value for key, value in PARAGRAPH.items() if key != "head"} | PLANNED
    everything = [
        PARAGRAPH,
        PARAGRAPH | {"kind": "rescheduled", "moved": moved, "said": HOSTILE, "told": tellings, "dropped": lengths},
        PARAGRAPH | {"moved": moved | {"same_time": True}, "undone_at": NOW},
        PARAGRAPH | {"kind": "undone", "undid": {"head": "ألغيت", "at": NOW}, "dropped": [missed]},
        reminded | {"reason": "سبب", "told": tellings[:1]},
        reminded | {"kind": "no_show", "reason": "سبب"},
    ]
    full = row | {
        "minutes": 30,
        "clinician": "Dr. Omar Haddad",
        "external_id": HOSTILE,
        "is_expected": True,
        "goes_on": True,
        "old_time": NOW - timedelta(days=1),
        "reason": HOSTILE,
        "wishes": True,
        "wish": HOSTILE,
        "booked_at": NOW - timedelta(days=12),
        "confirmed_at": NOW,
        "ended_at": NOW,
        "story": everything,
        "ahead": [PLANNED, PLANNED | {"is_late": True}, missed],
        "patient_link": "/console/patients/p1",
        "may_read_rules": True,
        "link": "https://hub.example/v/x",
        "can": ["confirm", "arrive", "start", "complete", "move", "no-show", "cancel"],
        "undo": {"change": 12, "word": "ألغيت", "at": NOW, "is_fresh": False},
    }
    bare = full | {"story": [PARAGRAPH], "ahead": [], "undo": None, "can": ["complete", "cancel"], "external_id": None}
    bare |= {"old_time": None, "reason": "", "wishes": False, "confirmed_at": None, "ended_at": None, "goes_on": False}
    read = bare | {"can": [], "link": "", "patient_link": "", "may_read_rules": False, "is_expected": False}
    return [full, bare, read]


def rules_page() -> list[dict[str, Any]]:
    """Rules as an administrator has them, refused ones, and as the desk reads them."""
    link = {"word": "وسيلة", "channel": "sms", "href": "/console/templates/t1", "speaks": True}
    links = [link, link | {"speaks": False}, link | {"href": "", "speaks": False}]
    row: dict[str, Any] = {
        "name": "booked.patient.text",
        "was": "booked.patient.text told greeting",
        "to": "المريض",
        "over": "وسيلة",
        "icon": "channel-sms",
        "enabled": True,
        "changed": False,
        "usual": True,
        "of_the_patient": False,
        "usual_template": "",
        "code": "greeting",
        "choices": [("greeting", "قالب"), ("other", "آخر")],
        "links": links,
        "error": "",
    }
    rows = [
        row,
        row | {"name": "a", "changed": True, "enabled": False, "of_the_patient": True},
        row | {"name": "b", "changed": True, "usual": False, "choices": row["choices"][:1]},
        row | {"name": "c", "changed": True, "usual_template": "قالب", "choices": [], "links": []},
    ]
    reminder = {"name": "P1D", "days": 1, "minutes": 0, "links": links}
    some: dict[str, Any] = {
        "groups": [{"event": "booked", "word": "محجوز", "rows": rows}],
        "reminders": [reminder, reminder | {"days": 0, "minutes": 120}, reminder | {"days": 0, "minutes": 90}],
        "may_add": True,
        "form": {"number": "", "unit": ""},
        "hold": 0,
        "holds": [0, 30, 120],
        "errors": {},
        "saved": "hold",
        "may_write": True,
    }
    wrong = some | {"errors": dict.fromkeys(("tellings", "reminders", "hold"), "لا"), "may_add": False, "saved": ""}
    wrong |= {"groups": [{"event": "booked", "word": "محجوز", "rows": [row | {"error": "لا"}]}]}
    return [
        some,
        wrong,
        some | {"may_write": False, "reminders": [], "saved": ""},
        wrong | {"may_write": False, "hold": 30},
    ]
