"""Upgrades in surroundings that are not as they should be: git's, the project's, the source's. Nothing is lost, nothing
lies elsewhere, nothing of the source runs."""

import json
import os
import subprocess

import pytest
from typer.testing import CliRunner

from infra.errors import InfraError
from infra.main import app
from infra.project import program as programs
from infra.project import upgrade
from infra.project.new import Answers, create
from infra.project.program import Record, is_part, program_in, read_record
from tests.project.world import LINES, NEW, OLD, checkout, contents, git, program, project, upgraded
from tests.support import ROOT

EDITED = LINES.replace("line 15\n", "line fifteen\n")
PRECIOUS = LINES.replace("line 2\n", "precious\n")


def command(*words, input=None):
    return CliRunner().invoke(app, ["upgrade", *map(str, words)], input=input)


@pytest.fixture
def later(tmp_path):
    return checkout(tmp_path / "later", NEW)


def test_no_other_repository_is_written_to(tmp_path, monkeypatch, later):
    """A hook or an alias of git's sets these."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (other / "mine").write_text("x")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "mine")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    create(tmp_path / "shop", Answers("shop", "ap-northeast-1"))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    assert (tmp_path / "shop/.git").is_dir()
    said = subprocess.run(
        ["git", "log", "--oneline"], cwd=other, capture_output=True, text=True, check=True, timeout=60
    )
    assert len(said.stdout.splitlines()) == 1 and (other / "mine").exists()


@pytest.mark.parametrize("how", ["below git's root", "ignored", "assumed unchanged", "staged", "no git"])
def test_uncommitted_edit_is_not_replaced(tmp_path, monkeypatch, later, how):
    top = tmp_path / "top"
    root = project(top / "infra")
    path = "agent/more.py" if how == "ignored" else "agent/apply.py"
    if how in ("below git's root", "no git"):
        subprocess.run(["rm", "-rf", str(root / ".git")], check=True, timeout=60)
    if how == "below git's root":
        git(top, "init", "-q")
        git(top, "add", "-A")
        git(top, "commit", "-q", "-m", "all")
    if how == "ignored":
        (root / ".gitignore").write_text("more.py\n")
    if how == "assumed unchanged":
        git(root, "update-index", "--assume-unchanged", path)
    (root / path).write_text(PRECIOUS)
    if how == "staged":
        git(root, "add", "-A")
    monkeypatch.chdir(root)
    ran = command(later, "--yes", "--take", path)
    assert isinstance(ran.exception, InfraError) and path in str(ran.exception), ran.output
    assert (root / path).read_text() == PRECIOUS
    if how == "no git":
        # What was not edited needs no history
        (root / path).write_text(LINES)
        assert command(later, "--yes").exit_code == 0 and (root / path).read_text() == NEW[path]


def test_an_edit_below_gits_root_that_is_committed_can_be_replaced(tmp_path, monkeypatch, later):
    root = project(tmp_path / "top/infra", {**OLD, "agent/apply.py": LINES})
    (root / "agent/apply.py").write_text(PRECIOUS)
    subprocess.run(["rm", "-rf", str(root / ".git")], check=True, timeout=60)
    git(tmp_path / "top", "init", "-q")
    git(tmp_path / "top", "add", "-A")
    git(tmp_path / "top", "commit", "-q", "-m", "all")
    monkeypatch.chdir(root)
    assert command(later, "--yes", "--take", "agent/apply.py").exit_code == 0
    assert (root / "agent/apply.py").read_text() == NEW["agent/apply.py"]


def test_an_edit_while_the_question_waits_is_not_lost(tmp_path, monkeypatch):
    root = project(tmp_path)
    record = read_record(root)
    assert record
    found = upgrade.plan(root, record, program(NEW, "2"), frozenset(), frozenset())
    (root / "agent/apply.py").write_text(PRECIOUS)
    with pytest.raises(InfraError, match=r"agent/apply\.py was changed meanwhile: nothing was written"):
        upgrade.apply(root, found)
    assert contents(root)["agent/apply.py"] == PRECIOUS and "agent/gone.py" in contents(root)


def test_keep_and_take_for_the_same_file_are_refused(tmp_path):
    root = project(tmp_path)
    (root / "agent/gone.py").write_text("mine\n")
    with pytest.raises(InfraError, match="both given for agent/gone"):
        upgraded(root, keep=("agent/gone.py",), take=("agent/gone.py",))


def test_a_linked_cache_is_not_emptied(tmp_path):
    root = project(tmp_path / "p", {**OLD, "old/m.py": "x\n"})
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "keep.pyc").write_bytes(b"x")
    (root / "old/__pycache__").symlink_to(aside)
    assert upgraded(root)["old/m.py"] == "removed"
    assert (aside / "keep.pyc").exists()


def test_only_python_caches_are_removed_from_an_emptied_directory(tmp_path):
    root = project(tmp_path, {**OLD, "old/m.py": "x\n", "older/m.py": "x\n"})
    for folder, name in (("old", "m.pyc"), ("older", "m.nbi")):
        (root / folder / "__pycache__").mkdir()
        (root / folder / "__pycache__" / name).write_bytes(b"x")
    upgraded(root)
    assert not (root / "old").exists() and (root / "older/__pycache__/m.nbi").exists()


def test_modes_come_along_and_ours_stay(tmp_path):
    root = project(tmp_path)
    files = {path: programs.File(text.encode(), path == "Makefile") for path, text in OLD.items()}
    (root / "agent/apply.py").chmod(0o755)
    record = read_record(root)
    assert record
    found = upgrade.plan(root, record, programs.Program("2", "", files), frozenset(), frozenset())
    assert {change.path: change.fate for change in found.changes} == {"Makefile": "replaced", "agent/apply.py": "kept"}
    upgrade.apply(root, found)
    assert os.access(root / "Makefile", os.X_OK) and os.access(root / "agent/apply.py", os.X_OK)
    assert upgraded(root, OLD) == {"Makefile": "replaced", "agent/apply.py": "kept"}
    assert not os.access(root / "Makefile", os.X_OK)


def test_an_edit_is_merged_with_each_later_version(tmp_path):
    root = project(tmp_path)
    (root / "agent/apply.py").write_text(EDITED)
    wanted = EDITED
    for number, (old, new) in enumerate((("line 2\n", "two\n"), ("line 7\n", "seven\n"), ("line 9\n", "nine\n"))):
        theirs = {**OLD, "agent/apply.py": LINES.replace("line 2\n", "two\n")}
        if number:
            theirs["agent/apply.py"] = theirs["agent/apply.py"].replace("line 7\n", "seven\n")
        if number > 1:
            theirs["agent/apply.py"] = theirs["agent/apply.py"].replace("line 9\n", "nine\n")
        wanted = wanted.replace(old, new)
        # The last one without a commit in between, and in a clone that never had the earlier versions
        assert upgraded(root, theirs) == {"agent/apply.py": "merged"}
        assert contents(root)["agent/apply.py"] == wanted
        subprocess.run(["rm", "-rf", str(root / ".git")], check=True, timeout=60)


def test_upgrade_killed_after_a_merge_continues(tmp_path, monkeypatch, later):
    root = project(tmp_path / "p")
    (root / "agent/apply.py").write_text(EDITED)
    git(root, "commit", "-q", "-a", "-m", "mine")
    monkeypatch.chdir(root)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(upgrade, "write_record", killed)
    assert command(later, "--yes").exit_code != 0
    monkeypatch.undo()
    monkeypatch.chdir(root)
    assert command(later, "--yes").exit_code == 0
    assert contents(root)["agent/apply.py"] == EDITED.replace("line 2\n", "line two\n")


def test_removed_file_is_reported_and_can_be_restored(tmp_path, monkeypatch, later):
    root = project(tmp_path / "p")
    (root / "Makefile").unlink()
    monkeypatch.chdir(root)
    assert "Makefile: removed here, and not brought back" in command(later, "--yes").stdout
    assert command(later, "--yes", "--take", "Makefile").exit_code == 0 and (root / "Makefile").exists()


def test_a_source_that_is_not_whole_removes_nothing(tmp_path, monkeypatch, later):
    root = project(tmp_path / "p")
    monkeypatch.chdir(root)
    (later / "agent/apply.py").unlink()
    assert "agent/apply.py is not in" in str(command(later, "--yes").exception)
    (later / "agent/apply.py").symlink_to("/etc/passwd")
    assert "agent/apply.py is not in" in str(command(later, "--yes").exception)
    assert contents(root)["agent/apply.py"] == LINES


def test_nothing_of_the_source_runs(tmp_path, monkeypatch, later):
    root = project(tmp_path / "p")
    mark, script = tmp_path / "ran", tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    git(later, "config", "core.fsmonitor", str(script))
    (later / ".git/hooks/post-checkout").write_text(script.read_text())
    (later / ".git/hooks/post-checkout").chmod(0o755)
    monkeypatch.chdir(root)
    assert command(later, "--yes").exit_code == 0
    assert command(later, "--version", "HEAD", "--yes").exit_code == 0
    assert not mark.exists()


UNSAFE = [
    ".git/hooks/x", "a/.GIT/config", "../a", "a/../../b", "/etc/x", "a//b", "a\nb", "a\x1bb", "a\\b", ".", "", "a/", "x" * 300,
    "Pulumi.prod.yaml", "files/systems/shop.yaml", "files/static/x", "README.ja.md", "README.md", "lab.yaml", ".env",
]  # fmt: skip


@pytest.mark.parametrize("path", UNSAFE)
def test_a_path_that_the_program_cannot_have_is_refused(tmp_path, path):
    body = {"version": "1", "commit": "", "files": {"Pulumi.yaml": "1", path: "1"}}
    (tmp_path / ".program.json").write_text(json.dumps(body))
    with pytest.raises(InfraError, match="no file of the program"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", ["[" * 20000, '{"files": {"a\\ud800": "1"}}', "\xff", '{"files": 3}'])
def test_a_record_of_any_kind_is_a_line(tmp_path, content):
    (tmp_path / ".program.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InfraError):
        read_record(tmp_path)
    (tmp_path / ".program.json").unlink()
    (tmp_path / ".program.json").symlink_to("/dev/null")
    with pytest.raises(InfraError, match="cannot be read"):
        read_record(tmp_path)


def test_line_ends_of_git_are_no_edit(tmp_path, monkeypatch, later):
    root = project(tmp_path / "p")
    (root / "agent/apply.py").write_bytes(LINES.replace("\n", "\r\n").encode())
    monkeypatch.chdir(root)
    for number, value in enumerate(["core.autocrlf", "core.eol"]):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", value)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", "true" if number == 0 else "crlf")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    assert command(later, "--version", "HEAD", "--yes").exit_code == 0
    assert (root / "agent/apply.py").read_bytes() == NEW["agent/apply.py"].encode()


def test_files_outside_the_program_may_have_any_name(tmp_path, monkeypatch, later):
    root = project(tmp_path / "p")
    for place in (root, later):
        (place / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    git(later, "add", "-A")
    (root / "agent/gone.py").write_text("mine\n")
    monkeypatch.chdir(root)
    assert command(later, "--yes", "--keep", "agent/gone.py").exit_code == 0


def test_edited_source_project_is_marked_as_edited(tmp_path):
    root = project(tmp_path)
    (root / "pyproject.toml").write_text('[project]\nversion = "9"\n')
    assert "edited" not in program_in(root).name
    (root / "Makefile").write_text("mine:\n")
    assert program_in(root).name.endswith("(, edited)")


@pytest.mark.parametrize(
    "path", ["Pulumi.staging.yaml", "files/static/mine/conf", ".env.prod", "scripts/deploy.sh", "lab.yaml", "notes.md"]
)
def test_local_files_of_a_checkout_are_not_part_of_the_program(path):
    assert not is_part(ROOT, path)


def test_simultaneous_upgrade_is_refused(tmp_path):
    root = project(tmp_path)
    with upgrade.alone(root), pytest.raises(InfraError, match="another upgrade is running"), upgrade.alone(root):
        pass


def test_invalid_base_is_refused_by_its_name(tmp_path, monkeypatch, later):
    root = project(tmp_path / "p")
    (root / ".program.json").unlink()
    monkeypatch.chdir(root)
    assert "--base nosuch: " in str(command(later, "--base", "nosuch").exception)
    assert Record("1", "", {}).originals == {}


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_file_becomes_a_directory_and_a_directory_a_file(tmp_path, is_edited):
    root = project(tmp_path, {**OLD, "tool": "x\n", "kit/a": "a\n", "kit/b/c": "c\n"})
    later = {**OLD, "tool/x": "x\n", "kit": "k\n"}
    if is_edited:
        (root / "tool").write_text("mine\n")
        (root / "kit/mine").write_text("mine\n")
        with pytest.raises(InfraError, match="kit is no regular file"):
            upgraded(root, later)
        (root / "kit/mine").unlink()
        record = read_record(root)
        assert record
        found = upgrade.plan(root, record, program(later, "2"), frozenset(), frozenset())
        assert found.of("conflict") == ["tool"] and (root / "tool").read_text() == "mine\n"
        return
    upgraded(root, later)
    have = contents(root)
    assert have["tool/x"] == "x\n" and have["kit"] == "k\n" and not {"kit/a", "kit/b/c", "tool"} & set(have)
    assert upgraded(root, OLD | {"tool": "x\n", "kit/a": "a\n"}) and contents(root)["tool"] == "x\n"
