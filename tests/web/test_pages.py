"""Every template, in both languages: complete, well-formed, safe under the strict policy, true in its times."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from jinja2 import UndefinedError

from hub.appointments.answers import OPEN, Standing
from hub.console.message import said_of
from hub.console.message_words import About, Words
from hub.console.pages import Clinic, Me, Page, Pages, address
from hub.console.visit import Reply
from hub.messages.figures import Tally
from tests.web.appointments_shown import rules_page, visit_page

WEB = Path(__file__).parents[2] / "web"
PAGES = Pages(WEB, "https://hub.example", demo=True)
LANGUAGES = ("en", "ar")
NOW = datetime(2026, 11, 21, 7, 12, tzinfo=UTC)  # 10:12 in Riyadh
CLINIC = Clinic("Al Noor Family Clinic", "Asia/Riyadh")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("x")</script>'

VOID = {"input", "link", "meta", "hr", "br"}


class State(StrEnum):
    """Values come as the house has them, not as bare strings."""

    BOOKED = "booked"
    ARRIVED = "arrived"
    IN_PROGRESS = "in_progress"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


ME = Me("11", "Huda Al-Salem", "admin", "en", "HS")


def page(lang: str = "en", path: str = "/console/arrivals", role: str = "admin", **changes: Any) -> Page:
    me = replace(ME, role=role, language=lang)
    return replace(Page(lang=lang, path=path, now=NOW, me=me, clinic=CLINIC, unread=3), **changes)


def visit(number: int = 1, **changes: Any) -> dict[str, Any]:
    booked: dict[str, Any] = {
        "id": f"v{number}",
        "number": f"2026-{number:06d}",
        "time": NOW + timedelta(minutes=18),
        "patient": "محمد العتيبي",
        "state": State.BOOKED,
        "arrived_at": None,
        "started_at": None,
        "waited_minutes": None,
        "seen_minutes": None,
        "late_minutes": None,
        "clearance": "pending",
        "consent": "missing",
        "is_over": False,
        "is_unconfirmed": True,
        "wishes": False,
        "wish": "",
        "can": ["confirm", "arrive", "move", "cancel"],
        "main": "arrive",
        "undo": None,
    }
    return booked | changes


UNDO = {"change": 12, "word": "سُجّل الوصول", "at": NOW, "is_fresh": True}


def arrived(number: int, minutes: int) -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes)
    came: dict[str, Any] = {"arrived_at": at, "waited_minutes": minutes, "is_unconfirmed": False}
    return visit(number, state=State.ARRIVED, can=["start", "complete", "cancel"], main="start", **came)


def over(number: int, state: State, *can: str) -> dict[str, Any]:
    return visit(number, state=state, is_over=True, is_unconfirmed=False, can=[*can], main=None)


def every_kind() -> list[dict[str, Any]]:
    """Rows of every kind on one board."""
    seen = {"started_at": NOW, "seen_minutes": 20, "can": ["complete"], "main": "complete", "is_unconfirmed": False}
    return [
        visit(1, can=["confirm", "arrive", "move", "no-show", "cancel"], main="confirm"),
        visit(2, late_minutes=12, wishes=True, wish=HOSTILE),
        arrived(3, 6) | {"undo": UNDO},
        arrived(4, 18) | {"undo": UNDO | {"change": 13, "is_fresh": False}},
        arrived(5, 47),
        visit(6, state=State.IN_PROGRESS, **seen),
        over(7, State.CANCELLED),
        over(8, State.NO_SHOW, "arrive", "move"),
        over(9, State.CANCELLED) | {"undo": UNDO | {"change": 14}},
    ]


def board(*rows: dict[str, Any], today: bool = True, **more: Any) -> dict[str, Any]:
    groups = [{"clinician": {"id": "c1", "name": "Dr. Omar Haddad"}, "rows": list(rows)}] if rows else []
    kept = {"day": "2026-11-21", "clinician": "", "state": ""} | more.pop("kept", {})
    states = ("expected", "wish", "arrived", "in_progress", "completed", "cancelled", "no_show")
    clinicians = [{"id": each, "name": f"Dr. {each}", "visits": len(rows)} for each in ("c1", "c2")] if rows else []
    return {
        "day": date(2026, 11, 21),
        "today": today,
        "version": 7,
        "url": address("/console/arrivals", kept),
        "kept": kept,
        "previous": "/console/arrivals?day=2026-11-20",
        "next": "/console/arrivals?day=2026-11-22",
        "visits": len(rows),
        "total": len(rows),
        "arrived": sum(row["state"] == "arrived" for row in rows),
        "counts": dict.fromkeys(states, 2),
        "clinicians": clinicians,
        "groups": groups,
        "is_cut_off": False,
        "problem": "",
        "focus": "",
        "said": "",
        **more,
    }


def visit_form(name: str, **changes: Any) -> dict[str, Any]:
    """What the page of a form is given."""
    return {
        "form": {"name": name, "given": {"who": HOSTILE, "next": "/console/arrivals"}, "errors": {}},
        "title": "z",
        "do_word": "z",
        "row": None if name == "book" else visit(),
        "action": "/console/arrivals",
        "back": "/console/arrivals",
        "clinicians": [("c1", HOSTILE)],
        "found": [],
        "wish": "",
        "reasons": {"patient": "z"} if name in ("move", "cancel") else {},
        "own": "own",
        "new": "new",
        "today": "2026-11-21",
        "once": "z",
        **changes,
    }


def note(number: int = 1, **changes: Any) -> dict[str, Any]:
    unread: dict[str, Any] = {
        "id": f"n{number}",
        "number": number,
        "seq": number,
        "title": "Sara Doe has arrived",
        "body": "Appointment at 09:30",
        "kind": "patient_arrived",
        "level": "success",
        "priority": "high",
        "related": {"type": "appointment", "id": "v1", "link": "/console/appointments/v1"},
        "facts": {"clearance": "cleared", "consent": "signed"},
        "read_at": None,
        "archived_at": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return unread | changes


def history(*items: dict[str, Any], **filters: str) -> dict[str, Any]:
    return {
        "items": list(items),
        "filters": {"state": "all", "kind": "", "level": "", "q": ""} | filters,
        "kinds": [("patient_arrived", "Patient arrived"), ("system", "System")],
        "older": "/console/notifications?before=1" if items else None,
        "newer": None,
        "unread": len(items),
    }


def outbox_shown(lang: str) -> list[tuple[Page, dict[str, Any]]]:
    """The outbox: nothing in it, a list, and a message of every kind opened."""
    row: dict[str, Any] = {
        "id": "k1",
        "link": "/console/outbox/k1",
        "story": "/console/messages/m1",
        "channel": "sms",
        "state": "delivered",
        "code": None,
        "number": 1,
        "at": NOW,
        "patient": "محمد العتيبي",
        "staff": None,
        "to": "+966500000011",
        "subject": "",
        "text": "Hello",
        "line": "Hello",
        "template": "appointment_confirmed",
        "language": "en",
        "dir": "ltr",
        "is_open": True,
        "was_taken": True,
    }
    rows = [
        row,
        row | {"id": "k2", "patient": None, "state": "refused"},
        row | {"id": "k4", "patient": None, "staff": "Huda"},
        row | {"id": "k3", "is_open": False},
    ]
    sms = {"encoding": "UCS-2", "units": 71, "parts": ["a", "b"], "odd": ["’"]}
    shown = row | {
        "view": "text",
        "views": [],
        "html": "",
        "files": [],
        "mail": "/console/outbox/k1/mail",
        "sms": sms,
        "plays": ["delivered", "failed", "stop", "start"],
        "played": "",
    }
    views = [(view, "/console/outbox/k1") for view in ("mail", "text", "source")]
    file = {"name": "form.pdf", "content_type": "application/pdf", "size": 2048}
    letter = shown | {"channel": "email", "subject": "Hello", "html": "<p>Hello</p>", "sms": None, "views": views}
    letter |= {"plays": ["delivered", "opened", "soft_bounced", "bounced", "complained"], "files": [file]}
    bubble = shown | {"channel": "whatsapp", "sms": None, "plays": ["delivered", "read"]}
    bubble |= {"language": "ar", "dir": "rtl"}
    lost = row | {"is_open": False}
    kept = {"channel": "", "q": "", "before": "", "after": ""}
    magic = [{"key": "0001", "address": "…0001", "channels": ["sms", "whatsapp"], "says": "Refused."}]
    empty = {"items": [], "count": 0, "filters": {"channel": "", "q": ""}, "kept": kept, "magic": magic}
    empty |= {"older": None, "newer": None}
    full = empty | {"items": rows, "count": 3, "older": "/console/outbox?before=1"}
    here = page(lang, "/console/outbox", has_outbox=True)
    return [
        (here, {"outbox": full, "opened": None}),
        (here, {"outbox": empty, "opened": None}),
        (here, {"outbox": empty | {"filters": {"channel": "sms", "q": "zz"}}, "opened": None}),
        *(
            (here, {"outbox": full, "opened": opened})
            for opened in (
                shown | {"played": "delivered"},
                letter | {"view": "mail"},
                letter | {"view": "source", "code": "busy"},
                letter,
                bubble,
                shown | lost | {"plays": []},
                shown | {"was_taken": False, "plays": [], "state": "refused"},
            )
        ),
    ]


def patients_shown(lang: str) -> dict[str, list[tuple[Page, dict[str, Any]]]]:
    """Patients at the desk, and what patients see of themselves."""
    words = Words(PAGES.gettext(lang), lang)
    row: dict[str, Any] = {
        "id": "p1",
        "name": "محمد العتيبي",
        "external_id": "MRN-7",
        "language": "ar",
        "contacts": {"email": "bounce", "phone": None},
        "created_at": NOW,
    }
    form = {"name": "", "language": "", "phone": "", "email": ""}
    none: dict[str, Any] = {"items": [], "q": "", "is_first": True, "more": None, "may_write": True}
    none |= {"form": form, "errors": {}, "languages": ["en", "ar"]}
    some = none | {"items": [row, row | {"contacts": {}, "external_id": None}], "more": "/console/patients?after=1"}
    chosen = {"name": "marketing", "word": "التسويق", "allowed": True, "chosen": {"at": NOW, "source": "الاستقبال"}}
    choices = [chosen, chosen | {"name": "sms", "chosen": None, "allowed": False}]
    file: dict[str, Any] = {
        "id": "p1",
        "name": "محمد العتيبي",
        "external_id": "MRN-7",
        "created_at": NOW,
        "form": form | {"zone": "", "channels": "sms"},
        "flags": {"phone": "invalid", "email": "complaint"},
        "topics": choices[:1],
        "channels": choices[1:],
        "was": ["marketing"],
        "history": [{"at": NOW, "text": "x", "who": "y"}],
        "orders": [("sms", "SMS")],
        "errors": {"phone": "x"},
        "clinic_zone": "Asia/Riyadh",
        "link": "https://hub.example/p/x",
        "link_days": 30,
        "saved": True,
        "may_write": True,
        "may_send": True,
    }
    bare = file | {"flags": {}, "history": [], "errors": {}, "link": None, "saved": False, "external_id": None}
    outside = page(lang, "/p/x", me=None)
    own: dict[str, Any] = {
        "path": "/p/x",
        "topics": [{"name": "results", "allowed": True}, {"name": "marketing", "allowed": False}],
        "channels": [{"name": "email", "allowed": True}, {"name": "sms", "allowed": False}],
        "was": ["results"],
        "messages": [
            {
                "topic": "x",
                "channel": "sms",
                "channel_word": "y",
                "at": NOW,
                "look": {"word": "z", "icon": "check", "hue": "ok"},
            }
        ],
        "older": "/p/x?before=1",
        "is_first": True,
        "saved": True,
    }
    little = own | {"channels": own["channels"][:1], "messages": [], "older": None, "is_first": False, "saved": False}
    seen: dict[str, Any] = {
        "path": "/v/x",
        "others": [("ar", "/v/x?lang=ar")],
        "starts_at": NOW,
        "place": "Riyadh",
        "occurrence": 1,
        "standing": Standing.WAITING,
        "look": {"word": "z", "icon": "waiting", "hue": "info"},
        "answers": {"confirm", "another_time", "cancel"},
        "reply": Reply(),
        "longest": 500,
    }
    replies = [Reply("done"), Reply("moved"), Reply("closed"), Reply("invalid", "cancel", HOSTILE)]
    return {
        "patients.html": [
            (page(lang), {"list": some}),
            (page(lang), {"list": none | {"errors": {"name": "x"}, "is_first": False}}),
            (page(lang), {"list": none | {"q": "zz", "may_write": False}}),
        ],
        "patient.html": [
            (page(lang), {"file": file, "words": words}),
            (page(lang), {"file": bare | {"may_write": False, "may_send": False}, "words": words}),
        ],
        "preferences.html": [
            (outside, {"own": own, "words": words}),
            (outside, {"own": little, "words": words}),
        ],
        "visit.html": [
            *((outside, {"visit": seen | {"standing": each, "answers": OPEN.get(each, ())}}) for each in Standing),
            *((outside, {"visit": seen | {"standing": Standing.CONFIRMED, "reply": each}}) for each in replies),
            (outside, {"visit": seen | {"reply": Reply("invalid", "another_time", HOSTILE)}}),
        ],
        "unsubscribe.html": [
            (outside, {"stage": "ask", "topic": "x"}),
            (outside, {"stage": "ask", "topic": None}),
            (page(lang, "/u/x", me=None, clinic=None), {"stage": "done", "topic": None}),
            (page(lang, "/u/x", me=None, clinic=None), {"stage": "ended", "topic": None}),
        ],
    }


def templates_shown(lang: str) -> dict[str, list[tuple[Page, dict[str, Any]]]]:
    """Templates: none and some in the list, one with a draft and one without, the editor right and wrong."""
    here = page(lang, "/console/templates")
    reader = page(lang, "/console/templates", role="front_desk")
    found = {"id": "t1", "active": True, "published": 3, "draft": True}
    row = {"code": "greeting", "name": "قالب", "channels": {"sms": found, "email": found | {"active": False}}}
    some = {"topics": [("reminders", [row])], "q": "", "more": "/console/templates?after=x", "may_manage": True}
    none: dict[str, Any] = {"topics": [], "q": "", "more": None, "may_manage": True}
    variable = {"name": "patient", "type": "text", "privacy": "personal", "example": "سارة"}
    shown = {
        "lang": "en",
        "dir": "ltr",
        "problem": "",
        "subject": "نستقبلكم",
        "text": "نستقبلكم",
        "html": f"<p>{HOSTILE}</p>",
        "segments": {"parts": 2, "units": 100, "limit": 134, "encoding": "UCS-2"},
        "odd": [{"character": "’", "name": ""}],
        "plain_parts": 1,
    }
    arabic = shown | {"lang": "ar", "dir": "rtl", "segments": None, "odd": []}
    broken = arabic | {"problem": "لا يُقرأ"}
    change = {
        "where": "النص",
        "lang": "ar",
        "dir": "rtl",
        "pieces": [("same", "{ $a } "), ("removed", "ب"), ("added", "ت")],
    }
    version = {"number": 3, "state": "draft", "note": "", "created_at": NOW, "published_at": None, "who": "Huda"}
    versions = [
        version | {"changes": [change]},
        version | {"number": 2, "state": "published", "published_at": NOW, "note": "لطف", "changes": []},
        version | {"number": 1, "state": "superseded", "who": "", "changes": []},
    ]
    about = {"id": "t1", "code": "greeting", "topic": "reminders", "active": True, "created_at": NOW, "name": "قالب"}
    usage = {"days": 30, "total": 12, "delivered": 9, "failed": 1, "delivered_share": 75, "last_used_at": NOW}
    one: dict[str, Any] = {
        "about": about | {"channel": "email"},
        "published": True,
        "draft": True,
        "shown": {
            "number": 2,
            "state": "published",
            "messages": [shown | {"segments": None, "odd": []}, arabic],
            "variables": [variable],
            "sendable": [2, 3],
        },
        "versions": versions,
        "more_versions": "/console/templates/t1?before=x",
        "usage": usage,
        "may_manage": True,
        "problem": "",
        "done": "تم",
        "test": {"to": "", "language": "ar", "error": ""},
    }
    first = one | {
        "about": about | {"channel": "sms", "active": False},
        "published": False,
        "shown": one["shown"] | {"messages": [shown, broken], "variables": [], "sendable": [1]},
        "usage": usage | {"delivered_share": None, "last_used_at": None},
        "may_manage": False,
        "problem": "لا",
        "more_versions": None,
    }
    editor: dict[str, Any] = {
        "id": None,
        "code": "",
        "name": "قالب",
        "title": "قالب",
        "channel": "sms",
        "topic": "reminders",
        "number": None,
        "subjects": {"en": "", "ar": ""},
        "bodies": {"en": "", "ar": ""},
        "refs": {"en": "", "ar": ""},
        "variables": [],
        "known": [variable],
        "note": "",
        "errors": {},
        "summary": [],
        "problem": "",
        "saved": "",
    }
    wrong = ["body-ar", "subject-en", "ref-en", "code", "variables", *(f"variable-1-{each}" for each in variable)]
    spoilt = editor | {
        "variables": [variable],
        "errors": dict.fromkeys(wrong, "لا"),
        "summary": [{"id": each, "where": "النص", "text": "لا"} for each in wrong],
        "problem": "لا",
    }
    preview = {"channel": "sms", "shown": [shown, arabic], "problems": []}
    problems = [{"id": "body-ar", "where": "النص", "text": "لا"}]
    return {
        "templates.html": [
            (here, {"list": some}),
            (here, {"list": none}),
            (here, {"list": none | {"q": "x"}}),
            (reader, {"list": some | {"may_manage": False}}),
        ],
        "template.html": [(here, one), (here, first)],
        "template_edit.html": [
            (here, {"editor": editor, "preview": preview}),
            (here, {"editor": spoilt, "preview": preview | {"problems": problems}}),
            (
                here,
                {
                    "editor": editor | {"id": "t1", "number": 2, "saved": "تم"},
                    "preview": preview | {"channel": "email"},
                },
            ),
        ],
    }


def messages_shown(lang: str) -> dict[str, list[tuple[Page, dict[str, Any]]]]:
    """Messages: the list with and without, one message at both ends of its way, and writing one."""
    here, words = page(lang, "/console/messages"), Words(PAGES.gettext(lang), lang)
    sms, letter = said_of("sms", "ar", {"text": "موعدك"}), said_of("email", "en", {"text": "A", "html": "<p>A</p>"})
    row: dict[str, Any] = {
        "id": "m1",
        "patient": "محمد العتيبي",
        "staff": None,
        "topic": words.topics["billing"],
        "occasion": words.occasion("invoice_issued"),
        "channel": "sms",
        "look": words.look("failed"),
        "reason": words.reason("refused", About("sms", "billing", None, ZoneInfo("UTC"))),
        "parts": 2,
        "costs": ["0.01 USD"],
        "at": NOW,
    }
    rows = [row, row | {"patient": None, "occasion": "", "reason": "", "parts": None, "costs": []}]
    tally = Tally(3, 1, 1)
    day = {"day": NOW.date(), "tally": tally, "rest": 1, "share": {"out": 30.0, "wrong": 30.0, "all": 100.0}}
    figures: dict[str, Any] = {"since": NOW.date(), "until": NOW.date(), "total": 3, "rate": 0.5, "attention": 2}
    figures |= {"costs": ["1 USD"], "channels": [("sms", tally)], "days": [day, day]}
    none = dict.fromkeys(("state", "channel", "topic", "code", "patient_id", "since", "until", "q"), "")
    log: dict[str, Any] = {
        "items": rows,
        "filters": none,
        "codes": {"x": "قالب"},
        "older": "/console/messages?before=1",
    }
    log |= {"newer": None, "figures": figures}
    empty = log | {"items": [], "older": None, "figures": None}
    unsure = figures | {"rate": None, "attention": 0, "costs": []}
    request = {"number": 1, "look": words.look("refused"), "to": "+966500000011", "vendor": "sandbox", "vendor_id": "s"}
    request |= {"code": "30008", "answer": "{}", "said": sms, "parts": 2, "cost": "0.01 USD"}
    step = {"at": NOW, "look": words.look("queued"), "reason": "", "channel": "sms", "vendor": None, "attempt": None}
    step |= {"code": None, "request": None}
    tried = step | {"reason": row["reason"], "vendor": "sandbox", "attempt": 1, "code": "30008", "request": request}
    bare = request | {
        "number": 2,
        "to": "",
        "vendor_id": None,
        "code": None,
        "answer": "",
        "said": None,
        "parts": None,
        "cost": "",
    }
    waits: dict[str, Any] = row | {
        "patient": {"id": "p1", "name": "محمد العتيبي"},
        "staff": None,
        "goes_on": True,
        "look": words.look("queued"),
        "code": "invoice_issued",
        "language": "ar",
        "channels": ["sms", "email"],
        "lane": "critical",
        "asked_by": "Huda",
        "asked_at": NOW,
        "send_at": NOW,
        "due_at": NOW,
        "expires_at": NOW,
        "reference": "R-1",
        "department": "Dental",
        "related": "v1",
        "files": [("application/pdf", 12)],
        "can_retry": False,
        "can_cancel": True,
        "can_hurry": True,
    }
    over = waits | dict.fromkeys(("patient", "code", "asked_by", "send_at", "due_at", "expires_at", "reference"))
    over |= {
        "related": None,
        "files": [],
        "lane": "normal",
        "goes_on": False,
        "can_retry": True,
        "can_cancel": False,
        "can_hurry": False,
    }
    story = {"story": [step, tried, tried | {"request": bare}], "words": words}
    variable = {"name": "amount", "type": "money", "example": {"amount": "1", "currency": "SAR"}}
    variables = [variable, {"name": "due_on", "type": "date", "example": "2026-12-01"}]
    patient = {"id": "p1", "name": "محمد", "language": "ar", "external_id": "E"}
    draft: dict[str, Any] = {"patient": patient, "code": "", "wordings": {}, "given": {}, "errors": {}, "variables": []}
    filled = draft | {"code": "x", "wordings": {"sms": 1}, "variables": variables, "errors": {"value-amount": "لا"}}
    wrong = draft | {"errors": {"text": "لا", "": "لا"}, "given": {"text": HOSTILE}}
    new: dict[str, Any] = {"codes": {"x": "قالب"}, "previews": [sms, letter], "once": "1", "words": words}
    gone = {"draft": None, "words": words}
    return {
        "messages.html": [
            (here, {"log": log, "words": words}),
            (here, {"log": log | {"figures": unsure, "filters": none | {"state": "held", "q": "zz"}}, "words": words}),
            (here, {"log": empty, "words": words}),
            (here, {"log": empty | {"filters": none | {"channel": "sms"}}, "words": words}),
        ],
        "message.html": [
            (here, {"message": waits, "said": sms, "went_on": True} | story),
            (here, {"message": over, "said": letter | {"number": 2, "to": "a@b.example"}, "went_on": False} | story),
            (here, {"message": over, "said": None, "went_on": False} | story),
        ],
        "message_new.html": [
            (here, gone | {"found": [], "search": ""}),
            (here, gone | {"found": [patient], "search": "محمد"}),
            (here, gone | {"found": [], "search": "zz"}),
            *((here, new | {"draft": each}) for each in (draft, filled, wrong)),
            (here, new | {"draft": draft, "codes": {}, "previews": []}),
        ],
    }


def context(lang: str) -> dict[str, list[tuple[Page, dict[str, Any]]]]:
    """Every page template, and the ways it is shown."""
    form: dict[str, Any] = {"email": "", "error": None, "field_errors": {}, "clinics": []}
    wrong = {
        "email": "a@b.example",
        "error": "Not right.",
        "field_errors": {"password": "Fill this in."},
        "clinics": [("1", "Al Noor"), ("2", "Fjord")],
    }
    login = {"email": "h@b.example", "password": "x", "name": "Huda", "role": "front_desk", "tenant": "Al Noor"}
    wrong_form = {
        "given": {"who": "z", "why": "own"},
        "errors": {"": "z", "who": "z", "day": "z", "reason": "z", "why": "z", "next_steps": "z", "clinician": "z"},
    }
    known = {"id": "p1", "name": HOSTILE, "language": "ar", "external_id": None, "phone": "4567", "since": NOW}
    strangers = [known, known | {"id": "p2", "phone": "", "external_id": "MRN 7"}, known | {"id": "p3", "phone": ""}]
    read = note(2, read_at=NOW, body="", facts={}, related=None, created_at=NOW - timedelta(days=1))
    critical = note(3, priority="critical", level="error", created_at=NOW - timedelta(days=1))
    session = {"id": "1", "created_at": NOW, "last_seen_at": NOW, "current": True, "device": "Firefox · Linux"}
    person = {"id": 11, "name": "Huda", "email": "h@b.example", "role": "admin", "active": True, "last_seen_at": NOW}
    key = {"id": "k", "name": "Booking", "scopes": ["staff:read"], "prefix": "hub_1", "created_at": NOW}
    keys = [key | {"last_used_at": NOW, "revoked_at": None}, key | {"id": "l", "last_used_at": None, "revoked_at": NOW}]
    people = [person, person | {"id": 12, "last_seen_at": None}, person | {"id": 13, "active": False}]
    out = page(lang, "/sign-in", me=None, clinic=None)
    problem = {"status": 404, "title": "Not here", "detail": "There is no such page."}
    many = {"people": people, "keys": keys, "new_key": "hub_1_secret", "scopes": ["staff:read"], "more": "h@b.example"}
    few = {"people": people[:1], "keys": [], "new_key": None, "scopes": [], "more": None}
    notes = page(lang, "/console/notifications?state=all")
    return {
        "sign_in.html": [
            (out, {"form": form, "next": "", "demo_logins": [login]}),
            (out, {"form": wrong, "next": "/console/arrivals", "demo_logins": []}),
        ],
        "arrivals.html": [
            (page(lang), {"board": board(*every_kind())}),
            (page(lang), {"board": board(visit(), focus="v1", said="z", problem=HOSTILE, is_cut_off=True)}),
            (page(lang), {"board": board(visit(), groups=[], kept={"state": "expected", "clinician": "c2"})}),
            (page(lang), {"board": board()}),
            (page(lang, me=replace(ME, shortcuts=False)), {"board": board(today=False)}),
        ],
        "visit_form.html": [
            (page(lang), visit_form("book", found=strangers)),
            *((page(lang), visit_form(name)) for name in ("move", "cancel", "complete")),
            *(
                (page(lang), visit_form(name, form={"name": name, **wrong_form}, wish=HOSTILE))
                for name in ("book", "move", "cancel", "complete")
            ),
        ],
        "notifications.html": [
            (notes, {"history": history(note(), critical, read)}),
            (notes, {"history": history()}),
            (notes, {"history": history(q="zz", level="error", state="read", kind="system")}),
        ],
        "appointment.html": [(page(lang), {"appointment": each}) for row in every_kind() for each in visit_page(row)],
        "appointment_rules.html": [(page(lang), {"rules": each}) for each in rules_page()],
        "outbox.html": outbox_shown(lang),
        **messages_shown(lang),
        **templates_shown(lang),
        "account.html": [(page(lang, notice="2/2"), {"sessions": [session, session | {"current": False}]})],
        "people.html": [(page(lang), many), (page(lang), few)],
        **patients_shown(lang),
        "error.html": [(page(lang), {"problem": problem}), (out, {"problem": problem | {"detail": ""}})],
        "kit.html": [(page(lang, theme="dark"), {})],
    }


def shown(name: str, lang: str = "en") -> list[str]:
    return [PAGES.render(name, given, **values) for given, values in context(lang)[name]]


TEMPLATES = sorted(context("en"))
EVERYWHERE = pytest.mark.parametrize(
    ("name", "lang"), [(name, lang) for name in TEMPLATES for lang in LANGUAGES], ids=lambda part: part
)


class Seen(HTMLParser):
    """The elements of a page, with a check that all are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (tag, self.getpos())

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def tags(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def test_every_template_is_shown_here() -> None:
    assert {path.name for path in (WEB / "pages").glob("*.html")} - {"layout.html"} == set(TEMPLATES)


@EVERYWHERE
def test_pages_are_well_formed(name: str, lang: str) -> None:
    for html in shown(name, lang):
        seen = Seen(html)
        root = seen.tags("html")[0]
        assert (root["lang"], root["dir"]) == (lang, "rtl" if lang == "ar" else "ltr")
        assert len(seen.tags("h1")) == 1
        ids = seen.all("id")
        assert [id_ for id_, times in Counter(ids).items() if times > 1] == []
        for pointer in ("for", "form", "aria-labelledby", "aria-describedby", "commandfor"):
            for pointed in seen.all(pointer):
                assert set(pointed.split()) <= set(ids), (pointer, pointed)


@EVERYWHERE
def test_pages_obey_the_policy(name: str, lang: str) -> None:
    """No script or style inside, nothing from elsewhere: what the policy would refuse is never sent."""
    for html in shown(name, lang):
        seen = Seen(html)
        assert not seen.tags("style")
        assert all(script["type"] == "module" and script["src"] for script in seen.tags("script"))
        assert "></script>" in html or not seen.tags("script")
        for tag, attributes in seen.elements:
            assert not [each for each in attributes if each == "style" or each.startswith("on")], tag
            for target in ("href", "src", "action"):
                value = attributes.get(target, "/")
                assert value.startswith(("/", "#")), (tag, value)
                assert not value.startswith("//"), (tag, value)


@EVERYWHERE
def test_every_asset_and_icon_is_there(name: str, lang: str) -> None:
    icons = {symbol.get("id") for symbol in ElementTree.parse(WEB / "icons/icons.svg").iter(f"{SVG}symbol")}
    for html in shown(name, lang):
        for path, fragment in re.findall(r'="/assets/([^"?]+)\?v=[0-9a-f]{12}(?:#([\w-]+))?"', html):
            assert (WEB / path).is_file(), path
            assert not fragment or fragment in icons, fragment
        assert html.count("/assets/") == len(re.findall(r"/assets/[\w/.-]+\?v=[0-9a-f]{12}", html))


@EVERYWHERE
def test_forms_work_without_a_script(name: str, lang: str) -> None:
    for html in shown(name, lang):
        seen = Seen(html)
        for form in seen.tags("form"):
            assert form.get("method") in ("post", "dialog") or form.get("role") == "search"
        for select in seen.tags("select"):
            assert select["name"]
            assert select["id"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_english_is_left_in_arabic(name: str) -> None:
    """Words a template says itself; names, codes and what others wrote stand in `<bdi>` or `<code>`."""
    words = re.compile(r"\b(Sign|Arriv|Mark|Notif|unread|Today|Save|Theme|Skip|Search|Select|Name|Any|Older|Error)")
    for html in shown(name, "ar"):
        own = re.sub(r"<(bdi|code)[ >].*?</\1>", " ", html, flags=re.DOTALL)
        assert not words.search(re.sub(r"<[^>]*>", " ", own))
        assert not [
            label for label in re.findall(r'(?:aria-label|title|placeholder)="([^"]*)"', own) if words.match(label)
        ]


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "kit.html"])
def test_a_value_that_is_missing_is_an_error(name: str) -> None:
    with pytest.raises(UndefinedError):
        PAGES.render(name, page())


