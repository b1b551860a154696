"""What a client of `hub.v1` holds, decided from frames alone (pure): the tests' clients and the benches' share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass
class Inbox:
    """Rows by id, the cursor, the badge; and every row it showed as new, in order.

    As on a page, a row is new when its number is above all that were seen. A snapshot may pass over numbers for good:
    those are in `skipped`, and `floor` is the number up to which rows were forgotten. What is `ahead` of its turn is
    alerted at once, and takes its place later.
    """

    epoch: str | None = None
    cursor: int | None = None
    unread: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    held: dict[int, Row] = field(default_factory=dict)
    resets: int = 0
    top: int = 0
    floor: int = 0
    skipped: list[range] = field(default_factory=list)
    ahead: set[str] = field(default_factory=set)

    @property
    def place(self) -> Row | None:
        """What to say in hello."""
        return None if self.epoch is None or self.cursor is None else {"epoch": self.epoch, "seq": self.cursor}

    def apply(self, frame: Row) -> int | None:
        """Take a frame; returns the number to ask from when something is missing."""
        match frame["t"]:
            case "welcome":
                self._take_welcome(frame)
            case "snap" if self.cursor is None or frame["seq"] > self.cursor:
                self._forget(frame["items"] if frame["more"] else [])
                return self._move(frame["seq"], frame)
            case "fill" if frame["from"] <= (self.cursor or 0):
                if self.cursor is None:
                    self._forget([])
                if self.cursor is None or frame["to"] > self.cursor:
                    return self._move(frame["to"], frame)
            case "ev" if self.cursor is None or frame["seq"] > self.cursor:
                self.held[frame["seq"]] = frame
                return self._take_held()
            case "hb" if frame["head"] > (-1 if self.cursor is None else self.cursor):
                return self.cursor or 0
            case "resync":
                return self.cursor or 0
            case "ahead":
                self.ahead.update(row["id"] for row in frame["items"])
        return None

    def _take_welcome(self, frame: Row) -> None:
        if frame["resume"] == "reset":
            self.resets += 1
            self.cursor = None
        if self.epoch not in (None, frame["epoch"]):
            self.top = 0
        self.epoch = frame["epoch"]
        self.held = {}

    def _forget(self, newest: list[Row]) -> None:
        self.rows = {}
        self.floor = min((int(row["number"]) for row in newest), default=1) - 1
        if self.floor > self.top:
            self.skipped.append(range(self.top + 1, self.floor + 1))

    def _move(self, seq: int, frame: Row) -> int | None:
        self.cursor, self.unread = seq, frame["unread"]
        self._merge(frame["items"])
        return self._take_held()

    def _take_held(self) -> int | None:
        if self.cursor is None:
            return None
        for seq in sorted(self.held):
            frame = self.held[seq]
            if seq <= self.cursor:
                del self.held[seq]
            elif frame["prev"] == self.cursor:
                del self.held[seq]
                self.cursor, self.unread = seq, frame["unread"]
                self._merge(frame.get("items", []))
                self._sweep(frame)
        return self.cursor if self.held else None

    def _sweep(self, frame: Row) -> None:
        for row in self.rows.values():
            if row["seq"] <= frame.get("read_upto", -1) and row["read_at"] is None:
                row |= {"read_at": frame["at"], "seq": frame["seq"]}

    def _merge(self, items: list[Row]) -> None:
        for row in sorted(items, key=lambda each: int(each["number"])):
            if row["number"] > self.top:
                self.top = row["number"]
                self.shown.append(row["id"])
            known = self.rows.get(row["id"])
            if known is None or row["seq"] > known["seq"]:
                self.rows[row["id"]] = dict(row)

    @property
    def titles(self) -> list[str]:
        """The rows' titles in order of their place."""
        return [row["title"] for row in sorted(self.rows.values(), key=lambda row: int(row["number"]))]
