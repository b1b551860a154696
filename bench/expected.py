"""What patients should be reminded of, worked out a second time from SPEC's words, to compare the hub with (pure).

Nothing of the hub is used but the names of durations. Every moment that matters lies on a quarter of an hour in every
zone there is, so that what is true at the beginning of a quarter is true until its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
OPENS, CLOSES = 8, 21
UNDO_WITHIN = timedelta(minutes=15)

AHEAD = ("booked", "confirmed", "rescheduled")
# What a verb makes of a visit, and from where it may.
VERBS: dict[str, tuple[str, tuple[str, ...]]] = {
    "confirm": ("confirmed", ("booked", "rescheduled")),
    "move": ("rescheduled", (*AHEAD, "no_show")),
    "arrive": ("arrived", (*AHEAD, "no_show")),
    "cancel": ("cancelled", (*AHEAD, "arrived")),
    "miss": ("no_show", AHEAD),
    "start": ("in_progress", ("arrived",)),
    "complete": ("completed", ("arrived", "in_progress")),
}
DROPS = ("move", "arrive", "cancel", "miss")
# After these, a patient's wish for another time is not open any more.
ANSWERS = ("confirm", "move", "cancel", "complete")


def moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """When a clock on the wall there shows this: the first time if it does so twice, and if never, as much later."""
    before, after = (_offset(zone, wall.replace(tzinfo=UTC) + by) for by in (-DAY, DAY))
    moments = [(wall - offset).replace(tzinfo=UTC) for offset in (before, after)]
    shown = [each for each in moments if each.astimezone(zone).replace(tzinfo=None) == wall]
    return min(shown, default=moments[0])


def due_at(start: datetime, ahead: str, zone: ZoneInfo) -> datetime:
    """When a reminder is due that is `P1D` (on the wall) or `PT2H`, `PT90M` (as time passes) ahead."""
    if ahead.startswith("PT"):
        unit = {"H": 60, "M": 1}[ahead[-1]]
        return start - timedelta(minutes=int(ahead[2:-1]) * unit)
    return moment_of(start.astimezone(zone).replace(tzinfo=None) - int(ahead[1:-1]) * DAY, zone)


def is_decent(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether patients there may be disturbed."""
    return OPENS <= moment.astimezone(zone).hour < CLOSES


def decent_from(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment itself, or the beginning of the first quarter from which on they may be."""
    while not is_decent(moment, zone):
        moment = next_quarter(moment)
    return moment


def next_quarter(moment: datetime) -> datetime:
    """When the quarter of an hour after this moment's begins."""
    return moment - timedelta(seconds=moment.timestamp() % QUARTER.total_seconds()) + QUARTER


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


@dataclass
class Slip:
    """One reminder of one time of a visit; `until` is when it is worth nothing any more.

    First it is planned; when it is due, it waits for a decent hour; then it was sent. Or something came in between.
    """

    version: int
    ahead: str
    start: datetime
    due: datetime
    until: datetime
    state: str = "planned"
    dropped_by: Change | None = None
    dropped_from: str = ""


@dataclass(eq=False)
class Change:
    """One thing that was done to a visit, and how it stood before."""

    verb: str
    at: datetime
    by_staff: bool
    state: str
    start: datetime
    wishes: bool
    is_undone: bool = False


@dataclass
class Life:
    """One visit from its booking on. Each verb says whether the hub must take it, or refuse."""

    zone: ZoneInfo
    aheads: Sequence[str]
    start: datetime
    state: str = "booked"
    wishes: bool = False
    version: int = 1
    slips: list[Slip] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def book(self, now: datetime) -> None:
        """It is booked."""
        self._change("book", now, by_staff=False)
        self._plan(now)

    def may(self, verb: str, now: datetime) -> bool:
        """Whether this can be done to it now."""
        if verb == "undo":
            return self._undoable(now) is not None
        if verb == "wish":
            return self.state in (*AHEAD, "cancelled", "no_show")
        if verb == "confirm" and self.wishes and self.state == "confirmed":
            return True
        return self.state in VERBS[verb][1] and (verb != "miss" or self.start <= now)

    def do(self, verb: str, now: datetime, *, by_staff: bool = True, to: datetime | None = None) -> None:
        """It is done; whoever calls knows that it may be."""
        if verb == "undo":
            self._undo(now)
            return
        change = self._change(verb, now, by_staff=by_staff)
        self.wishes = verb == "wish" or (self.wishes and verb not in ANSWERS)
        if verb == "wish":
            return
        self.state = VERBS[verb][0]
        if verb in DROPS:
            self._drop(change)
        if verb == "move" and to is not None:
            self.start, self.version = to, self.version + 1
            self._plan(now)

    def rest(self, now: datetime) -> list[Slip]:
        """Whoever sends has done all there is to do now; returns what left."""
        due = [slip for slip in self.slips if slip.state == "planned" and slip.due <= now]
        for slip in due:
            latest = slip.due == max(each.due for each in due)
            slip.state = "waiting" if latest and self.start > now else "worthless"
        left = []
        for slip in self.slips:
            if slip.state == "waiting":
                slip.state = self._leaves(slip, now)
                left += [slip] if slip.state == "sent" else []
        return left

    def _leaves(self, slip: Slip, now: datetime) -> str:
        if slip.until <= now or decent_from(now, self.zone) >= slip.until:
            return "worthless"
        return "sent" if is_decent(now, self.zone) else "waiting"

    def _plan(self, since: datetime) -> None:
        dues = sorted((due_at(self.start, ahead, self.zone), ahead) for ahead in self.aheads)
        untils = [*(due for due, _ in dues[1:]), self.start]
        for (due, ahead), until in zip(dues, untils, strict=True):
            state = "planned" if due > since else "booked_too_late"
            self.slips.append(Slip(self.version, ahead, self.start, due, until, state))

    def _change(self, verb: str, now: datetime, *, by_staff: bool) -> Change:
        self.changes.append(Change(verb, now, by_staff, self.state, self.start, self.wishes))
        return self.changes[-1]

    def _drop(self, change: Change) -> None:
        for slip in self.slips:
            if slip.state in ("planned", "waiting"):
                slip.state, slip.dropped_by, slip.dropped_from = "dropped", change, slip.state

    def _undoable(self, now: datetime) -> Change | None:
        last = next((each for each in reversed(self.changes) if not each.is_undone), None)
        if last is None or last.verb in ("book", "wish") or not last.by_staff:
            return None
        return last if now - last.at <= UNDO_WITHIN else None

    def _undo(self, now: datetime) -> None:
        change = self._undoable(now)
        assert change
        change.is_undone = True
        self.state, self.start, self.wishes = change.state, change.start, change.wishes
        if change.verb not in DROPS:
            return
        # What was planned since belongs to what never was.
        self._drop(Change("undo", now, True, self.state, self.start, self.wishes))
        for slip in self.slips:
            if slip.dropped_by is change and (slip.dropped_from == "waiting" or change.verb != "move"):
                slip.state, slip.dropped_by = slip.dropped_from, None
        if change.verb == "move":
            self.version += 1
            self._plan(change.at)
