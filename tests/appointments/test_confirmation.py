"""The link to one visit: short, good for a day after it, and for nothing else."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from hub.appointments.confirmation import VisitLink, link_of, make_token, read_token
from hub.appointments.tables import Appointment
from hub.crypto import Keys
from hub.people.preference_links import Purpose, make_link, read_link
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, book_visit

KEYS = Keys({"k1": bytes(range(32))})
NOW = datetime(2026, 11, 21, 7, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TENANT, VISIT = uuid.UUID(int=7), uuid.UUID(int=2**128 - 9)


def visit(starts_in: timedelta, minutes: int = 30) -> Appointment:
    return Appointment(id=VISIT, tenant_id=TENANT, starts_at=NOW + starts_in, minutes=minutes)


def test_a_link_says_which_visit_of_which_clinic_in_63_letters() -> None:
    token = make_token(KEYS, visit(3 * DAY), NOW)
    assert read_token(KEYS, token, NOW) == VisitLink(TENANT, VISIT)
    assert len(token) == 63


@pytest.mark.parametrize(
    ("starts_in", "minutes", "lasts"),
    [
        (3 * DAY, 30, 4 * DAY + HOUR / 2),
        (3 * DAY, 240, 4 * DAY + 4 * HOUR),
        (HOUR, 30, DAY + 1.5 * HOUR),
        (-HOUR, 30, DAY),
        (-30 * DAY, 30, DAY),
    ],
    ids=["ahead", "long", "soon", "just over", "long over"],
)
def test_a_link_lasts_a_day_after_the_visit_and_at_least_a_day(
    starts_in: timedelta, minutes: int, lasts: timedelta
) -> None:
    token = make_token(KEYS, visit(starts_in, minutes), NOW)
    assert read_token(KEYS, token, NOW + lasts - timedelta(seconds=1)) is not None
    assert read_token(KEYS, token, NOW + lasts + HOUR) is None


@pytest.mark.parametrize("purpose", ["preferences", "unsubscribe"])
def test_a_link_to_a_visit_and_one_to_a_patient_never_pass_for_each_other(purpose: Purpose) -> None:
    assert read_token(KEYS, make_link(KEYS, TENANT, VISIT, purpose, None, NOW), NOW) is None
    assert read_link(KEYS, make_token(KEYS, visit(DAY), NOW), purpose, NOW) is None


async def test_the_link_in_a_message_leads_to_the_visits_page(house: House, clinic: Clinic) -> None:
    booked = await book_visit(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        start, _, token = link_of(work, booked).rpartition("/")
        assert start == f"{work.public_url}/v"
        assert read_token(work.keys, token, work.now) == VisitLink(clinic.id, booked.id)
