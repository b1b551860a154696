"""What a report says of a number or address itself: that it is dead, that somebody complained, that they want no more.

A bounce or a complaint waits for an admin's decision; what a patient asks for is done at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.channels.vendor import AddressFault, Channel, Report, ReportKind
from hub.crypto import Keys
from hub.db import Database
from hub.messages.decide import CONTACT_KIND
from hub.messages.tables import Attempt
from hub.people.choices import choose
from hub.people.contact_points import count_soft_failure, delivered_to, find_by_address, flag_contact
from hub.people.tables import ContactPoint
from hub.people.tenants import all_tenants
from hub.work import SYSTEM, OpenWork, Work

ARRIVED = frozenset({ReportKind.DELIVERED, ReportKind.READ})


async def read_failing(session: AsyncSession, points: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of these contact points for which failures that may pass are counted."""
    failing = select(ContactPoint.id).where(ContactPoint.id.in_(points), ContactPoint.soft_failures > 0)
    return set((await session.execute(failing)).scalars())


async def note_contact(
    work: Work, event: uuid.UUID, attempt: Attempt, report: Report, failing: set[uuid.UUID], *, is_news: bool
) -> None:
    """Keep what a report says of where its request went; `failing` is kept up to date.

    A failure that may pass counts only while it is news: after a delivery it is an answer from a holiday.
    """
    point = attempt.contact_point_id
    if point is None:
        return
    if report.fault is AddressFault.OPTED_OUT:
        await _refuse(work, point, Channel(attempt.channel))
    elif report.kind is ReportKind.BOUNCED:
        await flag_contact(work, point, "bounce", event)
    elif report.kind is ReportKind.COMPLAINED:
        await flag_contact(work, point, "complaint", event)
    elif report.fault is AddressFault.INVALID and attempt.channel != Channel.WHATSAPP:
        # WhatsApp alone not knowing a number says nothing of SMS.
        await flag_contact(work, point, "invalid", event)
    elif report.kind is ReportKind.SOFT_BOUNCED and is_news:
        await count_soft_failure(work, point)
        failing.add(point)
    elif report.kind in ARRIVED and point in failing:
        await delivered_to(work, point)
        failing.discard(point)


async def _refuse(work: Work, point: uuid.UUID, channel: Channel) -> None:
    owner = select(ContactPoint.patient_id).where(ContactPoint.id == point)
    patient = (await work.session.execute(owner)).scalar_one()
    await choose(work, patient, channel=channel, allowed=False, source="vendor")


async def heed_reply(database: Database, open_work: OpenWork, keys: Keys, report: Report) -> int:
    """Stop, or start again, what goes out over a channel to whoever replied; returns for how many patients.

    It is for every patient with that address, at every clinic that wrote to it by the same vendor's account.
    """
    if report.address is None:
        return 0
    async with database.watching() as watch:
        tenants = await all_tenants(watch)
    count = 0
    for tenant in tenants:
        async with database.of_tenant(tenant) as session:
            patients = await _written_to(session, keys, report, report.address)
        if patients:
            async with open_work(tenant, SYSTEM) as work:
                for patient in patients:
                    allowed = report.kind is ReportKind.START
                    await choose(work, patient, channel=report.channel, allowed=allowed, source="reply")
            count += len(patients)
    return count


async def _written_to(session: AsyncSession, keys: Keys, report: Report, address: str) -> list[uuid.UUID]:
    """The tenant's patients with this address, if any of them was written to over this channel by this vendor."""
    points = await find_by_address(session, keys, CONTACT_KIND[report.channel], address)
    if not points:
        return []
    sent = select(Attempt.id).where(
        Attempt.contact_point_id.in_([point.id for point in points]),
        Attempt.vendor == report.vendor,
        Attempt.channel == report.channel,
    )
    written = (await session.execute(sent.limit(1))).first() is not None
    return sorted({point.patient_id for point in points}) if written else []
