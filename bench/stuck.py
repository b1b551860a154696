"""Some clients stop reading, the others must not notice: `python -m bench.stuck`.

The same load twice in one run: while all read, and while some do not. Then the stuck ones read again, come back, and
agree. A socket counts as stuck from when the kernel holds bytes for it that nobody takes, and as freed when it is gone.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from bench.errors import BenchError
from bench.figures import NS_PER_MS, Spread, spread
from bench.flocks import Gathering, gathered
from bench.machine import lift_file_limit, resident_bytes
from bench.servers import Running, running
from bench.sockets import held_by

SMALL = 4096
WARM_UP_S = 3.0
AGREE_WITHIN_S = 60.0
LOOK_EVERY_S = 0.5
# The kernel's buffers have to fill before a socket is stuck at all.
MOST_S = 60.0


@dataclass
class Watch:
    """The server's memory, and its ends of some connections, looked at while things happen."""

    servers: Running
    ports: Iterable[int] = ()
    most_bytes: int = 0
    stuck_at: dict[int, float] = field(default_factory=dict)
    freed_at: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """Once."""
        now = time.monotonic()
        self.most_bytes = max(self.most_bytes, resident_bytes(self.servers.process.pid))
        held = held_by(self.servers.port)
        for port in self.ports:
            if port not in held:
                self.freed_at.setdefault(port, now)
            elif held[port].waiting:
                self.stuck_at.setdefault(port, now)
            else:
                self.stuck_at.pop(port, None)

    @property
    def all_freed(self) -> bool:
        """Whether none of those connections is there any more."""
        return len(self.freed_at) == len(list(self.ports))

    @property
    def stuck_for(self) -> list[float]:
        """Seconds, for each that was freed."""
        return [at - self.stuck_at[port] for port, at in self.freed_at.items() if port in self.stuck_at]

    async def keep_on(self, seconds: float, *, until_freed: bool = False) -> None:
        """Look for so long, or until all of those connections have been freed, if that takes longer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (now := loop.time() - began) < seconds or (until_freed and not self.all_freed and now < MOST_S):
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)


@click.command()
@click.option("--clients", default=1000, show_default=True, type=click.IntRange(2))
@click.option("--stuck", default=100, show_default=True, type=click.IntRange(1), help="how many of them stop reading")
@click.option("--rate", default=200.0, show_default=True, help="single notifications per second")
@click.option("--broadcasts", default=2.0, show_default=True, help="notifications to everybody per second")
@click.option("--letters", default=4000, show_default=True, help="length of those")
@click.option("--seconds", default=20.0, show_default=True, help="how long with and without")
def main(clients: int, stuck: int, rate: float, broadcasts: float, letters: int, seconds: float) -> None:
    """Compare the others' times with and without stuck readers; fails when anything is lost."""
    lift_file_limit()
    try:
        with running() as servers:
            wrong = asyncio.run(_run(servers, clients, stuck, (rate, broadcasts, letters), seconds))
    except BenchError as error:
        sys.exit(f"stuck: {error}")
    for each in wrong:
        click.echo(f"FAILED: {each}")
    sys.exit(1 if wrong else 0)


async def _run(servers: Running, clients: int, stuck: int, load: tuple[float, float, int], seconds: float) -> list[str]:
    async with gathered(servers, clients, small=stuck, buffer=SMALL) as gathering:
        await _measured(gathering, load, WARM_UP_S, Watch(servers), stuck)
        calm = Watch(servers)
        without = await _measured(gathering, load, seconds, calm, stuck)
        watch = Watch(servers, await gathering.tell_tabs("deafen", count=stuck))
        stopped = time.monotonic()
        with_them = await _measured(gathering, load, seconds, watch, stuck)
        last = max(watch.freed_at.values(), default=float("nan")) - stopped
        await gathering.tell_tabs("hear_again", count=stuck)
        wrong = await gathering.disagreements(AGREE_WITHIN_S)
        after = resident_bytes(servers.process.pid)
    click.echo(f"{clients - stuck:,} others, commit to socket in ms: p50, p99, p99.9, max")
    click.echo(f"  all read         {_times(without)}")
    click.echo(f"  {stuck} do not{'':<9}{_times(with_them)}")
    click.echo(f"  p99 {with_them.p99 / without.p99:.2f} times")
    click.echo(
        f"server, MB: {calm.most_bytes / 1e6:.1f} before, {watch.most_bytes / 1e6:.1f} at most with them, "
        f"{after / 1e6:.1f} after"
    )
    longest = max(watch.stuck_for, default=float("nan"))
    click.echo(
        f"freed: {len(watch.freed_at)} of {stuck}; a socket stuck for {longest:.1f} s at most; "
        f"the last one {last:.1f} s after they stopped reading"
    )
    if not watch.all_freed:
        wrong.append(f"{stuck - len(watch.freed_at)} stuck sockets were not freed within {MOST_S:g} s")
    return wrong


async def _measured(
    gathering: Gathering, load: tuple[float, float, int], seconds: float, watch: Watch, stuck: int
) -> Spread:
    """The times of the others under this load."""
    await gathering.tell_tabs("collect")
    await gathering.begin(*load)
    await watch.keep_on(seconds, until_freed=True)
    committed = (await gathering.end())["committed"]
    await asyncio.sleep(WARM_UP_S)
    at = (await gathering.tell_tabs("collect", skip=stuck))["at"]
    return spread([(when - committed[each]) / NS_PER_MS for each, when in at.items() if each in committed])


def _times(found: Spread) -> str:
    return f"{found.p50:8.2f} {found.p99:8.2f} {found.p999:8.2f} {found.max:8.2f}"


if __name__ == "__main__":
    main()
