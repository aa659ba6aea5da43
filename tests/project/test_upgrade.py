"""A later version of the program in a project: what becomes of each file, and of one that was edited there."""

import json
import re
import subprocess
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from infra.errors import InfraError
from infra.main import app
from infra.project import upgrade
from infra.project.program import read_record
from tests.project.world import LINES, NEW, OLD, checkout, contents, git, program, project, upgraded

EDITED = LINES.replace("line 15\n", "line fifteen\n")
CLASHING = LINES.replace("line 2\n", "line 2 of mine\n")


def test_unedited_files_become_the_new_versions(tmp_path):
    root = project(tmp_path)
    assert upgraded(root) == {"agent/apply.py": "replaced", "agent/gone.py": "removed", "agent/more.py": "added"}
    have = contents(root)
    record = json.loads(have.pop(".program.json"))
    assert have == {**NEW, "files/systems/shop.yaml": "system: shop\n", "README.md": "mine\n"}
    assert record["version"] == "2" and set(record["files"]) == set(NEW)
    assert upgraded(root) == {}


@pytest.mark.parametrize(
    ("path", "text", "fate", "after"),
    [
        ("Makefile", "mine:\n", "kept", "mine:\n"),
        ("agent/apply.py", EDITED, "merged", EDITED.replace("line 2\n", "line two\n")),
        ("agent/apply.py", CLASHING, "conflict", CLASHING),
        ("agent/apply.py", NEW["agent/apply.py"], None, NEW["agent/apply.py"]),
        ("agent/gone.py", "mine\n", "conflict", "mine\n"),
        ("agent/more.py", "mine\n", "conflict", "mine\n"),
        ("agent/apply.py", None, "conflict", None),
        ("agent/gone.py", None, None, None),
        ("Makefile", None, "absent", None),
    ],
)
def test_a_file_that_was_edited_here(tmp_path, path, text, fate, after):
    root = project(tmp_path)
    if text is None:
        (root / path).unlink()
    else:
        (root / path).write_text(text)
    assert upgraded(root).get(path) == fate
    assert contents(root).get(path) == after


@pytest.mark.parametrize("path", ["agent/apply.py", "agent/gone.py", "agent/more.py"])
def test_a_conflict_is_settled_by_a_word(tmp_path, path):
    for option, after in (("keep", "mine\n"), ("take", NEW.get(path))):
        root = project(tmp_path / option)
        (root / path).write_text("mine\n")
        assert upgraded(root, **{option: (path,)})[path] == {"keep": "kept"}.get(
            option, "removed" if after is None else "replaced"
        )
        assert contents(root).get(path) == after
        # What was decided is not asked again
        assert upgraded(root).get(path) in (None, "kept")


def test_a_word_for_a_file_without_a_conflict_is_refused(tmp_path):
    root = project(tmp_path)
    with pytest.raises(InfraError, match="not edited here: Makefile; edited: none"):
        upgraded(root, take=("Makefile",))


@pytest.mark.parametrize("number", range(4))
def test_killed_upgrade_completes_when_repeated(tmp_path, monkeypatch, number):
    root = project(tmp_path)
    (root / "agent/apply.py").write_text(EDITED)
    count = iter(range(100))
    for name in ("_write", "write_record"):
        real = getattr(upgrade, name)

        def killed(*words, real=real):
            if next(count) == number:
                raise KeyboardInterrupt
            return real(*words)

        monkeypatch.setattr(upgrade, name, killed)
    if number < 3:
        with pytest.raises(KeyboardInterrupt):
            upgraded(root)
    monkeypatch.undo()
    upgraded(root)
    have = contents(root)
    assert have["agent/apply.py"] == EDITED.replace("line 2\n", "line two\n")
    assert "agent/gone.py" not in have and have["agent/more.py"] == "y\n"
    assert json.loads(have[".program.json"])["version"] == "2"


@pytest.mark.parametrize("path", ["agent", "agent/apply.py"])
def test_nothing_is_written_through_a_link(tmp_path, path):
    root = project(tmp_path / "project")
    aside = tmp_path / "aside"
    (root / path).rename(aside)
    (root / path).symlink_to(aside)
    with pytest.raises(InfraError, match="move it away"):
        upgraded(root)


BROKEN = {
    "no record": ("", "cannot be read"),
    "a list": ("[]", "cannot be read"),
    "an id that is none": ('{"version": "1", "commit": "", "files": {"a": 1}}', "cannot be read"),
    "a path that leads out": ('{"version": "1", "commit": "", "files": {"../a": "1"}}', "no file of the program"),
    "git's own": ('{"version": "1", "commit": "", "files": {".git/config": "1"}}', "no file of the program"),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN)
