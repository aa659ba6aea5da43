"""Radicale, a server for calendars in Python, in a lab: a unit of systemd, by its lock, as the page writes it down."""

import base64
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent import uv
from lab.run import run
from lab.table import PublicClient
from tests.product import Product, on_own_host
from tests.support import ROOT
from tests.system.conftest import System

NAME, YAML, CONFIG = "dav.hey-watch.me", "files/systems/dav.yaml", "files/static/dav/config"
PROJECT, LOCK = (f"files/static/dav/python/{name}" for name in ("pyproject.toml", "uv.lock"))
PAGE = (ROOT / "docs/tutorial-native.md").read_text().replace("dav.example.com", NAME)
PYTHON = re.compile(r"^    python: .*\n", re.MULTILINE)
CATALOGUE, WITHOUT_PYPI = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
(PACKAGES,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(SETTINGS,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
FIRST, LATER = "3.5.4", "3.9.0"
DATA, INTO = "/var/lib/radicale", "/opt/radicale/venv"
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:{uid}
DTSTAMP:20260101T000000Z
DTSTART:20260102T100000Z
SUMMARY:{uid}
END:VEVENT
END:VCALENDAR
"""


def program() -> str:
    return os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")


def locked(folder: Path, version: str) -> tuple[str, str]:
    """pyproject.toml and uv.lock with a version of Radicale, as uv writes it by the registry."""
    folder.mkdir()
    project = PACKAGES.replace(f"=={FIRST}", f"=={version}")
    (folder / "pyproject.toml").write_text(project)
    run(program(), "lock", "--quiet", "--project", str(folder), timeout=300)
    return project, (folder / "uv.lock").read_text()


def fetch_wheels(folder: Path, project: Path) -> None:
    """The wheels of a lock and of uv, in place of PyPI: the lab's hosts reach no registry of packages. Real ones."""
    wanted = folder.parent / f"{project.name}.txt"
    options = ["--frozen", "--quiet", "--no-emit-project", "--project", str(project), "--output-file", str(wanted)]
    run(program(), "export", *options, timeout=300)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    run(*pip, "--python-version", "3.11", "--dest", str(folder), "--requirement", str(wanted), timeout=300)
    run(*pip, "--dest", str(folder), f"uv=={uv.VERSION}", timeout=300)


@dataclass
class Dav(Product):
    """The product in the lab, as its owner sees it."""

    password: str
    folder: Path

    def request(self, method: str, path: str, body: str = "", password: str = "") -> tuple[int, str]:
        token = base64.b64encode(f"me:{password or self.password}".encode()).decode()
        client = PublicClient(self.name, self.system.lab.dns, self.system.lab.path("ca.pem"))
        try:
            headers = {"Authorization": f"Basic {token}", "Content-Type": "text/calendar; charset=utf-8"}
            status, _, content = client.ask(method, path, body.encode() or None, headers)
        finally:
            client.close()
        return status, content.decode()

    def write(self, uid: str) -> None:
        status, said = self.request("PUT", f"/me/work/{uid}.ics", EVENT.format(uid=uid).replace("\n", "\r\n"))
        assert status == 201, said

    def events(self) -> list[str]:
        """What is in the calendar, by the product's own export."""
        status, text = self.request("GET", "/me/work/")
        return sorted(re.findall(r"SUMMARY:(\w+)", text)) if status == 200 else []

    def link(self) -> str:
        return self.on("readlink", INTO).strip()

    def runs_as(self) -> str:
        """The process, and the environment that it runs in."""
        return self.on("systemctl", "show", "-p", "MainPID", "--value", "radicale").strip()

    def version(self) -> str:
        code = "from importlib.metadata import version; print(version('radicale'))"
        return self.on(f"{INTO}/bin/python", "-c", code).strip()

    def is_asked(self) -> bool:
        return self.ask("/.web/")[0] == 200

    def lock(self, version: str) -> Path:
        """Puts another version into the project; the folder that it was locked in."""
        folder = self.folder / version
        if not folder.exists():
            locked(folder, version)
        for path in (PROJECT, LOCK):
            self.system.add(path, (folder / Path(path).name).read_text())
        return folder

    def push(self, *versions: str) -> str:
        """The wheels of these versions, under the tag that the catalogue names."""
        wheels = self.folder / "-".join(["wheels", *versions])
        for version in versions:
            fetch_wheels(wheels, self.folder / version)
        return self.infra("push", "dav-wheels:1", "--from", str(wheels))


@contextmanager
def in_lab(system: System, folder: Path) -> Iterator[Dav]:
    """It runs on a host of its own, which goes with it."""
    project, lock = locked(folder / FIRST, FIRST)
    catalogue, count = PYTHON.subn(WITHOUT_PYPI, CATALOGUE)
    assert count == 1
    password = secrets.token_urlsafe(12)
    files = {YAML: catalogue, CONFIG: SETTINGS, PROJECT: project, LOCK: lock}
    with on_own_host(system, ["dav"], files, [], {"radicale.DAV_PASSWORD": password}):
        yield Dav(system, NAME, password, folder)
