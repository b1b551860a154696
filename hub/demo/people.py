"""The organisations of the demo and the people who sign in there (pure)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from hub.people.roles import Role

PASSWORD = "demo-password-2026"  # noqa: S105 - of the demo, shown on its sign-in page
CLINICIAN = "omar@noor.example"


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
