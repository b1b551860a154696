"""Several web processes behind one address, seen by whoever watches them: as several, whichever answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as read_families

from hub.settings import Settings
from tests.journeys.processes import run_web

TOKEN = "a token of the whole installation"
HEADERS = {"authorization": f"Bearer {TOKEN}"}


async def test_one_scrape_shows_every_process_and_that_each_hears_its_canary(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    async with (
        run_web(settings, tmp_path / "web.log", workers=2) as web,
        httpx.AsyncClient(base_url=web.url, headers=HEADERS) as client,
        asyncio.timeout(30),
    ):
        heard: dict[str, float] = {}
        while len(heard) < 2 or not all(heard.values()):
            await asyncio.sleep(0.2)
            families = read_families((await client.get("/metrics")).text)
            samples = [sample for family in families for sample in family.samples]
            heard = {s.labels["process"]: s.value for s in samples if s.name == "hub_canary_seconds_count"}
    assert web.faults() == []
