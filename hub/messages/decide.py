"""Whether a message may leave now, over which channel, or why not (pure): asked again at every moment of sending."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.channels.vendor import Channel
from hub.messages.states import State
from hub.people.quiet_hours import next_decent_moment

# Reasons that are about the matter, whatever the channel.
WITHDRAWN = "withdrawn"
EXPIRED = "expired"
QUIET_HOURS = "quiet_hours"
# Reasons that are about one channel: the next one may do.
NO_CONTACT = "no_contact"
FLAGGED = "address_flagged"
NO_WORDING = "no_wording"
NO_VENDOR = "no_vendor"

CONTACT_KIND: dict[Channel, str] = {Channel.SMS: "phone", Channel.WHATSAPP: "phone", Channel.EMAIL: "email"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision rests on, as it is at this moment.

    `withdrawn` is whether it became untrue meanwhile. `allows` says why the reader may not be told over a channel, or
    None. `contacts` are the kinds there are, and whether each is flagged. `wordings` are the channels with something to
    say; `vendors` those that are connected.
    """

    withdrawn: bool
    channels: Sequence[Channel]
    channel: Channel
    has_left_before: bool
    is_critical: bool
    expires_at: datetime | None
    zone: ZoneInfo
    allows: Callable[[Channel], str | None]
    contacts: Mapping[str, bool]
    wordings: Collection[Channel]
    vendors: Collection[Channel]


@dataclass(frozen=True, slots=True)
class Go:
    """Send it over this channel."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before then."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """It does not leave."""

    state: State
    reason: str


def decide(facts: Facts, now: datetime) -> Go | Wait | Stop:
    """What is to be done with a message that is due."""
    if facts.withdrawn:
        return Stop(State.CANCELLED, WITHDRAWN)
    if facts.expires_at is not None and facts.expires_at <= now:
        return Stop(State.SKIPPED, EXPIRED)
    refusals: list[str] = []
    for channel in facts.channels[facts.channels.index(facts.channel) :]:
        refusal = _refusal(facts, channel)
        if refusal is None:
            return _at_a_decent_hour(facts, channel, now)
        refusals.append(refusal)
    if FLAGGED in refusals:
        return Stop(State.HELD, FLAGGED)
    # What went wrong with the channel before the last says more than that there is no other.
    return Stop(State.FAILED if facts.has_left_before else State.SKIPPED, refusals[0])


def _refusal(facts: Facts, channel: Channel) -> str | None:
    kind = CONTACT_KIND[channel]
    if channel not in facts.vendors:
        return NO_VENDOR
    if (refused := facts.allows(channel)) is not None:
        return refused
    if kind not in facts.contacts:
        return NO_CONTACT
    if facts.contacts[kind]:
        return FLAGGED
    return None if channel in facts.wordings else NO_WORDING


def _at_a_decent_hour(facts: Facts, channel: Channel, now: datetime) -> Go | Wait | Stop:
    moment = now if facts.is_critical else next_decent_moment(now, facts.zone)
    if moment <= now:
        return Go(channel)
    if facts.expires_at is not None and moment >= facts.expires_at:
        return Stop(State.SKIPPED, QUIET_HOURS)
    return Wait(moment, QUIET_HOURS)
