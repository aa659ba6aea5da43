"""What is read out of a project's files and of other repositories orders no terminal about: shown on a real terminal,
since a program that is not on one may leave out what it would say there."""

import os
import pty
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

ESCAPE = "\x1b]0;owned\x07"
ORDERS = (b"\x1b]0;owned", b"\x07")


@pytest.fixture
def project(tmp_path) -> Iterator[Path]:
    for name in ("files", "Pulumi.yaml", "Pulumi.prod.yaml", "pyproject.toml", "__main__.py"):
        source = ROOT / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    yield tmp_path


def shown(project: Path, *argv: str) -> bytes:
    """What a terminal shows."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(project)
        os.environ["COLUMNS"] = "300"
        os.execv(str(ROOT / ".venv/bin/infra"), ["infra", *argv])
    said = b""
    while True:
        try:
            said += (piece := os.read(terminal, 65536))
        except OSError:
            break
        if not piece:
            break
    os.waitpid(child, 0)
    os.close(terminal)
    return said


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


YAML = r"\e]0;owned\a"  # as a YAML file spells it
FILES = {
    "a field": ("files/systems/watchme.yaml", "system: watchme\n", f'system: watchme\n"{YAML}x": 1\n'),
    "a variable": ("files/systems/watchme.yaml", "    purpose:", f'    environment: {{"{YAML}X": "1"}}\n    purpose:'),
    "a key of the stack": ("Pulumi.prod.yaml", "config:\n", f'config:\n  "infra:{YAML}x": 1\n'),
    "a host": ("Pulumi.prod.yaml", "  infra:hosts:\n", f'  infra:hosts:\n    "h{YAML}": {{systems: []}}\n'),
    "a name": (
        "Pulumi.prod.yaml",
        "  infra:hosts:\n",
        f'  infra:names: {{"a{YAML}": x.example.com}}\n  infra:hosts:\n',
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_names_in_project_files_are_escaped(project, name):
    path, old, new = FILES[name]
    edited(project / path, old, new)
    said = shown(project, "check", "--stack", "prod")
    assert b"error: " in said and b"owned" in said and not any(order in said for order in ORDERS), said


def test_a_line_break_in_a_name_starts_no_line(project):
    edited(project / "files/systems/watchme.yaml", "    purpose:", '    "sec\\nerror: forged": 1\n    purpose:')
    said = shown(project, "check", "--stack", "prod")
    assert b"forged" in said and b"\nerror: forged" not in said, said


def test_names_in_a_stack_file_are_escaped(project):
    (project / f"Pulumi.e{ESCAPE}.yaml").write_text("config: {}\n")
    said = shown(project, "check", "--stack", "nope")
    assert not any(order in said for order in ORDERS), said


def test_scanned_names_are_escaped(project):
    (project / f"files/static/recall/e{ESCAPE}").write_text(f"region ap-northeast-1 {ESCAPE}\n")
    scan = ("scan-regions", "--from", "ap-northeast-1", "--to", "us-east-1")
    for argv in ([*scan, "files/static"], [*scan, f"nope{ESCAPE}"]):
        said = shown(project, *argv)
        assert b"owned" in said and not any(order in said for order in ORDERS), said


def test_names_of_another_repository_are_escaped(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "static/shop").mkdir(parents=True)
    (other / "shop.yaml").write_text(f'system: shop\n"{YAML}x": 1\n')
    os.mkfifo(other / f"static/shop/p{ESCAPE}")
    for _ in range(2):
        said = shown(project, "include", "shop", str(other))
        assert b"owned" in said and not any(order in said for order in ORDERS), said
        (other / f"static/shop/p{ESCAPE}").unlink(missing_ok=True)
    said = shown(project, "include", "shop", f"{other}/nope{ESCAPE}")
    assert not any(order in said for order in ORDERS), said
