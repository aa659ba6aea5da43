"""Which folders and files of a repository are copies of other people's work: packages installed in it, built output."""

import re
from pathlib import Path

from catalogue.files import read_bytes
from catalogue.problems import CatalogueError

FOLDERS = {
    ".git", ".hg", ".venv", "venv", "node_modules", "bower_components", "vendor", "site-packages", "dist-packages",
    "__pycache__", ".terraform", ".next", ".nuxt", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache",
    "dist", "build", "target",
}  # fmt: skip
# What pip writes beside a package that it installs into a folder, such as a Lambda function's
INSTALLED = re.compile(r"^[A-Za-z0-9._-]+\.(dist-info|egg-info)$")
BUILT = re.compile(r"(\.min\.(js|css|mjs)|\.(js|css|mjs)\.map|\.pyc)$")
# Bytes in a line, on average, of what a program wrote for a program
WIDE = 2000


def folders(place: Path, names: list[str]) -> set[str]:
    """Those of the folders in `place` that are vendored."""
    installed = {name for name in names if INSTALLED.match(name)}
    vendored = {name for name in names if name in FOLDERS} | installed
    return vendored | ({*names} & {top for name in installed for top in _installed_names(place / name)})


def files(place: Path, names: list[str], beside: list[str]) -> set[str]:
    """Those of the files in `place` that are; `beside` are the folders there."""
    installed = {top for name in beside if INSTALLED.match(name) for top in _installed_names(place / name)}
    return {name for name in names if BUILT.search(name) or name in installed}


def is_minified(name: str, content: bytes) -> bool:
    """Is a script or style sheet written by a program, for programs."""
    return name.endswith((".js", ".mjs", ".css")) and len(content) > WIDE * (content.count(b"\n") + 1)


def _installed_names(information: Path) -> set[str]:
    """What an installed package has beside its information: the first parts of the paths in its RECORD."""
    for name in ("RECORD", "top_level.txt"):
        path = information / name
        if path.is_symlink() or information.is_symlink():
            continue
        try:
            text = read_bytes(path, name).decode(errors="replace")
        except CatalogueError:
            continue
        firsts = {line.partition(",")[0].partition("/")[0].strip('"') for line in text.splitlines()}
        return {first for first in firsts if first and first not in (".", "..")}
    return set()
