"""What follows a vendor's answer: the pauses, the next channel, the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.channels.vendor import Channel, Fate, Outcome
from hub.messages.fallback import after_answer, next_channel
from hub.messages.states import AttemptState, State

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
BOTH = (Channel.SMS, Channel.EMAIL)


def test_what_is_taken_is_sent() -> None:
    after = after_answer(Outcome(Fate.ACCEPTED), BOTH, Channel.SMS, 1, NOW)
    assert (after.state, after.attempt, after.reason) == (State.SENT, AttemptState.SENT, None)


@pytest.mark.parametrize(("tries", "pause"), [(1, 60), (2, 120), (3, 240)])
def test_a_failure_that_may_pass_is_tried_again_after_its_pause(tries: int, pause: int) -> None:
    after = after_answer(Outcome(Fate.PASSING), BOTH, Channel.SMS, tries, NOW)
    assert (after.state, after.channel, after.tries) == (State.QUEUED, Channel.SMS, tries)
    assert after.due_at == NOW + timedelta(seconds=pause)


def test_a_vendor_that_names_a_longer_pause_is_heard() -> None:
    after = after_answer(Outcome(Fate.PASSING, retry_after_s=900), BOTH, Channel.SMS, 1, NOW)
    assert after.due_at == NOW + timedelta(seconds=900)


def test_after_three_more_tries_the_next_channel_has_its_turn() -> None:
    after = after_answer(Outcome(Fate.PASSING), BOTH, Channel.SMS, 4, NOW)
    assert (after.state, after.channel, after.tries, after.due_at) == (State.QUEUED, Channel.EMAIL, 0, NOW)
    assert after.reason == "gave_up"


def test_a_failure_for_good_is_not_tried_again() -> None:
    after = after_answer(Outcome(Fate.PERMANENT), BOTH, Channel.SMS, 1, NOW)
    assert (after.state, after.channel, after.reason) == (State.QUEUED, Channel.EMAIL, "refused")
    last = after_answer(Outcome(Fate.PERMANENT), BOTH, Channel.EMAIL, 1, NOW)
    assert (last.state, last.reason) == (State.FAILED, "refused")


def test_an_account_that_is_refused_costs_the_message_no_try() -> None:
    after = after_answer(Outcome(Fate.OPERATOR), BOTH, Channel.SMS, 1, NOW)
    assert (after.state, after.channel, after.tries, after.due_at) == (State.QUEUED, Channel.SMS, 0, NOW)


def test_a_request_without_an_answer_is_never_made_again_by_itself() -> None:
    after = after_answer(Outcome(Fate.UNKNOWN), BOTH, Channel.SMS, 1, NOW)
    assert (after.state, after.attempt, after.reason) == (State.UNKNOWN, AttemptState.UNKNOWN, "no_answer")


def test_after_the_last_channel_there_is_none() -> None:
    assert next_channel(BOTH, Channel.SMS) == (State.QUEUED, Channel.EMAIL)
    assert next_channel(BOTH, Channel.EMAIL) == (State.FAILED, Channel.EMAIL)
