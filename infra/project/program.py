"""The program as a set of files: which of a checkout they are, and which of them a project has."""

import hashlib
import json
import os
import stat
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from catalogue.files import read_mapping
from catalogue.problems import CatalogueError
from infra.errors import InfraError
from infra.git import git
from infra.writing import is_file, put

RECORD = ".program.json"
PARTS = "starter/parts.yaml"
HERE = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class File:
    """A file of the program."""

    content: bytes
    executable: bool = False

    @property
    def id(self) -> str:
        """As git names its content: so that a project's history has what it was."""
        return content_id(self.content)


@dataclass(frozen=True)
class Program:
    """`files` by their paths in a project; `commit` is "" where the checkout has none."""

    version: str
    commit: str
    files: dict[str, File]

    @property
    def name(self) -> str:
        return f"{self.version} ({self.commit})" if self.commit else self.version


@dataclass(frozen=True)
class Record:
    """What a project has of the program: path → id of the content that came with it."""

    version: str
    commit: str
    files: dict[str, str]


def content_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def program_in(root: Path) -> Program:
    """The program of a checkout, as its files are now, or of another project. Raises InfraError."""
    recorded = read_record(root)
    listed = [*recorded.files] if recorded else _tracked(root)
    wanted = [path for path in listed if recorded or not is_left_out(root, path)]
    files = {}
    for path in wanted:
        place = root / path
        if is_file(place):
            files[path] = File(place.read_bytes(), bool(os.lstat(place).st_mode & stat.S_IXUSR))
    if "Pulumi.yaml" not in files or "__main__.py" not in files:
        raise InfraError(f"{root} is no checkout of this program: it has no Pulumi.yaml and __main__.py")
    return Program(_version(root), recorded.commit if recorded else _commit(root), files)


def program_from(source: str, version: str = "") -> Program:
    """The program of a checkout. `source` is a directory or what git can clone, `version` a tag, a branch
    or a commit of it. Raises InfraError."""
    if source.startswith("-") or version.startswith("-"):
        raise InfraError(f"{source if source.startswith('-') else version!r} is neither a place nor a version")
    folder = Path(source)
    if folder.is_dir() and not version:
        return program_in(folder.resolve())
    with TemporaryDirectory(prefix="infra-program-") as scratch:
        target = Path(scratch) / "checkout"
        place = str(folder.resolve()) if folder.is_dir() else source
        git("clone", "--quiet", "--no-checkout", "--", place, str(target), root=Path(scratch))
        try:
            git("checkout", "--quiet", "--detach", version or "HEAD", "--", root=target)
        except InfraError:
            raise InfraError(f"--version {version}: {source} has no such tag, branch or commit") from None
        return program_in(target)


def read_record(root: Path) -> Record | None:
    """What a project was made from; None where it was not. Raises InfraError for a record that cannot be read."""
    file = root / RECORD
    if not is_file(file):
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        record = Record(str(found["version"]), str(found["commit"]), dict(found["files"]))
        if any(not isinstance(id, str) for id in record.files.values()):
            raise TypeError
    except (ValueError, LookupError, TypeError, OSError):
        raise InfraError(f"{file} cannot be read: take it back from the history of this repository") from None
    for path in record.files:
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or path.startswith("/") or ".git" in parts:
            raise InfraError(f"{file} names {path!r}, which is no file of a project: take it back from the history")
    return record


def write_record(root: Path, program: Program) -> None:
    files = {path: program.files[path].id for path in sorted(program.files)}
    body = {"version": program.version, "commit": program.commit, "files": files}
    put(root / RECORD, json.dumps(body, indent=1) + "\n")


def is_left_out(root: Path, path: str) -> bool:
    """Is a file of a checkout none of the program's, as that checkout's own list says, else as ours."""
    return any(path == entry or (entry.endswith("/") and path.startswith(entry)) for entry in _left_out(root))


@cache
def _left_out(root: Path) -> tuple[str, ...]:
    own = root / PARTS
    try:
        found = read_mapping(own if own.exists() else HERE / PARTS, PARTS, "leave_out: a list of paths")
    except CatalogueError as error:
        raise InfraError(str(error)) from None
    listed = found.get("leave_out")
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise InfraError(f"{PARTS} has no leave_out: a list of paths")
    return tuple(listed)


def _tracked(root: Path) -> list[str]:
    if not (root / ".git").exists():
        raise InfraError(f"{root} is neither a checkout of this program nor a project made from it: clone it with git")
    return [path for path in git("ls-files", "-z", root=root).decode().split("\0") if path]


def _commit(root: Path) -> str:
    """Of a checkout whose files are not all committed, with a word that says so."""
    commit = git("rev-parse", "--short=10", "HEAD", root=root).decode().strip()
    return f"{commit}, edited" if git("status", "--porcelain", "--untracked-files=no", root=root) else commit


def _version(root: Path) -> str:
    try:
        return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, ValueError, LookupError):
        raise InfraError(f"{root}/pyproject.toml says no version: is it a checkout of this program?") from None
