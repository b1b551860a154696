"""What follows an answer or a failure: another try, another channel, or the end.

A failure that may pass is tried again after 60, 120 and 240 seconds (SPEC M4), one that will not never; then the next
channel has its turn, until one of them proves that it was delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.channels.vendor import Channel, Fate, Outcome
from hub.messages.states import AttemptState, State
from hub.messages.steps import note
from hub.messages.tables import Attempt, Message
from hub.work import Job, Work

PAUSES = (timedelta(seconds=60), timedelta(seconds=120), timedelta(seconds=240))
# The vendor may still be working on a request that we gave up waiting for.
ASK_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a message, and of its request."""

    state: State
    attempt: AttemptState
    due_at: datetime
    channel: Channel
    tries: int
    reason: str | None = None


def after_answer(outcome: Outcome, channels: Sequence[Channel], channel: Channel, tries: int, now: datetime) -> Next:
    """What follows the vendor's answer to the request that was number `tries` over this channel."""
    match outcome.fate:
        case Fate.ACCEPTED:
            return Next(State.SENT, AttemptState.SENT, now, channel, tries)
        case Fate.UNKNOWN:
            return Next(State.UNKNOWN, AttemptState.UNKNOWN, now + ASK_AFTER, channel, tries, "no_answer")
        case Fate.OPERATOR:
            # It says nothing of this message, which keeps its tries; when the account is spared until, and whether
            # another vendor stands in, is seen when it is claimed again.
            return Next(State.QUEUED, AttemptState.REFUSED, now, channel, tries - 1, "vendor_account")
        case Fate.PASSING if tries <= len(PAUSES):
            pause = max(PAUSES[tries - 1], timedelta(seconds=outcome.retry_after_s or 0))
            return Next(State.QUEUED, AttemptState.REFUSED, now + pause, channel, tries, "try_again")
    reason = "gave_up" if outcome.fate is Fate.PASSING else "refused"
    state, channel_after = next_channel(channels, channel)
    if state is State.QUEUED:
        return Next(state, AttemptState.REFUSED, now, channel_after, 0, reason)
    return Next(state, AttemptState.REFUSED, now, channel, tries, reason)


def next_channel(channels: Sequence[Channel], channel: Channel) -> tuple[State, Channel]:
    """Queued over the channel after this one, or failed when there is none."""
    rest = channels[channels.index(channel) + 1 :]
    return (State.QUEUED, rest[0]) if rest else (State.FAILED, channel)


async def after_failure(work: Work, message: Message, attempt: Attempt, state: State, reason: str) -> None:
    """A request that the vendor had taken failed after all: the next channel has its turn, or it ends in `state`.

    The message is locked, and `attempt` its latest. It surely was not delivered, so nothing is told twice.
    """
    following, channel = next_channel([Channel(each) for each in message.channels], Channel(message.channel))
    message.lease_until = None
    message.reason = reason
    message.updated_at = work.now
    if following is not State.QUEUED:
        message.state = state
        await note(work, message.id, state, attempt=attempt.number, channel=attempt.channel, reason=reason)
        return
    await note(work, message.id, state, attempt=attempt.number, channel=attempt.channel, reason=reason)
    message.state, message.channel, message.tries, message.due_at = State.QUEUED, channel, 0, work.now
    await note(work, message.id, State.QUEUED, channel=channel, reason="next_channel")
    work.later(Job("deliver", message.lane, (str(work.tenant),)))
