"""The sandbox: every magic address does what its row says, and nothing leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from hub.channels.sandbox import MAGIC, PLAIN, Magic, Sandbox, magic_of
from hub.channels.vendor import AddressFault, Channel, Fate, ReportKind
from tests.channels.conftest import Write
from tests.conftest import MovableClock

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SMS, WHATSAPP, EMAIL = Channel.SMS, Channel.WHATSAPP, Channel.EMAIL
ONCE, SOON, LATER = timedelta(0), timedelta(seconds=5), timedelta(seconds=30)
DELIVERED = (ReportKind.DELIVERED, ONCE)

ROWS = [
    (SMS, "+966500000001", Fate.PERMANENT, AddressFault.INVALID, []),
    (WHATSAPP, "+966500000001", Fate.PERMANENT, AddressFault.INVALID, []),
    (SMS, "+966500000002", Fate.PASSING, None, []),
    (SMS, "+966500000003", Fate.ACCEPTED, None, [(ReportKind.FAILED, SOON)]),
    (SMS, "+966500000004", Fate.UNKNOWN, None, []),
    (SMS, "+966500000005", Fate.PERMANENT, AddressFault.OPTED_OUT, []),
    (SMS, "+966500000006", Fate.ACCEPTED, None, [(ReportKind.DELIVERED, LATER)]),
    (WHATSAPP, "+966500000007", Fate.ACCEPTED, None, [DELIVERED, (ReportKind.READ, SOON)]),
    (SMS, "+966500000007", Fate.ACCEPTED, None, [DELIVERED]),
    (SMS, "+966500000100", Fate.ACCEPTED, None, [DELIVERED]),
    (EMAIL, "fail@example.org", Fate.PERMANENT, None, []),
    (EMAIL, "busy@example.org", Fate.PASSING, None, []),
    (EMAIL, "soft@example.org", Fate.ACCEPTED, None, [(ReportKind.SOFT_BOUNCED, SOON)]),
    (EMAIL, "Bounce+family@example.org", Fate.ACCEPTED, None, [(ReportKind.BOUNCED, SOON)]),
    (EMAIL, "complaint@example.org", Fate.ACCEPTED, None, [DELIVERED, (ReportKind.COMPLAINED, SOON)]),
    (EMAIL, "unknown@example.org", Fate.UNKNOWN, None, []),
    (EMAIL, "slow@example.org", Fate.ACCEPTED, None, [(ReportKind.DELAYED, SOON), (ReportKind.DELIVERED, LATER)]),
    (EMAIL, "read@example.org", Fate.ACCEPTED, None, [DELIVERED, (ReportKind.OPENED, SOON)]),
    (EMAIL, "failing@example.org", Fate.ACCEPTED, None, [DELIVERED]),
    (EMAIL, "0001@example.org", Fate.ACCEPTED, None, [DELIVERED]),
]


@pytest.fixture
def sandbox(clock: MovableClock) -> Sandbox:
    clock.stop(NOW)
    return Sandbox(clock, 1000)


@pytest.mark.parametrize(("channel", "to", "fate", "fault", "told"), ROWS)
async def test_an_address_is_answered_as_its_row_says(
    sandbox: Sandbox,
    write: Write,
    channel: Channel,
    to: str,
    fate: Fate,
    fault: AddressFault | None,
    told: list[object],
) -> None:
    outgoing = write(channel=channel, to=to)
    outcome = await sandbox.send(outgoing)
    assert (outcome.fate, outcome.fault) == (fate, fault)
    assert [(report.kind, report.occurred_at - NOW) for report in outcome.foretold] == told
    assert {report.vendor_id for report in outcome.foretold} <= {outcome.vendor_id}
    assert {report.reference for report in outcome.foretold} <= {outgoing.reference}
    assert {report.address for report in outcome.foretold} <= {to}
    assert (outcome.vendor_id is None) == (fate is not Fate.ACCEPTED)


def test_every_row_is_tried_here() -> None:
    tried = {magic_of(channel, to).address for channel, to, *_ in ROWS}
    assert tried == {magic.address for magic in (*MAGIC, PLAIN)}


def test_rows_are_told_apart() -> None:
    keys = [(channel, magic.address) for magic in MAGIC for channel in magic.channels]
    assert len(set(keys)) == len(keys)
    assert all(magic.says for magic in (*MAGIC, PLAIN))


@pytest.mark.parametrize("magic", [magic for magic in MAGIC if magic.fate is Fate.UNKNOWN], ids=lambda m: m.address)
async def test_asked_later_it_had_what_it_did_not_answer(sandbox: Sandbox, write: Write, magic: Magic) -> None:
    channel = EMAIL if EMAIL in magic.channels else SMS
    to = f"{magic.address}@example.org" if channel is EMAIL else f"+96650000{magic.address}"
    found = await sandbox.ask(write(channel=channel, to=to), None, NOW)
    assert found is not None
    assert (found.fate, [report.kind for report in found.foretold]) == (Fate.ACCEPTED, [ReportKind.DELIVERED])


async def test_asked_twice_it_tells_the_same(sandbox: Sandbox, write: Write) -> None:
    outgoing = write()
    sent, asked = await sandbox.send(outgoing), await sandbox.ask(outgoing, None, NOW)
    assert sent == asked
    assert (await sandbox.send(write())).vendor_id != sent.vendor_id


async def test_asked_about_what_it_refused_it_never_had_it(sandbox: Sandbox, write: Write) -> None:
    found = await sandbox.ask(write(to="+966500000002"), None, NOW)
    assert found is not None
    assert found.fate is Fate.PASSING


async def test_it_costs_nothing_and_closes(sandbox: Sandbox, write: Write) -> None:
    assert (await sandbox.send(write())).cost in {None, Decimal(0)}
    await sandbox.close()