def test_what_people_typed_stays_text() -> None:
    hostile = [
        PAGES.render("arrivals.html", page(), board=board(visit(patient=HOSTILE))),
        PAGES.render("notifications.html", page(), history=history(note(title=HOSTILE, body=HOSTILE), q=HOSTILE)),
        PAGES.render("error.html", page(clinic=Clinic(HOSTILE, "UTC"), path=f"/{HOSTILE}"), problem={
            "status": 400, "title": HOSTILE, "detail": HOSTILE,
        }),
    ]  # fmt: skip
    for html in hostile:
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


def test_the_board_alone_is_a_fragment() -> None:
    html = PAGES.render("parts/board.html", page(), board=board(visit()))
    assert html.strip().startswith("<section")
    section = Seen(html).elements[0][1]
    assert section["data-version"] == "7"
    assert section["data-day"] == "2026-11-21"
    assert section["data-url"] == "/console/arrivals?day=2026-11-21"


def test_a_booked_row_is_a_form_that_sends_what_it_shows() -> None:
    seen = Seen(PAGES.render("parts/board.html", page(), board=board(visit())))
    form = next(form for form in seen.tags("form") if "data-act" in form)
    assert (form["method"], form["action"]) == ("post", "/console/arrivals/v1/arrive")
    assert [select["name"] for select in seen.tags("select")] == ["clearance", "consent"]
    assert [option["value"] for option in seen.tags("option") if "selected" in option] == ["pending", "missing"]
    row = next(row for row in seen.tags("li"))
    assert row["data-search"] == "محمد العتيبي 2026-000001"
    assert row["data-state"] == "booked"


