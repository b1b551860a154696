"""Helper processes that carry out commands: a line of JSON each on their standard input, a line back per answer.

A helper ends when its input does, so none outlives the bench.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from bench.errors import BenchError

ROOT = Path(__file__).resolve().parent.parent
LONGEST_LINE = 64 * 1024 * 1024

Commands = Mapping[str, Callable[..., Awaitable[Any]]]


class Helper:
    """A running helper, as the bench sees it."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is no more."""
        return self._process.returncode is not None

    def kill(self) -> None:
        """kill -9."""
        if not self.has_ended:
            self._process.kill()

    async def ask(self, command: str, within: float, **values: Any) -> Any:
        """Have a command carried out, within so many seconds; its answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([command, values]).encode() + b"\n")
        try:
            async with asyncio.timeout(within):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise BenchError(f"{self.name}: no answer to {command!r} within {within:g} s") from None
        if not line:
            await self._process.wait()
            raise BenchError(f"{self.name} ended during {command!r}")
        answer, failure = json.loads(line)
        if failure:
            raise BenchError(f"{self.name}: {command} failed: {failure}")
        return answer


@asynccontextmanager
async def helper(
    module: str, env: Mapping[str, str], python: str | Path = sys.executable, log: Path | None = None
) -> AsyncIterator[Helper]:
    """A helper that runs `python -m module`, with its errors on ours, or in a log."""
    with log.open("ab") if log else nullcontext() as errors:
        process = await asyncio.create_subprocess_exec(
            *(python, "-m", module),
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            env=dict(env),
            cwd=ROOT,
            limit=LONGEST_LINE,
        )
    try:
        yield Helper(module, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def obey(commands: Commands) -> None:
    """Be a helper: carry out what is asked, one after the other, until nobody asks any more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # where logs go by themselves
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        command, values = json.loads(line)
        answer, failure = None, None
        try:
            answer = await commands[command](**values)
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
        answers.write(json.dumps([answer, failure]) + "\n")
        answers.flush()
