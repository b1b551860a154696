"""The states of a message and of one request to a vendor, and which may follow which (pure)."""

from __future__ import annotations

from enum import StrEnum

from hub.channels.vendor import ReportKind


class State(StrEnum):
    """Where a message is."""

    QUEUED = "queued"  # waits for its moment, or for another try
    SENDING = "sending"  # a worker has it, under a lease
    SENT = "sent"  # the vendor has it
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"  # every way was tried
    BOUNCED = "bounced"  # the address is dead
    HELD = "held"  # waits for somebody's decision
    UNKNOWN = "unknown"  # a request without an answer: the vendor is asked before anything else happens
    SKIPPED = "skipped"  # not sent, for a reason that is kept
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """What is known of one request."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    NEVER_SENT = "never_sent"
    REFUSED = "refused"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    BOUNCED = "bounced"


# `queued → delivered` is a late proof for a channel that was given up; `failed → delivered` a vendor that corrects
# itself, which carriers do; `delivered → bounced` a mail server that took the mail and sent it back. `cancelled →
# queued` is for what was withdrawn by mistake, and `restore` alone takes it.
ALLOWED: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset(
        {State.SENDING, State.SKIPPED, State.HELD, State.CANCELLED, State.FAILED, State.DELIVERED, State.READ}
    ),
    State.SENDING: frozenset(
        {
            State.SENT,
            State.QUEUED,
            State.FAILED,
            State.BOUNCED,
            State.UNKNOWN,
            State.HELD,
            State.DELIVERED,
            State.READ,
        }
    ),
    State.SENT: frozenset({State.DELIVERED, State.READ, State.FAILED, State.BOUNCED, State.QUEUED}),
    State.DELIVERED: frozenset({State.READ, State.BOUNCED}),
    State.READ: frozenset(),
    State.FAILED: frozenset({State.DELIVERED, State.READ, State.BOUNCED, State.QUEUED}),
    State.BOUNCED: frozenset({State.QUEUED}),
    State.HELD: frozenset({State.QUEUED, State.CANCELLED, State.DELIVERED, State.READ}),
    State.UNKNOWN: frozenset(
        {State.SENT, State.QUEUED, State.FAILED, State.BOUNCED, State.DELIVERED, State.READ, State.CANCELLED}
    ),
    State.SKIPPED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.DELIVERED, State.READ, State.QUEUED}),
}
# Nothing more is done about these by itself.
SETTLED = frozenset({State.DELIVERED, State.READ, State.FAILED, State.BOUNCED, State.SKIPPED, State.CANCELLED})
# By hand, one may try again from these.
RETRYABLE = frozenset({State.FAILED, State.BOUNCED, State.HELD, State.SKIPPED})
CANCELLABLE = frozenset({State.QUEUED, State.HELD, State.UNKNOWN})

# A report never moves a request down this order, in whichever order reports come.
RANK: dict[AttemptState, int] = {
    AttemptState.SENDING: 0,
    AttemptState.UNKNOWN: 0,
    AttemptState.NEVER_SENT: 0,
    AttemptState.REFUSED: 0,
    AttemptState.SENT: 1,
    AttemptState.FAILED: 2,
    AttemptState.DELIVERED: 3,
    AttemptState.READ: 4,
    AttemptState.BOUNCED: 5,
}
REPORTED: dict[ReportKind, AttemptState] = {
    ReportKind.SENT: AttemptState.SENT,
    ReportKind.DELIVERED: AttemptState.DELIVERED,
    ReportKind.READ: AttemptState.READ,
    ReportKind.FAILED: AttemptState.FAILED,
    ReportKind.SOFT_BOUNCED: AttemptState.FAILED,
    ReportKind.BOUNCED: AttemptState.BOUNCED,
    # Whoever complains has it.
    ReportKind.COMPLAINED: AttemptState.DELIVERED,
}
_MESSAGE: dict[AttemptState, State] = {
    AttemptState.SENT: State.SENT,
    AttemptState.FAILED: State.FAILED,
    AttemptState.DELIVERED: State.DELIVERED,
    AttemptState.READ: State.READ,
    AttemptState.BOUNCED: State.BOUNCED,
}


def may_move(before: State, after: State) -> bool:
    """Whether a message may go from one state to the other."""
    return after in ALLOWED[before]


def attempt_after(before: AttemptState, kind: ReportKind) -> AttemptState:
    """The state of a request after a report; the same, when the report is late, repeated or about something else."""
    reported = REPORTED.get(kind)
    return reported if reported is not None and RANK[reported] > RANK[before] else before


def message_after(before: State, attempt: AttemptState, *, is_latest: bool) -> State:
    """The state of a message once one of its requests is known to be in this state.

    Proof of delivery counts for any request; that one failed or is on its way, for the latest alone.
    """
    after = _MESSAGE.get(attempt)
    if after is None or not (is_latest or after in (State.DELIVERED, State.READ)):
        return before
    return after if may_move(before, after) else before
