"""The bench of connections that only listen, run small; and what it calls a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.idle import Findings, Vitals

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--sizes", "30,60", "--cycles", "60"]
QUIET = Vitals(tasks=9, connections=0, memory=100.0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_small_run_counts_what_connections_cost_and_finds_nothing_left_over(tmp_path: Path) -> None:
    out = tmp_path / "findings.json"
    command = [sys.executable, "-m", "bench.idle", *SMALL, "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(out.read_text())
    assert [step["connections"] for step in findings["steps"]] == [30, 60]
    assert all(step["web_us"] > 0 and step["postgres_us"] > 0 for step in findings["steps"])
    assert findings["after"]["connections"] == 0
    assert findings["problems"] == []


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        pytest.param(Vitals(9, 0, 104.9), [], id="as it was"),
        pytest.param(Vitals(11, 0, 100.0), ["2 tasks left over"], id="tasks"),
        pytest.param(Vitals(9, 1, 100.0), ["1 connections left over"], id="connections"),
        pytest.param(Vitals(9, 0, 106.0), ["memory grew by 6.0%"], id="memory"),
    ],
)
def test_whatever_does_not_come_back_to_where_it_was_is_a_problem(after: Vitals, problem: list[str]) -> None:
    assert Findings([], 100, QUIET, after).problems == problem
