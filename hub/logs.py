"""Structured logs to standard error: ids and counts, never a patient's words."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

import structlog


def configure_logs(process: str) -> None:
    """Make every logger of this process write one JSON line per event to standard error."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _where_it_happened,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_no_fault_of_a_client)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "arq"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # Two lines for each live connection that opens, a fifth of what opening one costs.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def _is_no_fault_of_a_client(record: logging.LogRecord) -> bool:
    """Whether it is worth a line: a client's broken text, closed with 1007, is an error of ours to uvicorn."""
    return not (record.name == "uvicorn.error" and str(record.msg).startswith("Invalid UTF-8 sequence"))


def _where_it_happened(_logger: object, _name: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """An exception's types and places; never its message, which may quote a row or a body."""
    found = event.pop("exc_info", None)
    error = found[1] if isinstance(found, tuple) else sys.exc_info()[1] if found is True else found
    record = event.get("_record")
    if isinstance(error, BaseException) and not event.get("_from_structlog", True) and record is not None:
        # A library's words about an exception quote it: keep those that were there before.
        event["event"] = str(record.msg).partition("\n")[0]
    places: list[str] = []
    while isinstance(error, BaseException):
        places.append(f"{type(error).__name__}: {_last_places(error.__traceback__)}")
        error = error.__cause__ or error.__context__
    if places:
        event["exception"] = places
    return event


def _last_places(tb: TracebackType | None) -> str:
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(tb)[-6:]))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
