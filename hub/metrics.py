"""What the process has counted, as Prometheus asks for it.

Web processes that share a socket cannot be asked one by one. So each leaves its figures in a folder every few seconds,
and whichever is asked answers for all; the label `process` tells them apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub.logs import get_logger
from hub.realtime.bus import Bus
from hub.realtime.meters import METERS, WAYS, Histogram
from hub.realtime.switchboard import Switchboard
from hub.wiring import House

log = get_logger(__name__)

LEFT_EVERY_S = 5.0
# One that ended without a word is forgotten after so long.
FORGOTTEN_AFTER_S = 120.0

_process = ProcessCollector(registry=None)


class Figures(Collector):
    """The figures of this process and, if they share a folder, of those beside it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._folder = house.settings.metrics_folder

    def collect(self) -> Iterator[Metric]:
        """Part of Collector."""
        yield from _together([(str(os.getpid()), self.own()), *(self._of_others() if self._folder else ())])

    def own(self) -> list[Metric]:
        """Those of this process."""
        return [
            *_of_connections(self._house.switchboard),
            *_of_live_path(),
            *_of_redis(self._house.bus),
            *_of_canary(),
            *_process.collect(),
        ]

    def leave(self, folder: Path) -> None:
        """Write them down for the others."""
        path = folder / f"{os.getpid()}.json"
        written = path.with_suffix(".new")
        written.write_text(json.dumps([_plain(metric) for metric in self.own()]))
        written.replace(path)

    async def leave_often(self) -> None:
        """Write them down again and again, until cancelled; nothing is left behind then."""
        if self._folder is None:
            return
        try:
            while True:
                try:
                    self.leave(self._folder)
                except OSError as error:
                    log.warning("metrics: not left for the others", error=type(error).__name__)
                await asyncio.sleep(LEFT_EVERY_S)
        finally:
            (self._folder / f"{os.getpid()}.json").unlink(missing_ok=True)

    def _of_others(self) -> Iterator[tuple[str, list[Metric]]]:
        assert self._folder  # noqa: S101 - for the type checker
        for path in sorted(self._folder.glob("*.json")):
            # It may go while it is read.
            with suppress(OSError, ValueError):
                if path.stem != str(os.getpid()) and time.time() - path.stat().st_mtime < FORGOTTEN_AFTER_S:
                    yield path.stem, [_metric(plain) for plain in json.loads(path.read_text())]


def exposition(house: House) -> bytes:
    """Everything, in Prometheus' text format."""
    return generate_latest(Figures(house))


def _of_connections(switchboard: Switchboard) -> list[Metric]:
    by_way = dict.fromkeys((*WAYS, "canary"), 0)
    waiting = behind = 0
    for connection in switchboard:
        by_way[connection.way] += 1
        waiting += connection.waiting
        behind += connection.waiting > 0
    return [
        _gauges("hub_connections", "Open live connections", "way", by_way),
        _gauge("hub_backlog_frames", "Frames that wait for clients that read slowly", waiting),
        _gauge("hub_backlog_connections", "Connections that have frames waiting", behind),
    ]


def _of_live_path() -> list[Metric]:
    meters = METERS
    ended = {(way, str(int(code))): count for (way, code), count in meters.ended.items()}
    return [
        _gauge("hub_started_seconds", "When the process started, in seconds of the epoch", meters.started_at),
        _counters("hub_refused", "Who was not let in, by why", ("reason",), meters.refused),
        _counters("hub_ended", "Connections that ended, by close code", ("way", "code"), ended),
        _counter("hub_cut_off", "Clients cut off because they took nothing for too long", meters.cut_off),
        _histogram("hub_commit_to_send_seconds", "From commit to written frame", meters.commit_to_send),
        _histogram("hub_commit_to_receipt_seconds", "From commit to applied by the client", meters.commit_to_receipt),
        _counters("hub_gaps_found", "Missing events noticed, by whom", ("by",), meters.gaps_found),
        _counter("hub_gaps_filled", "Connections brought up to date from Postgres", meters.gaps_filled),
        _counters("hub_resumed", "What became of a newcomer's cursor", ("way", "outcome"), meters.resumed),
        _histogram("hub_catch_up_connections", "How many were brought up to date together", meters.read_together),
        _histogram("hub_catch_up_seconds", "How long Postgres took for them", meters.read_in),
        _counters("hub_dropped", "Frames dropped for slow readers", ("why",), meters.dropped),
        _counter("hub_resyncs", "Backlogs given up for one resync", meters.resyncs),
        _counters("hub_failed_turns", "Looks at Postgres that failed", ("turn",), meters.failed_turns),
    ]


def _of_redis(bus: Bus) -> list[Metric]:
    return [
        _gauge("hub_redis_listening", "Whether other processes are heard", bus.is_listening),
        _gauge("hub_redis_echo_seconds", "How long the last echo took", bus.echo_lag),
        _counter("hub_redis_unpublished", "Pushes that Redis did not take", METERS.unpublished),
        _counter("hub_redis_unreadable", "Messages that could not be opened", METERS.unreadable),
    ]


def _of_canary() -> list[Metric]:
    return [
        _histogram("hub_canary_seconds", "From commit until the canary heard itself", METERS.canary_heard),
        _gauge("hub_canary_last_seen_seconds", "When it last did, in seconds of the epoch", METERS.canary_heard_at),
        _counter("hub_canary_missed", "How often it did not", METERS.canary_missed),
    ]


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value)


def _gauges(name: str, words: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, words: str, value: int) -> Metric:
    return CounterMetricFamily(name, words, value)


def _counters(name: str, words: str, labels: tuple[str, ...], values: Any) -> Metric:
    family = CounterMetricFamily(name, words, labels=labels)
    for key, value in values.items():
        family.add_metric([key] if isinstance(key, str) else key, value)
    return family


def _histogram(name: str, words: str, values: Histogram) -> Metric:
    bounds = [*map(str, values.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(values.counts), strict=True))
    return HistogramMetricFamily(name, words, buckets=buckets, sum_value=values.total)


def _plain(metric: Metric) -> list[Any]:
    samples = [[sample.name, sample.labels, sample.value] for sample in metric.samples]
    return [metric.name, metric.documentation, metric.type, samples]


def _metric(plain: list[Any]) -> Metric:
    name, words, kind, samples = plain
    metric = Metric(name, words, kind)
    for sample in samples:
        metric.add_sample(*sample)
    return metric


def _together(processes: Iterable[tuple[str, list[Metric]]]) -> Iterator[Metric]:
    """The metrics of all processes, each once, with the process among the labels of its samples."""
    found: dict[str, list[tuple[str, Metric]]] = defaultdict(list)
    for process, metrics in processes:
        for metric in metrics:
            found[metric.name].append((process, metric))
    for same in found.values():
        first = same[0][1]
        whole = Metric(first.name, first.documentation, first.type)
        for process, metric in same:
            for sample in metric.samples:
                whole.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
        yield whole
