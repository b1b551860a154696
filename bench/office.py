"""A clinic whose messages are sent by worker processes, to a vendor that is a process as well and remembers everything.

Rows are written directly, many at once: what is measured is what becomes of them.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
from pydantic import SecretStr
from sqlalchemy import func, insert, select

from bench.errors import BenchError
from bench.people import open_clinic
from bench.servers import Web, new_folder, stores
from hub.demo_clock import move
from hub.messages.content import seal_content
from hub.messages.states import State
from hub.messages.tables import Message, MessageStep
from hub.migrate import ROOT
from hub.people.contact_points import set_contact
from hub.people.patients import add_patient
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import SYSTEM

TOKEN = "a-token-for-reports-only"  # noqa: S105 - of a fake
WORDS = "Your visit is tomorrow at 9:00. Reply STOP to hear no more of this. No {number}"
AT_ONCE = 2_000
FAST = 100_000


@dataclass
class Office:
    """The clinic, its workers, and the vendor's address."""

    house: House
    tenant: uuid.UUID
    patients: list[uuid.UUID]
    workers: list[Web]
    vendor: httpx.AsyncClient

    async def queue(self, count: int, lane: str, first: int = 0) -> None:
        """So many messages that are due at once, each to say its own number."""
        for start in range(first, first + count, AT_ONCE):
            numbers = range(start, min(first + count, start + AT_ONCE))
            async with self.house.open_work(self.tenant, SYSTEM) as work:
                rows = [self._row(number, lane, work.now) for number in numbers]
                await work.session.execute(insert(Message), rows)

    def _row(self, number: int, lane: str, now: datetime) -> dict[str, Any]:
        message = uuid.uuid4()
        content = {"subject": "", "text": WORDS.format(number=number)}
        return {
            "id": message,
            "tenant_id": self.tenant,
            "patient_id": self.patients[number % len(self.patients)],
            "topic": "reminders",
            "lane": lane,
            "language": "en",
            "channels": ["sms"],
            "channel": "sms",
            "sealed": seal_content(self.house.keys, message, content),
            "state": State.QUEUED,
            "due_at": now,
            "actor_kind": "system",
            "created_at": now,
            "updated_at": now,
        }

    async def states(self) -> Counter[str]:
        """How many messages are in each state."""
        async with self.house.database.of_tenant(self.tenant) as session:
            query = select(Message.state, func.count()).group_by(Message.state)
            return Counter(dict(cast(Sequence[Any], (await session.execute(query)).all())))

    async def steps(self, reason: str) -> int:
        """How often something was done for this reason."""
        async with self.house.database.of_tenant(self.tenant) as session:
            query = select(func.count()).select_from(MessageStep).where(MessageStep.reason == reason)
            return int((await session.execute(query)).scalar_one())

    async def counts(self) -> dict[str, Any]:
        """What the vendor says it took, and what of that twice."""
        return cast(dict[str, Any], (await self.vendor.get("/control/counts")).json())

    async def taken(self, start: int = 0) -> list[dict[str, Any]]:
        """What the vendor took, from this one on."""
        return cast(list[dict[str, Any]], (await self.vendor.get(f"/control/taken?from={start}")).json())

    async def script(self, **script: Any) -> None:
        """Tell the vendor how to behave."""
        (await self.vendor.post("/control/script", json=script)).raise_for_status()

    async def let_time_pass(self, by: timedelta) -> None:
        """Move every process's clock, and wait until all have it."""
        async with self.house.database.of_nobody() as session:
            await move(session, by)
        await asyncio.sleep(1.0)


@dataclass(frozen=True, slots=True)
class Street:
    """The servers, the vendor, and the environment of whatever joins them."""

    folder: Path
    address: str
    env: dict[str, str]


@contextmanager
def street() -> Iterator[Street]:
    """PostgreSQL, Valkey and a vendor, in a new folder."""
    with new_folder() as folder, stores(folder) as kept, _vendor(folder) as address:
        env = {
            **kept.env(),
            "DEMO": "true",
            "SMS_VENDORS": "unifonic",
            "UNIFONIC_APP_SID": "bench",
            "UNIFONIC_SMS_SENDER": "Noor",
            "UNIFONIC_REPORT_TOKEN": TOKEN,
            "UNIFONIC_SMS_URL": address,
            "UNIFONIC_PER_SECOND": str(FAST),
            "TENANT_PER_SECOND": str(FAST),
        }
        yield Street(folder, address, env)


@asynccontextmanager
async def open_office(where: Street, workers: int, patients: int) -> AsyncIterator[Office]:
    """A clinic at noon with this many patients, and workers that are not started yet."""
    async with (
        build(settings_at(where), "bench") as house,
        httpx.AsyncClient(base_url=where.address) as vendor,
    ):
        clinic = await open_clinic(house, 1)
        people = await _add_patients(house, clinic.tenant, patients)
        each = workers_of(where, workers)
        try:
            yield Office(house, clinic.tenant, people, each, vendor)
        finally:
            for worker in each:
                worker.stop()


def workers_of(where: Street, count: int) -> list[Web]:
    """So many worker processes, not started yet."""
    return [Web(where.folder / f"worker-{number}.log", where.env, ("hub", "worker")) for number in range(count)]


def settings_at(where: Street) -> Settings:
    """The settings of everything in this street."""
    env = where.env
    return Settings(
        database_url=SecretStr(env["DATABASE_URL"]),
        redis_url=SecretStr(env["REDIS_URL"]),
        hub_keys=SecretStr(env["HUB_KEYS"]),
        demo=True,
        sms_vendors=("unifonic",),
        unifonic_app_sid=SecretStr("bench"),
        unifonic_sms_sender="Noor",
        unifonic_report_token=SecretStr(TOKEN),
        unifonic_sms_url=where.address,
        unifonic_per_second=FAST,
        tenant_per_second=FAST,
    )


@contextmanager
def _vendor(folder: Path) -> Iterator[str]:
    log = folder / "vendor.log"
    command = [sys.executable, "-m", "tests.channels.fakes"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log.open("wb"), text=True)
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        if not address:
            raise BenchError(f"the vendor did not start: {log.read_text()[-300:]}")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=5)


async def _add_patients(house: House, tenant: uuid.UUID, count: int) -> list[uuid.UUID]:
    # Wherever it is noon now, so that nothing waits for the morning.
    hours = 12 - datetime.now(UTC).hour
    zone = f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"
    people = []
    async with house.open_work(tenant, SYSTEM) as work:
        for number in range(count):
            patient = await add_patient(work, name=f"Patient {number}", language="en", zone=zone)
            await set_contact(work, patient.id, "phone", f"+96650{number:07}")
            people.append(patient.id)
    return people
