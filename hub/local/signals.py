"""Waiting that a signal ends: to be told to stop, or that a child has ended, is noticed at once."""

import os
import select
import signal
from types import FrameType
from typing import Self

from hub.local.errors import StopRequested

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While entered, Ctrl-C and its like are kept for the next `pause`, so that nothing is left half-done."""

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> Self:
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        self._fd = signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._ask) for number in STOPPING if _heard(number)}
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _look)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd)
        os.close(self._wake)
        os.close(self._woken)

    def pause(self, seconds: float) -> None:
        """Wait that long, or until a signal; raise `StopRequested` once told to stop."""
        self._check()
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 1000)
        self._check()

    def _check(self) -> None:
        if self._asked:
            raise StopRequested

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


def _heard(number: signal.Signals) -> bool:
    """A hang-up that `nohup` told us to ignore stays ignored."""
    return number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN


def _look(_number: int, _frame: FrameType | None) -> None:
    """Nothing to do: what counts is that the pause ends."""
