"""What the hub's own commands are told, kept while it runs: a command beside it then reaches the same servers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

NAMES = ("DATABASE_URL", "REDIS_URL", "HUB_KEYS", "PUBLIC_URL", "DEMO")


def write_told(path: Path, environment: Mapping[str, str]) -> None:
    """Write it for nobody else to read: there are passwords in it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({name: environment[name] for name in NAMES}, file)


def read_told(path: Path) -> dict[str, str]:
    """What was written, or nothing when no hub runs from there."""
    try:
        told: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return told
