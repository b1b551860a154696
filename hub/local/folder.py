"""The data folder: one holder at a time, secrets nobody else can read, short paths for sockets."""

import base64
import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.local.children import Owner
from hub.local.errors import StartError

# A socket's path may have 104 to 108 bytes, its name (".s.PGSQL.65535.lock") included.
SOCKET_FOLDER_LIMIT = 80


def open_folder(path: Path) -> None:
    """Make the data folder. As root others may pass through it: PostgreSQL runs as another user."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o011)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder alone; whoever comes second is told who holds it."""
    # Not inheritable, so the lock ends with this process and not with its last child.
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            raise StartError(
                f"{folder} is in use by process {holder}: stop that, or choose another folder by HUB_LOCAL"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)


def secret(path: Path, make: Callable[[], str]) -> str:
    """Read a secret that only we can read; make it the first time, whole or not at all."""
    if not path.exists():
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make() + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    path.chmod(0o600)
    return path.read_text().strip()


def new_password() -> str:
    """A password that needs no quoting anywhere."""
    return secrets.token_hex(24)


def new_keys() -> str:
    """HUB_KEYS with one fresh key."""
    return "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()


def socket_folder(wanted: Path, owner: Owner | None) -> Path:
    """An empty folder for sockets, open to `owner` only: the wanted one, unless its path is too long."""
    folder = wanted if len(os.fsencode(wanted)) <= SOCKET_FOLDER_LIMIT else _short(wanted, owner)
    folder.mkdir(mode=0o700, exist_ok=True)
    if owner:
        os.chown(folder, owner.uid, owner.gid)
    folder.chmod(0o700)
    for left in folder.iterdir():
        left.unlink()
    return folder


def _short(wanted: Path, owner: Owner | None) -> Path:
    """A short path that stands for `wanted`, in a folder where anybody may have put something there first."""
    short = Path(tempfile.gettempdir()) / f"hub-{hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]}"
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner.uid if owner else None}:
        raise StartError(f"{short} is not ours: remove it, and start again")
    return short
