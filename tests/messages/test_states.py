"""The states of a message: what may follow what, and that the order of reports does not matter."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels.vendor import ReportKind
from hub.messages.states import (
    ALLOWED,
    CANCELLABLE,
    RANK,
    RETRYABLE,
    SETTLED,
    AttemptState,
    State,
    attempt_after,
    may_move,
    message_after,
)


def test_every_state_says_what_may_follow() -> None:
    assert set(ALLOWED) == set(State)
    assert set(RANK) == set(AttemptState)


def test_what_was_read_is_over() -> None:
    assert not ALLOWED[State.READ]


def test_what_is_settled_is_left_only_by_hand_or_by_better_knowledge() -> None:
    for state in SETTLED:
        assert ALLOWED[state] <= {State.QUEUED, State.DELIVERED, State.READ, State.BOUNCED}, state
        # What was withdrawn by mistake is queued again without anybody trying it by hand.
        assert State.QUEUED not in ALLOWED[state] or state in RETRYABLE | {State.CANCELLED}


def test_what_can_be_cancelled_has_not_left_for_sure() -> None:
    assert all(may_move(state, State.CANCELLED) for state in CANCELLABLE)
    assert not {State.SENDING, State.SENT, State.DELIVERED} & CANCELLABLE


@pytest.mark.parametrize(
    ("kinds", "ends"),
    [
        ([ReportKind.SENT, ReportKind.DELIVERED, ReportKind.READ], AttemptState.READ),
        ([ReportKind.SENT, ReportKind.FAILED, ReportKind.DELIVERED], AttemptState.DELIVERED),
        ([ReportKind.SENT, ReportKind.DELIVERED, ReportKind.SOFT_BOUNCED], AttemptState.DELIVERED),
        ([ReportKind.SENT, ReportKind.DELAYED, ReportKind.DELIVERED, ReportKind.BOUNCED], AttemptState.BOUNCED),
        ([ReportKind.SENT, ReportKind.COMPLAINED, ReportKind.OPENED], AttemptState.DELIVERED),
        ([ReportKind.OPENED, ReportKind.PRICED, ReportKind.OTHER, ReportKind.STOP], AttemptState.SENT),
    ],
)
def test_reports_in_any_order_and_twice_end_in_one_state(kinds: list[ReportKind], ends: AttemptState) -> None:
    for order in permutations(kinds):
        state = AttemptState.SENT
        for kind in (*order, *order):
            state = attempt_after(state, kind)
        assert state is ends, order


@given(st.sampled_from(AttemptState), st.lists(st.sampled_from(ReportKind), max_size=8))
def test_a_report_never_moves_a_request_backwards(state: AttemptState, kinds: list[ReportKind]) -> None:
    for kind in kinds:
        after = attempt_after(state, kind)
        assert RANK[after] >= RANK[state]
        state = after


@given(st.sampled_from(State), st.sampled_from(AttemptState), st.booleans())
def test_a_report_moves_a_message_only_as_the_table_allows(
    before: State, attempt: AttemptState, is_latest: bool
) -> None:
    after = message_after(before, attempt, is_latest=is_latest)
    assert after is before or may_move(before, after)
    if not is_latest:
        assert after is before or after in (State.DELIVERED, State.READ)
