"""The findings as text: a line per repeat, then their median and the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median

from bench.figures import WEB, Findings, Noise, Repeat
from hub.realtime.frames import HEARTBEAT_S

SHOWN = (WEB, "publisher", "postgres", "valkey")
LATENCY = ("p50", "p99", "p99.9", "max")
HUB, CHANNELS = "hub", "Channels"


def render(findings: Findings) -> str:
    """The whole report."""
    return "\n".join(
        [
            *_connecting(findings),
            *_idle(findings),
            *_repeats(findings, HUB, findings.repeats),
            *_repeats(findings, CHANNELS, findings.beside),
            *_side_by_side(findings),
            *_machine(findings),
            *(f"FAILED: {problem}" for problem in findings.problems),
        ]
    )


def _connecting(findings: Findings) -> Iterator[str]:
    found = findings.connecting
    cpu = ", ".join(f"{name} {found.cpu_ms[name]:.2f}" for name in (WEB, "postgres") if name in found.cpu_ms)
    each = found.each_ms
    yield f"connect   {found.per_second:,.0f} connections/s; each p50 {each.p50:.0f}, p99 {each.p99:.0f} ms"
    yield f"          CPU per connection, ms: {cpu}"


def _idle(findings: Findings) -> Iterator[str]:
    found = findings.idle
    cpu = ", ".join(f"{name} {found.cpu_ms_per_second[name]:.1f}" for name in (WEB, "postgres", "valkey"))
    yield f"idle      {found.kb_per_connection:.1f} kB per connection over {found.base_mb:.1f} MB"
    yield f"          CPU with {findings.connections:,} connections, ms per second: {cpu}"


def _repeats(findings: Findings, who: str, found: Sequence[Repeat]) -> Iterator[str]:
    # Less than a whole round of heartbeats would be no measure of being idle.
    idle = findings.idle.cpu_ms_per_second[WEB] if findings.idle.seconds >= HEARTBEAT_S else math.nan
    if who != HUB:
        idle = math.nan
    for rate, group in groupby(found, key=lambda repeat: repeat.wanted_rate):
        repeats = list(group)
        yield ""
        yield (
            f"{who}: {rate:g} notifications/s to {findings.connections:,} connections, "
            f"{len(repeats)} times {findings.seconds:g} s: commit to socket in ms, CPU in µs per delivered notification"
        )
        yield _line(
            "", [*LATENCY, "web", "net*", "publish.", "postgres", "valkey", "caught up", f"  {'delivered':>15}"]
        )
        rows = [_row(repeat, idle) for repeat in repeats]
        for number, (repeat, row) in enumerate(zip(repeats, rows, strict=True)):
            delivered = f"{repeat.delivered:,} of {repeat.sent:,}"
            yield _line(str(number + 1), [*_numbers(row), str(repeat.caught_up), f"  {delivered:>15}"])
        columns = list(zip(*rows, strict=True))
        yield _line("median", _numbers([median(column) for column in columns]))
        yield _line("best", _numbers([min(column) for column in columns]))
        writing = [repeat.writing_ms for repeat in repeats]
        yield (
            f"  sent at {median(repeat.rate for repeat in repeats):.1f}/s; from call to commit "
            f"p50 {median(each.p50 for each in writing):.2f}, p99 {median(each.p99 for each in writing):.2f} ms"
        )
    if found and not math.isnan(idle):
        yield f"  * the web process without what it uses when idle ({idle:.1f} ms per second)"


def _side_by_side(findings: Findings) -> Iterator[str]:
    """The medians of both; CPU of a process is per notification that arrived."""
    if not findings.beside:
        return
    yield ""
    yield "side by side: medians; commit to socket in ms, CPU in µs per delivered notification"
    yield _line("", ["wanted/s", "sent/s", *LATENCY[:3], "web", "publish.", "postgres", "valkey", "lost"])
    both = [(HUB, repeat) for repeat in findings.repeats] + [(CHANNELS, repeat) for repeat in findings.beside]
    both.sort(key=lambda each: each[1].wanted_rate)
    for (rate, who), group in groupby(both, key=lambda each: (each[1].wanted_rate, each[0])):
        repeats = [repeat for _, repeat in group]
        times = [repeat.to_socket_ms for repeat in repeats]
        latency = [median(column) for column in zip(*((t.p50, t.p99, t.p999) for t in times), strict=True)]
        cpu = [median(repeat.cpu_us.get(name, 0.0) for repeat in repeats) for name in SHOWN]
        sent = median(repeat.rate for repeat in repeats)
        lost = sum(repeat.sent - repeat.delivered for repeat in repeats)
        cells = [f"{rate:g}", f"{sent:.0f}", *(f"{ms:.2f}" for ms in latency), *(f"{us:,.0f}" for us in cpu), str(lost)]
        yield _line(who, cells)


def _row(repeat: Repeat, idle_ms_per_second: float) -> list[float]:
    times = repeat.to_socket_ms
    cpu = [repeat.cpu_us.get(name, 0.0) for name in SHOWN]
    net = cpu[0] - idle_ms_per_second * 1000 / repeat.rate if repeat.rate else 0.0
    return [times.p50, times.p99, times.p999, times.max, cpu[0], net, *cpu[1:]]


def _numbers(row: Sequence[float]) -> list[str]:
    return [f"{number:.2f}" if index < len(LATENCY) else f"{number:,.0f}" for index, number in enumerate(row)]


def _line(name: str, cells: Iterable[str]) -> str:
    return f"  {name:<9}" + "".join(f"{cell:>10}" for cell in cells)


def _machine(findings: Findings) -> Iterator[str]:
    yield ""
    yield f"machine   {findings.cores} cores, load average {findings.load_average:.2f} at the start"
    yield _line("", ["work ms", "others", "stolen", "web wait"])
    stages = [("connect", findings.connecting.noise), ("idle", findings.idle.noise)]
    for name, each in [*stages, *((str(n + 1), repeat.noise) for n, repeat in enumerate(findings.repeats))]:
        yield _line(name, _noise(each))
    yield "  work: a fixed piece of it; others, stolen: cores busy with other programs, or taken by the host;"
    yield "  web wait: share of the CPU time it wanted that it waited for a core. Noise makes figures worse."


def _noise(each: Noise) -> list[str]:
    return [
        f"{each.fixed_work_ms:.1f}",
        f"{each.other_cores:.2f}",
        f"{each.stolen_cores:.2f}",
        f"{each.web_waited:.0%}",
    ]
