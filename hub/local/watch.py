"""Keeps the children running: whoever ends is started again, a little later each time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hub.local.children import Pause, describe_end
from hub.local.errors import StartError
from hub.local.logfiles import last_words
from hub.local.restarts import LIMIT, next_try


class Service(Protocol):
    """A child that is to run all the time."""

    log: Path

    @property
    def name(self) -> str:
        """What a person calls it."""

    def start(self) -> None:
        """Start it, or start it again."""

    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""

    def stop(self) -> None:
        """End it."""


@dataclass
class Watch:
    """Looks after the services."""

    services: Sequence[Service]
    pause: Pause
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    ends: dict[str, list[float]] = field(default_factory=dict, init=False)
    due: dict[str, float] = field(default_factory=dict, init=False)

    def until(self, done: Callable[[], bool], *, every: float = 5.0, limit: int = LIMIT) -> None:
        """Look after them until `done`, asking at least so often; give up on one that ends too often."""
        while not done():
            for service in self.services:
                self._look_at(service, limit)
            self.pause(min([every, *(max(0.0, moment - self.clock()) for moment in self.due.values())]))

    def _look_at(self, service: Service, limit: int) -> None:
        if service.name in self.due:
            if self.clock() >= self.due[service.name]:
                del self.due[service.name]
                service.start()
            return
        code = service.exit_code()
        if code is None:
            return
        ends = self.ends.setdefault(service.name, [])
        ends.append(self.clock())
        wait = next_try(ends, self.clock(), limit)
        story = f"{service.name} ended ({describe_end(code)}; {service.log})"
        if wait is None:
            raise StartError(f"{story} {limit} times: {last_words(service.log)}")
        self.due[service.name] = self.clock() + wait
        self.say(f"{story}, it starts again in {wait:g} s")
