"""The benches that break things, run small: that they run, and would notice what they look for."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench.chaos.faults import Kind, draw, notices_of
from bench.check import Stored, Truth, violations
from bench.inbox import Inbox, Row
from bench.proxy import Sieve
from bench.statements import sort_of
from bench.tab import Ending, as_told, at_once

ROOT = Path(__file__).resolve().parents[2]
BACKOFF = {"first": 5, "cap": 30}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        ("bench.storm", ["--clients", "30", "--rate", "20", "--jitter", "none"], "0 away"),
        ("bench.broadcast", ["--people", "30", "--repeats", "1"], "0 lost"),
        ("bench.stuck", ["--clients", "20", "--stuck", "4", "--seconds", "2", "--rate", "20"], "freed: 4 of 4"),
    ],
    ids=["storm", "broadcast", "stuck"],
)
def test_it_runs_small_and_nothing_is_lost(module: str, options: list[str], said: str) -> None:
    command = [sys.executable, "-m", module, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout


def row(number: int, seq: int | None = None, *, read: bool = False) -> Row:
    return {"id": f"n{number}", "number": number, "seq": seq or number, "read_at": "now" if read else None}


def truth(*rows: Row, unread: int | None = None) -> Truth:
    stored = [Stored(each["id"], each["number"], each["seq"], each["read_at"] is None) for each in rows]
    counted = sum(each.is_unread for each in stored)
    return Truth(max((each.seq for each in stored), default=0), counted if unread is None else unread, stored)


def inbox(*frames: Row) -> Inbox:
    found = Inbox()
    for frame in ({"t": "welcome", "resume": "reset", "epoch": "e"}, *frames):
        found.apply(frame)
    return found


def snap(*rows: Row, seq: int = 0, unread: int = 0, more: bool = False) -> Row:
    return {"t": "snap", "seq": seq, "unread": unread, "items": list(rows), "more": more}


def event(number: int, unread: int) -> Row:
    return {"t": "ev", "seq": number, "prev": number - 1, "unread": unread, "items": [row(number)]}


def test_a_client_that_saw_everything_once_is_right() -> None:
    assert violations(inbox(snap(), event(1, 1), event(2, 2)), truth(row(1), row(2))) == []


def test_a_snapshot_may_pass_over_rows_that_it_says_there_are() -> None:
    held = inbox(snap(), event(1, 1), snap(row(8), row(9), seq=9, unread=9, more=True))
    assert violations(held, truth(*map(row, range(1, 10)))) == []


@pytest.mark.parametrize(
    ("frames", "stored", "wrong"),
    [
        ([snap(), event(1, 1)], truth(row(1), row(2)), "stands at 1, Postgres at 2"),
        ([snap(), event(1, 0)], truth(row(1)), "badge 0, by its head 1"),
        ([snap(), event(1, 1)], truth(row(1), unread=2), "head says 2 unread, the rows 1"),
        ([snap(), event(1, 1), event(2, 2)], truth(row(1)), "1 shown, but never committed: n2"),
        ([snap(row(2), seq=2, unread=2)], truth(row(1), row(2)), "1 lost: n1"),
        ([snap(row(2), seq=2, unread=2)], truth(row(1), row(2)), "1 not in the list: n1"),
        ([snap(), event(1, 1)], truth(row(1, 2, read=True)), "1 other than stored: n1"),
    ],
    ids=["behind", "badge", "head", "stranger", "lost", "list", "stale"],
)
def test_what_is_wrong_is_said(frames: list[Row], stored: Truth, wrong: str) -> None:
    assert wrong in violations(inbox(*frames), stored)


def test_a_row_shown_twice_is_wrong() -> None:
    held = inbox(snap(), event(1, 1))
    held.shown.append("n1")
    found = violations(held, truth(row(1)))
    assert "1 shown twice: n1" in found
    assert "shown out of order" in found


def test_an_answer_that_postgres_does_not_bear_out_is_wrong() -> None:
    held = inbox(snap(), event(1, 1))
    assert violations(held, truth(row(1)), {"n1"}) == ["1 read, says an answer, but not in Postgres: n1"]


def test_a_seed_always_stands_for_the_same() -> None:
    assert draw(7, 500, 100) == draw(7, 500, 100) != draw(8, 500, 100)
    assert notices_of(7, 50, 200, 0.3) == notices_of(7, 50, 200, 0.3)


def test_every_kind_of_fault_is_drawn_by_some_seed() -> None:
    assert {fault.kind for seed in range(60) for fault in draw(seed, 500, 100).faults} == set(Kind)


def test_a_sieve_loses_whole_frames_but_never_the_first() -> None:
    sieve = Sieve(random.Random(1))
    sieve.lost_share = 1.0
    head, frames = b"HTTP/1.1 101 Fine\r\n\r\n", [b"\x81\x01a", b"\x81\x01b", b"\x89\x00", b"\x81\x01c"]
    stream = head + b"".join(frames)
    kept = b"".join(sieve.feed(stream[at : at + 1]) for at in range(len(stream)))
    assert kept == head + frames[0] + frames[2]


def test_what_is_no_websocket_passes_a_sieve() -> None:
    sieve = Sieve(random.Random(1))
    sieve.lost_share = 1.0
    refusal = b"HTTP/1.1 503 Busy\r\nretry-after: 3\r\n\r\nbody"
    assert sieve.feed(refusal[:40]) + sieve.feed(refusal[40:]) == refusal


def test_clients_wait_as_the_hub_says() -> None:
    wait = as_told(random.Random(1))
    assert all(0 <= wait(0, Ending(), BACKOFF) <= 5 for _ in range(50))
    assert max(wait(9, Ending(), BACKOFF) for _ in range(50)) <= 30
    assert min(wait(0, Ending(4103), BACKOFF) for _ in range(50)) >= 15
    assert min(wait(0, Ending(retry_after=7), BACKOFF) for _ in range(50)) >= 7
    assert at_once(random.Random(1))(0, Ending(), BACKOFF) == 0


@pytest.mark.parametrize(
    ("query", "sort"),
    [
        ("SELECT inbox_heads.seq FROM inbox_heads WHERE person_id = $1", "cursors"),
        ("SELECT seq FROM inbox_heads WHERE person_id = $1 FOR UPDATE", "writing"),
        ("INSERT INTO notifications (id) VALUES ($1)", "writing"),
        ("SELECT staff.id FROM staff_sessions JOIN staff ON true", "sign-in"),
        ("BEGIN", "other"),
    ],
    ids=["heads", "lock", "insert", "session", "begin"],
)
def test_statements_are_sorted_by_what_they_are_for(query: str, sort: str) -> None:
    assert sort_of(query) == sort
