"""Several web processes on one socket: the kernel hands each connection to one of them; any of them can serve it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import FrameType

from hub.local.children import Child, die_with_parent
from hub.local.restarts import next_try
from hub.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_S = 0.2
# A new process serves before the one it replaces goes.
SETTLED_AFTER_S = 3.0
STOPPED_WITHIN_S = 30.0


class Workers:
    """A number of web processes, kept up, replaced one by one on SIGHUP, and drained together on SIGTERM."""

    def __init__(self, listening: socket.socket, count: int) -> None:
        self._listening = listening
        self._children: list[Child] = []
        self._count = count
        self._ends: list[float] = []
        self._told = threading.Event()
        self._stop: int | None = None
        self._replace = False

    def run(self) -> None:
        """Run them until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._hear)
        self._children = [self._start() for _ in range(self._count)]
        while self._stop is None:
            self._restart_the_ended()
            if self._replace:
                self._replace = False
                self._replace_one_by_one()
            self._told.wait(LOOK_EVERY_S)
            self._told.clear()
        self._end(self._children, self._stop)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._replace = True
        else:
            self._stop = number
        self._told.set()

    def _start(self) -> Child:
        descriptor = self._listening.fileno()
        command = [sys.executable, "-m", "hub", "web", "--listening", str(descriptor)]
        return subprocess.Popen(
            command,
            pass_fds=(descriptor,),
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509  we have one thread
        )

    def _restart_the_ended(self) -> None:
        for place, child in enumerate(self._children):
            if child.poll() is None:
                continue
            self._ends = [*self._ends[-20:], time.monotonic()]
            # However often it ends: the others serve meanwhile.
            wait = next_try(self._ends, time.monotonic(), limit=sys.maxsize) or 0.0
            log.warning("a web process ended, another starts", pid=child.pid, code=child.returncode, in_s=wait)
            self._told.wait(wait)
            if self._stop is None:
                self._children[place] = self._start()

    def _replace_one_by_one(self) -> None:
        for place, old in enumerate(list(self._children)):
            self._children[place] = self._start()
            deadline = time.monotonic() + SETTLED_AFTER_S
            while self._stop is None and time.monotonic() < deadline:
                time.sleep(LOOK_EVERY_S)
            self._end([old], signal.SIGTERM)
            log.info("a web process was replaced", old=old.pid, new=self._children[place].pid)

    def _end(self, children: list[Child], number: int) -> None:
        for child in children:
            if child.poll() is None:
                os.kill(child.pid, number)
        deadline = time.monotonic() + STOPPED_WITHIN_S
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
