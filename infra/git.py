"""git, as this program asks it."""

import subprocess
from pathlib import Path

from infra.errors import InfraError
from infra.paths import project_root

LIMIT = 600  # seconds; a clone over a slow line is the longest


def git(*arguments: str, root: Path | None = None) -> bytes:
    """What git prints, asked in `root`, else in this project. Raises InfraError with its last line."""
    try:
        folder = root or project_root()
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False, timeout=LIMIT)
    except FileNotFoundError:
        raise InfraError("git is not on PATH: install it (apt install git, brew install git); run again") from None
    except subprocess.TimeoutExpired:
        raise InfraError(f"git {arguments[0]}: no answer in {LIMIT} s. Run again") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise InfraError(f"git {' '.join(arguments[:2])}: {lines[-1]}")
    return done.stdout