@pytest.mark.parametrize(
    ("row", "steps"),
    [
        (visit(), {"a": "arrive", "c": "confirm", "m": "move", "x": "cancel"}),
        (visit(main="confirm"), {"c": "confirm", "a": "arrive", "m": "move", "x": "cancel"}),
        (arrived(1, 3) | {"undo": UNDO}, {"s": "start", "z": "undo", "d": "complete", "x": "cancel"}),
        (over(1, State.NO_SHOW, "arrive", "move"), {"a": "arrive", "m": "move"}),
        (over(1, State.CANCELLED) | {"undo": UNDO}, {"z": "undo"}),
    ],
    ids=["booked", "of another day", "arrived", "no-show", "cancelled just now"],
)
def test_each_step_is_in_its_row_with_a_key_of_its_own(row: dict[str, Any], steps: dict[str, str]) -> None:
    seen = Seen(PAGES.render("parts/board.html", page(), board=board(row)))
    (form,) = (form for form in seen.tags("form") if "data-act" in form)
    found = {}
    for part in (*seen.tags("button"), *seen.tags("a")):
        if "data-key" in part and part["data-key"] != "o":
            path = part.get("formaction") or part.get("href") or form["action"]
            found[part["data-key"]] = path.partition("?")[0].rpartition("/")[2]
    assert found == steps


