"""Whose PostgreSQL's files are. PostgreSQL refuses to run as root, so root lends it another user."""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from hub.local.children import Owner
from hub.local.errors import StartError

STAND_INS = ("postgres", "nobody")
ELSEWHERE = Path("/var/lib")


def owner_of(data: Path) -> Owner | None:
    """The user PostgreSQL runs as, None for ourselves; an existing data folder keeps its owner."""
    uid = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if uid not in {None, os.geteuid()}:
            raise StartError(f"{data} belongs to another user: start as that one, or choose a folder by HUB_LOCAL")
        return None
    if uid == 0:
        raise StartError(f"{data} belongs to root, as whom PostgreSQL does not run: move it away, and start again")
    if uid is not None:
        return Owner(uid, data.stat().st_gid)
    for name in STAND_INS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(user.pw_uid, user.pw_gid)
    raise StartError("PostgreSQL does not run as root, and there is no user postgres or nobody: start as another")


def reaches(owner: Owner, path: Path) -> bool:
    """Whether that user can enter the folder, or run the file."""
    asked = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$0"', str(path)],
        cwd="/",
        user=owner.uid,
        group=owner.gid,
        extra_groups=[],
        check=False,
    )
    return asked.returncode == 0


def settle(home: Path, owner: Owner | None, elsewhere: Path = ELSEWHERE) -> Path:
    """The folder for PostgreSQL's files: `home`, or where it points, for when its owner cannot reach `home`.

    The usual case is a checkout in root's own home: the parents stay closed, and the files live elsewhere.
    """
    if home.is_symlink():
        home.resolve().mkdir(mode=0o711, exist_ok=True)
        return home.resolve()
    home.mkdir(exist_ok=True)
    home.chmod(0o711 if owner else 0o700)
    if owner is None or reaches(owner, home):
        return home
    if any(home.iterdir()):
        raise StartError(
            f"user {owner.uid}, as whom PostgreSQL runs, cannot enter {home}: move it away, and start again"
        )
    away = elsewhere / f"hub-{hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]}"
    if away.exists():  # of a data folder that was removed since
        shutil.rmtree(away)
    away.mkdir()
    away.chmod(0o711)
    home.rmdir()
    home.symlink_to(away)
    return away


def programs_for(owner: Owner | None, programs: Path, version: str, home: Path) -> Path:
    """The programs where `owner` can run them: in the wheel, else in a copy made once."""
    if owner is None or reaches(owner, programs / "postgres"):
        return programs
    copy = home / f"programs-{version}"
    if not copy.exists():
        _copy_wheel(programs.parents[1], copy, owner)
    return copy / programs.parents[1].name / "pginstall" / "bin"


def _copy_wheel(package: Path, copy: Path, owner: Owner) -> None:
    """Copy package and libraries side by side, as the programs find their libraries by relative paths."""
    new = copy.with_name("programs.new")
    shutil.rmtree(new, ignore_errors=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(package / "pginstall", new / package.name / "pginstall", symlinks=True)
    shutil.copytree(libraries, new / libraries.name, symlinks=True)
    for path in [new, *new.rglob("*")]:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    new.rename(copy)
