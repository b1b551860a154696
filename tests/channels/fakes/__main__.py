"""The fakes as a process of their own, until it is stopped; the first line it prints is its address."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

import uvloop

from tests.channels.fakes.vendors import fake_vendors


async def serve(port: int, seed: int) -> None:
    """Answer until cancelled."""
    async with fake_vendors(port, keeps_requests=False, seed=seed) as fakes:
        print(fakes.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the deeds drawn by chance")
    chosen = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(chosen.port, chosen.seed))