@pytest.mark.parametrize(
    ("row", "heat", "words"),
    [
        (visit(), "", "Booked"),
        (visit(late_minutes=1), " is-warm", "1 min late"),
        (arrived(1, 14), "", "waiting"),
        (arrived(1, 15), " is-warm", "waiting"),
        (arrived(1, 30), " is-hot", "long wait"),
        (arrived(1, 75), " is-hot", "1 h 15 min"),
    ],
)
def test_late_turns_warm_and_a_long_wait_warmer(row: dict[str, Any], heat: str, words: str) -> None:
    html = PAGES.render("parts/board.html", page(), board=board(row))
    assert f'class="visit{heat}"' in html
    assert words in html


@pytest.mark.parametrize("row", [visit(late_minutes=1500), arrived(1, 1500)], ids=["late", "waiting"])
def test_no_minutes_are_counted_on_another_day(row: dict[str, Any]) -> None:
    html = PAGES.render("parts/board.html", page(), board=board(row, today=False))
    assert 'class="visit"' in html
    assert "25 h" not in html


def test_a_row_with_which_nothing_can_be_done_has_no_form() -> None:
    html = PAGES.render("parts/board.html", page(), board=board(over(1, State.CANCELLED)))
    assert "<form" not in html
    assert "<select" not in html


