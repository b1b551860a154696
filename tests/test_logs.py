"""Logs: one JSON line per event, with where it happened and never what it was about."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.appointments.lifecycle import arrive
from hub.logs import configure_logs, get_logger
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, book_visit

NAME = "Sara Doe"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged so far, as a process of the hub logs it."""
    root = logging.getLogger()
    before = root.handlers, root.level
    configure_logs("test")
    written = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers, level = before[0], before[1]
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


Lines = Callable[[], list[dict[str, Any]]]


def fail() -> None:
    raise ValueError(f"no patient {NAME}")


def test_an_event_is_one_line_with_its_process_and_time(lines: Lines) -> None:
    get_logger("hub.somewhere").info("something happened", count=3)
    (line,) = lines()
    assert (line["event"], line["count"], line["process"], line["level"]) == ("something happened", 3, "test", "info")
    assert line["logger"] == "hub.somewhere"
    assert line["timestamp"].endswith("Z")


def test_an_exception_is_told_by_type_and_place(lines: Lines) -> None:
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError(f"while looking for {NAME}") from error
    except RuntimeError:
        get_logger("hub").exception("fault", path="/x")
    (line,) = lines()
    assert [each.split(":")[0] for each in line["exception"]] == ["RuntimeError", "ValueError"]
    assert "fail:" in line["exception"][1]
    assert NAME not in json.dumps(line)


def test_a_librarys_exception_is_told_no_further(lines: Lines) -> None:
    try:
        fail()
    except ValueError as error:
        logging.getLogger("arq.worker").exception("%s failed, %s: %s", "job", type(error).__name__, error)  # noqa: TRY401
    (line,) = lines()
    assert line["event"] == "%s failed, %s: %s"
    assert NAME not in json.dumps(line)


async def test_an_exception_that_nobody_awaited_is_told_no_further(lines: Lines) -> None:
    async def task() -> None:
        fail()

    running = asyncio.ensure_future(task())
    await asyncio.wait([running])
    del running
    gc.collect()
    (line,) = lines()
    assert line["event"] == "Task exception was never retrieved"
    assert NAME not in json.dumps(line)


def test_a_clients_broken_text_is_no_error_of_ours(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").error("Invalid UTF-8 sequence received from client.")
    logging.getLogger("uvicorn.error").error("Something else")
    assert [line["event"] for line in lines()] == ["Something else"]


def test_a_librarys_plain_words_are_kept(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").warning("Started %s", "well")
    (line,) = lines()
    assert line["event"] == "Started well"


async def test_an_error_of_the_database_does_not_quote_the_row(house: House, clinic: Clinic, lines: Lines) -> None:
    with pytest.raises(DBAPIError) as failure:
        async with house.database.of_tenant(clinic.id) as session:
            await session.execute(text("SELECT CAST(:name AS integer)"), {"name": NAME})
    assert NAME in str(failure.value), "it does quote, so that it must not be logged"
    get_logger("hub").warning("failed", exc_info=failure.value)
    assert NAME not in json.dumps(lines())


async def test_an_arrival_logs_no_name(house: House, clinic: Clinic, lines: Lines) -> None:
    visit = await book_visit(house, clinic, patient=NAME)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await arrive(work, visit.id)
    with pytest.raises(Exception, match="arrived"):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await arrive(work, visit.id)
    assert NAME not in json.dumps(lines())
