"""Pulumi's resource plugins for the lab: from a folder (`LAB_PLUGINS`), else downloaded, else stand-ins of our own."""

import lzma
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.writing import put
from lab.say import LabError
from lab.settings import ROOT
from lab.tools import ensure_pulumi

FOLDER = "LAB_PLUGINS"
REAL = "LAB_REAL_PLUGINS"
# Plugin → version, and the module that stands in for it
PLUGINS = {
    "aws": ("7.51.1", "lab.fakes.aws"),
    "command": ("1.2.1", "lab.fakes.command"),
}
NAME = re.compile(
    r"pulumi-resource-(?P<name>[a-z0-9]+)-v(?P<version>[0-9]+\.[0-9]+\.[0-9]+)(-(?P<os>[a-z]+)-(?P<machine>\w+))?(\.xz)?"
)
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Machine:
    """In the words of the plugins' file names: `linux`, `amd64`."""

    os: str
    machine: str


def this_machine() -> Machine:
    here = os.uname()
    return Machine(here.sysname.lower(), MACHINES.get(here.machine, here.machine))


def install(home: Path) -> dict[str, str]:
    """Puts every plugin into a PULUMI_HOME; plugin → "real" or "stand-in". Raises LabError where LAB_PLUGINS names a
    folder without one that fits, and with LAB_REAL_PLUGINS=1 for one that would be a stand-in."""
    downloads = from_folder(Path(os.environ[FOLDER]), this_machine()) if os.environ.get(FOLDER) else {}
    kinds = {name: _install(home, name, downloads.get(name)) for name in PLUGINS}
    if os.environ.get(REAL) == "1" and (fakes := [name for name, kind in kinds.items() if kind != "real"]):
        raise LabError(
            f"{REAL}=1, but the plugin {', '.join(fakes)} could be neither downloaded nor taken from {FOLDER}: the lab "
            "would run a stand-in"
        )
    return kinds


def from_folder(folder: Path, machine: Machine) -> dict[str, Path]:
    """Plugin → its file: `pulumi-resource-NAME-vVERSION[-OS-MACHINE][.xz]`, or a plugin's unpacked folder
    `resource-NAME-vVERSION/pulumi-resource-NAME`. Raises LabError, listing what there is."""
    if not folder.is_dir():
        raise LabError(f"{FOLDER}={folder}: no such folder")
    fitting: dict[str, Path] = {}
    for name, (version, _) in PLUGINS.items():
        unpacked = folder / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
        if unpacked.is_file():
            fitting[name] = unpacked
    for path in sorted(folder.iterdir()):
        parts = NAME.fullmatch(path.name)
        if not parts or parts["name"] not in PLUGINS or not path.is_file():
            continue
        for_this = parts["os"] is None or (parts["os"], parts["machine"]) == (machine.os, machine.machine)
        if parts["version"] == PLUGINS[parts["name"]][0] and for_this:
            fitting.setdefault(parts["name"], path)
    if not fitting:
        expected = " or ".join(f"pulumi-resource-{name}-v{version}" for name, (version, _) in PLUGINS.items())
        there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise LabError(
            f"{FOLDER}={folder} has no plugin for the lab: wanted {expected}, for {machine.os}-{machine.machine} "
            f"(optionally .xz); found {there}"
        )
    return fitting


def unpack_program(path: Path) -> bytes:
    """A plugin's program, whether or not its file is compressed. Raises LabError."""
    if path.suffix != ".xz":
        return path.read_bytes()
    try:
        return lzma.decompress(path.read_bytes())
    except lzma.LZMAError as error:
        raise LabError(f"{path} cannot be unpacked: {error}") from None


def stand_in(name: str) -> str:
    """The program that starts a stand-in."""
    module = PLUGINS[name][1]
    return f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m {module} "$@"\n'


def _install(home: Path, name: str, download: Path | None) -> str:
    folder = home / "plugins" / f"resource-{name}-v{PLUGINS[name][0]}"
    program = folder / f"pulumi-resource-{name}"
    if download:
        _write(program, unpack_program(download))
    elif not program.exists() and not _download(home, name):
        _write(program, stand_in(name).encode())
    return "stand-in" if program.stat().st_size < 4096 else "real"


def _write(program: Path, content: bytes) -> None:
    if program.exists() and program.read_bytes() == content:
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    put(program, content, 0o755)


def _download(home: Path, name: str) -> bool:
    marker = home.parent / "no-plugin-download"
    if marker.exists():
        return False
    command = [str(ensure_pulumi() / "pulumi"), "plugin", "install", "resource", name, PLUGINS[name][0]]
    try:
        result = subprocess.run(
            command, env={**os.environ, "PULUMI_HOME": str(home)}, capture_output=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if result.returncode:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return result.returncode == 0