def test_unread_is_said_in_words_too() -> None:
    html = PAGES.render("notifications.html", page(), history=history(note()))
    assert '<span class="visually-hidden">Unread: </span>' in html


def test_filters_keep_each_other_in_the_address() -> None:
    html = PAGES.render("notifications.html", page(), history=history(note(), level="error", q="sara"))
    assert 'href="/console/notifications?state=unread&amp;level=error&amp;q=sara"' in html
    assert 'href="/console/notifications?state=all&amp;q=sara"' in html


@pytest.mark.parametrize(
    ("role", "links"),
    [
        ("admin", ["arrivals", "messages", "notifications", "patients", "templates", "appointment-rules", "people"]),
        ("front_desk", ["arrivals", "messages", "notifications", "patients", "templates"]),
        ("provider", ["notifications"]),
    ],
)
def test_the_rail_shows_what_the_role_has(role: str, links: list[str]) -> None:
    assert [item.key for item in PAGES.rail(page(role=role))] == links
    assert PAGES.rail(page(me=None)) == []


def test_the_rail_marks_where_one_is() -> None:
    items = PAGES.rail(page(path="/console/notifications?state=read"))
    assert [item.key for item in items if item.current] == ["notifications"]


def say(template: str, lang: str = "en", **values: Any) -> str:
    """A filter, used as a template uses it."""
    environment = PAGES._environments[lang]
    return environment.from_string(template).render(page=page(lang), **values)


