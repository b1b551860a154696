"""What one open tab is sent, and in which order."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.inbox import Inbox
from hub.realtime import backlog, connection, frames
from hub.realtime.backlog import MOST_BYTES, MOST_FRAMES, MOST_READINGS
from hub.realtime.connection import Connection, Offered, Stage
from hub.realtime.frames import HEARTBEAT, WELCOME, Close
from hub.realtime.wire import Frame, encode
from tests.realtime.pipes import Pipe, ev, listener, live, rows, short

WELCOMED = Frame(encode({"t": "welcome"}), subject=WELCOME)


def beat(n: int) -> Frame:
    return Frame(encode({"t": "hb", "n": n}), subject=HEARTBEAT)


def taken(opened: Connection, pipe: Pipe) -> list[Any]:
    """What comes when the client takes everything."""
    pipe.room = None
    opened.flush()
    return short(pipe.take())


def test_events_wait_until_the_rows_are_read_and_follow_them() -> None:
    pipe = Pipe()
    opened = Connection(listener(), pipe)
    for seq in (5, 7, 6):
        assert opened.offer(*ev(seq))
    assert not opened.is_greeted
    assert opened.begin_reading() is None
    assert pipe.take() == []
    opened.caught_up(5, 5, "epoch", WELCOMED, rows(5))
    assert short(pipe.take()) == ["welcome", 5, 6, 7]
    assert (opened.stage, opened.sent, opened.unread) == (Stage.LIVE, 7, 7)


def test_who_comes_with_a_cursor_has_rows_read_from_there() -> None:
    opened = Connection(listener(), Pipe(), "epoch", 4)
    assert (opened.epoch, opened.begin_reading()) == ("epoch", 4)


def test_repeated_events_are_sent_once() -> None:
    opened, pipe = live(3)
    for seq in (3, 4, 4, 1, 5, 4):
        assert opened.offer(*ev(seq))
    assert short(pipe.take()) == [4, 5]


def test_an_event_after_a_gap_waits_for_the_rows_between() -> None:
    opened, pipe = live(3)
    assert not opened.offer(*ev(5))
    assert opened.offer(*ev(6))
    assert pipe.take() == []
    assert opened.begin_reading() == 3
    opened.caught_up(5, 5, "epoch", rows(5))
    assert short(pipe.take()) == [5, 6]
    assert opened.stage is Stage.LIVE


def test_events_that_follow_each_other_leave_in_one_write() -> None:
    opened, pipe = live(3)
    before = pipe.writes
    assert opened.offer_together([ev(4), ev(5, 300), ev(6)])
    assert (short(pipe.take()), pipe.writes - before, opened.sent, opened.unread) == ([4, 5, 6], 1, 6, 6)


@pytest.mark.parametrize(
    ("numbers", "is_whole", "sent"), [((2, 3, 4), True, [4]), ((4, 6), False, [4]), ((5, 6), False, [])]
)
def test_events_that_do_not_follow_are_taken_singly(numbers: tuple[int, ...], is_whole: bool, sent: list[int]) -> None:
    opened, pipe = live(3)
    assert opened.offer_together([ev(seq) for seq in numbers]) is is_whole
    assert short(pipe.take()) == sent
    if not is_whole:
        assert opened.stage is Stage.BEHIND


def test_events_for_a_client_that_takes_nothing_wait_one_by_one() -> None:
    opened, pipe = live(3, room=0)
    assert opened.offer_together([ev(4), ev(5)])
    assert (pipe.take(), opened.waiting) == ([], 2)
    pipe.room = 1
    assert short(pipe.take()) == [4]


def test_a_gap_that_a_late_event_closes_needs_no_rows() -> None:
    opened, pipe = live(3)
    for seq in (6, 5, 7):
        opened.offer(*ev(seq))
    assert (opened.stage, pipe.take()) == (Stage.BEHIND, [])
    assert opened.offer(*ev(4))
    assert short(pipe.take()) == [4, 5, 6, 7]
    assert (opened.stage, opened.sent) == (Stage.LIVE, 7)


def test_a_late_event_closes_no_more_than_its_own_gap() -> None:
    opened, pipe = live(3)
    for seq in (5, 8, 4):
        opened.offer(*ev(seq))
    assert short(pipe.take()) == [4, 5]
    assert opened.stage is Stage.BEHIND
    for seq in (7, 6):
        opened.offer(*ev(seq))
    assert short(pipe.take()) == [6, 7, 8]


def test_a_late_event_does_not_answer_what_the_client_asked() -> None:
    opened, pipe = live(3)
    opened.ask_again(1)
    opened.offer(*ev(4))
    assert (opened.stage, pipe.take()) == (Stage.BEHIND, [])
    assert opened.begin_reading() == 1


def test_a_gap_among_the_held_events_leaves_it_behind() -> None:
    opened, pipe = live(3)
    opened.offer(*ev(5))
    opened.offer(*ev(8))
    opened.begin_reading()
    opened.caught_up(5, 5, "epoch", rows(5))
    assert opened.stage is Stage.BEHIND
    assert opened.begin_reading() == 5
    opened.caught_up(8, 8, "epoch", rows(8))
    assert short(pipe.take()) == [5, 8]


def test_the_client_may_ask_again_from_its_own_cursor() -> None:
    opened, pipe = live(9)
    opened.ask_again(4)
    assert opened.offer(*ev(10))
    assert opened.begin_reading() == 4
    opened.caught_up(9, 9, "epoch", rows(9))
    assert short(pipe.take()) == [9, 10]


def test_a_question_asked_while_rows_are_read_is_answered_after_them() -> None:
    opened, _ = live(9)
    opened.ask_again(7)
    opened.begin_reading()
    opened.ask_again(2)
    opened.caught_up(9, 9, "epoch", rows(9))
    assert opened.stage is Stage.BEHIND
    assert opened.begin_reading() == 2


def test_rows_that_could_not_be_read_are_still_wanted_from_there() -> None:
    opened, pipe = live(9)
    opened.ask_again(4)
    assert opened.begin_reading() == 4
    opened.offer(*ev(10))
    opened.read_in_vain(4)
    assert (opened.stage, pipe.take()) == (Stage.BEHIND, [])
    assert opened.begin_reading() == 4
    opened.ask_again(3)
    opened.read_in_vain(4)
    assert opened.begin_reading() == 3
    opened.caught_up(9, 9, "epoch", rows(9))
    assert short(pipe.take()) == [9, 10]
    opened.read_in_vain(9)
    assert opened.stage is Stage.LIVE


def test_too_many_waiting_frames_become_one_resync() -> None:
    opened, pipe = live(room=0)
    for seq in range(1, MOST_FRAMES + 50):
        assert opened.offer(*ev(seq))
    assert opened.stage is Stage.RESYNC
    assert taken(opened, pipe) == ["resync"]
    assert opened.offer(*ev(MOST_FRAMES + 50))
    assert pipe.take() == []
    opened.ask_again(0)
    assert opened.begin_reading() == 0
    opened.caught_up(400, 400, "epoch", rows(400))
    opened.offer(*ev(401))
    assert short(pipe.take()) == [400, 401]


def test_too_much_waiting_text_becomes_one_resync() -> None:
    opened, pipe = live(room=0)
    for seq in (1, 2, 3):
        opened.offer(*ev(seq, MOST_BYTES // 3))
    assert taken(opened, pipe) == ["resync"]


def test_rows_are_sent_however_much_text_they_are() -> None:
    pipe = Pipe(room=0)
    opened = Connection(listener(), pipe)
    opened.offer(*ev(51))
    opened.caught_up(50, 50, "epoch", WELCOMED, rows(50, 2 * MOST_BYTES))
    assert taken(opened, pipe) == ["welcome", 50, 51]


def test_rows_asked_for_again_and_again_and_never_taken_do_not_pile_up() -> None:
    opened, pipe = live(room=0)
    for _ in range(10):
        opened.ask_again(0)
        opened.begin_reading()
        opened.caught_up(50, 50, "epoch", rows(50, MOST_BYTES))
        assert opened.waiting <= MOST_READINGS + 1
    assert "resync" in taken(opened, pipe)


@pytest.mark.parametrize("room", [0, None])
def test_more_events_than_are_held_cost_nobody_the_welcome_and_are_noticed(room: int | None) -> None:
    pipe = Pipe(room)
    opened = Connection(listener(), pipe)
    opened.begin_reading()
    for seq in range(1, MOST_FRAMES + 100):
        opened.offer(*ev(seq))
    opened.caught_up(0, 0, "epoch", WELCOMED, rows(0))
    assert opened.stage is not Stage.LIVE
    assert taken(opened, pipe) == ["welcome", 0]
    assert opened.begin_reading() == 0
    opened.caught_up(200, 200, "epoch", rows(200))
    assert taken(opened, pipe) == [200, *range(201, MOST_FRAMES + 100)]


def test_a_burst_before_the_client_took_its_welcome_leaves_it_the_welcome() -> None:
    pipe = Pipe(room=0)
    opened = Connection(listener(), pipe)
    opened.caught_up(0, 0, "epoch", WELCOMED, rows(0))
    for seq in range(1, MOST_FRAMES + 10):
        opened.offer(*ev(seq))
    assert taken(opened, pipe) == ["welcome", "resync"]


def test_what_is_critical_overtakes_what_waits_and_follows_in_its_place() -> None:
    opened, pipe = live(room=0)
    for seq in (1, 2):
        opened.offer(*ev(seq))
    opened.offer(*ev(3, urgent=True))
    assert taken(opened, pipe) == ["!3", 1, 2, 3]
    opened.offer(*ev(4, urgent=True))
    assert short(pipe.take()) == [4]


@pytest.mark.parametrize("room", [0, None])
def test_what_is_critical_is_told_once_while_rows_are_missing(room: int | None) -> None:
    opened, pipe = live(3, room)
    opened.offer(*ev(5, urgent=True))
    opened.begin_reading()
    opened.caught_up(4, 4, "epoch", rows(4))
    assert taken(opened, pipe) == ["!5", 4, 5]


def test_nothing_critical_is_told_ahead_of_the_welcome() -> None:
    pipe = Pipe(room=0)
    opened = Connection(listener(), pipe)
    opened.offer(*ev(1, urgent=True))
    opened.caught_up(0, 0, "epoch", WELCOMED, rows(0))
    opened.offer(*ev(2, urgent=True))
    assert taken(opened, pipe) == ["welcome", 0, 1, 2]


def test_what_is_critical_reaches_a_client_that_was_told_to_resync() -> None:
    opened, pipe = live(room=0)
    for seq in range(1, MOST_FRAMES + 2):
        opened.offer(*ev(seq))
    opened.offer(*ev(MOST_FRAMES + 2, urgent=True))
    assert taken(opened, pipe) == [f"!{MOST_FRAMES + 2}", "resync"]
    opened.offer(*ev(MOST_FRAMES + 3, urgent=True))
    assert short(pipe.take()) == [f"!{MOST_FRAMES + 3}"]


def test_a_client_takes_what_waits_bit_by_bit() -> None:
    opened, pipe = live(room=2)
    for seq in range(1, 6):
        opened.offer(*ev(seq))
    assert (short(pipe.take()), opened.waiting) == ([1, 2], 3)
    pipe.room = 1
    opened.flush()
    opened.offer(*ev(6))
    assert (short(pipe.take()), opened.waiting) == ([3], 3)
    assert taken(opened, pipe) == [4, 5, 6]
    assert opened.waiting == 0


@pytest.mark.parametrize("how", ["closed", "left"])
def test_a_connection_that_ends_sends_nothing_more_and_keeps_the_first_reason(how: str) -> None:
    opened, pipe = live(room=1)
    for seq in (1, 2):
        opened.offer(*ev(seq))
    if how == "closed":
        opened.close(Close.SESSION_ENDED)
    else:
        opened.left()
    closing = opened.closing
    opened.close(Close.GOING_AWAY)
    opened.left()
    pipe.room = None
    opened.offer(*ev(3))
    opened.flush()
    opened.caught_up(9, 9, "epoch", rows(9))
    opened.send(beat(1))
    assert short(pipe.take()) == [1]
    assert opened.take_waiting() == []
    assert opened.closing is closing
    assert pipe.ended == ([Close.SESSION_ENDED] if how == "closed" else [])


def test_what_waited_for_a_connection_that_ended_is_not_kept() -> None:
    opened, pipe = live(room=0)
    kept = ev(2)[2]
    held_by = sys.getrefcount(kept)
    opened.offer(*ev(1))
    opened.offer(2, 2, kept)
    assert sys.getrefcount(kept) == held_by + 1
    opened.left()
    assert (sys.getrefcount(kept), pipe.out) == (held_by, [])


def test_an_inbox_begun_anew_sends_the_client_back_to_hello() -> None:
    opened, pipe = live(9)
    opened.ask_again(9)
    opened.begin_reading()
    opened.caught_up(1, 1, "another epoch", rows(1))
    assert (opened.closing, pipe.ended, pipe.take()) == (Close.GOING_AWAY, [Close.GOING_AWAY], [])


def test_a_version_is_told_once_and_never_an_older_one() -> None:
    opened, pipe = live()

    def tell(*versions: int) -> None:
        for version in versions:
            opened.topic_changed("arrivals", version, Frame(encode({"t": "state", "seq": version})))

    tell(1)
    opened.watch("visits")
    tell(1)
    opened.watch("arrivals")
    tell(2, 2, 1, 3)
    assert opened.topics is not None
    assert opened.topics["arrivals"] == 3
    opened.unwatch("arrivals")
    tell(4)
    opened.watch("arrivals", 6)
    tell(6, 7)
    assert short(pipe.take()) == [2, 3, 7]


# --- against a reference ----------------------------------------------------------------------------

ROWS = ("commit", "commit", "commit", "critical")
LOSSES = ("push", "push", "push", "push an old one", "push", "push together", "lose", "push twice")
DOINGS = (*ROWS, *LOSSES, "take", "take", "stop taking", "read", "read", "fail to read", "look", "beat", "ask", "burst")


class Life:
    """One connection between a truth that is a row of numbers, and a client that applies what comes."""

    def __init__(self) -> None:
        self.pipe = Pipe()
        self.opened = Connection(listener(), self.pipe)
        self.inbox = Inbox()
        self.truth: list[dict[str, Any]] = []
        self.under_way: list[int] = []
        self.reading: tuple[int | None, int] | None = None
        self.beats = count(1)
        self.alerts: list[str] = []

    @property
    def head(self) -> int:
        return len(self.truth)

    def do(self, doing: str, dice: int) -> None:
        match doing:
            case "commit" | "critical":
                self.commit(urgent=doing == "critical")
            case "burst":
                for _ in range(20):
                    self.commit()
                    self.push(0)
            case "push" | "push twice" | "push an old one" | "lose" if self.under_way:
                self.push({"push": 0, "push an old one": 0}.get(doing, dice % len(self.under_way)), doing)
            case "push together" if self.under_way:
                self.push_together()
            case "stop taking":
                self.pipe.room = dice
            case "take":
                self.take(dice)
            case "read":
                self.read()
            case "fail to read":
                if self.reading is not None:
                    self.opened.read_in_vain(self.reading[0])
                    self.reading = None
            case "look":
                if self.opened.stage is Stage.LIVE and self.opened.sent < self.head:
                    self.opened.stage = Stage.BEHIND
            case "beat":
                self.beat()
            case "ask" if self.inbox.cursor is not None:
                self.opened.ask_again(self.inbox.cursor)

    def commit(self, *, urgent: bool = False) -> None:
        seq = self.head + 1
        self.truth.append({"id": f"row {seq}", "number": seq, "seq": seq, "read_at": None, "urgent": urgent})
        self.under_way.append(seq)

    def push(self, place: int, how: str = "push") -> None:
        seq = self.under_way[place]
        if how != "push twice":
            self.under_way.pop(place)
        if how == "lose":
            return
        self.opened.offer(*self.event(seq))

    def push_together(self) -> None:
        events, self.under_way = [self.event(seq) for seq in sorted(self.under_way)], []
        self.opened.offer_together(events)

    def event(self, seq: int) -> Offered:
        row = self.truth[seq - 1]
        data = encode({"t": "ev", "seq": seq, "prev": seq - 1, "unread": seq, "items": [row]})
        return seq, seq, Frame(data, moves_to=seq, urgent=row["urgent"])

    def read(self) -> None:
        """Begin to read; or, when that has been, bring what it found."""
        if self.reading is None:
            if self.opened.stage is Stage.BEHIND:
                self.reading = self.opened.begin_reading(), self.head
            return
        (since, head), self.reading = self.reading, None
        first = [] if self.opened.is_greeted else [WELCOMED_ANEW]
        if since is None or since > head:
            news = frames.snap(head, head, self.truth[:head], more=False)
        else:
            news = frames.fill(since, head, head, self.truth[since:head])
        self.opened.caught_up(head, head, "epoch", *first, news)

    def beat(self) -> None:
        if self.opened.is_greeted and self.opened.stage is not Stage.RESYNC:
            beat = {"t": "hb", "n": next(self.beats), "head": self.opened.sent, "unread": self.opened.unread}
            self.opened.send(Frame(encode(beat), subject=HEARTBEAT))

    def take(self, room: int | None) -> None:
        self.pipe.room = room
        self.opened.flush()
        for frame in self.pipe.take():
            if frame["t"] == "ahead":
                assert self.inbox.epoch is not None
                self.alerts += [row["id"] for row in frame["items"]]
            since = self.inbox.apply(frame)
            self.check_client()
            if since is not None:
                self.opened.ask_again(since)

    def check_client(self) -> None:
        """However much is missing, a client shows the inbox as it was at its cursor."""
        cursor = self.inbox.cursor or 0
        assert {row["number"] for row in self.inbox.rows.values()} == set(range(1, cursor + 1))
        assert self.inbox.unread == cursor

    def come_to_rest(self) -> None:
        """Nothing is lost any more, and the client takes everything: it must be brought to the head."""
        self.under_way.clear()
        for _ in range(6):
            self.take(None)
            self.do("look", 0)
            self.read()
            self.read()
            self.beat()
        self.take(None)
        assert (self.inbox.cursor, self.opened.stage, self.opened.waiting) == (self.head, Stage.LIVE, 0)
        self.check_client()
        assert self.inbox.shown == [f"row {seq}" for seq in range(1, self.head + 1)]
        assert set(self.alerts) <= {row["id"] for row in self.truth if row["urgent"]}


WELCOMED_ANEW = Frame(encode({"t": "welcome", "epoch": "epoch", "resume": "reset"}), subject=WELCOME)


@pytest.mark.parametrize("room", [6, MOST_FRAMES])
@settings(max_examples=400, derandomize=True, database=None)
@given(life=st.lists(st.tuples(st.sampled_from(DOINGS), st.integers(0, 7)), max_size=120))
def test_every_life_of_a_connection_ends_with_the_client_at_the_head(room: int, life: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for bounded in (backlog, connection):
            patch.setattr(bounded, "MOST_FRAMES", room)
        lived = Life()
        for doing, dice in life:
            lived.do(doing, dice)
        lived.come_to_rest()
