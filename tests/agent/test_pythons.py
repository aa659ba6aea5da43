"""What runs on a host runs on the Python of the oldest host: by its grammar and what it uses of the standard library.
That it does, on real ones, is shown by `python -m tests.pythons`."""

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest
import vermin

from infra.adopt.host import reading
from tests import pythons
from tests.support import ROOT

OLDEST = (3, 9)
SOURCES = [
    *sorted((ROOT / "agent").rglob("*.py")),
    *sorted((ROOT / "catalogue/masking").glob("*.py")),
    ROOT / "infra/adopt/host/on_host.py",
    ROOT / "infra/on_host.py",
    ROOT / "infra/reboot_on_host.py",
    ROOT / "infra/preview/existing_on_host.py",
    *(ROOT / "tests/agent" / name for name in ("fake.py", "certbot.py", "docker.py", "on_a_host.py")),
]


def needs(text: str) -> str:
    """What a source uses that the oldest Python does not have; "" where nothing is."""
    try:
        tree = ast.parse(text, feature_version=OLDEST)
    except SyntaxError as error:
        return str(error)
    if any(isinstance(node, ast.Match | ast.TryStar) for node in ast.walk(tree)):
        return "match or except*"
    if any(_is_union(node) for node in _evaluated(tree, "from __future__ import annotations" not in text)):
        return "X | Y as a value"
    settings = vermin.Config()
    # What has decode() here is bytes
    settings.add_exclusion("str.decode")
    settings.set_verbose(3)
    found = vermin.visit(text, settings)
    assert isinstance(found, vermin.SourceVisitor), found
    least = found.minimum_versions()[1]
    return "" if not least or least <= OLDEST else f"Python {least}: {found.output_text()}"


def _evaluated(node: ast.AST, annotations: bool) -> Iterator[ast.AST]:
    """The parts of a source that run; its annotations only where they are evaluated."""
    yield node
    for name, value in ast.iter_fields(node):
        if annotations or name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _evaluated(child, annotations)


def _is_union(node: ast.AST) -> bool:
    def is_type(side: ast.AST) -> bool:
        none = isinstance(side, ast.Constant) and side.value is None
        return none or (
            isinstance(side, ast.Name) and side.id in ("str", "int", "float", "bytes", "bool", "list", "dict")
        )

    return (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and (is_type(node.left) or is_type(node.right))
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_of_hosts_runs_on_their_oldest_python(path):
    assert needs(path.read_text()) == ""


NEWER = {
    "match": "match x:\n    case 1: pass",
    "zip": "zip([], [], strict=True)",
    "a union where it is evaluated": "def f(x: int | None): pass",
    "a union as a value": "A = list[str] | None",
    "UTC": "import datetime\ndatetime.UTC",
    "slots": "from dataclasses import dataclass\n@dataclass(slots=True)\nclass A: pass",
    "pairwise": "import itertools\nitertools.pairwise([])",
    "tomllib": "import tomllib",
    "file_digest": "import hashlib\nhashlib.file_digest(None, 'sha256')",
    "except*": "try:\n    pass\nexcept* OSError:\n    pass",
}


@pytest.mark.parametrize("name", NEWER)
def test_newer_words_are_found(name):
    assert needs(NEWER[name]) != ""


def test_program_sent_to_a_host_compiles():
    compile(reading.program(), "on_host", "exec")


@pytest.mark.nightly
def test_the_scenes_that_other_pythons_are_held_against():
    ran = subprocess.run(
        [sys.executable, "-m", "tests.agent.on_a_host"],
        input=json.dumps(pythons.spec()),
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    made = json.loads(ran.stdout)["scenes"]
    ends = {name: made[name]["outcome"] for name in ("first", "unchanged", "another", "back", "unhealthy", "invalid")}
    assert ends == {
        "first": "applied", "unchanged": "unchanged", "another": "applied", "back": "applied",
        "unhealthy": "rolled back", "invalid": "refused",
    }  # fmt: skip
    assert {line.split(" on ")[0] for line in made["killed"]} == {"nothing was touched", "rolled back", "applied"}
    assert len(made["modules"]) > 40 and len(made["monitor"]) > 20


def test_too_old_python_is_refused_with_the_required_version():
    source = (ROOT / "agent/receive.py").read_text()
    old = textwrap.dedent("""
        import sys
        sys.version_info = (3, 8, 10, "final", 0)
        payload = {}
    """)
    ran = subprocess.run([sys.executable, "-c", old + source], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.strip() == (
        "the host's python3 is version 3.8, but the agent needs at least 3.9: "
        "Debian 11, Ubuntu 22.04, Amazon Linux 2023 and their later releases have it"
    )