@pytest.mark.parametrize(
    ("ago", "english", "arabic"),
    [
        (timedelta(), "10:12", "10:12"),
        (timedelta(hours=10), "00:12", "00:12"),
        (timedelta(hours=11), "Yesterday 23:12", "أمس 23:12"),
        (timedelta(days=3), "Wednesday 10:12", "الأربعاء 10:12"),
        (timedelta(days=30), "22 Oct 10:12", "22 أكتوبر 10:12"),
        (timedelta(days=400), "17 Oct 2025 10:12", "17 أكتوبر 2025 10:12"),
        (timedelta(days=-2), "23 Nov 10:12", "23 نوفمبر 10:12"),
    ],
)
def test_moments_are_short_and_stay_true(ago: timedelta, english: str, arabic: str) -> None:
    assert say("{{ at|moment }}", at=NOW - ago) == english
    assert say("{{ at|moment }}", "ar", at=NOW - ago) == arabic


def test_days_and_clocks_are_the_clinics() -> None:
    assert say("{{ at|clock }}", at=NOW) == "10:12"
    assert say("{{ at|day }}", at=datetime(2026, 11, 20, 21, 30, tzinfo=UTC)) == "Saturday 21 November"
    assert say("{{ at|day }}", "ar", at=date(2026, 11, 21)) == "السبت 21 نوفمبر"
    assert say("{{ at|day }}", at=date(2025, 11, 21)) == "Friday 21 November 2025"
    assert say("{{ at|full }}", at=NOW) == "Saturday 21 November 2026 10:12:00"
    assert say("{{ at|iso }}", at=NOW) == "2026-11-21T07:12:00+00:00"


