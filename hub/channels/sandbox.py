"""The vendor that sends nothing: it takes what would have gone out, and answers as the address asks it to.

The default of every channel. What it took stands with the requests to vendors, where the outbox page shows it; MAGIC is
the table of addresses that make it fail, wait, bounce, complain or read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.channels.vendor import AddressFault, Channel, Fate, Outcome, Outgoing, Report, ReportKind
from hub.clock import Clock

NAME = "sandbox"
PHONE = frozenset({Channel.SMS, Channel.WHATSAPP})
EMAIL = frozenset({Channel.EMAIL})

AT_ONCE = timedelta(0)
# Long enough to be seen waiting, short enough to be waited for.
A_WHILE = timedelta(seconds=5)
SLOWLY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Told:
    """A report that follows by itself, so long after the answer."""

    kind: ReportKind
    after: timedelta = AT_ONCE
    code: str | None = None
    fault: AddressFault | None = None


@dataclass(frozen=True, slots=True)
class Magic:
    """What happens to messages for an address: a number with this `ending`, or an email before its @."""

    address: str
    channels: frozenset[Channel]
    says: str
    fate: Fate = Fate.ACCEPTED
    code: str | None = None
    fault: AddressFault | None = None
    told: tuple[Told, ...] = (Told(ReportKind.DELIVERED),)

    def is_for(self, channel: Channel, to: str) -> bool:
        """Whether this is what an address asks for; what stands behind a plus before the @ is not looked at."""
        if channel not in self.channels:
            return False
        if channel is Channel.EMAIL:
            return to.partition("@")[0].partition("+")[0].lower() == self.address
        return to.endswith(self.address)


MAGIC: tuple[Magic, ...] = (
    Magic(
        "0001", PHONE, "Refused for good: there is no such number.", Fate.PERMANENT, "invalid", AddressFault.INVALID, ()
    ),
    Magic("0002", PHONE, "Refused for now, each time it is tried.", Fate.PASSING, "busy", None, ()),
    Magic("0003", PHONE, "Accepted, and then not delivered.", told=(Told(ReportKind.FAILED, A_WHILE, "undelivered"),)),
    Magic("0004", PHONE, "No answer; when asked later, it had been accepted.", Fate.UNKNOWN, "no_answer"),
    Magic("0005", PHONE, "Refused: this person sent STOP.", Fate.PERMANENT, "opted_out", AddressFault.OPTED_OUT, ()),
    Magic("0006", PHONE, "Accepted, and delivered after 30 seconds.", told=(Told(ReportKind.DELIVERED, SLOWLY),)),
    Magic(
        "0007",
        frozenset({Channel.WHATSAPP}),
        "Delivered at once, and read.",
        told=(Told(ReportKind.DELIVERED), Told(ReportKind.READ, A_WHILE)),
    ),
    Magic("fail", EMAIL, "Refused for good.", Fate.PERMANENT, "rejected", None, ()),
    Magic("busy", EMAIL, "Refused for now, each time it is tried.", Fate.PASSING, "busy", None, ()),
    Magic(
        "soft",
        EMAIL,
        "Accepted, and comes back for now: the mailbox is full.",
        told=(Told(ReportKind.SOFT_BOUNCED, A_WHILE, "mailbox_full"),),
    ),
    Magic(
        "bounce",
        EMAIL,
        "Accepted, and comes back for good: there is no such mailbox.",
        told=(Told(ReportKind.BOUNCED, A_WHILE, "no_mailbox", AddressFault.INVALID),),
    ),
    Magic(
        "complaint",
        EMAIL,
        "Delivered, and reported as spam.",
        told=(Told(ReportKind.DELIVERED), Told(ReportKind.COMPLAINED, A_WHILE, "abuse")),
    ),
    Magic("unknown", EMAIL, "No answer; when asked later, it had been accepted.", Fate.UNKNOWN, "no_answer"),
    Magic(
        "slow",
        EMAIL,
        "Accepted, delayed, and delivered after 30 seconds.",
        told=(Told(ReportKind.DELAYED, A_WHILE, "mailbox_busy"), Told(ReportKind.DELIVERED, SLOWLY)),
    ),
    Magic(
        "read",
        EMAIL,
        "Delivered at once, and opened.",
        told=(Told(ReportKind.DELIVERED), Told(ReportKind.OPENED, A_WHILE)),
    ),
)
# Every other address.
PLAIN = Magic("", PHONE | EMAIL, "Accepted, and delivered at once.")


def magic_of(channel: Channel, to: str) -> Magic:
    """What an address asks the sandbox to do."""
    return next((magic for magic in MAGIC if magic.is_for(channel, to)), PLAIN)


class Sandbox:
    """The account that nobody is billed for."""

    name = NAME
    account = NAME
    channels = frozenset(Channel)

    def __init__(self, clock: Clock, per_second: float) -> None:
        self.per_second = per_second
        self._clock = clock

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send nothing, and answer as the address asks."""
        magic = magic_of(outgoing.channel, outgoing.to)
        if magic.fate is not Fate.ACCEPTED:
            return Outcome(magic.fate, code=magic.code, fault=magic.fault)
        return self._accepted(outgoing, magic.told)

    async def ask(self, outgoing: Outgoing, vendor_id: str | None, since: datetime) -> Outcome | None:
        """What `send` took, or would have taken without the time-out, counts as had."""
        magic = magic_of(outgoing.channel, outgoing.to)
        if magic.fate in {Fate.ACCEPTED, Fate.UNKNOWN}:
            return self._accepted(outgoing, magic.told)
        return Outcome(Fate.PASSING, code=magic.code)

    async def close(self) -> None:
        """Nothing is open."""

    def _accepted(self, outgoing: Outgoing, told: Sequence[Told]) -> Outcome:
        vendor_id = f"sandbox-{outgoing.reference.hex}"
        now = self._clock()
        return Outcome(
            Fate.ACCEPTED, vendor_id=vendor_id, foretold=tuple(_report(outgoing, vendor_id, each, now) for each in told)
        )


def _report(outgoing: Outgoing, vendor_id: str, told: Told, now: datetime) -> Report:
    key = f"{vendor_id}:{told.kind}"
    return Report(
        vendor=NAME,
        transport_id=key,
        semantic_key=key,
        kind=told.kind,
        occurred_at=now + told.after,
        channel=outgoing.channel,
        vendor_id=vendor_id,
        reference=outgoing.reference,
        address=outgoing.to,
        code=told.code,
        fault=told.fault,
    )
