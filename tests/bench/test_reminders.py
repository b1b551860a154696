"""The bench of planning and reminding, run small: that it runs, and what it calls reading too much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.reminders import Cost

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--appointments", "400", "--bookings", "16", "--planned-rows", "4000"]


@pytest.mark.timeout(200)
def test_a_small_run_plans_and_tells_each_once_and_reads_what_is_due_alone() -> None:
    command = [sys.executable, "-m", "bench.reminders", *SMALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("due to queued, 2 processes", "the claim, 40 due of 4,000 planned", "Scan planned_notices_due"):
        assert said in done.stdout


@pytest.mark.parametrize(
    ("node", "index", "rows", "wrong"),
    [
        ("Index Scan", "planned_notices_due", 40, False),
        ("Index Scan", "planned_notices_due", 41, True),
        ("Index Scan", "planned_notices_pkey", 40, True),
        ("Seq Scan", "", 40, True),
    ],
    ids=["what is due", "more than that", "another index", "everything"],
)
def test_a_query_that_reads_more_than_what_is_due_is_wrong(node: str, index: str, rows: int, wrong: bool) -> None:
    assert Cost("the claim", node, index, rows, most=40, buffers=9, ms=0.1).is_wrong is wrong
