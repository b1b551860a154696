"""`python -m bench.chaos --seeds 200`: a line per seed, and exit code 1 when anything was lost, doubled or miscounted.

The same seed has the same faults at the same times; what the machine makes of them differs a little each time. All
processes are real and end with the program. PostgreSQL does without fsync: processes are killed here, never machines.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click
import uvloop

from bench.chaos.run import Outcome, Size, run_seed
from bench.chaos.world import world
from bench.errors import BenchError
from bench.servers import Stores, new_folder, stores
from hub.local.errors import StartError

FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


@click.command()
@click.option("--seeds", default=20, show_default=True, type=click.IntRange(1), help="how many")
@click.option("--first", default=0, show_default=True, help="the first of them")
@click.option("--seed", "only", type=int, help="this one alone, to see it again")
@click.option("--clients", default=200, show_default=True, type=click.IntRange(1))
@click.option("--notices", default=500, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=100.0, show_default=True, help="notices per second")
@click.option("--to-all", default=0.3, show_default=True, type=click.FloatRange(0, 1), help="share of the notices")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="at the same time, on own servers")
@click.option("--logs", type=click.Path(path_type=Path, file_okay=False), help="where to keep what went wrong")
def main(
    seeds: int,
    first: int,
    only: int | None,
    clients: int,
    notices: int,
    rate: float,
    to_all: float,
    jobs: int,
    logs: Path | None,
) -> None:
    """Break everything, seed after seed; every client must end with what Postgres holds, each row shown once."""
    if only is not None:
        first, seeds = only, 1
    logs = logs or Path(tempfile.mkdtemp(prefix="hub-chaos-"))
    logs.mkdir(parents=True, exist_ok=True)
    sizes = f"--clients {clients} --notices {notices} --rate {rate:g} --to-all {to_all:g}"
    if jobs > 1:
        sys.exit(_share_out(first, seeds, jobs, sizes.split(), logs))
    try:
        with new_folder() as folder, stores(folder, FAST) as kept:
            outcomes = uvloop.run(_run(kept, range(first, first + seeds), Size(clients, notices, rate, to_all), logs))
    except (BenchError, StartError) as error:
        sys.exit(f"chaos: {error} (logs: {logs})")
    click.echo(_summary(outcomes))
    failed = [outcome.schedule.seed for outcome in outcomes if outcome.wrong]
    for seed in failed:
        click.echo(f"FAILED: seed {seed}: python -m bench.chaos --seed {seed} {sizes}; see {logs}/seed-{seed}.json")
    sys.exit(1 if failed else 0)


async def _run(kept: Stores, seeds: range, size: Size, logs: Path) -> list[Outcome]:
    outcomes = []
    async with world(kept, logs) as everything:
        for seed in seeds:
            outcome = await run_seed(everything, seed, size, logs)
            outcomes.append(outcome)
            click.echo(str(outcome))
            for person, wrong in list(outcome.wrong.items())[:3]:
                click.echo(f"     {person}: {'; '.join(wrong)}")
    return outcomes


def _summary(outcomes: list[Outcome]) -> str:
    agreed = [outcome.agreed_after for outcome in outcomes if outcome.agreed_after is not None] or [float("nan")]
    told: dict[str, int] = {}
    for outcome in outcomes:
        for name, count in outcome.told.items():
            told[name] = told.get(name, 0) + count
    struck = sum(len(outcome.schedule.faults) for outcome in outcomes)
    return (
        f"{len(outcomes)} seeds, {struck} faults, {sum(outcome.rows for outcome in outcomes):,} rows; "
        f"agreed after {median(agreed):.1f} s in the median, {max(agreed):.1f} s at most; "
        f"{sum(outcome.took for outcome in outcomes) / len(outcomes):.1f} s a seed; "
        f"{', '.join(f'{count:,} {name}' for name, count in told.items())}; "
        f"{sum(1 for outcome in outcomes if outcome.wrong)} failed"
    )


def _share_out(first: int, seeds: int, jobs: int, options: Sequence[str], logs: Path) -> int:
    """Each job takes its share of the seeds, in a process of its own."""
    running = []
    for job in range(jobs):
        begins, ends = first + seeds * job // jobs, first + seeds * (job + 1) // jobs
        own = ["--first", begins, "--seeds", ends - begins, "--logs", logs / f"job-{job}", *options]
        command = [sys.executable, "-m", "bench.chaos", *map(str, own)]
        if ends > begins:
            running.append(subprocess.Popen(command))
    return max(job.wait() for job in running)


if __name__ == "__main__":
    main()
