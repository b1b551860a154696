"""Everything breaks, by a seed, in short; `make chaos` runs the long form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hub.migrate import ROOT

SMALL = ["--seeds", "2", "--clients", "40", "--notices", "150", "--rate", "50"]


@pytest.mark.skipif(sys.platform != "linux", reason="children end with their parent by a signal of Linux")
def test_whatever_breaks_every_client_ends_with_what_postgres_holds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.chaos", *SMALL, "--logs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok  agreed after") == 2
