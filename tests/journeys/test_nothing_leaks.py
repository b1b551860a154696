"""What patients are told, and where, stays between them and the clinic.

A thousand messages go out by real processes while vendors fail and quote what they were given, and callers make
mistakes with it. None of it is found in logs, in Redis, in anybody else's answers, or in clear in the database.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from pydantic import SecretStr

from bench.servers import Web
from hub.channels.vendor import Channel
from hub.local.ports import free_port
from hub.messages.compose import Sending, send_from_template, send_message
from hub.people.choices import Topic
from hub.people.contact_points import set_contact
from hub.people.patients import add_patient
from hub.settings import Settings
from hub.templates.render import Variable
from hub.templates.versions import Words, add_template, publish
from hub.wiring import House, build
from hub.work import SYSTEM
from tests.channels.fakes import FakeVendors, fake_vendors
from tests.conftest import HUB_KEYS
from tests.factories import Clinic, make_key, open_clinic, zone_at_noon
from tests.journeys.tap import Tap
from tests.realtime.conftest import cookie_for
from tests.servers import fresh_database, own_valkey

MESSAGES, BY_API, PATIENTS = 1_000, 150, 120
WITHIN_S = 180.0
TOKEN = "a-token-for-reports-only"
# The bird's name in everything that is said, and the middle of every number.
BIRD = "Kanarie"
QUOTED = "+966507310099"
ADDRESS = "/api/v1/messages"
# Of the sandbox: taken, refused, passing, bounced, without an answer.
ENDINGS = ("0100", "0101", "0102", "0001", "0002", "0003", "0005")
MAILBOXES = ("", "fail+", "bounce+", "busy+", "complaint+")

NUMBER = re.compile(rb"(?<![0-9a-f])(?:\+?966|0)?507310\d{3}(?![0-9a-f])")
SAID = re.compile(
    b"|".join(
        re.escape(form)
        for word in (BIRD, BIRD.lower(), BIRD.upper())
        for form in (
            word.encode(),
            word.encode().hex().encode(),
            base64.b64encode(word.encode() * 3)[4:12],
        )
    )
)


def leaks(kept: bytes) -> list[bytes]:
    """What is found, with what stands around it."""
    return [
        kept[max(0, found.start() - 60) : found.end() + 60]
        for pattern in (SAID, NUMBER)
        for found in pattern.finditer(kept)
    ]


@dataclass
class City:
    """Two clinics, the processes that serve them, and the vendor that fails."""

    house: House
    clinic: Clinic
    other: Clinic
    url: str
    fakes: FakeVendors
    patients: list[uuid.UUID] = field(default_factory=list)

    async def add_patients(self) -> None:
        zone = zone_at_noon(self.house.clock())
        async with self.house.open_work(self.clinic.id, SYSTEM) as work:
            for number in range(PATIENTS):
                name = f"{BIRD} Sara {number}" if number % 2 else f"سارة {BIRD.upper()} {number}"
                patient = await add_patient(work, name=name, language=("en", "ar")[number % 2], zone=zone)
                # One number may be several patients': a family's.
                ending = ENDINGS[number % len(ENDINGS)]
                phone = f"+96650731{ending}" if ending.startswith("00") else f"+9665073100{number % 90:02}"
                await set_contact(work, patient.id, "phone", phone)
                mailbox = MAILBOXES[number % len(MAILBOXES)]
                email = f"{mailbox.rstrip('+') or BIRD}@{BIRD}{number}.example"
                await set_contact(work, patient.id, "email", email)
                self.patients.append(patient.id)

    async def add_templates(self) -> None:
        for channel in Channel:
            words = Words(
                bodies={"en": "Dear { $patient }: { $reason }", "ar": "مرحبًا { $patient }: { $reason }"},
                subjects={"en": "Your visit", "ar": "زيارتك"} if channel is Channel.EMAIL else {},
                variables=(
                    Variable("patient", "text", "personal", "Sara"),
                    Variable("reason", "text", "personal", "The clinic is closed"),
                ),
            )
            async with self.house.open_work(self.clinic.id, SYSTEM) as work:
                await publish(work, (await add_template(work, "moved", channel, "reminders", words)).template_id)

    async def queue(self, count: int) -> None:
        dice = random.Random(7)
        for start in range(0, count, 100):
            async with self.house.open_work(self.clinic.id, SYSTEM) as work:
                for number in range(start, min(count, start + 100)):
                    patient = dice.choice(self.patients)
                    channels = tuple(dice.sample(list(Channel), k=dice.randint(1, 3)))
                    lane = dice.choice(["critical", "normal", "bulk"])
                    sending = Sending(patient, channels=channels, lane=lane)
                    if number % 2:
                        values = {"reason": f"{BIRD} fever {number}"}
                        await send_from_template(work, replace(sending, code="moved", values=values))
                    else:
                        said = f"Your {BIRD} result, see https://noor.example/{BIRD.lower()}/{number}"
                        own = replace(sending, topic=Topic.RESULTS, subject=f"About {BIRD}", text=said)
                        await send_message(work, own)

    def body(self, number: int) -> dict[str, Any]:
        """What a practice system sends, files and all."""
        content = base64.b64encode(f"%PDF-1.7 {BIRD}".encode()).decode()
        return {
            "patient": {"id": str(self.patients[number % len(self.patients)])},
            "topic": "results",
            "subject": f"{BIRD} {number}",
            "text": f"The {BIRD} is well, {number}",
            "channels": ["email", "sms"],
            "attachments": [{"name": f"{BIRD}.pdf", "content_type": "application/pdf", "content": content}],
        }

    def mistakes(self) -> list[dict[str, Any] | bytes]:
        """Requests with everything in the wrong place."""
        sound = self.body(0)
        patient = sound["patient"]
        return [
            f'{{"text": "{BIRD}'.encode(),
            sound | {"text": {"inner": BIRD}},
            sound | {"text": f"{BIRD}\x00"},
            sound | {"topic": BIRD},
            sound | {"channels": [BIRD]},
            sound | {"lane": QUOTED},
            sound | {"send_at": f"{BIRD} o'clock"},
            sound | {"patient": {"id": QUOTED}},
            sound | {"patient": {"external_id": QUOTED}},
            sound | {"attachments": [{"name": f"../{BIRD}", "content_type": "application/pdf", "content": BIRD}]},
            sound | {"attachments": [{"name": BIRD, "content_type": "application/pdf", "content": BIRD + "="}]},
            sound | {"channels": ["sms"]},
            {"patient": patient, "code": "moved", "variables": {"reason": {"amount": BIRD}}},
            {"patient": patient, "code": "moved", "variables": {}},
            {"patient": patient, "code": "moved", "variables": {"reasn": BIRD}},
            {"patient": {"id": str(uuid.uuid4())}, "topic": "results", "text": BIRD},
        ]

    async def settled(self, session: asyncpg.Connection) -> None:
        """Wait until nothing is due or under way."""
        left = "SELECT count(*) FROM messages WHERE state = 'sending' OR state = 'queued' AND due_at <= now()"
        async with asyncio.timeout(WITHIN_S):
            while await session.fetchval(left):
                await asyncio.sleep(0.2)


@contextmanager
def processes(env: dict[str, str], folder: Path) -> Iterator[tuple[Web, Web]]:
    """A web process and a worker, as in production."""
    web, worker = (Web(folder / f"{name}.log", env, ("hub", name)) for name in ("web", "worker"))
    web.start()
    worker.start()
    try:
        web.wait()
        yield web, worker
    finally:
        web.stop()
        worker.stop()


@asynccontextmanager
async def open_city(database_url: str, redis_url: str, fakes: FakeVendors, folder: Path) -> AsyncIterator[City]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        "PATH": os.defpath,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "HUB_KEYS": HUB_KEYS,
        "PUBLIC_URL": url,
        "PORT": str(port),
        "SMS_VENDORS": "unifonic",
        "UNIFONIC_APP_SID": "app",
        "UNIFONIC_SMS_SENDER": "Noor",
        "UNIFONIC_REPORT_TOKEN": TOKEN,
        "UNIFONIC_SMS_URL": fakes.url,
        "UNIFONIC_PER_SECOND": "500",
    }
    keys = SecretStr(HUB_KEYS)
    settings = Settings(database_url=SecretStr(database_url), redis_url=SecretStr(redis_url), hub_keys=keys)
    async with build(settings, "test") as house:
        city = City(house, await open_clinic(house), await open_clinic(house, slug="other"), url, fakes)
        await city.add_patients()
        await city.add_templates()
        with processes(env, folder):
            yield city


def misbehave(fakes: FakeVendors) -> None:
    """Fail in every way, and quote what was given."""
    quoting = f"Cannot deliver '{BIRD} fever' to {QUOTED}"
    said = {"success": False, "message": quoting, "errorCode": "ER-15", "data": {"to": QUOTED, "body": BIRD}}
    fakes._follow(
        {
            "chances": [
                (0.06, {"status": 500, "body": f"<h1>{quoting}</h1>"}),
                (0.06, {"status": 400, "body": said}),
                (0.04, {"status": 200, "body": said | {"errorCode": "ER-00"}}),
                (0.04, {"status": 429, "body": quoting, "headers": {"Retry-After": "1"}}),
                (0.02, {"cut_before": True}),
                (0.02, {"cut_midway": True, "takes": True}),
                (0.76, {"delay_s": 0.002}),
            ]
        }
    )


async def ask_wrongly(city: City, key: str) -> list[str]:
    """Make every mistake; returns what was answered."""
    answers = []
    async with httpx.AsyncClient(base_url=city.url, headers={"authorization": f"Bearer {key}"}, timeout=30) as program:
        for mistake in city.mistakes():
            raw = {"content": mistake, "headers": {"content-type": "application/json"}}
            answer = await program.post(ADDRESS, **(raw if isinstance(mistake, bytes) else {"json": mistake}))
            assert 400 <= answer.status_code < 500, (mistake, answer.text)
            answers.append(answer.text)
        for path in (f"{ADDRESS}/{BIRD}", f"{ADDRESS}?q={BIRD}&state={BIRD}", f"{ADDRESS}?before={BIRD}"):
            answer = await program.get(path)
            assert 400 <= answer.status_code < 500, (path, answer.text)
            answers.append(answer.text)
        form = {"MessageID": "1", "Status": "Undelivered", "Recipient": QUOTED, BIRD: QUOTED}
        report = await program.post(f"/webhooks/unifonic/{TOKEN}/sms", data=form)
        assert report.is_success, report.text
        answers.append(report.text)
    return answers


async def send_by_api(city: City, key: str) -> list[str]:
    """Send some by the API; returns their ids."""
    async with httpx.AsyncClient(base_url=city.url, headers={"authorization": f"Bearer {key}"}, timeout=60) as program:
        room = asyncio.Semaphore(8)

        async def send(number: int) -> str:
            async with room:
                answer = await program.post(ADDRESS, json=city.body(number))
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        return list(await asyncio.gather(*map(send, range(BY_API))))


async def look_as_another(city: City, ids: Sequence[str]) -> list[str]:
    """What the other clinic's program and its people, and a clinician of this one, are answered."""
    key = await make_key(city.house, city.other)
    answers = []
    api = [ADDRESS, f"{ADDRESS}?q={BIRD}", "/api/v1/patients", *(f"{ADDRESS}/{each}" for each in ids[:5])]
    pages = ("/console/messages", f"/console/messages/{ids[0]}", "/console/outbox", "/console/patients")
    async with httpx.AsyncClient(base_url=city.url, headers={"authorization": f"Bearer {key}"}, timeout=30) as program:
        answers += [await program.get(path) for path in api]
        answers.append(await program.post(f"{ADDRESS}/{ids[0]}/retry"))
    for person in (city.other.admin, city.clinic.omar):
        cookie = {"cookie": await cookie_for(city.house, person)}
        async with httpx.AsyncClient(base_url=city.url, headers=cookie, timeout=30) as browser:
            answers += [await browser.get(path) for path in pages]
    # A search is shown to whoever searched.
    return [answer.text.replace(f"q={BIRD}", "") for answer in answers]


