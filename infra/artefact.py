"""What an owner built, as an image of files alone: a directory, a file or an archive of this machine. The same files
give the same digest, whenever and under whatever account they were built."""

import gzip
import hashlib
import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agent.artefacts import UNPACKED
from agent.programs import HEAD, machine_of
from agent.trees import Unfit, size_on_disk, unpack
from infra.errors import InfraError
from infra.foreign import one_line
from infra.layout import Layer, Layout

ARCHITECTURES = ("amd64", "arm64")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
OTHER_ARCHIVES = (".zip", ".txz", ".tbz2", ".tar.zst", ".zst", ".7z", ".rar")
LEVEL = 3  # of gzip: a tenth larger than the best, in a quarter of its time
WRITTEN = 315532800  # 1980-01-01: when a file was built is not what it is
MOST = 1 << 40  # bytes of an archive
# What every host has; a link elsewhere would lead nowhere there
OF_HOSTS = ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc", "/dev/null")
# Names of what is not to be pushed; of a text its beginning
SECRET = re.compile(
    r"\.env(\..+)?|.+\.env|id_(rsa|dsa|ecdsa|ed25519)(\..+)?"
    r"|\.(git|git-credentials|netrc|pgpass|aws|ssh|docker|kube|gnupg|npmrc|pypirc|htpasswd|boto|vault-token)",
    re.IGNORECASE,
)
EXAMPLES = (".example", ".sample", ".template", ".dist")
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY")
# What Python keeps of what it has compiled: it depends on when files were written, which a push does not keep
COMPILED = "__pycache__"
# Packages have keys for their own tests
INSTALLED = re.compile(r"(^|/)(site-packages|dist-packages|node_modules)/")


@dataclass(frozen=True)
class Part:
    """What is for some architectures; `files` of the paths are no directories, `size` are their bytes, `blocks` what
    they take of a disk."""

    folder: Path
    paths: list[Path]
    files: int
    architectures: tuple[str, ...]
    size: int
    blocks: int


@dataclass(frozen=True)
class Packed:
    """An artefact as it is to be pushed: its digest, and what went into it, in a line."""

    digest: str
    line: str


def write(
    target: Path, sources: Sequence[str], architecture: str | None = None, places: Sequence[tuple[str, str]] = ()
) -> Packed:
    """An OCI layout at `target`, under the tag `new`, of the files of one or several sources, each for other
    architectures. `places` are where hosts have it: a path, and which part of it is there ("" for all). Raises
    InfraError."""
    with tempfile.TemporaryDirectory() as scratch:
        parts = [
            _part(_folder(Path(source), Path(scratch) / str(number)), source, architecture, places)
            for number, source in enumerate(sources)
        ]
        architectures = sorted(name for part in parts for name in part.architectures)
        if twice := sorted({name for name in architectures if architectures.count(name) > 1}):
            raise InfraError(f"several --from are for {', '.join(twice)}: one for each architecture")
        layout = Layout(target)
        # In one order, so that the same files give the same digest
        for part, source in sorted(zip(parts, sources, strict=True), key=lambda pair: pair[0].architectures):
            try:
                layer = _layer(layout, target, part)
            except OSError as error:
                why = one_line(str(error))
                raise InfraError(f"{source} changed while it was packed, or the disk is full: {why}") from None
            for name in part.architectures:
                layout.add_image(name, layer, {}, {UNPACKED: str(part.blocks)})
        digest = layout.finish("new")
    files, size = max(part.files for part in parts), max(part.size for part in parts)
    counted_files = f"{files} file{'s' if files > 1 else ''}"
    return Packed(digest, f"{counted_files}, {size / 1024**2:.1f} MiB, for {' and '.join(architectures)}")


def _folder(source: Path, scratch: Path) -> Path:
    """The directory that a source stands for. Raises InfraError."""
    if not source.exists():
        raise InfraError(f"there is no file or directory {source}: build it, or name another --from")
    if source.is_dir():
        return source.resolve()
    if source.name.lower().endswith(OTHER_ARCHIVES):
        raise InfraError(f"{source} is an archive of another kind: unpack it and name the directory, or make a .tar.gz")
    scratch.mkdir()
    try:
        if not source.name.endswith(ARCHIVES):
            shutil.copy2(source, scratch / source.name)
            return scratch
        unpack(str(source), str(scratch), MOST)
    except (Unfit, OSError) as error:
        raise InfraError(f"{source} cannot be unpacked: {one_line(str(error))}") from None
    return scratch


