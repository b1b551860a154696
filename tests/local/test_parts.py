"""The small parts of the supervisor."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.local import logfiles, processes
from hub.local.children import describe_end, spawn, stop
from hub.local.errors import StartError, StopRequested
from hub.local.folder import claimed, new_keys, open_folder, secret, socket_folder
from hub.local.greeting import greeting
from hub.local.logfiles import last_words, open_log
from hub.local.plan import CHECKOUT, read_plan
from hub.local.ports import free_port, refuse_taken
from hub.local.probe import answer, ready
from hub.local.restarts import next_try
from hub.local.signals import Signals
from hub.local.watch import Watch


def test_a_plan_has_sound_defaults() -> None:
    plan = read_plan({"DATABASE_URL": ""})
    assert plan.address == "http://127.0.0.1:8080"
    assert plan.folder == CHECKOUT / ".local"
    assert (plan.database_url, plan.redis_url) == (None, None)
    assert plan.command("web") == [sys.executable, "-m", "hub", "web"]


def test_a_plan_takes_what_the_environment_says(tmp_path: Path) -> None:
    plan = read_plan({"HOST": "0.0.0.0", "PORT": "9000", "HUB_LOCAL": str(tmp_path), "HUB_KEYS": "k9:x"})
    assert plan.folder == tmp_path
    told = plan.environment_for(database_url="postgresql://p/hub", redis_url="redis://r", keys=plan.keys or "")
    assert told.items() >= {"HOST": "0.0.0.0", "PORT": "9000", "HUB_KEYS": "k9:x", "DEMO": "true"}.items()
    assert told["PUBLIC_URL"] == "http://127.0.0.1:9000"
    assert read_plan({"HOST": "::"}).address == "http://[::1]:8080"
    assert read_plan({"PUBLIC_URL": "https://hub.clinic.test"}).address == "https://hub.clinic.test"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8 0", "٨٠"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(StartError, match="PORT must be a number from 1 to 65535"):
        read_plan({"PORT": port})


def test_a_taken_port_is_noticed_and_a_free_one_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(StartError, match="is in use"):
        refuse_taken("127.0.0.1", server.getsockname()[1])
    refuse_taken("127.0.0.1", free_port())


def test_a_host_that_is_not_here_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192.0.2.1"):
        refuse_taken("192.0.2.1", free_port())
    with pytest.raises(StartError, match="is no address"):
        refuse_taken("no such host", 80)


def test_a_port_that_needs_more_rights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", deny)
    with pytest.raises(StartError, match="may not open port 80"):
        refuse_taken("127.0.0.1", 80)
    with pytest.raises(StartError, match="no free port"):
        free_port()


def test_the_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    open_folder(tmp_path / "local")
    with (
        claimed(tmp_path / "local"),
        pytest.raises(StartError, match=f"in use by process {os.getpid()}"),
        claimed(tmp_path / "local"),
    ):
        pass
    with claimed(tmp_path / "local"):
        pass


def test_a_secret_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.with_name("keys.new").write_text("of one that was killed")
    first = secret(path, new_keys)
    path.chmod(0o644)
    assert secret(path, new_keys) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [name.name for name in tmp_path.iterdir()] == ["keys"]


def test_sockets_get_a_short_path_that_is_ours_alone(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    short = socket_folder(deep, None)
    try:
        assert len(os.fsencode(short)) < 80
        assert short.stat().st_mode & 0o777 == 0o700
        (short / "old").touch()
        assert not list(socket_folder(deep, None).iterdir())
        short.rmdir()
        short.symlink_to(tmp_path)
        with pytest.raises(StartError, match="is not ours"):
            socket_folder(deep, None)
    finally:
        short.unlink()


def test_a_log_that_grew_too_long_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfiles, "LIMIT", 3)
    log = tmp_path / "web.log"
    log.write_text("long\n\n")
    assert last_words(log) == "long"
    os.close(open_log(log))
    assert log.read_text() == ""
    assert (tmp_path / "web.old").read_text() == "long\n\n"
    assert last_words(log) == last_words(tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("code", "words"), [(3, "exit code 3"), (-9, "SIGKILL"), (-64, "SIGRTMAX"), (-99, "signal 99")]
)
def test_an_end_is_described_in_words(code: int, words: str) -> None:
    assert describe_end(code) == words


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = "from signal import *; import time; signal(SIGTERM, SIG_IGN); print(1, flush=True); time.sleep(60)"
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", deaf], dies_by=signal.SIGKILL, log=log, env=os.environ)
    while not last_words(log):
        time.sleep(0.01)
    stop(child, (signal.SIGTERM, 0.05))
    assert child.returncode == -signal.SIGKILL


def test_a_leftover_that_does_not_end_is_said_in_one_line() -> None:
    with subprocess.Popen(["sleep", "60"]) as leftover:
        # Its words can be read only a moment after it was started.
        while not processes.command_line(leftover.pid):
            time.sleep(0.01)
        with pytest.raises(StartError, match=f"process {leftover.pid}, left by an earlier start"):
            processes.end(leftover.pid, ("sleep",), (signal.SIGCONT, 0.05))
        leftover.kill()


def test_a_process_is_known_by_its_words_with_and_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = processes.command_line(os.getpid())
    assert "python" in own
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert processes.command_line(ended.pid) == ""
        monkeypatch.setattr(processes, "PROC", tmp_path)
        ps = tmp_path / "ps"
        ps.write_text('#!/bin/sh\n[ "$5" = 1 ] && echo "Ss   init 1"; [ "$5" = 2 ] && echo "Z    gone"; exit 1\n')
        ps.chmod(0o755)
        monkeypatch.setattr(processes, "PS", ps)
        assert [processes.command_line(pid) for pid in (1, 2, 3)] == ["init 1", "", ""]


def test_restarts_come_later_each_time_and_are_given_up() -> None:
    assert [next_try([0.0] * ends, 1.0) for ends in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 8.0, None]
    assert next_try([0.0] * 5 + [100.0], 100.0) == 0.5


@dataclass
class Fickle:
    """A service that ends as often as it is told to."""

    codes: list[int]
    name: str = "web"
    log: Path = Path("web.log")
    starts: int = 0

    def start(self) -> None:
        self.starts += 1

    def exit_code(self) -> int | None:
        return self.codes.pop() if self.codes else None

    def stop(self) -> None: ...


@dataclass
class Clock:
    """Time that passes only by pausing."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_a_service_that_ends_is_started_again_until_it_ends_too_often() -> None:
    clock, said = Clock(), list[str]()
    web = Fickle([1, 1])
    watch = Watch([web], clock.pause, said.append, clock)
    watch.until(lambda: clock.now > 20)
    assert web.starts == 2
    assert said[0] == "web ended (exit code 1; web.log), it starts again in 0.5 s"
    web.codes = [1] * 9
    with pytest.raises(StartError, match=r"web ended \(exit code 1; web.log\) 6 times"):
        watch.until(lambda: False)


def test_a_pause_ends_by_a_signal_and_others_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        signals.pause(0)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(StopRequested):
            signals.pause(30)
        with pytest.raises(StopRequested):
            signals.pause(30)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            signals.pause(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_readiness_is_asked_of_the_web_process_and_not_for_ever() -> None:
    port = free_port()
    assert answer("127.0.0.1", port) == "ConnectionRefusedError"
    with pytest.raises(StartError, match="not ready after 0 s: GET /health/ready answers ConnectionRefusedError"):
        ready("127.0.0.1", port, 0)()


def test_the_greeting_names_the_logins() -> None:
    login = {
        "name": "Sara Doe",
        "role": "front_desk",
        "tenant": "Noor",
        "email": "sara@noor.test",
        "password": "p",
    }
    words = greeting("http://127.0.0.1:1", {"logins": [login]}, Path("logs"))
    assert "Sara Doe  front_desk  Noor    sara@noor.test  p\n" in words
    assert greeting("http://127.0.0.1:1", {}, Path("logs")) == (
        "\nThe hub is at http://127.0.0.1:1\n\nCtrl-C stops it. Logs: logs"
    )
