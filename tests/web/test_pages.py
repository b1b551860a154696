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

import pytest
from jinja2 import UndefinedError

from hub.console.pages import Clinic, Me, Page, Pages, address

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


def page(lang: str = "en", path: str = "/console/arrivals", role: str = "admin", **changes: Any) -> Page:
    me = Me("11", "Huda Al-Salem", role, lang, "HS")
    return replace(Page(lang=lang, path=path, now=NOW, me=me, clinic=CLINIC, unread=3), **changes)


def visit(number: int = 1, **changes: Any) -> dict[str, Any]:
    booked: dict[str, Any] = {
        "id": f"v{number}",
        "number": f"2026-{number:06d}",
        "time": NOW + timedelta(minutes=18),
        "patient": "محمد العتيبي",
        "state": State.BOOKED,
        "arrived_at": None,
        "waited_minutes": None,
        "late_minutes": None,
        "clearance": "pending",
        "consent": "missing",
        "can_arrive": True,
    }
    return booked | changes


def arrived(number: int, minutes: int) -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes)
    return visit(number, state=State.ARRIVED, arrived_at=at, waited_minutes=minutes, can_arrive=False)


def board(*rows: dict[str, Any], today: bool = True, problem: str | None = None) -> dict[str, Any]:
    groups = [{"clinician": {"id": "c1", "name": "Dr. Omar Haddad"}, "rows": list(rows)}] if rows else []
    return {
        "day": date(2026, 11, 21),
        "today": today,
        "version": 7,
        "previous": "2026-11-20",
        "next": "2026-11-22",
        "total": len(rows),
        "arrived": sum(row["state"] == "arrived" for row in rows),
        "groups": groups,
        "problem": problem,
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
    everyone = [visit(1), visit(2, late_minutes=12), arrived(3, 6), arrived(4, 18), arrived(5, 47)]
    read = note(2, read_at=NOW, body="", facts={}, related=None, created_at=NOW - timedelta(days=1))
    critical = note(3, priority="critical", level="error", created_at=NOW - timedelta(days=1))
    appointment = visit() | {
        "clinician": {"id": "c1", "name": "Dr. Omar Haddad"},
        "booked_at": NOW - timedelta(days=12),
        "story": [{"at": NOW, "text": "Booked", "who": "Huda"}, {"at": NOW, "text": "Arrived", "who": ""}],
    }
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
            (page(lang), {"board": board(*everyone)}),
            (page(lang), {"board": board(problem="Already.")}),
            (page(lang), {"board": board(today=False)}),
        ],
        "notifications.html": [
            (notes, {"history": history(note(), critical, read)}),
            (notes, {"history": history()}),
            (notes, {"history": history(q="zz", level="error", state="read", kind="system")}),
        ],
        "appointment.html": [
            (page(lang), {"appointment": appointment}),
            (page(lang, role="provider"), {"appointment": appointment | arrived(1, 75)}),
        ],
        "account.html": [(page(lang, notice="2/2"), {"sessions": [session, session | {"current": False}]})],
        "people.html": [(page(lang), many), (page(lang), few)],
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
    form = next(form for form in seen.tags("form") if "data-arrive" in form)
    assert (form["method"], form["action"]) == ("post", "/console/arrivals/v1/arrive")
    assert [select["name"] for select in seen.tags("select")] == ["clearance", "consent"]
    assert [option["value"] for option in seen.tags("option") if "selected" in option] == ["pending", "missing"]
    row = next(row for row in seen.tags("li"))
    assert row["data-search"] == "محمد العتيبي 2026-000001"
    assert row["data-state"] == "booked"


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


def test_one_who_may_not_mark_arrival_has_no_form_for_it() -> None:
    html = PAGES.render("parts/board.html", page(), board=board(visit(can_arrive=False)))
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
        ("admin", ["arrivals", "notifications", "people"]),
        ("front_desk", ["arrivals", "notifications"]),
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
