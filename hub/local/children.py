"""Child processes that never outlive us, however we end."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hub.local.logfiles import open_log

Pause = Callable[[float], None]
Child = subprocess.Popen[bytes]
Step = tuple[signal.Signals, float]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Owner:
    """The user a child runs as, where that is not ourselves."""

    uid: int
    gid: int


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel to send us `number` when the thread that started us ends (Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)


def spawn(
    command: Sequence[str | Path],
    *,
    dies_by: signal.Signals,
    log: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    owner: Owner | None = None,
) -> Child:
    """Start a child in a session of its own: Ctrl-C reaches only us, and we stop the children in order."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a child ends with the thread that started it: start it from the main thread")
    parent = os.getpid()

    def follow() -> None:
        die_with_parent(dies_by)
        if os.getppid() != parent:  # the parent ended before the kernel knew of our wish
            os._exit(1)

    out = open_log(log)
    try:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=follow,  # noqa: PLW1509  we have one thread
            user=owner.uid if owner else None,
            group=owner.gid if owner else None,
            extra_groups=[] if owner else None,
        )
    finally:
        os.close(out)


def stop(child: Child | None, *steps: Step) -> None:
    """Send each signal, waiting that long for the end, and kill what is still there."""
    if child is None:
        return
    for number, patience in steps:
        if child.poll() is not None:
            return
        child.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience)
    if child.poll() is None:
        child.kill()
        child.wait()


def run(
    command: Sequence[str | Path],
    *,
    pause: Pause,
    log: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    owner: Owner | None = None,
) -> int:
    """Run a child to its end and return its exit code; if `pause` breaks off, so does the child."""
    child = spawn(command, dies_by=signal.SIGKILL, log=log, env=env, cwd=cwd, owner=owner)
    try:
        while (code := child.poll()) is None:
            pause(0.02)
        return code
    finally:
        stop(child, (signal.SIGTERM, 2.0))


def describe_end(code: int) -> str:
    """How a child ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
