"""The uv of this project itself makes environments, out of a directory with two wheels; and uv is brought by its hash."""

import getpass
import os
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from agent import artefacts, environments, uv
from agent.desired_state import DesiredFile
from agent.outcome import Refused
from agent.processes import CommandResult
from agent.store import Release
from agent.world import Account, World
from tests.agent.parcels import ParcelWorld
from tests.agent.wheels import PROJECT, lock, wheels
from tests.support import ROOT, execute

OWN = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")
needs_uv = pytest.mark.skipif(not Path(OWN).exists(), reason="there is no uv here: make .tools/uv/bin/uv")


class Disk(World):
    """This machine's disk, where all belongs to who runs the tests, and no unit is started: a unit's command is run as it
    is."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def account(self, name):
        return Account(os.getuid(), "/")

    def directory(self, path, mode, owner, group):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)

    def write(self, path, content, mode, owner, group):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(content)
        os.chmod(path, mode)

    def run(self, *argv, timeout=300, environment=None, stdin=""):
        if argv[0] == "chown" or argv[0] == "systemctl":
            return CommandResult(0, "")
        if argv[0] != "systemd-run":
            return super().run(*argv, timeout=timeout)
        command = list(argv[argv.index("--") + 1 :])
        self.commands.append(command)
        given = dict(word.removeprefix("--setenv=").split("=", 1) for word in argv if word.startswith("--setenv="))
        (folder,) = [word.rpartition("=")[2] for word in argv if word.startswith("--property=WorkingDirectory=")]
        return super().run("env", "-C", folder, *command, timeout=timeout, environment=given)


@pytest.fixture(name="world")
def _world(monkeypatch, tmp_path):
    places = {
        "PLACE": "environments",
        "STAGED": "environments/.project",
        "CACHE": "cache",
        "REQUIREMENTS": "cache/r.txt",
    }
    for name, below in places.items():
        monkeypatch.setattr(environments, name, str(tmp_path / below))
    monkeypatch.setattr(environments, "ACCOUNT", getpass.getuser())
    monkeypatch.setattr(artefacts, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(uv, "bring", lambda world, index: OWN)
    return Disk()


def release(tmp_path: Path, text: bytes, index: str = "", name: str = "one", limit: float = 120) -> Release:
    """One that has an environment by this lock."""
    entry = {
        "service": "notes", "into": str(tmp_path / "venv"), "folder": str(tmp_path / f"environments/notes-{name}"),
        "lock": "/etc/infra/environments/notes", "version": "", "groups": [], "extras": [], "index": index,
        "limit": limit, "needs": 0, "programs": [], "scripts": [],
    }  # fmt: skip
    files = {"pyproject.toml": PROJECT, "uv.lock": text}
    wanted = [DesiredFile(f"{entry['lock']}/{file}", content, 0o644, "root", "root") for file, content in files.items()]
    manifest: Any = {"artefacts": [], "environments": [entry]}
    return Release("id", manifest, wanted)


def folder_of(made: Release) -> Path:
    return Path(environments.entries(made.manifest)[0]["folder"])


@needs_uv
@pytest.mark.parametrize("way", ["the lock's addresses", "a directory with wheels"])
def test_environment_is_built_from_its_lock(world, tmp_path, way):
    made = wheels(tmp_path / "wheels", "1.0")
    index = str(tmp_path / "wheels") if "directory" in way else ""
    said: list[str] = []
    one = release(tmp_path, lock(made), index)
    environments.make(world, one, said.append)
    assert execute(folder_of(one) / "bin/alpha").stdout == "alpha 1.0 with beta\n"
    assert said[0] == "making the environment of notes" and not (tmp_path / "environments/.project").exists()
    assert environments.differing(world, one.manifest) == [] and len(world.commands) == (3 if index else 1)
    assert list(folder_of(one).rglob("__pycache__")), "it is compiled, since its service may write nothing there"
    assert not [path for path in folder_of(one).rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    world.commands.clear()
    environments.make(world, one, said.append)
    assert not world.commands, "what is there is made no second time"
    other = release(tmp_path, lock(wheels(tmp_path / "wheels", "2.0")), index, "two")
    environments.make(world, other, said.append)
    assert execute(folder_of(other) / "bin/alpha").stdout == "alpha 2.0 with beta\n"
    assert execute(folder_of(one) / "bin/alpha").stdout == "alpha 1.0 with beta\n"


@needs_uv
@pytest.mark.parametrize("way", ["the lock's addresses", "a directory with wheels"])
def test_a_wheel_with_another_hash_is_refused_and_nothing_is_left(world, tmp_path, way):
    index = str(tmp_path / "wheels") if "directory" in way else ""
    one = release(tmp_path, lock(wheels(tmp_path / "wheels", "1.0"), damaged=True), index)
    with pytest.raises(
        Refused, match=r"the environment of notes cannot be made: .*[Hh]ash.*Correct its lock"
    ) as refusal:
        environments.make(world, one, lambda line: None)
    assert len(str(refusal.value)) < 1500 and "\n" not in str(refusal.value)
    assert not folder_of(one).exists() and not Path(artefacts.record_of(str(folder_of(one)))).exists()


@needs_uv
def test_build_beyond_its_limit_is_refused(world, tmp_path):
    one = release(tmp_path, lock(wheels(tmp_path / "wheels", "1.0")), limit=0.0)
    world.run = lambda *argv, timeout=300, **more: (
        CommandResult(124, "no end") if argv[0] == "systemd-run" else Disk.run(world, *argv, timeout=timeout)
    )
    with pytest.raises(Refused, match="was not made within 0 s"):
        environments.make(world, one, lambda line: None)
    assert not folder_of(one).exists()


WHEEL = "uv-0-py3-none-any.whl"


@pytest.fixture(name="binary")
def _binary(monkeypatch, tmp_path):
    """The bytes of a wheel that has a uv, known by its hash."""
    path = tmp_path / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(uv.INSIDE, "the program")
    content = path.read_bytes()
    entry = (WHEEL, sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(uv, "WHEELS", {"amd64": entry})
    return content


class Index(ParcelWorld):
    """A host whose index has what `pages` say; `wheel` is what a download brings."""

    pages: dict[str, str]
    wheel: bytes
    fetched: str = ""

    def fetch(self, url, headers, method="GET", body=None, timeout=20):
        return (200, self.pages[url].encode()) if url in self.pages else (404, b"")

    def download(self, url, authorization, path, size):
        self.fetched = url
        self.files[path] = (self.wheel[:size], 0o600, "root", "root")
        return ""

    def digest_of(self, path):
        return f"sha256:{sha256(self.files[path][0]).hexdigest()}"


def index(wheel: bytes, page: str = f'<a href="../../files/{WHEEL}#sha256=x">{WHEEL}</a>') -> Index:
    world = Index()
    world.pages, world.wheel = {"https://mirror.example/simple/uv/": page, "https://pypi.org/simple/uv/": page}, wheel
    return world


PROGRAM = f"{uv.PLACE}/{uv.VERSION}/uv"


@pytest.mark.parametrize(
    ("given", "address"),
    [("", "https://pypi.org/files/"), ("https://mirror.example/simple", "https://mirror.example/files/")],
)
def test_uv_is_fetched_once_from_the_index_and_kept(binary, given, address):
    world = index(binary)
    assert uv.bring(world, given) == PROGRAM and world.fetched == f"{address}{WHEEL}"
    assert world.files[PROGRAM] == (b"the program", 0o755, "root", "root")
    assert world.listing(uv.PLACE) == [uv.VERSION], "the wheel itself is not kept"
    world.fetched = ""
    assert uv.bring(world, given) == PROGRAM and not world.fetched


def test_uv_comes_from_a_directory_with_wheels(binary):
    world = index(b"")
    world.files[f"/srv/wheels/{WHEEL}"] = (binary, 0o644, "root", "root")
    assert uv.bring(world, "/srv/wheels") == PROGRAM and not world.fetched
    assert world.files[f"/srv/wheels/{WHEEL}"][0] == binary


@pytest.mark.parametrize(
    ("change", "given", "said"),
    [
        (lambda world: setattr(world, "wheel", world.wheel[:-1] + b"x"), "", "has another hash than it should"),
        (lambda world: world.pages.clear(), "https://mirror.example/simple", "answers 404 when it is asked for uv"),
        (lambda world: world.pages.update({"https://pypi.org/simple/uv/": "<a href='uv-0.1.whl'>"}), "", "does not have"),
        (lambda world: None, "/srv/wheels", "is not in /srv/wheels, and this host has no uv of its own"),
        (lambda world: setattr(world, "machine", "riscv64"), "", "there is no uv 0.13.8 for riscv64"),
    ],
    ids=["hash", "index", "name", "directory", "processor"],
)  # fmt: skip
def test_installed_uv_is_used_when_none_can_be_fetched(binary, change, given, said):
    world = index(binary)
    change(world)
    with pytest.raises(Refused, match=said):
        uv.bring(world, given)
    assert not world.exists(PROGRAM)
    world.installed.add("uv")
    world.answers["uv sync --help"] = CommandResult(0, "  --frozen\n  --no-install-workspace")
    with pytest.raises(Refused, match=said):
        uv.bring(world, given)
    world.answers["uv sync --help"] = CommandResult(0, "\n".join(uv.NEEDED))
    assert uv.bring(world, given) == "uv"


def test_the_tutorial_names_the_uv_that_hosts_get():
    assert f" uv=={uv.VERSION}\n" in (ROOT / "docs/tutorial-native.md").read_text()
