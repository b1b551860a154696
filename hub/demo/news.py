"""A week of notifications to the demo's staff."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from hub.demo.past import at
from hub.demo.people import DemoClinic
from hub.inbox.kinds import Kind, Priority
from hub.inbox.marks import read_all
from hub.inbox.notify import Notice, Wording, notify
from hub.people.roles import Role
from hub.people.tables import Staff
from hub.wiring import House
from hub.work import SYSTEM

DAYS_OF_NEWS = 7
NEWS: tuple[tuple[str, Role, Kind, Priority, dict[str, Wording]], ...] = (
    (
        "noor",
        Role.PROVIDER,
        Kind.SYSTEM,
        Priority.LOW,
        {
            "en": Wording("Sunday's duty roster is out", "You are on call from 16:00."),
            "ar": Wording("صدر جدول مناوبات يوم الأحد", "تبدأ مناوبتك الساعة 16:00."),
        },
    ),
    (
        "noor",
        Role.PROVIDER,
        Kind.LICENSE_EXPIRY,
        Priority.HIGH,
        {
            "en": Wording("Your licence expires in 30 days", "SCFHS registration · renew it before 21 December."),
            "ar": Wording("تنتهي رخصتك خلال 30 يومًا", "تسجيل الهيئة السعودية للتخصصات الصحية · يُرجى التجديد."),
        },
    ),
    (
        "noor",
        Role.FRONT_DESK,
        Kind.SYSTEM,
        Priority.MEDIUM,
        {
            "en": Wording("Card terminal 2 is back", "It was away for maintenance this morning."),
            "ar": Wording("عاد جهاز الدفع رقم 2 إلى العمل", "كان متوقفًا للصيانة هذا الصباح."),
        },
    ),
    (
        "noor",
        Role.PROVIDER,
        Kind.CME_DEADLINE,
        Priority.MEDIUM,
        {
            "en": Wording("CME cycle ends in 60 days", "18 of 30 credits earned."),
            "ar": Wording("تنتهي دورة التعليم الطبي المستمر خلال 60 يومًا", "أُنجزت 18 ساعة من 30."),
        },
    ),
    (
        "lakeside",
        Role.ADMIN,
        Kind.COMPLIANCE_ALERT,
        Priority.CRITICAL,
        {
            "en": Wording(
                "Licence past its date, still active", "Dr. Maria Alvarez · Illinois 036-118842 · 3 days over."
            ),
        },
    ),
    (
        "lakeside",
        Role.PROVIDER,
        Kind.LICENSE_EXPIRY,
        Priority.HIGH,
        {"en": Wording("DEA registration expires in 14 days", "Illinois · renew it before 5 December.")},
    ),
)


async def tell_a_week_of_news(house: House, clinic: DemoClinic) -> None:
    """Something new on each of the last days; what is older was read."""
    mine = [news for news in NEWS if news[0] == clinic.slug]
    for days in range(DAYS_OF_NEWS, 0, -1):
        when = house.clock() - timedelta(days=days, hours=days % 5, minutes=7 * days)
        _, role, kind, priority, words = mine[days % len(mine)]
        async with at(house, when)(clinic.id, SYSTEM) as work:
            notice = Notice(kind, lambda language, words=words: words.get(language, words["en"]), priority=priority)  # type: ignore[misc]
            await notify(work, role, notice)
            if days > 3:
                for person in (await work.session.execute(select(Staff.id))).scalars().all():
                    await read_all(work, person, 2**53)
