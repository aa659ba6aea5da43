"""What products' owners would have built on the lab's machines: folders of lab/programs/, laid into the machine images.

A release brings units, configuration and files; what a product's owner builds is on the machine already.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from infra.writing import put
from lab.images import build_go
from lab.reading import Model, read_model
from lab.run import run
from lab.say import step
from lab.settings import CACHE, PROJECT, ROOT

PROGRAMS = ROOT / "lab" / "programs"


# Below the machine's own root, without a way out of it
_PART = r"\.?[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*"
Place = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})*$")]


class Environment(Model):
    """A virtual environment out of the folder's requirements.txt; `scripts` are name → module:function. It is made for
    the place `at` on its machine, or where it is laid."""

    into: Place
    at: Annotated[str, Field(pattern=rf"^(/{_PART})+$")] | None = None
    scripts: dict[str, str] = {}


class Module(Model):
    """A program out of a pinned Go module, lab/tools/NAME, for a folder with a Dockerfile."""

    name: str
    package: str


class Program(Model):
    """A folder's `program.yaml`. Places on the machine begin without `/`. `go` is where the program goes that its
    main.go is built to; `files` are file or folder → place, `write` place → text, `run` commands once that is there."""

    go: Place | Literal[""] = ""
    files: dict[str, Place] = {}
    write: dict[Place, str] = {}
    venv: Environment | None = None
    run: list[str] = []
    module: Module | None = None


def on(kind: str) -> list[Path]:
    """The folders for machines of a kind: EC2 hosts are of `host`."""
    extras = PROJECT.extras
    names = list(extras.programs) if kind == "host" else []
    names += [name for machine in extras.machines.values() if machine.kind == kind for name in machine.programs]
    return [PROGRAMS / name for name in dict.fromkeys(names)]


def read(folder: Path) -> Program:
    """Raises LabError."""
    return read_model(Program, folder / "program.yaml", f"{folder.name}/program.yaml", "lab/products.py")


def lay_out(tree: Path, folders: Sequence[Path]) -> list[str]:
    """The files of programs, and the commands that their machine image runs then."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    commands = []
    for folder in folders:
        program = read(folder)
        if program.go:
            _copy(build_go(folder, "amd64" if os.uname().machine == "x86_64" else "arm64"), tree / program.go)
        for source, place in program.files.items():
            _copy(folder / source, tree / place)
        for place, text in program.write.items():
            (tree / place).parent.mkdir(parents=True, exist_ok=True)
            put(tree / place, text)
        if program.venv:
            _venv(tree / program.venv.into, folder / "requirements.txt", program.venv)
        commands += program.run
    return commands


def fetch() -> None:
    """Builds and installs what `lay_out` copies, once for all labs."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("host", "plain"):
            lay_out(Path(folder) / kind, on(kind))


def packages_of(requirements: Path, name: str, *options: str) -> Path:
    """What a file of requirements asks for, for the machines' own Python, 3.11; `options` are more of uv's."""
    packages = CACHE / f"site-{name}"
    pin = packages / "requirements.txt"
    if not pin.exists() or pin.read_text() != requirements.read_text():
        with step(f"installing {name} from PyPI"):
            shutil.rmtree(packages, ignore_errors=True)
            run(
                os.environ.get("UV", "uv"), "pip", "install", "--quiet", "--python", sys.executable,
                "--python-version", "3.11", "--target", str(packages), *options, "-r", str(requirements),
            )  # fmt: skip
            shutil.copy(requirements, pin)
    return packages


def _venv(home: Path, requirements: Path, spec: Environment) -> None:
    """A virtual environment for the machines' own Python."""
    scripts, place = spec.scripts, spec.at or f"/{spec.into}"
    packages = packages_of(requirements, requirements.parent.name, "--only-binary", ":all:")
    shutil.copytree(
        packages, home / "lib/python3.11/site-packages", ignore=shutil.ignore_patterns("bin", "__pycache__")
    )
    (home / "bin").mkdir()
    put(home / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11\n")
    (home / "bin/python3").symlink_to("/usr/bin/python3")
    for name, entry in scripts.items():
        module, function = entry.split(":")
        text = f"#!{place}/bin/python3\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        put(home / "bin" / name, text, 0o755)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
