"""A believable clinic and a credentialing office, in English and Arabic, with today's visits and a week of news."""

from __future__ import annotations

import json
import os
import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from hub.appointments.board import read_visits
from hub.appointments.lifecycle import Booking, arrive, book
from hub.appointments.states import Clearance, Consent
from hub.inbox.kinds import Kind, Priority
from hub.inbox.marks import read_all
from hub.inbox.notify import Notice, Wording, notify
from hub.people.keys import add_key, list_keys, resolve_key, revoke_key
from hub.people.roles import SCOPES, Role
from hub.people.staff import add_staff
from hub.people.tables import Staff, Tenant
from hub.people.tenants import open_tenant, read_clinic
from hub.realtime.pushes import Push
from hub.wiring import House
from hub.work import SYSTEM, Actor, OpenWork, work_opener

PASSWORD = "demo-password-2026"  # noqa: S105 - of the demo, shown on its sign-in page
KEY_NAME = "Practice system (demo)"
CLINICIAN = "omar@noor.example"
DAYS_OF_NEWS = 7


@dataclass(frozen=True, slots=True)
class DemoClinic:
    """One organisation of the demo."""

    id: uuid.UUID
    slug: str
    name: str
    zone: str
    languages: list[str]


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One of its people."""

    clinic: str
    email: str
    name: str
    role: Role
    language: str


NOOR = DemoClinic(
    uuid.UUID("0a3f1c52-6c1e-4b36-9a0b-3f5f0e7a1d01"), "noor", "Noor Family Clinic", "Asia/Riyadh", ["en", "ar"]
)
LAKESIDE = DemoClinic(
    uuid.UUID("7be0d6a4-91f4-4c7e-8a55-2c1f9b6de802"),
    "lakeside",
    "Lakeside Credentialing Office",
    "America/Chicago",
    ["en"],
)
CLINICS = (NOOR, LAKESIDE)
PEOPLE = (
    DemoPerson("noor", "desk@noor.example", "Layla Haddad", Role.FRONT_DESK, "en"),
    DemoPerson("noor", "desk.ar@noor.example", "نورة السبيعي", Role.FRONT_DESK, "ar"),
    DemoPerson("noor", "omar@noor.example", "Dr. Omar Farouk", Role.PROVIDER, "en"),
    DemoPerson("noor", "huda@noor.example", "د. هدى المنصور", Role.PROVIDER, "ar"),
    DemoPerson("noor", "emily@noor.example", "Dr. Emily Chen", Role.PROVIDER, "en"),
    DemoPerson("noor", "admin@noor.example", "Sami Rahman", Role.ADMIN, "en"),
    DemoPerson("lakeside", "admin@lakeside.example", "Grace Miller", Role.ADMIN, "en"),
    DemoPerson("lakeside", "desk@lakeside.example", "Peter Novak", Role.FRONT_DESK, "en"),
    DemoPerson("lakeside", "alvarez@lakeside.example", "Dr. Maria Alvarez", Role.PROVIDER, "en"),
)
PATIENTS = (
    ("Sara Al-Qahtani", "ar"),
    ("عبدالله الشهري", "ar"),
    ("James Whitfield", "en"),
    ("فاطمة الزهراني", "ar"),
    ("Mariam Haddad", "en"),
    ("خالد العتيبي", "ar"),
    ("Priya Nair", "en"),
    ("ريم الدوسري", "ar"),
    ("Thomas Berg", "en"),
    ("نوف القرني", "ar"),
    ("Ahmed Mansour", "ar"),
    ("Lina Castillo", "en"),
    ("يوسف الغامدي", "ar"),
    ("Hannah Osei", "en"),
    ("جواهر المطيري", "ar"),
    ("Daniel Kim", "en"),
    ("Noura Al-Harbi", "ar"),
    ("سلمان العنزي", "ar"),
)
LOGINS = [
    {
        "email": person.email,
        "password": PASSWORD,
        "name": person.name,
        "role": person.role.value,
        "tenant": next(clinic.name for clinic in CLINICS if clinic.slug == person.clinic),
    }
    for person in PEOPLE
]

# A day of visits, in minutes from now: some are waiting, one is late, most are still to come.
VISITS_FROM_NOW = range(-60, 240, 17)


@dataclass(frozen=True, slots=True)
class Filled:
    """What scripts need to know."""

    api_key: str
    clinician: uuid.UUID


async def fill(house: House, kept_key: str | None = None) -> Filled:
    """Fill what is missing; run again, it only adds today's visits, and a new key unless the one kept still works."""
    for clinic in CLINICS:
        async with house.database.of_tenant(clinic.id) as session:
            known = (await session.execute(select(Tenant.id).where(Tenant.id == clinic.id))).scalar_one_or_none()
        if known is None:
            await _open(house, clinic)
            await _tell_a_week_of_news(house, clinic)
    key = kept_key
    if key is None or await resolve_key(house.database, key, house.clock()) is None:
        key = await _new_key(house)
    await _plan_today(house)
    async with house.database.of_tenant(NOOR.id) as session:
        omar = (await session.execute(select(Staff.id).where(Staff.email == CLINICIAN))).scalar_one()
    return Filled(key, omar)


