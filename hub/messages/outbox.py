"""What the sandbox took instead of sending it, read as a mail client reads: newest first, searched by opening each.

And the other way round: what a vendor would have reported about one of them, when somebody plays the vendor.
"""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from hub.channels.sandbox import NAME
from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.crypto import CannotOpen, Keys
from hub.errors import Conflict, FieldError, Invalid, NotFound
from hub.messages.content import open_file, open_request
from hub.messages.states import AttemptState
from hub.messages.tables import Attempt, Message, MessageAttachment
from hub.people.tables import Patient, Staff

Cursor = tuple[datetime, uuid.UUID]

# A search opens so many at a time, and so many for one page: each takes some 20 µs.
OPENED_AT_ONCE = 250
MOST_OPENED = 2_500

# What a vendor may report over each channel, in the order in which it usually does.
PLAYS: dict[Channel, tuple[ReportKind, ...]] = {
    Channel.SMS: (ReportKind.DELIVERED, ReportKind.FAILED, ReportKind.STOP, ReportKind.START),
    Channel.WHATSAPP: (
        ReportKind.DELIVERED,
        ReportKind.READ,
        ReportKind.FAILED,
        ReportKind.STOP,
        ReportKind.START,
    ),
    Channel.EMAIL: (
        ReportKind.DELIVERED,
        ReportKind.OPENED,
        ReportKind.SOFT_BOUNCED,
        ReportKind.BOUNCED,
        ReportKind.COMPLAINED,
    ),
}
# As the sandbox's magic addresses say it.
CODES = {
    ReportKind.FAILED: "undelivered",
    ReportKind.SOFT_BOUNCED: "mailbox_full",
    ReportKind.BOUNCED: "no_mailbox",
    ReportKind.COMPLAINED: "abuse",
}
# Whoever says one of these twice means it twice; of all others a repeat is the same fact.
SAID_AGAIN = frozenset({ReportKind.STOP, ReportKind.START})
NEVER_TAKEN = frozenset({AttemptState.REFUSED, AttemptState.NEVER_SENT})


@dataclass(frozen=True, slots=True)
class Kept:
    """One request that the sandbox took, with what would have gone out; `is_open` is false when its key is not here.

    A test is for no patient, and for nobody on the staff.
    """

    id: uuid.UUID
    message_id: uuid.UUID
    number: int
    channel: Channel
    state: AttemptState
    code: str | None
    vendor_id: str | None
    started_at: datetime
    template: str | None
    topic: str
    language: str
    patient_id: uuid.UUID | None
    patient: str | None
    staff: str | None
    is_open: bool
    to: str
    subject: str
    text: str
    html: str

    @property
    def was_taken(self) -> bool:
        """Whether a vendor would have anything to report about it."""
        return self.state not in NEVER_TAKEN


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that goes with a mail; `size` in bytes."""

    name: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page, newest first. A search that opened enough for once leaves the rest to `older`."""

    items: list[Kept]
    older: Cursor | None
    newer: Cursor | None


async def count_kept(session: AsyncSession) -> int:
    """How many there are."""
    found = select(func.count()).select_from(Attempt).where(Attempt.vendor == NAME)
    return (await session.execute(found)).scalar_one()


async def read_outbox(
    session: AsyncSession,
    keys: Keys,
    *,
    limit: int,
    channel: Channel | None = None,
    search: str = "",
    before: Cursor | None = None,
    after: Cursor | None = None,
) -> Page:
    """A page: those older than `before`, those newer than `after`, or the newest.

    `search` is looked for in names, addresses, subjects and texts, whatever the case, accents and digits.
    """
    words = folded(search).split()
    at_once = OPENED_AT_ONCE if words else limit + 1
    shown: list[Kept] = []
    place, opened, is_end = after or before, 0, False
    while len(shown) <= limit and opened < MOST_OPENED and not is_end:
        rows = (await session.execute(_rows(channel, place, is_forward=after is not None).limit(at_once))).all()
        shown += [kept for kept in (_kept(keys, row) for row in rows) if _fits(kept, words)]
        opened += len(rows)
        is_end = len(rows) < at_once
        place = (rows[-1].started_at, rows[-1].id) if rows else place
    more = len(shown) > limit or not is_end
    farther = _cursor(shown[limit - 1]) if len(shown) > limit else place
    shown = shown[:limit]
    if after is not None:
        return Page(shown[::-1], older=_cursor(shown[0]) if shown else after, newer=farther if more else None)
    newer = _cursor(shown[0]) if shown else before
    return Page(shown, older=farther if more else None, newer=newer if before else None)


