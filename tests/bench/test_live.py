"""The bench of the live path, run small: not for its figures, but that it runs, counts, and would notice a loss."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bench.figures import Connecting, Findings, Idle, Noise, Repeat, spread
from bench.websocket import TEXT, FrameReader

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--connections", "20", "--rate", "40", "--seconds", "1.5", "--repeats", "1", "--idle", "0.2"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_every_notification_of_a_small_run_is_delivered(tmp_path: Path) -> None:
    out = tmp_path / "findings.json"
    command = [sys.executable, "-m", "bench.live", *SMALL, "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(out.read_text())
    assert findings["problems"] == []
    (repeat,) = findings["repeats"]
    assert repeat["sent"] == repeat["delivered"] == 60
    assert repeat["repeated"] == 0
    assert 0 < repeat["to_socket_ms"]["p50"] <= repeat["to_socket_ms"]["p99"] <= repeat["to_socket_ms"]["max"]
    assert set(repeat["cpu_us"]) == {"web", "publisher", "postgres", "valkey", "load"}
    assert all(used > 0 for used in repeat["cpu_us"].values())
    assert "60 of 60" in done.stdout


def test_a_single_loss_is_a_problem(findings: Findings) -> None:
    assert findings.problems == ["1 lost at 100/s", "1 connections closed at 100/s"]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_read_however_they_are_cut(size: int) -> None:
    payload = bytes(size)
    head = {0: b"\x00", 125: b"\x7d", 126: b"\x7e\x00\x7e", 65_535: b"\x7e\xff\xff", 65_536: b"\x7f" + size.to_bytes(8)}
    stream = (b"\x81" + head[size] + payload) * 2
    reader, cuts = FrameReader(), [0, 1, 3, 7, 11, len(stream) // 2 + 1, len(stream)]
    found = [frame for at, end in pairwise(cuts) for frame in reader.feed(stream[at:end])]
    assert found == [(TEXT, payload)] * 2


def test_percentiles_are_times_that_were_measured() -> None:
    found = spread([float(number) for number in range(1, 1001)])
    assert (found.p50, found.p99, found.p999, found.max) == (500, 990, 999, 1000)


@pytest.fixture
def findings() -> Findings:
    times, quiet = spread([1.0]), Noise(10.0, 0.0, 0.0, 0.0)
    repeat = Repeat(100, 100, 10, 9, 0, 0, 0, ["1006"], times, times, {}, quiet)
    connecting, idle = Connecting(20, 100, times, {}, quiet), Idle(15, 90, 40, {}, quiet)
    return Findings(20, 1, 2, 0.5, connecting, idle, warm_ups=[repeat])
