"""What the demo writes for scripts: its address, logins and key."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hub.demo.fill import Filled
from hub.demo.people import LOGINS


def write_demo(path: Path, address: str, filled: Filled) -> None:
    """Write address, logins and API key for scripts, as JSON and, beside it, as lines for a shell to read.

    Nobody else can read them.
    """
    key = filled.api_key
    content = {"address": address, "logins": LOGINS, "api_key": key, "clinician_id": str(filled.clinician)}
    _write_secretly(path, json.dumps(content, ensure_ascii=False, indent=2))
    lines = (f"HUB={address}", f"AUTH='Authorization: Bearer {key}'", f"CLINICIAN={filled.clinician}")
    _write_secretly(path.with_suffix(".env"), "\n".join(lines) + "\n")


def kept_key(path: Path) -> str | None:
    """The API key that was written before, if the file is there and whole."""
    try:
        key = json.loads(path.read_text())["api_key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return key if isinstance(key, str) else None


def _write_secretly(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
