"""`infra new`: a project of one's own, whole or not at all, that passes its own checks."""

import os
import re
import sys

import pytest
import yaml
from typer.testing import CliRunner

from infra.errors import InfraError
from infra.main import app
from infra.project import new
from infra.project.new import Answers, create, name_of
from infra.project.program import HERE, is_part, program_in, read_record
from tests.project.world import contents
from tests.support import ROOT, execute

LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
OTHERS = re.compile(r"watchme|whisper|totton|recall|vocoder|hey-watch", re.IGNORECASE)
# The command line of the directory that it runs in
COMMAND = "from infra.main import run; run()"


def command(*words):
    return CliRunner().invoke(app, ["new", *map(str, words)])


def infra(project, *words, code=0):
    return execute(sys.executable, "-c", COMMAND, *words, cwd=project, code=code)


@pytest.fixture(scope="module")
def identity():
    """Who commits, on a machine where git knows no one."""
    who = {f"GIT_{role}_{part}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in who.items():
            environment.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory, identity):
    folder = tmp_path_factory.mktemp("new") / "shop"
    answers = {"account": "210987654321", "email": "a@shop.example", "cidr": "198.51.100.0/24", "zone": "shop.example"}
    ran = command(folder, *(f"--{name}={value}" for name, value in answers.items()))
    assert ran.exit_code == 0, ran.output
    return folder


def test_new_project_has_the_program_without_foreign_systems(shop):
    passing = {".git", ".infra", "__pycache__"}
    found = [path for path in shop.rglob("*") if path.is_file() and not passing & {*path.parts}]
    paths = {path.relative_to(shop).as_posix() for path in found}
    program = program_in(ROOT).files
    assert set(program) < paths
    own = paths - set(program)
    assert own == {
        ".gitignore", ".program.json", "Pulumi.lab.yaml", "Pulumi.prod.yaml", "README.ja.md", "README.md",
        "files/systems/shop.yaml", "lab.yaml",
    }  # fmt: skip
    assert [path for path in paths if OTHERS.search(path)] == []
    assert [
        path
        for path in own - {".program.json", "README.ja.md", "README.md"}
        if OTHERS.search((shop / path).read_text())
    ] == []
    assert all((shop / path).read_bytes() == file.content for path, file in program.items())
    assert all(os.access(shop / path, os.X_OK) == file.executable for path, file in program.items())


def test_listed_parts_of_the_program_exist():
    """A path that was renamed would be left out, or come along."""
    listed = yaml.safe_load((ROOT / "starter/parts.yaml").read_text())["program"]
    gone = [entry for entry in listed if not (ROOT / entry.removeprefix("!")).exists()]
    assert gone == ["!lab/stubs.yaml"]
    assert (
        not is_part(ROOT, "tests/support.py")
        and is_part(ROOT, "lab/settings.py")
        and not is_part(ROOT, "Pulumi.dev.yaml")
    )


@pytest.mark.parametrize("stack", ["prod", "lab"])
def test_stacks_of_a_new_project_pass_the_checks(shop, stack):
    ran = infra(shop, "check", "--stack", stack)
    assert "1 service on 1 host," in ran.stdout and "error" not in ran.stderr


def test_new_project_is_committed_and_can_be_previewed(shop):
    ran = infra(shop, "preview", "--mocks", "--base", "HEAD", "--stack", "prod")
    assert "prod: no change\n" in ran.stdout


def test_upgrade_does_not_touch_files_of_the_project(shop):
    ran = execute(sys.executable, "-c", COMMAND, "upgrade", ROOT, "--yes", cwd=shop)
    assert "nothing to do" in ran.stdout


def test_unanswered_values_are_reported_by_check(tmp_path):
    folder = tmp_path / "My Shop 2"
    assert command(folder).exit_code == 0
    said = infra(folder, "check", "--stack", "prod", code=1).stderr
    for key in ("accountId", "zone", "acmeEmail", "alarmEmails.0", "adminCidrs.0"):
        assert f"Pulumi.prod.yaml: infra:{key}: found 'TODO'; " in said, said
    assert "Traceback" not in said and (folder / "files/systems/my-shop-2.yaml").exists()
    assert infra(folder, "check", "--stack", "lab").returncode == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop", "shop"),
        ("My Shop", "my-shop"),
        ("2nd", "nd"),
        ("日本", "app"),
        ("-", "app"),
        ("on", "on-app"),
        ("x", "x-app"),
        ("a" * 40, "a" * 30),
        ("a" * 29 + "-b", "a" * 29),
    ],
)
def test_a_system_gets_the_directorys_name(tmp_path, name, expected):
    assert name_of(tmp_path / name) == expected


