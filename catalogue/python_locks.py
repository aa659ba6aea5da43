"""What a lock file of uv says: which packages an environment needs for certain, and which wheels of them fit a host."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from catalogue.files import parse_toml
from catalogue.python import LOCK, PROJECT, PythonEnvironment
from catalogue.shapes import is_list, is_mapping
from catalogue.sizes import Architecture

Package = dict[str, Any]
# As images name a processor → as wheels do
PROCESSORS: dict[Architecture, str] = {"amd64": "x86_64", "arm64": "aarch64"}
UNPACKED = 4  # times the size of a wheel, with what Python compiles
_TAGS = re.compile(r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl$")
_BOUND = re.compile(r"(?P<sign>>=|<=|<|>|==|~=)\s*3\.(?P<minor>[0-9]+)")


@dataclass(frozen=True)
class Lock:
    """A project with its lock: both files as they were read."""

    project: dict[str, Any]
    lock: dict[str, Any]

    @property
    def groups(self) -> list[str]:
        return sorted(_table(self.project, "dependency-groups"))

    @property
    def extras(self) -> list[str]:
        return sorted(_table(_table(self.project, "project"), "optional-dependencies"))

    @property
    def requires_python(self) -> str:
        return str(self.lock.get("requires-python", ""))

    @property
    def packages(self) -> list[Package]:
        return _tables(self.lock.get("package"))


def read(sources: dict[str, bytes], environment: PythonEnvironment, folder: str) -> Lock:
    """Of an environment whose files are all there. Raises CatalogueError; `folder` is what its messages begin with."""
    project, lock = (
        parse_toml(sources[f"{environment.lock}/{name}"], f"{folder}/{environment.lock}/{name}")
        for name in (PROJECT, LOCK)
    )
    return Lock(project, lock)


def certain_packages(lock: Lock, environment: PythonEnvironment) -> list[Package]:
    """The packages that are installed on every machine: what is needed under a condition (another system, another
    Python) is not among them."""
    by_name: dict[str, list[Package]] = {}
    for package in lock.packages:
        by_name.setdefault(str(package.get("name")), []).append(package)
    reached: dict[int, Package] = {}
    waiting = [edge for root in lock.packages if is_project(root) for edge in _of_project(root, environment)]
    while waiting:
        name, version, extras = waiting.pop()
        fitting = [one for one in by_name.get(name, []) if version in ("", str(one.get("version", "")))]
        # Of several versions it depends on the machine which one it is
        for package in fitting if len(fitting) == 1 else []:
            if id(package) not in reached:
                reached[id(package)] = package
                waiting += _edges(package.get("dependencies"))
            for extra in extras:
                waiting += _edges(_table(package, "optional-dependencies").get(extra))
    return list(reached.values())


def is_project(package: Package) -> bool:
    """Is it the project itself, whose lock this is."""
    source = _table(package, "source")
    return any(source.get(kind) == "." for kind in ("virtual", "editable", "directory"))


def local_path(package: Package) -> str:
    """The path of a package that lies beside the project, where no host has it; "" of any other."""
    source = _table(package, "source")
    path = next((str(source[kind]) for kind in ("virtual", "editable", "directory", "path") if kind in source), "")
    return "" if is_project(package) else path


def fitting_wheels(package: Package, architecture: Architecture | None, version: str | None) -> list[Package]:
    """The wheels of a package that fit Linux (with glibc) on this processor, and this Python; on any where it is not
    known."""
    wheels = _tables(package.get("wheels"))
    return [wheel for wheel in wheels if _fits(str(wheel.get("url") or wheel.get("path") or ""), architecture, version)]


def is_built(package: Package) -> bool:
    """Can it be built on the host, or is it not known what it is."""
    return "sdist" in package or "registry" not in _table(package, "source") or not package.get("wheels")


def bytes_needed(lock: Lock, environment: PythonEnvironment, architecture: Architecture | None) -> int:
    """Bytes of disk that an environment takes at least."""
    sizes = (
        [wheel["size"] for wheel in fitting_wheels(package, architecture, environment.version) if "size" in wheel]
        for package in certain_packages(lock, environment)
    )
    return UNPACKED * sum(min((size for size in one if isinstance(size, int)), default=0) for one in sizes)


def excludes(requires_python: str, version: str) -> bool:
    """Does a project's `requires-python` leave out a version such as 3.11."""
    minor = int(version.partition(".")[2])
    lowest = [int(bound["minor"]) for bound in _BOUND.finditer(requires_python) if bound["sign"] in (">=", "~=")]
    # `<3.12` leaves out 3.12; `<3.12.4` not all of it
    highest = [int(top) for top in re.findall(r"<\s*3\.([0-9]+)(?![0-9.])", requires_python)]
    return any(minor < one for one in lowest) or any(minor >= one for one in highest)


def _of_project(root: Package, environment: PythonEnvironment) -> Iterator[tuple[str, str, list[str]]]:
    yield from _edges(root.get("dependencies"))
    for extra in environment.extras:
        yield from _edges(_table(root, "optional-dependencies").get(extra))
    for group in environment.groups:
        yield from _edges(_table(root, "dev-dependencies").get(group))


def _edges(dependencies: Any) -> Iterator[tuple[str, str, list[str]]]:
    """Name, version (where it says one) and extras of what is needed without a condition."""
    for one in _tables(dependencies):
        if "marker" not in one:
            yield str(one.get("name")), str(one.get("version", "")), [str(extra) for extra in one.get("extra", [])]


def _fits(address: str, architecture: Architecture | None, version: str | None) -> bool:
    tags = _TAGS.search(address.partition("#")[0])
    if tags is None:
        return False
    processors = tuple([PROCESSORS[architecture]] if architecture else PROCESSORS.values())
    platforms = tags["platform"].split(".")
    on_linux = any(one.startswith(("manylinux", "linux")) and one.endswith(processors) for one in platforms)
    return ("any" in platforms or on_linux) and (version is None or _runs_on(tags["python"], tags["abi"], version))


def _runs_on(pythons: str, abi: str, version: str) -> bool:
    minor = int(version.partition(".")[2])
    for tag in pythons.split("."):
        exact = re.fullmatch(r"(cp|py)3([0-9]+)", tag)
        if tag == "py3" or (exact and int(exact[2]) == minor):
            return True
        # What a later Python runs too
        if exact and int(exact[2]) < minor and ("abi3" in abi.split(".") or exact[1] == "py"):
            return True
    return False


def _table(value: dict[str, Any], key: str) -> dict[str, Any]:
    table = value.get(key)
    return table if is_mapping(table) else {}


def _tables(value: object) -> list[dict[str, Any]]:
    """The tables of a list; none where it is no list."""
    return [one for one in value if is_mapping(one)] if is_list(value) else []
