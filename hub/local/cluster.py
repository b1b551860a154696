"""The files of a PostgreSQL cluster: made whole or not at all, and recognised."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from hub.local.children import Owner, Pause, run
from hub.local.errors import StartError
from hub.local.logfiles import last_words

USER = "postgres"
OPTIONS = (
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)


def environment() -> Mapping[str, str]:
    """What PostgreSQL's programs see: none of the caller's PG… variables, no locale."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def refuse_foreign(data: Path, version: str) -> None:
    """Raise when the cluster was made by another major version, or is no cluster."""
    if not data.exists():
        return
    mine = version.partition(".")[0]
    try:
        theirs = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise StartError(f"{data} holds no PostgreSQL data: move it away, and start again") from None
    if theirs != mine:
        raise StartError(f"{data} was made by PostgreSQL {theirs}, this one is {mine}: move it away, and start again")


def make(
    data: Path, *, programs: Path, password: str, owner: Owner | None, durable: bool, log: Path, pause: Pause
) -> None:
    """Make a cluster beside `data` and rename it: one killed half-way is never taken for whole."""
    for left in data.parent.glob("init-*"):
        shutil.rmtree(left)
    new = data.with_name(f"init-{secrets.token_hex(4)}")
    new.mkdir(mode=0o700)
    (new / "password").touch(mode=0o600)
    (new / "password").write_text(password)
    if owner:
        os.chown(new, owner.uid, owner.gid)
        os.chown(new / "password", owner.uid, owner.gid)
    command: list[str | Path] = [
        programs / "initdb",
        "-D",
        new / "data",
        "-U",
        USER,
        f"--pwfile={new / 'password'}",
        *OPTIONS,
    ]
    if not durable:
        command.append("--no-sync")
    code = run(command, pause=pause, log=log, env=environment(), cwd=new, owner=owner)
    if code:
        raise StartError(f"PostgreSQL cannot make its data folder: {last_words(log)} ({log})")
    (new / "data").rename(data)
    shutil.rmtree(new)
