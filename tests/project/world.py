"""A program of a few files in two versions, and projects made from it, for tests of upgrades."""

import subprocess
from pathlib import Path

from infra.project.program import File, Program, program_in, read_record, write_record
from infra.project.upgrade import apply, plan

MAIN = {"Pulumi.yaml": "name: infra\n", "__main__.py": "run()\n"}
LINES = "".join(f"line {number}\n" for number in range(20))
OLD = {**MAIN, "agent/apply.py": LINES, "agent/gone.py": "x\n", "Makefile": "lab:\n"}
NEW = {**MAIN, "agent/apply.py": LINES.replace("line 2\n", "line two\n"), "agent/more.py": "y\n", "Makefile": "lab:\n"}


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, timeout=60)


def program(files: dict[str, str], version: str = "1") -> Program:
    return Program(version, "", {path: File(text.encode()) for path, text in files.items()})


def project(root: Path, files: dict[str, str] = OLD) -> Path:
    """One of the older version, with a system of its own, all of it committed."""
    for path, text in {**files, "files/systems/shop.yaml": "system: shop\n", "README.md": "mine\n"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    write_record(root, program(files))
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def upgraded(
    root: Path, files: dict[str, str] = NEW, keep: tuple[str, ...] = (), take: tuple[str, ...] = ()
) -> dict[str, str]:
    """What becomes of each file; and it becomes that."""
    record = read_record(root)
    assert record
    found = plan(root, record, program(files, "2"), frozenset(keep), frozenset(take))
    apply(root, found)
    return {change.path: change.fate for change in found.changes}


def contents(root: Path) -> dict[str, str]:
    paths = [path for path in root.rglob("*") if path.is_file() and not {".git", ".infra"} & {*path.parts}]
    return {path.relative_to(root).as_posix(): path.read_text() for path in paths}


def checkout(root: Path, files: dict[str, str]) -> Path:
    """A repository of the program, as `infra upgrade` is given one."""
    text = '[project]\nname = "watchme-infra"\nversion = "9"\n'
    for path, content in {**files, "pyproject.toml": text, "tests/test_it.py": "", "README.md": "ours\n"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a version")
    assert program_in(root).version == "9"
    return root
