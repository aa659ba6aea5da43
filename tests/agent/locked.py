"""Hosts in memory with Recall API, whose environment of Python the host makes by a lock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cache

from agent import environments, uv
from agent.world import CommandResult
from rendering.archive import build
from rendering.host import render
from tests.agent.fake import INSTALLED
from tests.agent.parcels import ParcelWorld
from tests.support import changed, service, whole

INTO, UNIT = "/srv/recall/venv", "recall-api.service"
PYTHON = "/usr/bin/python3.11"
UV = f"{uv.PLACE}/{uv.VERSION}/uv"
FILES = {"bin/gunicorn": "#!/bin/sh\n", "bin/python": "x", "lib/x.py": "text"}


@dataclass
class LockedWorld(ParcelWorld):
    """`fails` is how uv ends when it fails; `made` is what it puts into an environment."""

    fails: CommandResult | None = None
    made: dict[str, str] = field(default_factory=lambda: dict(FILES))

    def _pretend(self, argv):
        if argv[0].startswith("python3"):
            return CommandResult(0, PYTHON if argv[0] in self.installed else f"{argv[0]}: not found")
        if argv[0] != "systemd-run":
            return super()._pretend(argv)
        place = next(word for word in argv if "UV_PROJECT_ENVIRONMENT=" in word).rpartition("=")[2]
        lock = self.files[f"{environments.STAGED}/uv.lock"][0]
        for name, text in {**self.made, "lib/lock": hashlib.sha256(lock).hexdigest()}.items():
            self._change(takes_space=True)
            self.files[f"{place}/{name}"] = (text.encode(), 0o755, environments.ACCOUNT, "")
        return self.fails or CommandResult(0, "")

    def _at(self, path):
        """Where a path leads, by the links on its way."""
        for into, target in self.links.items():
            if path.startswith(f"{into}/"):
                return self._at(target + path[len(into) :])
        return path

    def exists(self, path):
        return super().exists(self._at(path))

    def is_executable(self, path):
        return super().is_executable(self._at(path))

    def head(self, path, size):
        return super().head(self._at(path), size)

    @property
    def built(self) -> list[str]:
        """The commands of uv that ran."""
        return [command.partition(" -- ")[2] for command in self.commands("systemd-run")]

    @property
    def environments(self) -> set[str]:
        return {f"{environments.PLACE}/{name}" for name in self.listing(environments.PLACE)}


def host() -> LockedWorld:
    world = LockedWorld(
        active=set(),
        enabled=set(),
        there={"/srv/recall/backend/app.py", "/bin/sh", "/bin/bash", PYTHON},
        installed={*INSTALLED, "python3", "python3.11"},
    )
    world.files[UV] = (b"uv", 0o755, "root", "root")
    return world


def lock(version: str) -> bytes:
    """A lock of a project that needs one package."""
    return f"""version = 1
requires-python = ">=3.9"

[[package]]
name = "gunicorn"
version = "{version}"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://x.example/gunicorn-{version}-py3-none-any.whl", hash = "sha256:00", size = 1000 }}]

[[package]]
name = "recall"
version = "0"
source = {{ virtual = "." }}
dependencies = [{{ name = "gunicorn" }}]
""".encode()


PROJECT = b"""[project]
name = "recall"
version = "0"
dependencies = ["gunicorn"]
[project.optional-dependencies]
fast = []
[dependency-groups]
gpu = []
"""


@cache
def release(package: str = "1.0", artefact: str = "", has: bool = True, **own):
    """A release of Recall API's host; with an `artefact`, the one by this reference has the lock."""

    given = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}

    def change(data):
        recall = service(data, "recall-api")
        recall["artefact"] = [{"repository": "recall", "into": "/srv/recall/app"}] if artefact else []
        where = "/srv/recall/app/deploy" if artefact else "recall/python"
        recall["python"] = {"lock": where, "into": INTO, **given} if has else None
        # Its site's certificate is nothing of these tests
        data["sites"], recall["routes"] = [], []

    def alone(values):
        values["infra:hosts"]["services"].update(systems=["recall"])

    made = changed(whole(alone), "recall", change)
    sources = {"recall/python/pyproject.toml": PROJECT, "recall/python/uv.lock": lock(package)}
    made = replace(made, sources=made.sources | sources)
    files = render(made, "services", {"recall:latest": artefact.partition("@")[2]} if artefact else {})
    if artefact:
        files = replace(files, artefacts=[replace(files.artefacts[0], image=artefact)])
    return build(files)


def folder_of(made) -> str:
    return made.manifest["environments"][0]["folder"]
