"""Signed events of SES by SNS, at one web process: `python -m bench.webhooks`.

First as many as it takes, then at a rate with the time of each answer, from the moment it was due to be sent; then how
fast one worker applies what came in. Every event must be stored, and every message end delivered.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import click
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import func, insert, select

from bench import machine
from bench.errors import BenchError
from bench.figures import WEB, cpu_each, spread
from bench.people import open_clinic
from bench.servers import Web, new_folder, settings_of, stores
from bench.webhook_web import CERTIFICATE
from hub.channels.vendor import Channel
from hub.local.ports import free_port
from hub.messages.content import seal_content, seal_request
from hub.messages.receipts import apply_due_reports
from hub.messages.states import AttemptState, State
from hub.messages.tables import Attempt, Message, VendorEvent
from hub.people.contact_points import set_contact
from hub.people.patients import add_patient
from hub.wiring import House, build
from hub.work import SYSTEM

TOPIC = "arn:aws:sns:eu-west-1:111122223333:hub-bench"
SIGNER = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
TO = "sara@example.org"
AT_ONCE = 1000
MOST_MS, FEWEST = 100.0, 1000.0


@dataclass(frozen=True, slots=True)
class Place:
    """The web process and what it stands on."""

    port: int
    env: dict[str, str]
    key: rsa.RSAPrivateKey
    roots: dict[str, int]


@dataclass(frozen=True, slots=True)
class Answers:
    """How fast requests were answered: a second, and each one's milliseconds."""

    per_second: float
    each_ms: list[float]


@click.command()
@click.option("--count", default=10_000, show_default=True, type=click.IntRange(100), help="events as fast as it takes")
@click.option("--rate", default=1000.0, show_default=True, help="events a second whose answers are timed")
@click.option("--seconds", default=10.0, show_default=True, help="for so long")
@click.option("--callers", default=64, show_default=True, type=click.IntRange(1), help="SNS's connections")
def main(count: int, rate: float, seconds: float, callers: int) -> None:
    """Measure; fails when an event is lost, or an answer is not 204, or both targets are missed."""
    try:
        with _place() as place:
            uvloop.run(_measure(place, count, rate, seconds, callers))
    except BenchError as error:
        sys.exit(f"webhooks: {error}")


