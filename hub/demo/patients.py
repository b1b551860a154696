"""The patients of the demo's clinic: invented people, numbers that nobody has, addresses that lead nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from hub.demo.past import at
from hub.demo.people import NOOR
from hub.people.contact_points import set_contact
from hub.people.patients import open_file
from hub.people.tables import ContactPoint, Patient
from hub.wiring import House
from hub.work import SYSTEM

KNOWN_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DemoPatient:
    """A patient; the id is the practice system's."""

    external_id: str
    name: str
    language: str
    phone: str
    email: str


# The last ones have numbers and addresses to which the sandbox answers in a way of its own.
PATIENTS = (
    DemoPatient("N-1001", "Sara Al-Qahtani", "ar", "+966500000011", "sara.qahtani@example.com"),
    DemoPatient("N-1002", "عبدالله الشهري", "ar", "+966500000012", "abdullah.shehri@example.com"),
    DemoPatient("N-1003", "James Whitfield", "en", "+966500000013", "james.whitfield@example.com"),
    DemoPatient("N-1004", "فاطمة الزهراني", "ar", "+966500000014", "fatimah.zahrani@example.com"),
    DemoPatient("N-1005", "Mariam Haddad", "en", "+966500000015", "mariam.haddad@example.com"),
    DemoPatient("N-1006", "خالد العتيبي", "ar", "+966500000016", "khalid.otaibi@example.com"),
    DemoPatient("N-1007", "Priya Nair", "en", "+966500000017", "priya.nair@example.com"),
    DemoPatient("N-1008", "ريم الدوسري", "ar", "+966500000018", "reem.dosari@example.com"),
    DemoPatient("N-1009", "Thomas Berg", "en", "+966500000019", "thomas.berg@example.com"),
    DemoPatient("N-1010", "نوف القرني", "ar", "+966500000020", "nouf.qarni@example.com"),
    DemoPatient("N-1011", "Ahmed Mansour", "ar", "+966500000021", "ahmed.mansour@example.com"),
    DemoPatient("N-1012", "Lina Castillo", "en", "+966500000022", "lina.castillo@example.com"),
    DemoPatient("N-1013", "يوسف الغامدي", "ar", "+966500000023", "yousef.ghamdi@example.com"),
    DemoPatient("N-1014", "Hannah Osei", "en", "+966500000024", "bounce+hannah@example.com"),
    DemoPatient("N-1015", "جواهر المطيري", "ar", "+966500000002", "jawaher.mutairi@example.com"),
    DemoPatient("N-1016", "Daniel Kim", "en", "+966500000001", "daniel.kim@example.com"),
    DemoPatient("N-1017", "Noura Al-Harbi", "ar", "+966500000003", "read+noura@example.com"),
    DemoPatient("N-1018", "سلمان العنزي", "ar", "+966500000007", "complaint+salman@example.com"),
)


async def add_patients(house: House) -> None:
    """Open the files that are missing, and write down how to reach those of whom nothing is known."""
    async with house.database.of_tenant(NOOR.id) as session:
        reached = select(Patient.external_id).join(ContactPoint, ContactPoint.patient_id == Patient.id)
        known = set((await session.execute(reached.where(Patient.external_id.isnot(None)))).scalars())
    missing = [patient for patient in PATIENTS if patient.external_id not in known]
    if not missing:
        return
    async with at(house, house.clock() - KNOWN_FOR)(NOOR.id, SYSTEM) as work:
        for patient in missing:
            file = await open_file(
                work,
                name=patient.name,
                language=patient.language,
                usual_language=patient.language,
                external_id=patient.external_id,
            )
            await set_contact(work, file.id, "phone", patient.phone)
            await set_contact(work, file.id, "email", patient.email)
