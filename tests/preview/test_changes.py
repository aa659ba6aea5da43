"""What reviewers read of a change, held against the change itself."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from infra.preview import commits, compare
from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.report import Report
from tests.preview.changes import PLANTED, ROTATED, ROWS, SECRET, Row, clone, nothing
from tests.preview.pairs import Pairs, pairs
from tests.rows import rows
from tests.support import execute

# One of each kind: nothing, a service, its image and memory, a secret, a machine, the region, what is refused
BY_DAY = [
    "nothing",
    "new service",
    "port changed",
    "image digest bumped",
    "secret rotated",
    "a secret in plain text",
    "instance type changed",
    "aws:region changed",
    "a system goes to another host",
    "a group of hosts grows",
    "beyond the budget",
]


@pytest.fixture(scope="module")
def pair():
    with pairs() as made:
        yield made


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A clone of the working tree, which stays as it is: its snapshot is taken once for all rows."""
    return clone(tmp_path_factory.mktemp("base"))


def previewed(pair: Pairs, base: Path, folder: Path, row: Row) -> Report:
    head = clone(folder / "head")
    if row.before is not nothing:
        base = clone(folder / "base")
        row.before(base)
        row.before(head)
    row.change(head)
    snapshots = pair(base, head)
    return Report("0" * 40, "a clone", [compare.compare_snapshots(snapshots)])


def in_terminal(report: Report) -> str:
    out = io.StringIO()
    terminal.show(report, Console(file=out, soft_wrap=True), whole=True)
    return out.getvalue()


@pytest.mark.parametrize("name", rows(ROWS, BY_DAY))
def test_a_change_is_reported(pair, base, tmp_path, name):
    row = ROWS[name]
    report = previewed(pair, base, tmp_path, row)
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
    execute("git", "-c", "user.name=t", "-c", "user.email=t@localhost", *words, cwd=root)


def test_a_branch_against_main_by_the_command_itself(tmp_path, monkeypatch):
    """In a clone without anything of Pulumi: neither AWS, nor passphrase, nor login."""
    root = clone(tmp_path / "clone")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "main")
    git(root, "switch", "-q", "-c", "topic")
    ROWS["port changed"].change(root)
    git(root, "commit", "-q", "-a", "-m", "topic")
    # Without a remote, as in a new project: with what is committed
    monkeypatch.chdir(root)
    assert commits.usual() == "HEAD"
    git(root, "update-ref", "refs/remotes/origin/main", "main")
    assert commits.usual() == "origin/main"
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    infra = Path(sys.executable).with_name("infra")

    def preview(*words: str):
        return execute(infra, "preview", *words, cwd=root, env=bare, code=None)

    ran = preview("--stack", "prod")
    assert ran.returncode == 0 and "prod: 1 service restarts while its requests wait: ast-api" in ran.stdout, (
        ran.stdout + ran.stderr
    )
    plan = re.search(r"plan (mocks-\S+)", ran.stdout)
    assert plan and (root / f".infra/plans/{plan[1]}.json").exists()
    assert "no such commit; fetch it" in preview("--base", "nowhere").stderr
    assert "no stack staging; stacks: dev, lab, prod" in preview("--base", "main", "--stack", "staging").stderr
    (root / "files/systems/watchme.yaml").write_text("system: [")
    ran = preview("--base", "main", "--stack", "prod", "--format", "json")
    assert ran.returncode == 1 and json.loads(ran.stdout)["stacks"][0]["verdict"].startswith(
        "does not validate: files/systems"
    )
