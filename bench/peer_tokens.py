"""Prints a live token for each of the people, in order: `python -m bench.peer_tokens`, run by the harness's adapter."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import click

from bench.people import Clinic
from hub.crypto import Keys


@click.command()
def main() -> None:
    """Sign them now: they live for ten minutes, and no scenario of the harness takes as long."""
    keys = Keys.parse(os.environ["HUB_KEYS"])
    click.echo("\n".join(Clinic.of_environment().tokens(keys, datetime.now(UTC))))


if __name__ == "__main__":
    main()
