"""The fakes as a process: told over HTTP what to do, and asked what they took."""

from __future__ import annotations

import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from hub.channels.twilio import Account, Twilio
from hub.channels.vendor import Channel, Fate
from tests.channels.conftest import Write
from tests.conftest import MovableClock


@pytest.fixture
async def address() -> AsyncIterator[str]:
    process = await create_subprocess_exec(sys.executable, "-m", "tests.channels.fakes", stdout=PIPE)
    assert process.stdout
    yield (await process.stdout.readline()).decode().strip()
    process.kill()
    await process.wait()


async def test_another_process_tells_and_asks(address: str, clock: MovableClock, write: Write) -> None:
    account = Account("AC" + "0" * 32, "me", SecretStr("x"))
    senders = {Channel.SMS: "+15005550006"}
    twilio = Twilio(account, senders, clock, report_url=f"{address}/r", per_second=1, base_url=address, read_s=0.5)
    once = write("once")
    script = {
        "next": [{"cut_before": True, "takes": True}],
        "numbers": {"+966500000002": {"status": 503}},
        "chances": [[0.0, {"hangs": True}]],
    }
    async with httpx.AsyncClient(base_url=address) as client:
        await client.post("/control/script", json=script)
        outgoing = [once, once, write(to="+966500000002"), write("all is well")]
        fates = [(await twilio.send(each)).fate for each in outgoing]
        counts = (await client.get("/control/counts")).json()
        taken = (await client.get("/control/taken", params={"from": "1"})).json()
        await client.post("/control/reset")
        after = (await client.get("/control/counts")).json()
    await twilio.close()
    assert fates == [Fate.UNKNOWN, Fate.ACCEPTED, Fate.PASSING, Fate.ACCEPTED]
    assert (counts["asked"], counts["taken"]) == (4, 3)
    assert counts["twice"] == {"references": [str(once.reference)], "words": [f"{once.to} once"]}
    assert [each["words"] for each in taken] == ["once", "all is well"]
    assert (after["asked"], after["taken"]) == (0, 0)