def test_invalid_record_is_refused(tmp_path, text, said):
    (tmp_path / ".program.json").write_text(text)
    with pytest.raises(InfraError, match=said):
        read_record(tmp_path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project, which is the current directory, and a checkout of the program's later version."""
    root = project(tmp_path / "project")
    monkeypatch.chdir(root)
    return root, checkout(tmp_path / "later", NEW)


def command(*words):
    return CliRunner().invoke(app, ["upgrade", *map(str, words)])


def test_upgrade_shows_and_applies_its_plan(here):
    root, later = here
    ran = command(later, "--yes")
    assert ran.exit_code == 0, ran.output
    assert (
        "from version 1 to 9" in ran.stdout
        and "1 replaced: agent/apply.py" in ran.stdout
        and "1 removed: agent/gone.py" in ran.stdout
    )
    assert contents(root)["agent/apply.py"] == NEW["agent/apply.py"] and contents(root)["README.md"] == "mine\n"
    assert "tests/test_it.py" not in contents(root)
    assert "nothing to do" in command(later, "--yes").stdout


def test_without_a_yes_nothing_changes(here):
    root, later = here
    before = contents(root)
    assert command(later).exit_code == 1
    assert contents(root) == before


REFUSED = {
    "edited another way": (
        "agent/apply.py",
        CLASHING,
        True,
        "nothing was changed. Changed both here.*agent/apply.py.*--take",
    ),
    "not committed": (
        "agent/apply.py",
        EDITED,
        False,
        "nothing was changed. Edited here and not committed: agent/apply.py",
    ),
}


@pytest.mark.parametrize(("path", "text", "is_committed", "said"), REFUSED.values(), ids=REFUSED)
def test_upgrade_that_would_lose_changes_is_refused(here, path, text, is_committed, said):
    root, later = here
    (root / path).write_text(text)
    if is_committed:
        git(root, "commit", "-q", "-a", "-m", "mine")
    before = contents(root)
    ran = command(later, "--yes")
    assert isinstance(ran.exception, InfraError) and re.search(said, str(ran.exception))
    assert contents(root) == before


WRONG = {
    "itself": (["."], "is this project"),
    "no place": (["/nowhere"], "git clone"),
    "an option of git's": (["-uupload-pack=x"], "No such option|neither a place"),
    "no such version": (["LATER", "--version", "v99"], "no such tag, branch or commit"),
    "a base where a record is": (["LATER", "--base", "HEAD"], "leave --base out"),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_earlier_or_invalid_version_is_refused(here, words, said):
    root, later = here
    before = contents(root)
    ran = command(*[str(later) if word == "LATER" else word for word in words], "--yes")
    assert ran.exit_code and re.search(said, f"{ran.output} {ran.exception}")
    assert contents(root) == before


def test_fork_names_its_origin(tmp_path, monkeypatch):
    source = checkout(tmp_path / "source", OLD)
    git(source, "tag", "v1")
    fork = tmp_path / "fork"
    subprocess.run(["git", "clone", "-q", str(source), str(fork)], check=True, timeout=60)
    (fork / "Makefile").write_text("mine:\n")
    git(fork, "commit", "-q", "-a", "-m", "mine")
    for path, text in NEW.items():
        (source / path).write_text(text)
    (source / "agent/gone.py").unlink()
    git(source, "add", "-A")
    git(source, "commit", "-q", "-m", "later")
    monkeypatch.chdir(fork)
    assert "add --base VERSION" in str(command(source, "--yes").exception)
    ran = command(source, "--base", "v1", "--yes")
    assert ran.exit_code == 0 and "Makefile: edited here, and kept" in ran.stdout, ran.output
    have = contents(fork)
    assert (
        have["agent/apply.py"] == NEW["agent/apply.py"]
        and "agent/gone.py" not in have
        and have["Makefile"] == "mine:\n"
    )
    assert read_record(fork).version == "9"


def test_a_plan_names_every_kind(tmp_path):
    root = project(tmp_path)
    (root / "Makefile").write_text("mine:\n")
    (root / "agent/apply.py").write_text(EDITED)
    record = read_record(root)
    assert record
    found = upgrade.plan(root, record, program(NEW, "2"), frozenset(), frozenset())
    forged = replace(found, before=replace(record, version="1\x1b[31m\nforged"))
    assert next(upgrade.describe(forged)) == r"from version 1\x1b[31m\nforged to 2"
    assert [*upgrade.describe(found)] == [
        "from version 1 to 2",
        "  1 new: agent/more.py",
        "  1 removed: agent/gone.py",
        "  agent/apply.py: edited here, and merged",
        "  Makefile: edited here, and kept",
    ]
