"""`python -m hub start` as a person runs it: real servers, real web and worker, the real demo."""

import json
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.local.supervisor import REAL, Supervisor, gone, running


def test_the_hub_starts_survives_a_kill_starts_again_and_stops(
    start: Callable[..., Supervisor], open_folder: Path
) -> None:
    hub = start(open_folder, REAL)
    address = f"http://127.0.0.1:{hub.port}"
    assert hub.says("^ready") == f"ready {address}\n"
    assert (open_folder / "demo.json").stat().st_mode & 0o777 == 0o600
    demo = json.loads((open_folder / "demo.json").read_text())
    assert demo["address"] == address
    assert demo["api_key"]
    assert {login["role"] for login in demo["logins"]} == {"admin", "front_desk", "provider"}
    with urllib.request.urlopen(f"{address}/sign-in") as page:
        assert page.status == 200
    family = hub.family()
    hub.process.kill()
    assert gone(family, 15)

    again = start(open_folder, REAL, PORT=str(hub.port))
    again.says("^ready")
    family = again.family()
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(20) == 0
    assert not any(running(process) for process in family)
    assert again.errors() == ""
