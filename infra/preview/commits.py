"""Two commits of this project side by side, and what their programs would make."""

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agent.wording import phrase
from infra.errors import InfraError
from infra.foreign import one_line
from infra.git import git
from infra.paths import config_file
from infra.preview.documents import Pair
from infra.writing import put

PROGRAM = Path(__file__).parent / "snapshot.py"
MERGED = "origin/main"


def usual() -> str:
    """What a working tree is compared with where nothing else is named: what is merged, or in a repository without a
    remote what is committed."""
    try:
        git("rev-parse", "--verify", "--quiet", f"{MERGED}^{{commit}}")
    except InfraError:
        return "HEAD"
    return MERGED


def resolve(reference: str) -> str:
    """A commit's full id. Raises InfraError for what is none."""
    try:
        return git("rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}").decode().strip()
    except InfraError:
        raise InfraError(
            f"--base {reference}: this repository has no such commit; fetch it (in CI: fetch-depth: 0), "
            "or name another, such as HEAD"
        ) from None


def describe_worktree() -> str:
    """The working tree, by its commit."""
    commit = git("rev-parse", "--short=10", "HEAD").decode().strip()
    return phrase("{commit} with uncommitted changes", commit=commit) if git("status", "--porcelain") else commit


@contextmanager
def checkout(commit: str) -> Generator[Path]:
    """The files of a commit in a directory of their own; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="infra-preview-") as folder:
        archive = Path(folder) / "archive.tar"
        put(archive, git("archive", "--format=tar", commit))
        target = Path(folder) / "tree"
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter=_inside)
        yield target


def _inside(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
    """An entry of a commit, unless it is a link that leads out of its files: no program of a commit's needs one. Raises
    InfraError for anything else that could be written elsewhere."""
    try:
        return tarfile.data_filter(member, target)
    except tarfile.FilterError as error:
        if member.issym() or member.islnk():
            return None
        raise InfraError(f"the commit cannot be read: {one_line(str(error))}") from None


def snapshots(base: Path | None, head: Path, names: list[str]) -> dict[str, Pair]:
    """Stack → {base, head}, or {head} alone: see snapshot.py. Raises InfraError."""
    files = {name: str(config_file(name) or "") for name in names}
    request = json.dumps({"base": str(base or ""), "head": str(head), "stacks": files})
    ran = subprocess.run(
        [sys.executable, str(PROGRAM)], input=request, text=True, capture_output=True, check=False
    )  # fmt: skip
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
        raise InfraError(f"the programs did not run: {lines[-1]}")
    return json.loads(ran.stdout)