def _part(folder: Path, source: str, architecture: str | None, places: Sequence[tuple[str, str]]) -> Part:
    if SECRET.fullmatch(folder.name):
        raise InfraError(f"{source} may hold keys or passwords, and who pulls it could read them: push something else")
    paths: list[Path] = []
    machines: dict[str, str] = {}
    size, blocks = 0, 0
    try:
        for path in _below(folder):
            inside = path.relative_to(folder).as_posix()
            paths.append(path)
            _refuse(path, inside, folder, source)
            blocks += size_on_disk(path.lstat().st_size)
            if path.is_file() and not path.is_symlink():
                size += path.stat().st_size
                with open(path, "rb") as file:
                    head = file.read(HEAD)
                if os.access(path, os.X_OK) and not INSTALLED.search(inside):
                    _refuse_interpreter(head, inside, folder, source, places)
                if machine := machine_of(head):
                    machines.setdefault(machine, inside)
    except OSError as error:
        raise InfraError(f"{error.filename}: {error.strerror}: make it readable, and run again") from None
    if not paths:
        raise InfraError(f"{source} is empty: name the directory with what the service runs")
    if len(machines) > 1:
        each = ", ".join(f"{path} is for {machine}" for machine, path in sorted(machines.items()))
        raise InfraError(f"{source} has programs for several architectures ({each}): one --from for each")
    architectures = (architecture,) if architecture else tuple(machines) or ARCHITECTURES
    if other := [path for machine, path in machines.items() if machine not in architectures]:
        raise InfraError(f"{source}: {other[0]} is built for {next(iter(machines))}, and not for {architecture}")
    files = sum(path.is_symlink() or not path.is_dir() for path in paths)
    return Part(folder, paths, files, architectures, size, blocks)


def _below(folder: Path) -> Iterator[Path]:
    """Everything below a folder, in the order of names; links are not followed. Raises OSError."""

    def fail(error: OSError) -> None:
        raise error

    for place, directories, names in os.walk(folder, onerror=fail):
        directories[:] = sorted(name for name in directories if name != COMPILED)
        yield from (Path(place) / name for name in sorted([*names, *directories]))


def _refuse(path: Path, inside: str, folder: Path, source: str) -> None:
    """Raises InfraError for what a host could not have, or must not."""
    if _may_be_secret(path, inside):
        raise InfraError(
            f"{source}: {inside} may hold keys or passwords, and who pulls it could read them: leave it out"
        )
    if path.name.startswith(".wh."):
        raise InfraError(f"{source}: {inside} begins with .wh., which container images use to delete files; rename it")
    if path.is_symlink():
        target = os.readlink(path)
        leads = os.path.normpath(os.path.join(path.parent, target))
        is_here = not os.path.isabs(target) and f"{leads}/".startswith(f"{folder}/")
        if is_here and not os.path.lexists(leads):
            raise InfraError(f"{source}: {inside} is a link to {target}, which is not there: build again, or remove it")
        if not is_here and not leads.startswith(tuple(f"{place}/" for place in OF_HOSTS)):
            raise InfraError(
                f"{source}: {inside} is a link to {target}, which a host does not have: make a virtual environment "
                "with /usr/bin/python3, whose Python hosts have; of anything else put a copy in the link's place "
                "(cp -L)"
            )
    elif not (path.is_file() or path.is_dir()):
        raise InfraError(f"{source}: {inside} is a device, a pipe or a socket: leave it out")


def _refuse_interpreter(head: bytes, inside: str, folder: Path, source: str, places: Sequence[tuple[str, str]]) -> None:
    """A script that is started by a program of the same artefact, under a path where hosts do not have that. Raises
    InfraError."""
    line = head.split(b"\n", 1)[0].decode(errors="replace")
    interpreter = line[2:].split()[0] if line.startswith("#!") and line[2:].split() else ""
    # The host's own interpreter is meant, whatever the artefact brings beside it
    if not interpreter or interpreter.startswith(tuple(f"{place}/" for place in OF_HOSTS)):
        return
    parts = interpreter.strip("/").split("/")
    ends = ["/".join(parts[number:]) for number in range(1, len(parts))]
    matching_places = [
        (into, end)
        for into, part in places
        for end in ends
        if f"{inside}/".startswith(f"{part}/" if part else "") and os.path.lexists(folder / part / end)
    ]
    there = [f"{into}/{end}" for into, end in matching_places]
    if there and interpreter not in there:
        into = matching_places[0][0]
        raise InfraError(
            f"{source}: {inside} begins with #!{interpreter}, and hosts have that at {there[0]}: build it at {into}, "
            f"and push it from there (a virtual environment: /usr/bin/python3 -m venv {into})"
        )


def _may_be_secret(path: Path, inside: str) -> bool:
    if SECRET.fullmatch(path.name) and not path.name.endswith(EXAMPLES):
        return True
    if path.is_symlink() or not path.is_file() or INSTALLED.search(inside):
        return False
    with open(path, "rb") as file:
        return KEY.match(file.read(HEAD).lstrip()) is not None


class _Hashed(io.RawIOBase):
    """A file that is written, and the digest of what was."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self.file, self.size, self.digest = file, 0, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.size += len(data)
        self.file.write(data)
        return len(data)


def _layer(layout: Layout, target: Path, part: Part) -> Layer:
    coming = target / "coming"
    with open(coming, "wb") as file:
        packed = _Hashed(file)
        with gzip.GzipFile("", "wb", LEVEL, packed, mtime=0) as compressed:
            plain = _Hashed(compressed)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for path in part.paths:
                    _add(tar, path, part.folder)
    digest = f"sha256:{packed.digest.hexdigest()}"
    coming.rename(layout.blob_path(digest))
    return Layer(digest, packed.size, f"sha256:{plain.digest.hexdigest()}")


def _add(tar: tarfile.TarFile, path: Path, folder: Path) -> None:
    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
    entry.mtime = WRITTEN
    if path.is_symlink():
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
        tar.addfile(entry)
    elif path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
    else:
        with open(path, "rb") as content:
            status = os.fstat(content.fileno())
            entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & stat.S_IXUSR else 0o644
            tar.addfile(entry, content)