async def rows_of(session: asyncpg.Connection) -> AsyncIterator[tuple[str, bytes]]:
    """Every row of every table, without patients' names."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    for (table,) in await session.fetch(tables):
        row = "to_jsonb(t) - 'name'" if table == "patients" else "to_jsonb(t)"
        for (found,) in await session.fetch(f'SELECT ({row})::text FROM "{table}" AS t'):
            yield table, found.encode()


async def test_a_thousand_messages_leave_no_trace_of_what_they_say_or_to_whom(tmp_path: Path) -> None:
    with own_valkey(rdbcompression="no") as valkey:
        tap = Tap(valkey.url())
        async with fresh_database() as url, fake_vendors() as fakes, tap.open():
            misbehave(fakes)
            session = await asyncpg.connect(url)
            async with open_city(url, valkey.url(), fakes, tmp_path) as city:
                key = await make_key(city.house, city.clinic)
                _, ids = await asyncio.gather(city.queue(MESSAGES - BY_API), send_by_api(city, key))
                answers = await ask_wrongly(city, key)
                await city.settled(session)
                answers += await look_as_another(city, ids)
                # What vendors report by themselves is applied a little later.
                await asyncio.sleep(3)
            states = dict(await session.fetch("SELECT state, count(*) FROM messages GROUP BY state"))
            assert sum(states.values()) == MESSAGES
            assert len(fakes.taken) > MESSAGES / 10
            assert {"sent", "delivered"} & set(states), states
            tables = set()
            async for table, row in rows_of(session):
                tables.add(table)
                assert not leaks(row), (table, leaks(row))
            assert {"messages", "message_attempts", "message_steps", "message_attachments", "vendor_events"} <= tables
            # What is looked for would be found.
            assert leaks((await session.fetchval("SELECT string_agg(name, ' ') FROM patients")).encode())
            await session.close()
    for answer in answers:
        assert not leaks(answer.encode()), leaks(answer.encode())
    assert b"enqueue" in tap.heard or b"arq:job" in tap.heard
    assert not leaks(bytes(tap.heard))
    for held in tap.held:
        assert not leaks(held)
    for log in tmp_path.glob("*.log"):
        assert not leaks(log.read_bytes()), (log.name, leaks(log.read_bytes())[:3])
        assert '"level": "error"' not in log.read_text(), log.read_text()[-2000:]
    assert leaks(f"to {QUOTED}".encode())
    assert leaks(BIRD.encode().hex().encode())
