"""What the environment asks of a start. Pure."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub.local.errors import StartError

CHECKOUT = Path(__file__).resolve().parent.parent.parent
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what may be listened on is not what is called


@dataclass(frozen=True)
class Plan:
    """One start: where, on which port, with which servers."""

    host: str
    port: int
    folder: Path
    database_url: str | None = None
    redis_url: str | None = None
    public_url: str | None = None
    keys: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = "hub"
    checkout: Path = CHECKOUT

    @property
    def reachable_at(self) -> str:
        """The host under which this machine finds what listens on `host`."""
        return EVERYWHERE.get(self.host, self.host)

    @property
    def address(self) -> str:
        """The address for a browser."""
        host = f"[{self.reachable_at}]" if ":" in self.reachable_at else self.reachable_at
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def told(self) -> Path:
        """Where a command beside a running hub finds what the hub's own commands are told."""
        return self.folder / "told.json"

    def log(self, name: str) -> Path:
        """Where a child's output goes."""
        return self.folder / "logs" / f"{name}.log"

    def command(self, *words: str) -> list[str]:
        """One of the hub's own commands."""
        return [sys.executable, "-m", self.module, *words]

    def environment_for(self, *, database_url: str, redis_url: str, keys: str) -> dict[str, str]:
        """What the hub's own commands are told."""
        return {
            **self.environment,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "HUB_KEYS": keys,
            "PUBLIC_URL": self.address,
            "HOST": self.host,
            "PORT": str(self.port),
            "DEMO": "true",
            "PYTHONUNBUFFERED": "1",
        }


def read_plan(environment: Mapping[str, str], module: str = "hub", checkout: Path = CHECKOUT) -> Plan:
    """The plan in the environment; an empty variable counts as unset."""
    given = {key: value for key, value in environment.items() if value}
    return Plan(
        host=given.get("HOST", "127.0.0.1"),
        port=read_port(given.get("PORT", "8080")),
        folder=Path(os.path.abspath(given.get("HUB_LOCAL", checkout / ".local"))),  # noqa: PTH100  keeps symlinks
        database_url=given.get("DATABASE_URL"),
        redis_url=given.get("REDIS_URL"),
        public_url=given.get("PUBLIC_URL"),
        keys=given.get("HUB_KEYS"),
        checkout=checkout,
        module=module,
        environment=environment,
    )


def read_port(text: str) -> int:
    """The port somebody asked for."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise StartError(f"PORT must be a number from 1 to 65535, not {text!r}")
    return int(text)
