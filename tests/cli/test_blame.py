"""When a secret was changed last, and by whom, by the commits of the stack's file."""

import os

import pytest

from infra import blame
from infra.git import ELSEWHERE
from tests.support import execute

KEYS = ["infra:secrets"]
FIRST, SECOND = 1_780_000_000, 1_790_000_000
FILE = """config:
  aws:region: ap-northeast-1
  infra:secrets:
    shop-web:
      API_KEY:
        secure: v1:one

      # of the owners
      TOKEN: { secure: v1:two }
    shop: { SHARED: { secure: v1:three } }
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    execute("git", "init", "--quiet", ".", cwd=tmp_path)
    commit(tmp_path, FILE, "Ann", FIRST)
    return tmp_path


def commit(folder, text, author, at):
    (folder / "Pulumi.prod.yaml").write_text(text)
    execute("git", "add", ".", cwd=folder)
    own = {"GIT_AUTHOR_NAME": author, "GIT_COMMITTER_NAME": "x", "GIT_AUTHOR_EMAIL": "x@x.example"}
    dates = {
        "GIT_AUTHOR_DATE": f"{at} +0000",
        "GIT_COMMITTER_DATE": f"{at} +0000",
        "GIT_COMMITTER_EMAIL": "x@x.example",
    }
    execute("git", "commit", "--quiet", "-m", "x", cwd=folder, env={**os.environ, **own, **dates})


def words(folder):
    changes = blame.changes(folder / "Pulumi.prod.yaml", KEYS)
    return {f"{group}.{name}": change.words(SECOND + 3 * 86400) for (group, name), change in changes.items()}


def test_each_value_has_the_commit_that_wrote_it(project):
    commit(project, FILE.replace("v1:one", "v1:new"), "Ben\x1b[2J", SECOND)
    assert words(project) == {
        "shop-web.API_KEY": "changed 2026-09-21 (3 days ago) by Ben\\x1b[2J",
        "shop-web.TOKEN": "changed 2026-05-28 (118 days ago) by Ann",
        "shop.SHARED": "changed 2026-05-28 (118 days ago) by Ann",
    }


def test_uncommitted_value_is_reported(project):
    (project / "Pulumi.prod.yaml").write_text(FILE.replace("v1:two", "v1:new"))
    assert words(project)["shop-web.TOKEN"] == "changed now, not committed"
    assert words(project)["shop-web.API_KEY"].endswith("by Ann")


def test_value_without_a_git_history_is_unknown(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("none")
    (elsewhere / "Pulumi.prod.yaml").write_text(FILE)
    assert blame.changes(elsewhere / "Pulumi.prod.yaml", KEYS) == {}
    (project / "Pulumi.prod.yaml").write_text("config: [")
    assert blame.changes(project / "Pulumi.prod.yaml", KEYS) == {}


def test_a_history_that_was_cut_off_is_no_answer(project, tmp_path_factory):
    commit(project, FILE.replace("v1:one", "v1:new"), "Ben", SECOND)
    shallow = tmp_path_factory.mktemp("shallow") / "copy"
    execute("git", "clone", "--quiet", "--depth", "1", f"file://{project}", shallow)
    assert blame.changes(shallow / "Pulumi.prod.yaml", KEYS) == {}
