"""What is shown once the hub runs. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS = ("name", "role", "tenant", "email", "password")


def greeting(address: str, demo: Mapping[str, Any], logs: Path) -> str:
    """The address, and the demo logins as a small table."""
    lines = ["", f"The hub is at {address}", ""]
    logins = [[str(login.get(column, "")) for column in COLUMNS] for login in demo.get("logins", [])]
    if logins:
        lines += [*table([COLUMNS, *logins]), ""]
    return "\n".join([*lines, f"Ctrl-C stops it. Logs: {logs}"])


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words, set in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
