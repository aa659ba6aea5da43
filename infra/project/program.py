"""The program as a set of files: which of a checkout they are, and which of them a project has."""

import hashlib
import json
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from catalogue.files import read_mapping
from catalogue.problems import CatalogueError
from catalogue.shapes import is_list
from infra.errors import InfraError
from infra.git import clone, git
from infra.writing import is_file, put

RECORD = ".program.json"
PARTS = "starter/parts.yaml"
HERE = Path(__file__).parent.parent.parent
SAFE = re.compile(r"(?!/)(?:(?!\.\.?(?:/|$))[^/\\\x00-\x1f\x7f]{1,200}(?:/(?=.)|$))+")
EXECUTABLE = "+x"


@dataclass(frozen=True)
class File:
    """A file of the program."""

    content: bytes
    executable: bool = False

    @property
    def mark(self) -> str:
        """What it is, content and mode. Its content as git names it: so that a project's history has what it was."""
        return mark_of(self.content, self.executable)


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
    """What a project has of the program: path → mark of the file that came with it. `originals` are the texts of those
    that are otherwise here."""

    version: str
    commit: str
    files: dict[str, str]
    originals: dict[str, str] = field(default_factory=dict[str, str])


def mark_of(content: bytes, executable: bool) -> str:
    id = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return f"{id}{EXECUTABLE if executable else ''}"


def file_at(place: Path) -> File | None:
    """A regular file, as it is; None where none is. Raises InfraError for one that cannot be read."""
    try:
        if not is_file(place):
            return None
        return File(place.read_bytes(), bool(os.lstat(place).st_mode & stat.S_IXUSR))
    except (OSError, ValueError) as error:
        raise InfraError(f"{place} cannot be read: {error}") from None


def program_in(root: Path) -> Program:
    """The program of a checkout, as its files are now, or of another project. Raises InfraError."""
    recorded = read_record(root)
    paths = [path for path in [*recorded.files] if path] if recorded else _tracked_files(root)
    files: dict[str, File] = {}
    otherwise: list[str] = []
    for path in paths:
        if not recorded and not is_part(root, path):
            continue
        if not is_safe(path) or is_owners(path):
            raise InfraError(f"{root} lists {path!r} as a file of the program, and no such path is allowed")
        file = file_at(root / path)
        if file is None:
            raise InfraError(f"{path} is not in {root} as a file: check it out as a whole, or clone it")
        files[path] = file
        if recorded and file.mark != recorded.files[path]:
            otherwise.append(path)
    if "Pulumi.yaml" not in files or "__main__.py" not in files:
        raise InfraError(f"{root} is no checkout of this program: it has no Pulumi.yaml and __main__.py")
    commit = f"{recorded.commit}{', edited' if otherwise else ''}" if recorded else _commit(root)
    return Program(_version(root), commit, files)


def program_from(source: str, version: str, option: str) -> Program:
    """The program of a checkout. `source` is a directory or what git can clone, `version` a tag, a branch or a commit
    of it ("": as it is), which `option` gave. Raises InfraError."""
    if source.startswith("-") or version.startswith("-"):
        raise InfraError(f"{source if source.startswith('-') else version!r} is neither a place nor a version")
    folder = Path(source)
    if folder.is_dir() and not version:
        return program_in(folder.resolve())
    with clone(str(folder.resolve()) if folder.is_dir() else source, version, option) as checkout:
        return program_in(checkout)


def read_record(root: Path) -> Record | None:
    """What a project was made from; None where it was not. Raises InfraError for a record that cannot be read."""
    place = root / RECORD
    if not os.path.lexists(place):
        return None
    try:
        document = json.loads((file_at(place) or File(b"")).content)
        version, commit = document["version"], document["commit"]
        files, originals = dict(document["files"]), dict(document.get("originals", {}))
        if any(not isinstance(text, str) for text in [*files.values(), *originals.values()]):
            raise TypeError
        record = Record(str(version), str(commit), files, originals)
    except (ValueError, LookupError, TypeError, RecursionError, AttributeError):
        raise InfraError(f"{place} cannot be read: take it back from the history of this repository") from None
    for path in record.files:
        if not is_safe(path) or is_owners(path):
            raise InfraError(f"{place} names {path!r}, which is no file of the program: take it back from the history")
    return record


def write_record(root: Path, program: Program, originals: dict[str, str] | None = None) -> None:
    files = {path: program.files[path].mark for path in sorted(program.files)}
    body = {"version": program.version, "commit": program.commit, "files": files, "originals": originals or {}}
    put(root / RECORD, json.dumps(body, indent=1) + "\n")


def is_safe(path: str) -> bool:
    """Can a path be a file of a project: below it, in nothing of git's, and shown as it is."""
    parts = path.lower().split("/")
    return bool(SAFE.fullmatch(path)) and ".git" not in parts and path.isprintable() and len(path) < 1000


def is_part(root: Path, path: str) -> bool:
    """Is a file of a checkout the program's, as that checkout's own list says, else as ours."""
    own = root / PARTS
    return _is_in(_read_paths(own if own.exists() else HERE / PARTS, "program"), path)


def is_owners(path: str) -> bool:
    """Is a path the owners' of a project, whatever a version calls its own."""
    return _is_in(_read_paths(HERE / PARTS, "owners"), path)


def _is_in(entries: tuple[str, ...], path: str) -> bool:
    is_listed = False
    for entry in entries:
        name = entry.removeprefix("!")
        if fnmatchcase(path, name) or (name.endswith("/") and path.startswith(name)):
            is_listed = not entry.startswith("!")
    return is_listed


@cache
def _read_paths(file: Path, key: str) -> tuple[str, ...]:
    try:
        entries = read_mapping(file, PARTS, "program and owners: lists of paths").get(key)
    except CatalogueError as error:
        raise InfraError(str(error)) from None
    if not is_list(entries) or not all(isinstance(entry, str) for entry in entries):
        raise InfraError(f"{PARTS} has no {key}: a list of paths")
    return tuple(entries)


def _tracked_files(root: Path) -> list[str]:
    if not (root / ".git").exists():
        raise InfraError(f"{root} is neither a checkout of this program nor a project made from it: clone it with git")
    return [os.fsdecode(path) for path in git("ls-files", "-z", root=root).split(b"\0") if path]


def _commit(root: Path) -> str:
    """Of a checkout whose files are not all committed, with a word that says so."""
    commit = git("rev-parse", "--short=10", "HEAD", root=root).decode().strip()
    return f"{commit}, edited" if git("status", "--porcelain", "--untracked-files=no", root=root) else commit


def _version(root: Path) -> str:
    try:
        return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, ValueError, LookupError, TypeError):
        raise InfraError(f"{root}/pyproject.toml says no version: is it a checkout of this program?") from None
