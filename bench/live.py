"""From commit to open tab, measured: `python -m bench.live` starts everything it needs and prints a table.

A PostgreSQL that keeps what it commits, Valkey and the web process are started as in production. One process holds the
connections, one rings bells by the hub's own verb; all on this machine, over the loopback address. Needs Linux.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from bench.errors import BenchError
from bench.measure import Plan, measure
from bench.report import render
from bench.servers import running


class Rates(click.ParamType[tuple[float, ...]]):
    """Numbers above nought, with commas between them."""

    name = "rates"

    def convert(
        self, value: str | tuple[float, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read them."""
        if isinstance(value, tuple):
            return value
        try:
            rates = tuple(float(word) for word in value.split(","))
        except ValueError:
            rates = ()
        if not rates or min(rates) <= 0:
            self.fail(f"{value!r} should be like 100 or 100,400", param, ctx)
        return rates


@click.command()
@click.option("--connections", default=1000, show_default=True, type=click.IntRange(2, 15_000))
@click.option("--rate", "rates", default="100,1000", show_default=True, type=Rates(), help="notifications a second")
@click.option("--seconds", default=15.0, show_default=True, help="length of a repeat; a heartbeat comes every 15 s")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@click.option("--idle", default=15.0, show_default=True, help="seconds to watch the connections do nothing")
@click.option("--at-once", default=32, show_default=True, type=click.IntRange(1), help="connections being opened")
@click.option("--beside", is_flag=True, help="Django Channels too: installs it outside of the project")
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="also write the findings there")
def main(
    connections: int,
    rates: tuple[float, ...],
    seconds: float,
    repeats: int,
    idle: float,
    at_once: int,
    beside: bool,
    out: Path | None,
) -> None:
    """Measure the way of a notification from its commit to an open tab; fails when a single one is lost."""
    plan = Plan(connections, rates, seconds, repeats, idle, at_once, beside)
    try:
        with running() as servers:
            findings = asyncio.run(measure(servers, plan, _say))
    except BenchError as error:
        sys.exit(f"bench: {error}")
    click.echo(render(findings))
    if out:
        out.write_text(json.dumps(asdict(findings) | {"problems": findings.problems}, indent=1) + "\n")
    sys.exit(1 if findings.problems else 0)


def _say(words: str) -> None:
    click.echo(f"… {words}", err=True)


if __name__ == "__main__":
    main()
