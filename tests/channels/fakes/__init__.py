"""Vendors that stand on this machine, for tests, for programs that are killed, and for benches.

In a test: `async with fake_vendors() as fakes`. As a process: `python -m tests.channels.fakes --port 0` prints its
address; then `GET /control/counts`, `GET /control/taken?from=0`, `POST /control/script`, `POST /control/reset`.
"""

from tests.channels.fakes.server import Answer, Request, serving
from tests.channels.fakes.vendors import Deed, FakeVendors, Taken, fake_vendors

__all__ = ["Answer", "Deed", "FakeVendors", "Request", "Taken", "fake_vendors", "serving"]
