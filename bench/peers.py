"""The hub beside its peers, on the same work in one run: `python -m bench.peers --harness FOLDER`.

The harness measures any WebSocket server that `adapters/` tells it how to run; it has the peers', and we bring ours. It
brings Redis and the clients too. Here PostgreSQL is started, which keeps what it commits, with the people in it; it
runs on the core that the harness leaves to everything but the server.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import click

from bench.errors import BenchError
from bench.helpers import ROOT
from bench.peer_publisher import KEPT
from bench.people import CLINIC, open_clinic
from bench.servers import new_folder, stores
from hub.local.errors import StartError
from hub.settings import Settings
from hub.wiring import build

PEOPLE = 10_000
OTHER_CORES = {1}
# Here the server is killed and comes back: what was announced has to be in Postgres by then.
KILLS = "e"


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--harness", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scenarios", default="abc,d,e", show_default=True)
@click.option("--peers", default="ours,hub-frame", show_default=True)
@click.argument("more", nargs=-1)
def main(harness: Path, scenarios: str, peers: str, more: tuple[str, ...]) -> None:
    """Run the harness; what else is given goes to it, as `--repeats 3`."""
    os.sched_setaffinity(0, OTHER_CORES)
    wanted = scenarios.split(",")
    parts = [[each for each in wanted if each != KILLS], [each for each in wanted if each == KILLS]]
    try:
        with new_folder() as folder, stores(folder) as kept:
            env = asyncio.run(_prepare(kept.env(), folder / "clinic"))
            for part in filter(None, parts):
                keeps = {KEPT: "1"} if KILLS in part else {}
                command: list[str | Path] = [harness / "run.sh", "--scenarios", ",".join(part), "--peers", peers, *more]
                subprocess.run(command, env=os.environ | env | keeps, check=True)
    except (BenchError, StartError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}")


async def _prepare(env: dict[str, str], clinic: Path) -> dict[str, str]:
    """Fill the database; the environment of the harness, and so of all that it starts."""
    async with build(Settings.model_validate({name.lower(): value for name, value in env.items()}), "bench") as house:
        (await open_clinic(house, PEOPLE)).write(clinic)
    return {
        "DATABASE_URL": env["DATABASE_URL"],
        "HUB_KEYS": env["HUB_KEYS"],
        CLINIC: str(clinic),
        "HUB_BENCH_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "BENCH_ADAPTERS": str(ROOT / "bench" / "adapters"),
    }


if __name__ == "__main__":
    main()
