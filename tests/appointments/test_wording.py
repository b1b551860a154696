"""What the bell says of a visit: which time, where from and where to, by whom; and in whose language."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hub.appointments.states import State
from hub.appointments.tables import Appointment
from hub.appointments.tellings import TELLINGS, Event, Way
from hub.appointments.wording import AFTER_ALL, STATES, TITLES, Heard, event_wording
from hub.people.tenants import LANGUAGES, Clinic

NOON = datetime(2026, 3, 1, 9, tzinfo=UTC)
CLINIC = Clinic(uuid.UUID(int=1), "Noor Clinic", ZoneInfo("Asia/Riyadh"), LANGUAGES)
SARA = "\u2068Sara Doe\u2069"


def heard(event: Event, *, at: datetime = NOON + timedelta(hours=2), state: State = State.BOOKED) -> Heard:
    visit = Appointment(starts_at=at, state=state, clearance="pending", consent="missing")
    return Heard(event, visit, "Sara Doe", NOON)


def body(language: str, what: Heard) -> str:
    return event_wording(language, what, CLINIC).body


def test_every_ring_of_the_table_has_its_words() -> None:
    rung = {row.event for row in TELLINGS if row.over is Way.IN_APP}
    for language in LANGUAGES:
        assert set(TITLES[language]) == rung - {Event.ARRIVED}
        assert set(AFTER_ALL[language]) == rung - {Event.BOOKED, Event.WISH, Event.UNDONE} | {Event.COMPLETED}
        assert set(STATES[language]) == set(State)


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", f"Cancelled: {SARA}"), ("ar", f"إلغاء موعد {SARA}")],
)
def test_a_name_stands_in_an_isolate(language: str, title: str) -> None:
    assert event_wording(language, heard(Event.CANCELLED), CLINIC).title == title


@pytest.mark.parametrize(
    ("at", "english", "arabic"),
    [
        (NOON + timedelta(hours=2), "14:00 appointment", "موعد الساعة \u206814:00\u2069"),
        (NOON + timedelta(hours=12), "Appointment on Mon 2 Mar 2026 at 00:00", None),
        (NOON - timedelta(hours=12, minutes=1), "Appointment on Sat 28 Feb 2026 at 23:59", None),
        (
            NOON + timedelta(days=1),
            "Appointment on Mon 2 Mar 2026 at 12:00",
            "موعد \u2068الاثنين 2 مارس 2026 الساعة 12:00\u2069",
        ),
    ],
    ids=["today", "at midnight", "last night", "tomorrow"],
)
def test_a_time_has_its_day_unless_that_is_today_on_the_clinics_wall(
    at: datetime, english: str, arabic: str | None
) -> None:
    assert body("en", heard(Event.BOOKED, at=at)) == english
    assert arabic is None or body("ar", heard(Event.BOOKED, at=at)) == arabic


@pytest.mark.parametrize(
    ("language", "moved"),
    [
        ("en", "14:00 → Mon 2 Mar 2026 at 12:00"),
        ("ar", "من الساعة \u206814:00\u2069 إلى \u2068الاثنين 2 مارس 2026 الساعة 12:00\u2069"),
    ],
)
def test_a_move_says_from_where_to_where(language: str, moved: str) -> None:
    what = replace(heard(Event.RESCHEDULED, at=NOON + timedelta(days=1)), old_start=NOON + timedelta(hours=2))
    assert body(language, what) == moved


def test_a_move_to_another_clinician_alone_says_with_whom() -> None:
    what = replace(heard(Event.RESCHEDULED), old_start=NOON + timedelta(hours=2), clinician="Dr. Huda")
    assert body("en", what) == "14:00 appointment · with \u2068Dr. Huda\u2069"
    assert body("ar", what) == "موعد الساعة \u206814:00\u2069 · مع \u2068Dr. Huda\u2069"


@pytest.mark.parametrize(
    ("event", "english", "arabic"),
    [
        (Event.CONFIRMED, "by the patient", "بواسطة المريض"),
        (Event.CANCELLED, "by the patient · with a reason", "بواسطة المريض · مع ذكر السبب"),
        (Event.RESCHEDULED, "with a reason", "مع ذكر السبب"),
        (Event.WISH, "with a note", "مع ملاحظة"),
        (Event.BOOKED, None, None),
        (Event.NO_SHOW, None, None),
    ],
)
def test_who_did_it_and_that_there_are_words_is_said_where_it_matters(
    event: Event, english: str | None, arabic: str | None
) -> None:
    what = replace(heard(event), by_patient=True, has_words=True)
    assert body("en", what) == " · ".join(filter(None, ["14:00 appointment", english]))
    assert body("ar", what) == " · ".join(filter(None, ["موعد الساعة \u206814:00\u2069", arabic]))


@pytest.mark.parametrize(
    ("undone", "state", "said"),
    [
        (Event.CANCELLED, State.CONFIRMED, "Not cancelled after all · 14:00 appointment · confirmed"),
        (Event.RESCHEDULED, State.BOOKED, "Not moved after all · 14:00 appointment · booked"),
        (Event.ARRIVED, State.NO_SHOW, "Not here after all · 14:00 appointment · missed"),
        (Event.NO_SHOW, State.RESCHEDULED, "Not missed after all · 14:00 appointment · moved, not confirmed yet"),
    ],
)
def test_what_was_taken_back_says_how_it_stands(undone: Event, state: State, said: str) -> None:
    what = replace(heard(Event.UNDONE, state=state), undone=undone)
    assert event_wording("en", what, CLINIC).title == f"Taken back: {SARA}"
    assert body("en", what) == said