async def _new_key(house: House) -> str:
    """A key in place of those whose text was lost."""
    async with house.open_work(NOOR.id, SYSTEM) as work:
        for lost in await list_keys(work.session, None, 100):
            if lost.name == KEY_NAME:
                await revoke_key(work, lost.id)
        _, key = await add_key(work, KEY_NAME, SCOPES)
    return key


async def _open(house: House, clinic: DemoClinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await open_tenant(work.session, clinic.slug, clinic.name, clinic.zone, clinic.languages, work.now)
        for person in PEOPLE:
            if person.clinic == clinic.slug:
                await add_staff(
                    work,
                    email=person.email,
                    name=person.name,
                    role=person.role,
                    language=person.language,
                    password=PASSWORD,
                )


async def _plan_today(house: House) -> None:
    async with house.database.of_tenant(NOOR.id) as session:
        clinic = await read_clinic(session, NOOR.id)
        now = house.clock()
        since, until = clinic.bounds_of(clinic.today(now))
        if await read_visits(session, since, until, limit=1):
            return
        people = (await session.execute(select(Staff).order_by(Staff.email))).scalars().all()
    clinicians = [person.id for person in people if person.role == Role.PROVIDER]
    desk = next(person.id for person in people if person.role == Role.FRONT_DESK)
    dice = random.Random(now.toordinal())  # noqa: S311 - invents a day, guards nothing
    # Late in the evening the day is planned backwards, so that it always has visits.
    latest = until - timedelta(minutes=10)
    first = min(now + timedelta(minutes=VISITS_FROM_NOW[0]), latest - timedelta(minutes=300))
    first = max(since, first)
    for index, (name, language) in enumerate(PATIENTS):
        starts_at = first + timedelta(minutes=17 * index)
        starts_at = starts_at.replace(minute=starts_at.minute // 5 * 5, second=0, microsecond=0)
        if starts_at >= until:
            break
        booking = Booking(
            patient_name=name,
            patient_language=language,
            clinician_id=clinicians[index % len(clinicians)],
            starts_at=starts_at,
            minutes=dice.choice((15, 20, 30)),
            clearance=dice.choice((Clearance.CLEARED, Clearance.CLEARED, Clearance.PENDING, Clearance.ISSUE)),
            consent=dice.choice((Consent.SIGNED, Consent.SIGNED, Consent.MISSING, Consent.EXPIRED)),
        )
        async with at(house, first - timedelta(days=3, minutes=-11 * index))(NOOR.id, SYSTEM) as work:
            booked = await book(work, booking)
        if index in (0, 1):
            came = min(now, starts_at) - timedelta(minutes=6 + 5 * index)
            async with at(house, came)(NOOR.id, Actor("staff", desk)) as work:
                await arrive(work, booked.id)


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


async def _tell_a_week_of_news(house: House, clinic: DemoClinic) -> None:
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


def at(house: House, moment: datetime) -> OpenWork:
    """Work done at another moment, announced to nobody: what happened before the demo began."""

    async def to_nobody(_pushes: list[Push]) -> None:
        """What is past rings no bell."""

    return work_opener(house.database, lambda: moment, house.keys, to_nobody)


def write_demo(path: Path, address: str, filled: Filled) -> None:
    """Write address, logins and API key for scripts, as JSON and, beside it, as lines for a shell to read.

    Nobody else can read them.
    """
    key = filled.api_key
    content = {"address": address, "logins": LOGINS, "api_key": key, "clinician_id": str(filled.clinician)}
    _write_secretly(path, json.dumps(content, ensure_ascii=False, indent=2))
    lines = (f"HUB={address}", f"AUTH='Authorization: Bearer {key}'", f"CLINICIAN={filled.clinician}")
    _write_secretly(path.with_suffix(".env"), "\n".join(lines) + "\n")


def kept_key(path: Path) -> str | None:
    """The API key that was written before, if the file is there and whole."""
    try:
        key = json.loads(path.read_text())["api_key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return key if isinstance(key, str) else None


def _write_secretly(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
