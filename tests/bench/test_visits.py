"""Random lives of visits, run small; and that what is compared with is right, and notices what is wrong."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.books import Books, Key, read_words
from bench.expected import Life, Slip, decent_from, due_at
from bench.lives import Patient, Visit
from bench.town import ZONES, Town, TownClinic, TownClock
from hub.appointments import reminders
from hub.people.quiet_hours import next_decent_moment

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--lives", "180", "--seasons", "2", "--stops", "3", "--kills", "3"]

RIYADH = ZoneInfo("Asia/Riyadh")
START = datetime(2027, 4, 4, 9, tzinfo=UTC)
NOW = START - timedelta(days=3)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

quarters = st.integers(0, 365 * 96).map(lambda place: datetime(2027, 1, 1, tzinfo=UTC) + place * 15 * MINUTE)
zones = st.sampled_from(ZONES).map(ZoneInfo)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are killed")
@pytest.mark.timeout(300)
def test_every_reminder_of_a_small_run_comes_once_though_workers_are_killed() -> None:
    command = [sys.executable, "-m", "bench.visits", *SMALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing 0, twice 0, dead 0, late 0, disagree 0" in done.stdout
    assert "180 in 12 zones" in done.stdout


@given(quarters, zones, st.sampled_from(["P1D", "P2D", "PT2H", "PT90M"]))
def test_two_ways_to_work_out_when_a_reminder_is_due_agree(start: datetime, zone: ZoneInfo, ahead: str) -> None:
    assert due_at(start, ahead, zone) == reminders.due_at(start, reminders.read_ahead(ahead), zone)


@given(quarters, zones)
def test_two_ways_to_work_out_when_the_day_begins_agree(moment: datetime, zone: ZoneInfo) -> None:
    assert decent_from(moment, zone) == next_decent_moment(moment, zone)


def life() -> Life:
    booked = Life(RIYADH, ("P1D", "PT2H"), START)
    booked.book(NOW)
    return booked


def left(booked: Life, *moments: datetime) -> list[tuple[int, str]]:
    return [(slip.version, slip.ahead) for moment in moments for slip in booked.rest(moment)]


def test_a_visit_is_reminded_of_twice_and_of_its_latest_reminder_alone_after_a_pause() -> None:
    assert left(life(), START - DAY, START - 20 * HOUR, START - 2 * HOUR, START) == [(1, "P1D"), (1, "PT2H")]
    assert left(life(), START - HOUR, START - MINUTE) == [(1, "PT2H")]
    assert left(life(), START) == []


def test_a_moved_visit_is_reminded_of_at_its_new_time_and_at_the_old_one_again_when_that_is_undone() -> None:
    moved, later = life(), START + DAY
    moved.do("move", NOW, to=later)
    assert left(moved, START - DAY, START - 2 * HOUR, later - DAY) == [(2, "P1D")]
    undone = life()
    undone.do("move", START - DAY - MINUTE, to=later)
    undone.do("undo", START - DAY + MINUTE)
    assert left(undone, START - DAY + MINUTE, START - 2 * HOUR) == [(3, "P1D"), (3, "PT2H")]


@pytest.mark.parametrize("verb", ["cancel", "arrive"])
def test_a_visit_that_is_over_is_not_reminded_of_unless_that_was_a_wrong_click(verb: str) -> None:
    over = life()
    over.do(verb, START - DAY - MINUTE)
    assert left(over, START - DAY) == []
    over.do("undo", START - DAY + MINUTE)
    assert left(over, START - DAY + MINUTE) == [(1, "P1D")]


def test_nobody_is_reminded_at_night_and_what_is_overtaken_by_then_never_comes() -> None:
    early = Life(RIYADH, ("P1D", "PT2H"), START - 3 * HOUR)
    early.book(NOW)
    assert left(early, early.start - 2 * HOUR, early.start - HOUR) == [(1, "PT2H")]
    night = Life(RIYADH, ("PT2H",), START - 5 * HOUR)
    night.book(NOW)
    assert left(night, night.start - 2 * HOUR, night.start - 15 * MINUTE) == []


class Told:
    """Books of one visit whose day reminder is to leave, and a vendor that took what it is told."""

    def __init__(self) -> None:
        clinic = TownClinic(uuid.uuid4(), uuid.uuid4(), RIYADH, ("P1D", "PT2H"), is_loud=False)
        self.visit = Visit(Patient("966500000001"), clinic, life(), [])
        self.slip: Slip = self.visit.life.slips[0]
        self.books = Books({"966500000001": self.visit})
        self.clock = TownClock()
        self.clock.moved(START - DAY - datetime.now(UTC))

    def compare(self, *words: str, after: timedelta = timedelta(0), due: bool = True) -> dict[str, int]:
        at = (datetime.now(UTC) + after).timestamp()
        taken: list[dict[str, Any]] = [
            {"to": "966500000001", "words": each, "reference": uuid.uuid4().hex, "at": at} for each in words
        ]
        self.books.compare(cast(Town, self), [(self.visit, self.slip)] if due else [], taken)
        return dict(self.books.wrong)


DAY_BEFORE = "Noor Clinic: a reminder of your appointment on Sun 4 Apr 2027 at 12:00. Confirm or change: …"


def test_what_comes_when_it_should_is_right_and_other_messages_do_not_matter() -> None:
    assert Told().compare(DAY_BEFORE, "Noor Clinic: your appointment is cancelled.") == {}


def test_what_does_not_come_comes_twice_too_late_or_for_another_time_is_wrong() -> None:
    assert Told().compare() == {"missing": 1}
    assert Told().compare(DAY_BEFORE, DAY_BEFORE) == {"twice": 1}
    assert Told().compare(DAY_BEFORE, after=DAY) == {"late": 1}
    assert Told().compare(DAY_BEFORE, due=False) == {"dead": 1}
    assert Told().compare(DAY_BEFORE.replace("12:00", "13:00")) == {"missing": 1, "dead": 1}


def test_a_reminder_is_known_by_its_number_its_words_and_its_time() -> None:
    wall = START.astimezone(RIYADH).replace(tzinfo=None)
    assert read_words("+966500000001", DAY_BEFORE) == Key("966500000001", "day", wall)
    soon = "Noor Clinic: your appointment begins soon, on Sun 4 Apr 2027 at 12:00."
    assert read_words("966500000001", soon) == Key("966500000001", "hours", wall)
    assert read_words("966500000001", "Noor Clinic: your appointment is confirmed: Sun 4 Apr 2027 at 12:00.") is None
