"""A started `hub start`, as the tests see it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hub.local.plan import CHECKOUT
from hub.local.ports import free_port

HERE = Path(__file__).parent
STUB = f"import sys; from hub.local.start import *; sys.exit(start('stub', Path({str(HERE)!r})))"
WITH_STUB = [sys.executable, "-c", STUB]
REAL = [sys.executable, "-m", "hub", "start"]
NO_SERVERS = {"DATABASE_URL": "postgresql://elsewhere/hub", "REDIS_URL": "redis://elsewhere"}


def clean_environment() -> dict[str, str]:
    """The environment without what would choose servers, keys or an address."""
    ours = {*NO_SERVERS, "HUB_KEYS", "PUBLIC_URL", "HOST", "PORT"}
    return {key: value for key, value in os.environ.items() if key not in ours}


class Supervisor:
    """A started `hub start`, and what it says."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.port = int(environment.get("PORT", free_port()))
        self.process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=clean_environment() | {"HUB_LOCAL": str(folder), "PORT": str(self.port)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self, pattern: str) -> str:
        """Read on to the line with `pattern`."""
        assert self.process.stdout
        told = []
        for line in self.process.stdout:
            told.append(line)
            if re.search(pattern, line):
                return line
        pytest.fail(f"never said {pattern!r}, but: {''.join(told)} {self.errors()}")

    def errors(self) -> str:
        """What it complained of."""
        assert self.process.stderr
        return self.process.stderr.read()

    def family(self) -> list[psutil.Process]:
        """All processes it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        """Kill it, and see what it started end."""
        family = self.family() if self.process.poll() is None else []
        self.process.kill()
        self.process.communicate()
        assert gone(family, 15)


def gone(family: list[psutil.Process], within: float) -> bool:
    """Whether all of them end in time; a zombie has ended."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(running(process) for process in family):
            return True
        time.sleep(0.02)
    return False


def running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
