"""What waits for a slow client: bounded, in order, and what is critical first."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.backlog import MOST_AHEAD, MOST_BYTES, MOST_FRAMES, MOST_READINGS, Backlog
from hub.realtime.frames import HEARTBEAT, WELCOME
from hub.realtime.wire import Frame, encode
from tests.realtime.pipes import ev, rows, short

WELCOMED = Frame(encode({"t": "welcome"}), subject=WELCOME)


def event(seq: int, size: int = 0, *, urgent: bool = False) -> Frame:
    return ev(seq, size, urgent=urgent)[2]


def about(subject: str, version: int = 0, size: int = 0) -> Frame:
    return Frame(encode({"t": subject, "seq": f"{subject} {version}", "x": "x" * size}), subject=subject)


def answer(name: str) -> Frame:
    return Frame(encode({"t": "ok", "seq": name}))


def taken(backlog: Backlog) -> list[Any]:
    frames = []
    while backlog:
        frames.append(json.loads(backlog.pop_first().data))
    return short(frames)


def filled(*frames: Frame) -> Backlog:
    backlog = Backlog()
    for frame in frames:
        assert backlog.add(frame)
    return backlog


def test_what_waits_comes_in_order() -> None:
    assert taken(filled(WELCOMED, rows(3), event(4), about("arrivals", 1), event(5))) == [
        "welcome",
        3,
        4,
        "arrivals 1",
        5,
    ]


def test_what_is_critical_is_told_ahead_of_all_that_waits_and_follows_in_its_place() -> None:
    backlog = filled(event(1), event(2, urgent=True), event(3), event(4, urgent=True))
    assert taken(backlog) == ["!2", "!4", 1, 2, 3, 4]


def test_what_is_critical_and_need_not_wait_is_told_once() -> None:
    assert taken(filled(event(1, urgent=True))) == [1]


def test_nothing_comes_before_a_welcome() -> None:
    backlog = filled(WELCOMED, rows(1), event(2, urgent=True))
    assert backlog.pop_first() is WELCOMED
    backlog.add(event(3, urgent=True))
    assert taken(backlog) == ["!3", 1, 2, 3]


def test_too_many_frames_become_one_resync() -> None:
    backlog = filled(*(event(seq) for seq in range(MOST_FRAMES)))
    assert not backlog.add(event(MOST_FRAMES))
    assert taken(backlog) == ["resync"]


def test_too_many_bytes_become_one_resync() -> None:
    size = MOST_BYTES // 4
    backlog = filled(*(event(seq, size) for seq in range(3)))
    assert not backlog.add(event(3, size))
    assert taken(backlog) == ["resync"]


def test_bytes_that_were_taken_make_room() -> None:
    size = MOST_BYTES // 4
    backlog = filled(*(event(seq, size) for seq in range(3)))
    backlog.pop_first()
    assert backlog.add(event(3, size))
    assert taken(backlog) == [1, 2, 3]


def test_older_heartbeats_and_versions_go_first_and_the_newest_stay() -> None:
    news = [about(subject, version) for version in range(20) for subject in (HEARTBEAT, "arrivals")]
    backlog = filled(*news, *(event(seq) for seq in range(MOST_FRAMES - len(news))))
    assert backlog.add(event(999))
    assert taken(backlog) == [f"{HEARTBEAT} 19", "arrivals 19", *range(MOST_FRAMES - len(news)), 999]


def test_a_resync_leaves_what_the_client_cannot_ask_for() -> None:
    backlog = filled(WELCOMED, about("arrivals", 1), about(HEARTBEAT), *(event(seq) for seq in range(MOST_FRAMES - 4)))
    assert backlog.add(about("arrivals", 2))
    assert backlog.add(event(999))
    assert not backlog.add(about("visits", 3))
    assert taken(backlog) == ["welcome", "arrivals 2", "visits 3", "resync"]


def test_a_second_overflow_leaves_one_resync() -> None:
    backlog = filled(*(event(seq) for seq in range(MOST_FRAMES)))
    backlog.add(event(0))
    for index in range(2 * MOST_FRAMES):
        backlog.add(answer(f"{index}"))
    assert taken(backlog).count("resync") == 1


def test_what_is_critical_outlives_a_resync() -> None:
    backlog = filled(event(0), event(1, urgent=True), *(event(seq) for seq in range(2, MOST_FRAMES)))
    assert not backlog.add(event(MOST_FRAMES, urgent=True))
    assert taken(backlog) == ["!1", f"!{MOST_FRAMES}", "resync"]


def test_what_is_told_ahead_is_bounded() -> None:
    backlog = filled(event(0), *(event(seq, urgent=True) for seq in range(1, 2 * MOST_AHEAD)))
    told = [frame for frame in taken(backlog) if isinstance(frame, str)]
    assert told == [f"!{seq}" for seq in range(1, MOST_AHEAD + 1)]


def test_rows_are_never_too_large_but_there_are_few_of_them() -> None:
    backlog = filled(*(rows(upto, 2 * MOST_BYTES) for upto in range(MOST_READINGS)), event(9))
    assert not backlog.add(rows(10))
    assert taken(backlog) == ["resync"]


frames = st.one_of(
    st.builds(event, st.integers(1, 999), st.integers(0, 40_000), urgent=st.booleans()),
    st.builds(event, st.integers(1, 999), urgent=st.booleans()),
    st.builds(about, st.sampled_from([HEARTBEAT, "arrivals", "visits"]), st.integers(0, 9), st.integers(0, 2_000)),
    st.builds(rows, st.integers(0, 999), st.integers(0, 2 * MOST_BYTES)),
    st.builds(answer, st.text(max_size=3)),
)


@given(st.lists(st.tuples(frames, st.integers(1, 90)) | st.integers(1, 40), max_size=60))
def test_whatever_comes_and_is_taken_it_is_bounded_and_in_order(doings: list[tuple[Frame, int] | int]) -> None:
    backlog = Backlog()
    waiting: list[Frame] = []
    for doing in doings:
        if isinstance(doing, int):
            for _ in range(min(doing, len(backlog))):
                frame = backlog.pop_first()
                if not frame.data.startswith(b'{"t":"ahead"'):
                    waiting = _follow(waiting, frame)
            continue
        for _ in range(doing[1]):
            # Each its own, as two frames of the same content are.
            frame = Frame(doing[0].data, urgent=doing[0].urgent, subject=doing[0].subject, rows=doing[0].rows)
            waiting.append(frame)
            backlog.add(frame)
            _check_bounds(backlog)


def _follow(waiting: list[Frame], frame: Frame) -> list[Frame]:
    """What may still come after `frame` did: nothing that came before it."""
    if frame.data == b'{"t":"resync"}':
        return waiting
    assert any(each is frame for each in waiting)
    return waiting[next(place for place, each in enumerate(waiting) if each is frame) + 1 :]


def _check_bounds(backlog: Backlog) -> None:
    counted = [frame for frame in backlog._frames if not frame.rows]
    assert backlog._bytes == sum(len(frame.wire) for frame in counted) <= MOST_BYTES
    assert backlog._readings == len(backlog._frames) - len(counted) <= MOST_READINGS
    assert len(backlog._frames) <= MOST_FRAMES + MOST_READINGS
    assert len(backlog._ahead) <= MOST_AHEAD
    assert len(backlog) == len(backlog._frames) + len(backlog._ahead)
