"""git, as this program asks it."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.errors import InfraError
from infra.paths import project_root

LIMIT = 600  # seconds; a clone over a slow line is the longest
# What would point git at another repository than the directory's, as in a hook or an alias
ELSEWHERE = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_WORK_TREE",
}  # fmt: skip
# No program that a repository or an account names is run, and files are what they are
PLAIN = (
    "core.fsmonitor=false", "core.hooksPath=/dev/null", "core.autocrlf=false", "core.attributesFile=/dev/null",
    "commit.gpgSign=false",
)  # fmt: skip


@contextmanager
def clone(source: str, version: str, option: str) -> Generator[Path]:
    """A checkout of what git can clone, at a tag, a branch or a commit ("": as it is), which `option` gave; gone
    afterwards. Raises InfraError."""
    if source.startswith("-") or version.startswith("-"):
        raise InfraError(f"{source if source.startswith('-') else version!r} is neither a place nor a version")
    with TemporaryDirectory(prefix="infra-checkout-") as scratch:
        target = Path(scratch) / "checkout"
        git("clone", "--quiet", "--no-checkout", "--", source, str(target), root=Path(scratch))
        try:
            git("checkout", "--quiet", "--detach", version or "HEAD", "--", root=target)
        except InfraError as error:
            if not version:
                raise
            raise InfraError(f"{option} {version}: {source} has no such tag, branch or commit ({error})") from None
        yield target


def git(*arguments: str, root: Path | None = None) -> bytes:
    """What git prints, asked in `root`, else in this project. Raises InfraError with its last line."""
    folder = root or project_root()
    command = ["git", *(word for setting in PLAIN for word in ("-c", setting)), *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=LIMIT)
    except FileNotFoundError:
        raise InfraError("git is not on PATH: install it (apt install git, brew install git); run again") from None
    except subprocess.TimeoutExpired:
        raise InfraError(f"git {arguments[0]}: no answer in {LIMIT} s. Run again") from None
    if ran.returncode:
        lines = ran.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {ran.returncode}"]
        raise InfraError(f"git {' '.join(arguments[:2])}: {lines[-1]}")
    return ran.stdout