WRONG = {
    "system": ["a.b", "A", "1a", "a" * 31, "a b", "../a", "a\nb: c", "on", "null", "host", "a-"],
    "region": ["", "Tokyo", "ap-northeast", "x\ny"],
    "zone": ["shop", "http://shop.example", "a.example: {", "shop.example\nx: y"],
    "account": ["123", "a" * 12, "123456789012\n"],
    "email": ["a", "a@b", 'a@b.c"', "a@b.example\n"],
    "cidr": ["198.51.100.7/24", "anywhere", "::/0"],
}


@pytest.mark.parametrize(("question", "answer"), [(q, a) for q, answers in WRONG.items() for a in answers])
def test_an_answer_that_can_be_none_is_refused_and_nothing_is_made(tmp_path, question, answer):
    ran = command(tmp_path / "shop", f"--{question}={answer}")
    assert isinstance(ran.exception, InfraError) and f"--{question}" in str(ran.exception)
    assert [*tmp_path.iterdir()] == []


def test_a_place_that_is_taken_is_left_alone(tmp_path, monkeypatch):
    taken = tmp_path / "shop"
    taken.mkdir()
    (taken / "mine").write_text("x")
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(tmp_path / "elsewhere")
    file.write_text("y")
    monkeypatch.chdir(tmp_path)
    for place in (taken, link, file, ".", "/etc/shop", file / "below"):
        ran = command(place)
        assert isinstance(ran.exception, InfraError), place
    assert {path.name for path in tmp_path.iterdir()} == {"shop", "link", "file"} and contents(taken) == {"mine": "x"}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert command(empty, "--system", "shop").exit_code == 0 and read_record(empty)


@pytest.mark.parametrize("number", [0, 3, 200])
def test_killed_creation_leaves_no_project(tmp_path, monkeypatch, number):
    count, real = iter(range(10000)), new._write

    def killed(*words):
        if next(count) == number:
            raise KeyboardInterrupt
        return real(*words)

    monkeypatch.setattr(new, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path / "shop", Answers("shop", "ap-northeast-1"))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.nightly
def test_a_project_makes_a_project(shop, tmp_path):
    """It has all that it needs for that; from its record, whether or not it is in git."""
    ran = execute(sys.executable, "-c", COMMAND, "new", tmp_path / "second", cwd=shop)
    assert "created" in ran.stdout
    here, there = read_record(shop), read_record(tmp_path / "second")
    assert here and there and here.files == there.files


def test_missing_git_identity_is_reported_without_a_commit(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    ran = command(tmp_path / "shop")
    assert ran.exit_code == 0 and "not committed yet" in ran.stdout
    assert (tmp_path / "shop/Pulumi.yaml").exists()


def test_program_is_installed_from_this_checkout():
    assert HERE == ROOT


def test_links_of_a_new_project_are_valid(shop):
    pages = [path for path in shop.rglob("*.md") if not {".git", ".venv"} & {*path.parts}]
    links = [(page, target) for page in pages for target, _ in LINK.findall(page.read_text())]
    local = [(page, target) for page, target in links if not target.startswith(("http", "mailto:"))]
    gone = [f"{page.relative_to(shop)}: {target}" for page, target in local if not (page.parent / target).exists()]
    assert len(local) > 50 and gone == []


@pytest.mark.nightly
def test_reference_of_a_new_project_can_be_generated(shop):
    assert infra(shop, "docs").returncode == 0


@pytest.mark.nightly
def test_a_stack_with_backups_can_be_previewed_without_its_secrets(tmp_path, identity):
    """As a pull request is: what is encrypted stays so."""
    folder = tmp_path / "reader"
    values = {"zone": "example.com", "account": "123456789012", "email": "a@example.com", "cidr": "198.51.100.7/32"}
    assert command(folder, *(f"--{name}={value}" for name, value in values.items())).exit_code == 0
    system = re.findall(r"```yaml\n(.*?)```", (folder / "docs/tutorial.md").read_text(), re.DOTALL)[0]
    (folder / "files/systems/reader.yaml").write_text(system)
    file = folder / "Pulumi.prod.yaml"
    stack = yaml.safe_load(file.read_text())
    sealed = {"secure": "v1:abc:def"}
    stack["config"] |= {
        "infra:backupRegion": "ap-northeast-3",
        "infra:secrets": {
            "backup": {"RESTIC_PASSWORD": sealed}, "reader": {"DATABASE_URL": sealed}, "monitor": {"webhook": sealed},
            "reader-db": {"POSTGRES_PASSWORD": sealed}, "reader-web": {"ADMIN_PASSWORD": sealed},
            "registries": {"ghcr.io": sealed},
        },
    }  # fmt: skip
    file.write_text(yaml.safe_dump(stack))
    execute("git", "commit", "-q", "-a", "-m", "reader", cwd=folder)
    file.write_text(file.read_text().replace("t4g.small", "t4g.medium"))
    ran = infra(folder, "preview", "--mocks", "--base", "HEAD", "--stack", "prod")
    assert "prod: the machine is stopped and started" in ran.stdout, ran.stdout + ran.stderr