@pytest.mark.parametrize(
    ("minutes", "english", "arabic"),
    [
        (0, "0 min", "أقل من دقيقة"),
        (2, "2 min", "دقيقتان"),
        (60, "1 h", "ساعة"),
        (65, "1 h 5 min", "ساعة و5 دقائق"),
        (720, "12 h", "12 ساعة"),
    ],
)
def test_durations(minutes: int, english: str, arabic: str) -> None:
    assert say("{{ minutes|duration }}", minutes=minutes) == english
    assert say("{{ minutes|duration }}", "ar", minutes=minutes) == arabic


def test_digits_are_latin_in_arabic_too() -> None:
    assert say("{{ 12345|number }}", "ar") == "12,345"


def test_who_is_signed_out_reads_universal_time() -> None:
    assert page(me=None, clinic=None).zone.utcoffset(None) == timedelta()


def test_an_address_leaves_out_what_is_empty() -> None:
    assert address("/a", {"x": "1", "y": "", "z": None}, w="ü&") == "/a?x=1&w=%C3%BC%26"
    assert address("/a", {"x": "1"}, x="") == "/a"


def test_an_asset_gets_a_new_address_when_it_changes(tmp_path: Path) -> None:
    for folder in ("css", "words", "pages"):
        shutil.copytree(WEB / folder, tmp_path / folder)
    before = Pages(tmp_path, "https://hub.example").asset("css/base.css")
    (tmp_path / "css/base.css").write_text("@layer base {}")
    after = Pages(tmp_path, "https://hub.example").asset("css/base.css")
    assert before.startswith("/assets/css/base.css?v=")
    assert before != after
    with pytest.raises(KeyError):
        Pages(tmp_path, "https://hub.example").asset("words/ar.po")


def test_components_are_linked_in_a_demo_only() -> None:
    plain = Pages(WEB, "https://hub.example")
    arguments = {"board": board(visit())}
    assert "/console/kit" in PAGES.render("arrivals.html", page(), **arguments)
    assert "/console/kit" not in plain.render("arrivals.html", page(), **arguments)


def test_routes_speak_the_readers_language_too() -> None:
    assert PAGES.gettext("ar")("Sign in") == "تسجيل الدخول"
    assert PAGES.gettext("en")("Sign in") == "Sign in"
