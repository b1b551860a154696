"""What can be seen from outside of the live path, and by whom."""

from __future__ import annotations

import asyncio
import os
import re
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as read_families
from pydantic import SecretStr

from hub.inbox.feed import Head, Missed
from hub.metrics import FORGOTTEN_AFTER_S, Figures
from hub.realtime.backlog import MOST_AHEAD, MOST_FRAMES, Backlog
from hub.realtime.ledger import Asked
from hub.realtime.meters import METERS, SECONDS, Histogram
from hub.realtime.reception import outcome_of
from hub.realtime.wire import Frame
from hub.settings import Settings
from tests.conftest import MovableClock, RunningHub, run_hub
from tests.factories import Clinic, make_key, open_clinic, tell
from tests.realtime.conftest import eventually, open_tab
from tests.visitors import browser_of, client_of, problem, program_of

TOKEN = "a token of the whole installation"
README = Path(__file__).resolve().parent.parent / "README.md"
LABELS = {"process", "way", "reason", "code", "by", "outcome", "why", "turn", "le"}
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
async def watched(settings: Settings, the_clock: MovableClock) -> AsyncIterator[RunningHub]:
    async with run_hub(settings.model_copy(update={"metrics_token": SecretStr(TOKEN)}), the_clock) as hub:
        yield hub


async def scrape(hub: RunningHub, token: str = TOKEN) -> httpx.Response:
    async with client_of(hub, {"authorization": f"Bearer {token}"}) as client:
        return await client.get("/metrics")


async def values_of(hub: RunningHub) -> Values:
    answer = await scrape(hub)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (
            sample.name,
            frozenset((name, value) for name, value in sample.labels.items() if name != "process"),
        ): sample.value
        for family in read_families(answer.text)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values.get((name, frozenset(labels.items())), 0)


async def test_without_a_token_of_its_own_the_hub_shows_no_figures(hub: RunningHub) -> None:
    problem(await scrape(hub), 404)
    async with client_of(hub, {}) as client:
        problem(await client.get("/metrics"), 404)


async def test_figures_are_shown_for_that_token_alone(watched: RunningHub) -> None:
    clinic = await open_clinic(watched.house)
    for wrong in ("wrong", TOKEN[:-1], f"{TOKEN}x", "ключ"):
        async with client_of(watched, {}) as client:
            answer = await client.get("/metrics", headers={b"authorization": f"Bearer {wrong}".encode()})
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    async with (
        browser_of(watched, clinic.admin) as admin,
        program_of(watched, await make_key(watched.house, clinic)) as key,
    ):
        problem(await admin.get("/metrics"), 401)
        problem(await admin.get(f"/metrics?token={TOKEN}"), 401)
        problem(await key.get("/metrics"), 401)
    assert (await scrape(watched)).status_code == 200


