"""Workers killed while they send, by the program that measures it: nothing is lost, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import sys

from hub.migrate import ROOT

WITHIN_S = 240


async def test_messages_survive_workers_that_are_killed() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.kills", "--messages", "300"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    assert "twice 0" in said.decode()