async def read_kept(session: AsyncSession, keys: Keys, attempt: uuid.UUID) -> Kept:
    """One of them. Raises NotFound."""
    row = (await session.execute(_rows(None, None, is_forward=False).where(Attempt.id == attempt))).one_or_none()
    if row is None:
        raise NotFound("The outbox holds no such message.")
    return _kept(keys, row)


async def read_attached(session: AsyncSession, keys: Keys, message: uuid.UUID) -> list[Attached]:
    """The files of a mail, as far as they can be opened."""
    query = select(MessageAttachment).where(MessageAttachment.message_id == message).order_by(MessageAttachment.place)
    found = []
    for row in (await session.execute(query)).scalars():
        try:
            name = open_file(keys, row.id, row.sealed, row.content_type).name
        except CannotOpen:
            name = ""
        found.append(Attached(name, row.content_type, row.size))
    return found


def play(kept: Kept, kind: ReportKind, now: datetime) -> Report:
    """What the vendor reports about one of them (pure). Raises Invalid for what this channel's vendors do not report.

    Raises Conflict for what the sandbox refused: of that it has nothing to report.
    """
    if kind not in PLAYS[kept.channel]:
        accepted = [each.value for each in PLAYS[kept.channel]]
        raise Invalid("This channel's vendors do not report that.", [FieldError("as", "not reported", accepted)])
    if not kept.was_taken:
        raise Conflict("The sandbox refused this message: of what it did not take it has nothing to report.")
    vendor_id = kept.vendor_id or f"{NAME}-{kept.id.hex}"
    fact = f"{vendor_id}:{kind}" + (f":{now.timestamp()}" if kind in SAID_AGAIN else "")
    return Report(
        vendor=NAME,
        transport_id=f"played:{uuid.uuid4()}",
        semantic_key=fact,
        kind=kind,
        occurred_at=now,
        channel=kept.channel,
        vendor_id=vendor_id,
        reference=kept.id,
        address=kept.to,
        code=CODES.get(kind),
        fault=AddressFault.INVALID if kind is ReportKind.BOUNCED else None,
    )


def folded(text: str) -> str:
    """Letters as people type them: small, Latin digits, no accents, hamza, tatweel or marks of direction (pure)."""
    parts = unicodedata.normalize("NFKD", text)
    plain = "".join(each for each in parts if unicodedata.category(each) not in ("Mn", "Cf"))
    return plain.translate(_SAME_LETTERS).casefold()


_SAME_LETTERS = str.maketrans("أإآٱىة٠١٢٣٤٥٦٧٨٩", "اااايه0123456789", "ـ")


def _rows(channel: Channel | None, place: Cursor | None, *, is_forward: bool) -> Select[*tuple[Any, ...]]:
    key = tuple_(Attempt.started_at, Attempt.id)
    query: Select[*tuple[Any, ...]] = (
        select(
            Attempt.id,
            Attempt.message_id,
            Attempt.number,
            Attempt.channel,
            Attempt.state,
            Attempt.code,
            Attempt.vendor_id,
            Attempt.started_at,
            Attempt.sealed,
            Message.code.label("template"),
            Message.topic,
            Message.language,
            Message.patient_id,
            Patient.name.label("patient"),
            Staff.name.label("staff"),
        )
        .join(Message, Message.id == Attempt.message_id)
        .outerjoin(Patient, Patient.id == Message.patient_id)
        .outerjoin(Staff, Staff.id == Message.staff_id)
        .where(Attempt.vendor == NAME)
    )
    if channel is not None:
        query = query.where(Attempt.channel == channel)
    if is_forward and place is not None:
        return query.where(key > tuple_(*place)).order_by(Attempt.started_at, Attempt.id)
    if place is not None:
        query = query.where(key < tuple_(*place))
    return query.order_by(Attempt.started_at.desc(), Attempt.id.desc())


def _kept(keys: Keys, row: Row[*tuple[Any, ...]]) -> Kept:
    values: dict[str, Any] = {name: value for name, value in row._mapping.items() if name != "sealed"}
    try:
        out = open_request(keys, row.id, row.sealed)
    except CannotOpen:
        out = {}
    values |= {"channel": Channel(row.channel), "state": AttemptState(row.state), "is_open": bool(out)}
    values |= {name: str(out.get(name) or "") for name in ("to", "subject", "text", "html")}
    return Kept(**values)


def _fits(kept: Kept, words: Iterable[str]) -> bool:
    text = folded(" ".join((kept.patient or kept.staff or "", kept.to, kept.subject, kept.text)))
    return all(word in text for word in words)


def _cursor(kept: Kept) -> Cursor:
    return kept.started_at, kept.id
