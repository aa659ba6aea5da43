"""What reviewers read of a change, held against the change itself."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from infra.preview import commits, compare
from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.report import Report
from lab.run import run
from tests.preview.changes import PLANTED, ROTATED, ROWS, SECRET, Row, clone


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two clones of the working tree: what was, and what is to be."""
    return [clone(tmp_path_factory.mktemp(name)) for name in ("base", "head")]


def previewed(places, row: Row) -> Report:
    kept = [
        {path: path.read_bytes() for path in [*root.glob("Pulumi.*.yaml"), *root.glob("files/systems/*")]}
        for root in places
    ]
    try:
        for root in places:
            row.before(root)
        row.change(places[1])
        (pair,) = commits.snapshots(*places, ["prod"]).values()
    finally:
        for files in kept:
            for path, content in files.items():
                path.write_bytes(content)
    return Report("0" * 40, "a clone", [compare.compared(pair["base"], pair["head"])])


def in_terminal(report: Report) -> str:
    out = io.StringIO()
    terminal.show(report, Console(file=out, soft_wrap=True), whole=True)
    return out.getvalue()


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_change_is_told(places, row):
    report = previewed(places, row)
    text, (stack,) = in_terminal(report), report.stacks
    assert row.verdict in stack.verdict, text
    assert [line for line in row.says if line not in text] == [], text
    everywhere = {
        "terminal": text,
        "markdown": markdown.whole(report),
        "json": as_json.text(report),
        "html": page.text(report),
    }
    assert [line for line in row.never if line in text] == []
    assert [secret for secret in (SECRET, ROTATED, PLANTED) for shown in everywhere.values() if secret in shown] == []
    assert report.code == row.code and all(shown.strip() for shown in everywhere.values())
    assert len(everywhere["markdown"]) <= markdown.LIMIT


def git(root, *words: str) -> None:
    run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", *words, cwd=root)


def test_a_branch_against_main_by_the_command_itself(tmp_path, monkeypatch):
    """In a clone without anything of Pulumi: neither AWS, nor passphrase, nor login."""
    root = clone(tmp_path / "clone")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "main")
    git(root, "switch", "-q", "-c", "topic")
    ROWS["port changed"].change(root)
    git(root, "commit", "-q", "-a", "-m", "topic")
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    infra = Path(sys.executable).with_name("infra")

    def preview(*words: str):
        return subprocess.run(
            [infra, "preview", *words], cwd=root, env=bare, capture_output=True, text=True, check=False
        )

    ran = preview("--base", "main", "--stack", "prod")
    assert ran.returncode == 0 and "prod: 1 service restarts: ast-api" in ran.stdout, ran.stdout + ran.stderr
    plan = re.search(r"plan (mocks-\S+)", ran.stdout)
    assert plan and (root / f".infra/plans/{plan[1]}.json").exists()
    assert "no such commit; fetch it" in preview("--base", "nowhere").stderr
    assert "no stack staging; stacks: dev, lab, prod" in preview("--base", "main", "--stack", "staging").stderr
    (root / "files/systems/watchme.yaml").write_text("system: [")
    ran = preview("--base", "main", "--stack", "prod", "--format", "json")
    assert ran.returncode == 1 and json.loads(ran.stdout)["stacks"][0]["verdict"].startswith(
        "does not validate: files/systems"
    )