@contextmanager
def _place() -> Iterator[Place]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with new_folder() as folder, stores(folder) as kept:
        certificate = folder / "certificate.pem"
        certificate.write_bytes(_certificate(key))
        port = free_port()
        own = {"PUBLIC_URL": f"http://127.0.0.1:{port}", "PORT": str(port), "SES_TOPICS": TOPIC}
        env = {**kept.env(), **own, CERTIFICATE: str(certificate), "CANARY_EVERY_S": "0"}
        web = Web(Path(folder / "web.log"), env, ("bench.webhook_web",))
        try:
            web.start()
            web.wait()
            yield Place(port, env, key, {WEB: web.pid, "postgres": kept.postgres.pid, "bench": os.getpid()})
        finally:
            web.stop()


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")]), datetime.now(UTC)
    day, number = timedelta(days=1), x509.random_serial_number()
    made = x509.CertificateBuilder(name, name, key.public_key(), number, now - day, now + day)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def _measure(place: Place, count: int, rate: float, seconds: float, callers: int) -> None:
    timed = round(rate * seconds)
    async with build(settings_of(place.env), "bench") as house:
        tenant, names = await _sent(house, (count + timed) // 2 + 1)
        click.echo(f"… signing {count + timed:,} events", err=True)
        requests = [_request(place, _event(kind, name)) for name in names for kind in ("Send", "Delivery")][
            : count + timed
        ]
        moments = [machine.look(place.roots)]
        most = await _post(place.port, requests[:count], callers)
        moments.append(machine.look(place.roots))
        steady = await _post(place.port, requests[count:], callers, rate)
        stored = await _stored(house)
        moments.append(machine.look(place.roots))
        began = time.monotonic()
        while await apply_due_reports(house.database, house.open_work, house.keys, house.clock):
            pass
        applied = len(requests) / (time.monotonic() - began)
        moments.append(machine.look(place.roots))
        delivered = await _delivered(house, tenant)
    taking, _, applying = (before.until(after) for before, after in pairwise(moments))
    each, took, worked = spread(steady.each_ms), cpu_each(taking, count, 1e6), cpu_each(applying, len(requests), 1e6)
    click.echo(f"{callers} connections, one web process; {_busy(taking)}:")
    click.echo(f"  as many as it takes: {most.per_second:,.0f} events a second, {took[WEB]:,.0f} µs of a core each")
    click.echo(f"  at {rate:,.0f} a second: p50 {each.p50:.1f} ms, p99 {each.p99:.1f} ms, longest {each.max:.1f} ms")
    click.echo(
        f"  one worker applies {applied:,.0f} a second, {worked['bench']:,.0f} µs of a core each; {_busy(applying)}"
    )
    if stored != len(requests) or delivered != len(requests) // 2:
        raise BenchError(f"{stored} of {len(requests)} events were stored, {delivered} messages delivered")
    sys.exit(0 if most.per_second >= FEWEST and each.p99 <= MOST_MS else 1)


def _busy(counted: machine.Moment) -> str:
    return f"others kept {counted.others:.1f} cores busy"


async def _sent(house: House, count: int) -> tuple[uuid.UUID, list[str]]:
    """So many emails that SES took, each to the same address; returns SES's names for them."""
    clinic = await open_clinic(house, 1)
    async with house.open_work(clinic.tenant, SYSTEM) as work:
        patient = await add_patient(work, name="Sara Doe", language="en")
        point = await set_contact(work, patient.id, "email", TO)
    assert point is not None
    names = [f"bench-{number}" for number in range(count)]
    for start in range(0, count, AT_ONCE):
        async with house.open_work(clinic.tenant, SYSTEM) as work:
            messages = [uuid.uuid4() for _ in names[start : start + AT_ONCE]]
            same = {"tenant_id": clinic.tenant, "channel": Channel.EMAIL, "state": State.SENT}
            times = {"due_at": work.now, "created_at": work.now, "updated_at": work.now}
            asked = {"patient_id": patient.id, "topic": "reminders", "lane": "normal", "language": "en"}
            more = {"channels": ["email"], "attempt": 1, "tries": 1, "actor_kind": "system", **times, **asked}
            rows = [
                {"id": each, "sealed": seal_content(house.keys, each, {"text": ""}), **same, **more}
                for each in messages
            ]
            await work.session.execute(insert(Message), rows)
            request = {"vendor": "ses", "number": 1, "started_at": work.now, "contact_point_id": point.id}
            attempts = [
                {
                    "id": (attempt := uuid.uuid4()),
                    "message_id": message,
                    "vendor_id": name,
                    "sealed": seal_request(house.keys, attempt, {"to": TO}),
                    **same,
                    **request,
                    "state": AttemptState.SENT,
                }
                for message, name in zip(messages, names[start:], strict=False)
            ]
            await work.session.execute(insert(Attempt), attempts)
    return clinic.tenant, names


def _event(kind: str, name: str) -> str:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = [{"name": f"X-Header-{number}", "value": "x" * 60} for number in range(12)]
    mail = {
        "timestamp": at,
        "messageId": name,
        "source": "noreply@example.com",
        "destination": [TO],
        "headers": headers,
    }
    own = (
        {"delivery": {"timestamp": at, "recipients": [TO], "smtpResponse": "250 OK"}}
        if kind == "Delivery"
        else {"send": {}}
    )
    return json.dumps({"eventType": kind, "mail": mail, **own})


def _request(place: Place, message: str) -> bytes:
    """One signed notification, as it goes over the wire."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {
        "Message": message,
        "MessageId": str(uuid.uuid4()),
        "Subject": "Amazon SES Email Event Notification",
        "Timestamp": at,
        "TopicArn": TOPIC,
        "Type": "Notification",
    }
    signed = "".join(f"{name}\n{value}\n" for name, value in fields.items()).encode()
    signature = base64.b64encode(place.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode()
    proof = {"SignatureVersion": "2", "Signature": signature, "SigningCertURL": SIGNER}
    body = json.dumps(fields | proof).encode()
    head = [
        "POST /webhooks/sns HTTP/1.1",
        f"Host: 127.0.0.1:{place.port}",
        "Content-Type: text/plain; charset=UTF-8",
        "x-amz-sns-message-type: Notification",
        f"x-amz-sns-message-id: {fields['MessageId']}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


async def _post(port: int, requests: Sequence[bytes], callers: int, rate: float | None = None) -> Answers:
    """Post them over so many connections: each at its moment, or the next as soon as the last is answered."""
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    each_ms: list[float] = []
    async with _connections(port, callers) as connections:
        began = time.monotonic()

        async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                due, request = await waiting.get()
                await asyncio.sleep(due - time.monotonic())
                at = max(began, due) if rate else time.monotonic()
                writer.write(request)
                answer = await reader.readuntil(b"\r\n\r\n")
                if not answer.startswith(b"HTTP/1.1 204"):
                    raise BenchError(f"an event was answered by {answer[:40]!r}")
                each_ms.append((time.monotonic() - at) * 1000)
                waiting.task_done()

        for number, request in enumerate(requests):
            waiting.put_nowait((began + number / rate if rate else 0.0, request))
        calls = [asyncio.create_task(call(*connection)) for connection in connections]
        done = asyncio.create_task(waiting.join())
        await asyncio.wait([done, *calls], return_when=asyncio.FIRST_COMPLETED)
        took = time.monotonic() - began
        for task in calls:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    return Answers(len(requests) / took, each_ms)


@asynccontextmanager
async def _connections(port: int, count: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def _stored(house: House) -> int:
    async with house.database.of_nobody() as session:
        return (await session.execute(select(func.count()).select_from(VendorEvent))).scalar_one()


async def _delivered(house: House, tenant: uuid.UUID) -> int:
    async with house.database.of_tenant(tenant) as session:
        query = select(func.count()).select_from(Message).where(Message.state == State.DELIVERED)
        return (await session.execute(query)).scalar_one()


if __name__ == "__main__":
    main()
