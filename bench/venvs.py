"""Environments for what is only compared: made on demand, outside of the project, and kept for the next time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.errors import BenchError

PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install", "-r")


def python_with(requirements: Path) -> Path:
    """The interpreter of an environment in which these are installed."""
    name = f"hub-bench-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    folder = Path(tempfile.gettempdir()) / name
    python, made = folder / "bin" / "python", folder / "made"
    if not made.exists():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([python, *PIP, requirements], check=True)
        except subprocess.CalledProcessError as error:
            raise BenchError(f"cannot install {requirements.name}: {error}") from error
        made.touch()
    return python