async def test_a_bell_is_counted_on_its_way(watched: RunningHub) -> None:
    clinic = await open_clinic(watched.house)
    before = await values_of(watched)

    def more(after: Values, name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    async with open_tab(watched, clinic.omar) as tab:
        await tell(watched.house, clinic, clinic.omar)
        event = await tab.hear_until("ev")
        await tab.say(t="recv", seq=event["seq"], held_ms=0)
        await eventually(
            lambda: sum(METERS.commit_to_receipt.counts) > value(before, "hub_commit_to_receipt_seconds_count")
        )
        during = await values_of(watched)
        assert more(during, "hub_connections", way="websocket") == 1
        assert more(during, "hub_commit_to_send_seconds_count") == 1
        assert more(during, "hub_commit_to_receipt_seconds_count") == 1
        assert 0 <= more(during, "hub_commit_to_send_seconds_sum") <= more(during, "hub_commit_to_receipt_seconds_sum")
        assert more(during, "hub_resumed_total", way="websocket", outcome="new") == 1
        assert more(during, "hub_catch_up_seconds_count") >= 1
    await eventually(lambda: len(watched.house.switchboard) == 0)
    after = await values_of(watched)
    assert more(after, "hub_connections", way="websocket") == 0
    assert more(after, "hub_ended_total", way="websocket", code="1000") == 1
    assert more(after, "hub_redis_unpublished_total") == 0


async def test_a_code_of_the_clients_own_making_is_no_label(watched: RunningHub) -> None:
    clinic = await open_clinic(watched.house)
    before = METERS.ended.copy()
    async with open_tab(watched, clinic.omar) as tab:
        await tab.socket.close(4999)
        await eventually(lambda: METERS.ended != before)
    assert METERS.ended - before == {("websocket", 1000): 1}


async def test_who_is_not_let_in_is_counted_by_why(watched: RunningHub) -> None:
    before = METERS.refused.copy()
    async with client_of(watched, {"authorization": "Bearer nonsense"}) as client:
        problem(await client.get("/live/poll?v=1"), 401)
    assert METERS.refused - before == {"token_expired": 1}


async def test_a_receipt_for_something_else_counts_for_nothing(watched: RunningHub) -> None:
    clinic = await open_clinic(watched.house)
    async with open_tab(watched, clinic.omar) as tab:
        await tell(watched.house, clinic, clinic.omar)
        event = await tab.hear_until("ev")
        before = sum(METERS.commit_to_receipt.counts)
        await tab.say(t="recv", seq=event["seq"] + 1, held_ms=0)
        await tab.say(t="recv", seq=0, held_ms=0)
        await tab.fill(event["seq"])
        await tab.hear_until("fill")
        assert sum(METERS.commit_to_receipt.counts) == before


async def test_no_label_names_anybody(watched: RunningHub) -> None:
    clinic = await open_clinic(watched.house)
    async with open_tab(watched, clinic.omar), browser_of(watched, clinic.omar) as client:
        await client.get(f"/api/v1/notifications/{uuid.uuid4()}")
        text = (await scrape(watched)).text
    for family in read_families(text):
        for sample in family.samples:
            assert set(sample.labels) <= LABELS, sample.name
            assert not [value for value in sample.labels.values() if re.search(r"[0-9a-f]{8}", value)]
            assert sample.labels["process"] == str(os.getpid())


async def test_the_readme_names_every_series(watched: RunningHub) -> None:
    words = README.read_text()
    for family in read_families((await scrape(watched)).text):
        if family.name.startswith("hub_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert f"`{name}`" in words, name


async def test_whichever_process_is_asked_answers_for_those_beside_it(
    settings: Settings, the_clock: MovableClock, tmp_path: Path
) -> None:
    own = {"metrics_token": SecretStr(TOKEN), "metrics_folder": tmp_path}
    async with run_hub(settings.model_copy(update=own), the_clock) as hub:
        left = tmp_path / f"{os.getpid()}.json"
        await eventually(left.exists)
        for name, age in (("1", 0.0), ("2", FORGOTTEN_AFTER_S + 1)):
            (tmp_path / f"{name}.json").write_text(left.read_text())
            os.utime(tmp_path / f"{name}.json", times=(time.time() - age,) * 2)
        (tmp_path / "3.json").write_text("[half of")
        text = (await scrape(hub)).text
        families = list(read_families(text))
        assert len({family.name for family in families}) == len(families), "each is described once"
        for family in families:
            assert {sample.labels["process"] for sample in family.samples} <= {"1", str(os.getpid())}
        assert {"1", str(os.getpid())} == {s.labels["process"] for f in families for s in f.samples}
    assert not left.exists(), "who has gone says nothing"


async def test_a_folder_that_is_gone_stops_nothing(settings: Settings, watched: RunningHub, tmp_path: Path) -> None:
    gone = settings.model_copy(update={"metrics_folder": tmp_path / "gone"})
    leaving = asyncio.create_task(Figures(replace(watched.house, settings=gone)).leave_often())
    await asyncio.sleep(0.05)
    assert not leaving.done()
    leaving.cancel()
    assert isinstance((await asyncio.gather(leaving, return_exceptions=True))[0], asyncio.CancelledError)


async def test_what_redis_did_not_take_is_counted(settings: Settings, the_clock: MovableClock) -> None:
    nowhere = settings.model_copy(
        update={"redis_url": SecretStr("redis://127.0.0.1:1/0"), "metrics_token": SecretStr(TOKEN)}
    )
    async with run_hub(nowhere, the_clock) as hub:
        clinic: Clinic = await open_clinic(hub.house)
        before = METERS.unpublished
        await tell(hub.house, clinic, clinic.omar)
        await tell(hub.house, clinic, clinic.omar)
        assert METERS.unpublished == before + 2
        assert value(await values_of(hub), "hub_redis_listening") == 0


def test_a_histogram_counts_what_lies_at_or_below_each_bound() -> None:
    times = Histogram((1, 2))
    for each in (0.5, 1, 1.5, 2, 9):
        times.add(each)
    times.add_time(-3)
    assert (times.counts, times.total) == ([3, 2, 1], 14)
    assert list(SECONDS) == sorted(SECONDS)


@pytest.mark.parametrize(
    ("epoch", "since", "gap", "outcome"),
    [
        (None, None, Missed(Head(7, 0, "now"), 0, [], reset=True), "new"),
        ("now", 7, Missed(Head(7, 0, "now"), 7, []), "current"),
        ("now", 3, Missed(Head(7, 0, "now"), 3, [{}]), "filled"),
        ("then", 3, Missed(Head(7, 0, "now"), 0, [], reset=True), "reset_epoch"),
        ("now", 9, Missed(Head(7, 0, "now"), 0, [], reset=True), "reset_ahead"),
        ("now", 3, Missed(Head(7, 0, "now"), 0, [], reset=True), "reset_far"),
    ],
    ids=["new", "current", "filled", "epoch", "ahead", "far"],
)
def test_what_became_of_a_cursor_is_told_by_why(
    epoch: str | None, since: int | None, gap: Missed, outcome: str
) -> None:
    assert outcome_of(Asked(uuid.uuid4(), uuid.uuid4(), epoch, since), gap) == outcome


def test_what_a_slow_reader_is_spared_is_counted_by_class() -> None:
    before, resyncs = METERS.dropped.copy(), METERS.resyncs
    backlog = Backlog()
    for subject in ["board"] * 3 + [None] * (MOST_FRAMES - 3):
        backlog.add(Frame(b'{"items":[]}', subject=subject))
    backlog.add(Frame(b'{"items":[]}'))
    assert METERS.dropped - before == {"superseded": 2}
    backlog.add(Frame(b'{"items":[]}'))
    backlog.add(Frame(b'{"items":[]}'))
    assert METERS.resyncs == resyncs + 1
    assert (METERS.dropped - before)["collapsed"] == MOST_FRAMES
    for _ in range(MOST_AHEAD + 2):
        backlog.add_ahead(Frame(b'{"t":"ev","items":[]}', urgent=True))
    assert (METERS.dropped - before)["ahead"] == 2
