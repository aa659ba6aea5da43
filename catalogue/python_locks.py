"""What a lock file of uv says: which packages an environment needs for certain, and which wheels of them fit a host."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from catalogue.files import parse_toml
from catalogue.python import LOCK, PROJECT, PythonEnvironment
from catalogue.shapes import is_list, is_mapping
from catalogue.sizes import Architecture

# As images name a processor → as wheels do
PROCESSORS: dict[Architecture, str] = {"amd64": "x86_64", "arm64": "aarch64"}
UNPACKED = 4  # times the size of a wheel, with what Python compiles
_TAGS = re.compile(r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl$")
_BOUND = re.compile(r"(?P<sign>>=|<=|<|>|==|~=)\s*3\.(?P<minor>[0-9]+)")


@dataclass(frozen=True)
class Edge:
    """What a package needs without a condition; `version` is "" where the lock says none."""

    name: str
    version: str
    extras: list[str]


@dataclass(frozen=True)
class Wheel:
    """`address` is its URL or its path; `size` in bytes, None where the lock says none."""

    address: str
    size: int | None


@dataclass(frozen=True)
class Package:
    """A package of a lock. `source` has where it comes from by its kind; `extras` and `groups` what each needs."""

    name: str
    version: str
    source: dict[str, str]
    dependencies: list[Edge]
    extras: dict[str, list[Edge]]
    groups: dict[str, list[Edge]]
    wheels: list[Wheel]
    has_source: bool


@dataclass(frozen=True)
class Lock:
    """A project with its lock: the names of its groups and extras, sorted, and the packages that it has locked."""

    groups: list[str]
    extras: list[str]
    requires_python: str
    packages: list[Package]


def read(sources: dict[str, bytes], environment: PythonEnvironment, folder: str) -> Lock:
    """Of an environment whose files are all there. Raises CatalogueError; `folder` is what its messages begin with."""
    project, lock = (
        parse_toml(sources[f"{environment.lock}/{name}"], f"{folder}/{environment.lock}/{name}")
        for name in (PROJECT, LOCK)
    )
    return Lock(
        groups=sorted(_table(project, "dependency-groups")),
        extras=sorted(_table(_table(project, "project"), "optional-dependencies")),
        requires_python=str(lock.get("requires-python", "")),
        packages=[_package(entry) for entry in _tables(lock.get("package"))],
    )


def certain_packages(lock: Lock, environment: PythonEnvironment) -> list[Package]:
    """The packages that are installed on every machine: what is needed under a condition (another system, another
    Python) is not among them."""
    by_name: dict[str, list[Package]] = {}
    for package in lock.packages:
        by_name.setdefault(package.name, []).append(package)
    reached: dict[int, Package] = {}
    waiting = [edge for root in lock.packages if is_project(root) for edge in _of_project(root, environment)]
    while waiting:
        edge = waiting.pop()
        fitting = [one for one in by_name.get(edge.name, []) if edge.version in ("", one.version)]
        # Of several versions it depends on the machine which one it is
        for package in fitting if len(fitting) == 1 else []:
            if id(package) not in reached:
                reached[id(package)] = package
                waiting += package.dependencies
            for extra in edge.extras:
                waiting += package.extras.get(extra, [])
    return list(reached.values())


def is_project(package: Package) -> bool:
    """Is it the project itself, whose lock this is."""
    return any(package.source.get(kind) == "." for kind in ("virtual", "editable", "directory"))


def local_path(package: Package) -> str:
    """The path of a package that lies beside the project, where no host has it; "" of any other."""
    kinds = ("virtual", "editable", "directory", "path")
    path = next((package.source[kind] for kind in kinds if kind in package.source), "")
    return "" if is_project(package) else path


def fitting_wheels(package: Package, architecture: Architecture | None, version: str | None) -> list[Wheel]:
    """The wheels of a package that fit Linux (with glibc) on this processor, and this Python; on any where it is not
    known."""
    return [wheel for wheel in package.wheels if _fits(wheel.address, architecture, version)]


def is_built(package: Package) -> bool:
    """Can it be built on the host, or is it not known what it is."""
    return package.has_source or "registry" not in package.source or not package.wheels


def bytes_needed(lock: Lock, environment: PythonEnvironment, architecture: Architecture | None) -> int:
    """Bytes of disk that an environment takes at least."""
    sizes = (
        [wheel.size for wheel in fitting_wheels(package, architecture, environment.version)]
        for package in certain_packages(lock, environment)
    )
    return UNPACKED * sum(min((size for size in one if size is not None), default=0) for one in sizes)


def excludes(requires_python: str, version: str) -> bool:
    """Does a project's `requires-python` leave out a version such as 3.11."""
    minor = int(version.partition(".")[2])
    lowest = [int(bound["minor"]) for bound in _BOUND.finditer(requires_python) if bound["sign"] in (">=", "~=")]
    # `<3.12` leaves out 3.12; `<3.12.4` not all of it
    highest = [int(top) for top in re.findall(r"<\s*3\.([0-9]+)(?![0-9.])", requires_python)]
    return any(minor < one for one in lowest) or any(minor >= one for one in highest)


def _of_project(root: Package, environment: PythonEnvironment) -> Iterator[Edge]:
    yield from root.dependencies
    for extra in environment.extras:
        yield from root.extras.get(extra, [])
    for group in environment.groups:
        yield from root.groups.get(group, [])


def _package(entry: Mapping[str, object]) -> Package:
    return Package(
        name=str(entry.get("name")),
        version=str(entry.get("version", "")),
        source={kind: str(place) for kind, place in _table(entry, "source").items()},
        dependencies=_edges(entry.get("dependencies")),
        extras={name: _edges(edges) for name, edges in _table(entry, "optional-dependencies").items()},
        groups={name: _edges(edges) for name, edges in _table(entry, "dev-dependencies").items()},
        wheels=[_wheel(wheel) for wheel in _tables(entry.get("wheels"))],
        has_source="sdist" in entry,
    )


def _edges(dependencies: object) -> list[Edge]:
    """What is needed without a condition."""
    entries = [one for one in _tables(dependencies) if "marker" not in one]
    return [Edge(str(one.get("name")), str(one.get("version", "")), _texts(one.get("extra"))) for one in entries]


def _wheel(entry: Mapping[str, object]) -> Wheel:
    size = entry.get("size")
    return Wheel(str(entry.get("url") or entry.get("path") or ""), size if isinstance(size, int) else None)


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


def _table(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    table = value.get(key)
    return table if is_mapping(table) else {}


def _tables(value: object) -> list[Mapping[str, object]]:
    """The tables of a list; none where it is no list."""
    return [one for one in value if is_mapping(one)] if is_list(value) else []


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if is_list(value) else []
