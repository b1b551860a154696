"""Files a browser may fetch: kept for ever under the mark of their contents, and no others."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from hub.console.pages import ASSET_FOLDERS, Pages
from tests.conftest import RunningHub
from tests.visitors import browser_of

WEB = Path(__file__).resolve().parent.parent.parent / "web"


@pytest.mark.parametrize("folder", ASSET_FOLDERS)
async def test_every_file_is_served_as_what_it_is(hub: RunningHub, folder: str) -> None:
    kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    async with browser_of(hub, None) as client:
        for path in (WEB / folder).rglob("*.*"):
            answer = await client.get(f"/assets/{path.relative_to(WEB).as_posix()}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kinds[path.suffix])
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.content == path.read_bytes()


async def test_only_the_mark_of_its_contents_makes_a_file_stay(hub: RunningHub) -> None:
    marked = Pages(WEB, hub.url).asset("css/base.css")
    async with browser_of(hub, None) as client:
        assert "immutable" in (await client.get(marked)).headers["cache-control"]
        for other in ("/assets/css/base.css", marked[:-1], f"{marked}x", "/assets/css/base.css?v=", f"{marked}&a=b"):
            assert (await client.get(other)).headers["cache-control"] == "no-cache", other
        missing = await client.get("/assets/css/nothing.css?v=1")
        assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")


async def test_a_file_that_has_not_changed_is_not_sent_again(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        first = await client.get("/assets/css/base.css")
        again = await client.get("/assets/css/base.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/css/../../pyproject.toml",
        "/assets/css/../pages/layout.html",
        "/assets/css/%2e%2e/%2e%2e/pyproject.toml",
        "/assets/css/..%2f..%2fpyproject.toml",
        "/assets/css/..%5c..%5cpyproject.toml",
        "/assets/css//etc/passwd",
        "/assets/css/%2fetc%2fpasswd",
        "/assets/css/%00",
        "/assets/css/" + "a" * 3000,
        "/assets/css/",
        "/assets/",
        "/assets/pages/layout.html",
        "/assets/words/ar.po",
        "/assets/../hub/cli.py",
    ],
    ids=lambda path: path[:40],
)
async def test_nothing_else_is_to_be_had(hub: RunningHub, path: str) -> None:
    async with browser_of(hub, None) as client:
        raw = httpx.URL(hub.url).copy_with(raw_path=path.encode())
        assert (await client.get(raw)).status_code == 404


async def test_files_are_only_read(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        for method in ("POST", "PUT", "DELETE"):
            assert (await client.request(method, "/assets/css/base.css")).status_code == 405
