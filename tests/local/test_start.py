"""The supervisor, with stand-ins for the hub's own commands."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from hub.local.plan import CHECKOUT
from hub.local.ports import free_port
from hub.local.told import NAMES, read_told
from tests.local.supervisor import NO_SERVERS, STUB, Supervisor, clean_environment, gone, running

Start = Callable[..., Supervisor]


def test_everything_starts_and_one_ctrl_c_stops_it_all(start: Start, open_folder: Path) -> None:
    hub = start(open_folder)
    hub.says("sara@clinic.test")
    assert hub.says("^ready") == f"ready http://127.0.0.1:{hub.port}\n"
    family = hub.family()
    assert {"postgres", "valkey-server"} <= {process.name() for process in family}
    hub.process.send_signal(signal.SIGINT)
    assert hub.process.wait(15) == 0
    assert not any(running(process) for process in family)
    assert hub.errors() == ""


def test_a_second_start_keeps_the_secrets_and_is_quick(start: Start, open_folder: Path) -> None:
    told = []
    for _ in range(2):
        began = time.monotonic()
        hub = start(open_folder)
        hub.says("^ready")
        took = time.monotonic() - began
        told.append(json.loads((open_folder / "demo.json").read_text())["told"])
        hub.process.send_signal(signal.SIGTERM)
        assert hub.process.wait(15) == 0
    assert took < 5
    first, second = told
    assert first["HUB_KEYS"] == second["HUB_KEYS"]
    assert first["HUB_KEYS"].startswith("k1:")
    assert (open_folder / "keys").stat().st_mode & 0o777 == 0o600
    assert [re.sub(r":\d+/", "/", url) for url in (first["DATABASE_URL"], first["REDIS_URL"])] == [
        re.sub(r":\d+/", "/", url) for url in (second["DATABASE_URL"], second["REDIS_URL"])
    ]


def test_a_kill_leaves_nothing_running_and_the_next_start_works(start: Start, open_folder: Path) -> None:
    hub = start(open_folder)
    hub.says("^ready")
    family = hub.family()
    assert len(family) >= 4
    hub.process.kill()
    assert gone(family, 10)
    start(open_folder, PORT=str(hub.port)).says("^ready")


def test_a_kill_during_the_first_start_leaves_nothing_running_and_nothing_broken(
    start: Start, open_folder: Path
) -> None:
    hub = start(open_folder)
    while not list(open_folder.glob("postgres/init-*/data/PG_VERSION")):
        time.sleep(0.005)
    family = hub.family()
    hub.process.kill()
    assert gone(family, 10)
    assert not (open_folder / "postgres" / "data").exists()
    start(open_folder).says("^ready")


def test_servers_that_are_given_are_not_started(start: Start, tmp_path: Path) -> None:
    hub = start(**NO_SERVERS)
    hub.says("^ready")
    assert not {"postgres", "valkey-server"} & {process.name() for process in hub.family()}
    assert json.loads((tmp_path / "demo.json").read_text())["told"].items() >= NO_SERVERS.items()


def test_a_command_beside_it_is_told_the_same_while_it_runs(start: Start, tmp_path: Path) -> None:
    hub = start(**NO_SERVERS)
    hub.says("^ready")
    file = tmp_path / "told.json"
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads((tmp_path / "demo.json").read_text())["told"]
    assert read_told(file) == {name: told[name] for name in NAMES}
    hub.process.send_signal(signal.SIGINT)
    assert hub.process.wait(15) == 0
    assert read_told(file) == {}


def test_a_terminal_without_arabic_letters_is_no_obstacle(start: Start) -> None:
    hub = start(**NO_SERVERS, PYTHONIOENCODING="ascii")
    assert "?" in hub.says("sara@clinic.test")
    hub.says("^ready")


def test_a_port_in_use_is_said_in_one_line_before_anything_starts(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        hub = start(PORT=str(port))
        assert hub.process.wait(15) == 1
    assert hub.errors() == f"hub: port {port} is in use by another program: stop that, or choose another port by PORT\n"
    assert not (tmp_path / "postgres").exists()


def test_a_second_start_names_the_process_that_holds_the_folder(start: Start, tmp_path: Path) -> None:
    first = start(**NO_SERVERS)
    first.says("^ready")
    second = start(**NO_SERVERS)
    assert second.process.wait(15) == 1
    holder = f"process {first.process.pid}"
    assert second.errors() == (
        f"hub: {tmp_path} is in use by {holder}: stop that, or choose another folder by HUB_LOCAL\n"
    )


def test_a_command_that_fails_is_said_in_one_line_with_its_last_words(start: Start, tmp_path: Path) -> None:
    hub = start(**NO_SERVERS, STUB_FAILS="migrate")
    assert hub.process.wait(15) == 1
    assert hub.errors() == f"hub: `hub migrate` failed: migrate has a bad day ({tmp_path}/logs/migrate.log)\n"


def test_a_worker_that_is_killed_is_started_again(start: Start) -> None:
    hub = start(**NO_SERVERS)
    hub.says("^ready")
    worker = next(process for process in hub.family() if process.cmdline()[-1] == "worker")
    worker.kill()
    assert "SIGKILL" in hub.says("worker ended")
    deadline = time.monotonic() + 10
    while not any(process.cmdline()[-1:] == ["worker"] for process in hub.family()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_web_that_never_starts_is_given_up_with_its_last_words(start: Start) -> None:
    hub = start(**NO_SERVERS, STUB_FAILS="web")
    hub.says("web ended")
    assert hub.process.wait(20) == 1
    assert re.fullmatch(r"hub: web ended \(exit code 1; .*web.log\) 3 times: web has a bad day\n", hub.errors())


def test_valkey_that_dies_comes_back_on_the_same_port(start: Start, open_folder: Path) -> None:
    hub = start(open_folder, DATABASE_URL=NO_SERVERS["DATABASE_URL"])
    hub.says("^ready")
    next(process for process in hub.family() if process.name() == "valkey-server").kill()
    hub.says("Valkey ended")
    url = json.loads((open_folder / "demo.json").read_text())["told"]["REDIS_URL"]
    deadline = time.monotonic() + 10
    while not _listens(int(url.split(":")[-1].split("/")[0])):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_death_of_make_stops_the_hub(tmp_path: Path) -> None:
    maker = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUB!r}])"
    environment = clean_environment() | NO_SERVERS | {"HUB_LOCAL": str(tmp_path), "PORT": str(free_port())}
    with subprocess.Popen(
        [sys.executable, "-c", maker],
        cwd=CHECKOUT,
        env=environment | {"HUB_STOP_WITH_PARENT": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as make:
        assert make.stdout
        while not next(make.stdout).startswith("ready"):
            pass
        family = psutil.Process(make.pid).children(recursive=True)
        make.kill()
        assert gone(family, 15)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
