"""What a shell completes: names of the project, read off its files."""

import shutil
import socket
import subprocess

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from infra.main import app
from tests.support import ROOT, execute


def complete(line: str) -> list[str]:
    """What is offered for the last word of a line, which has no quotes."""
    words = line.split(" ")
    asked = {"_INFRA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    shown = CliRunner().invoke(app, [], env={**asked, "PULUMI_STACK": None}, prog_name="infra")
    assert shown.exit_code == 0 and not shown.stderr, shown.stderr
    return shown.stdout.split()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the project's stack prod and its systems."""
    shutil.copytree(ROOT / "files", tmp_path / "files")
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("infra deploy --stack prod ast", ["ast-api"]),
        ("infra deploy ast-api --stack prod ast", []),
        ("infra restart vibe-s", ["vibe-scorer"]),
        ("infra exec --stack prod superb", ["superb-api"]),
        ("infra shell superb", ["superb-api"]),
        ("infra port-forward superb", ["superb-api"]),
        ("infra rollback --stack prod superb", ["superb-api"]),
        ("infra promote --from dev superb", ["superb-api"]),
        ("infra logs --stack prod ng", ["nginx"]),
        ("infra logs --stack prod ast-api mon", ["monitor"]),
        ("infra open --stack prod api.", ["api.hey-watch.me"]),
        ("infra maintenance on --stack prod api.", ["api.hey-watch.me"]),
        ("infra secret set --stack prod mon", ["monitor.webhook"]),
        ("infra secret import .env superb", ["superb-api"]),
        ("infra status --stack p", ["prod"]),
        ("infra dashboard --stack prod --stack p", []),
        ("infra promote superb-api --from dev --to p", ["prod"]),
        ("infra status --stack prod --host w", ["watchme"]),
        ("infra host replace --stack prod w", ["watchme"]),
        ("infra reboot --stack prod w", ["watchme"]),
    ],
)
def test_the_shell_completes_names_of_the_project(line, expected, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert complete(line) == expected


def test_completion_of_secrets_has_those_with_a_value_where_one_is_needed(project):
    """Names stand in the stack's file in plain text; values are never read."""
    file = project / "Pulumi.prod.yaml"
    file.write_text(file.read_text() + "  infra:secrets:\n    ast-api:\n      KEY:\n        secure: v1:abc\n")
    for command in ("rotate", "unset", "push github"):
        assert complete(f"infra secret {command} --stack prod ") == ["ast-api.KEY"]


def test_completion_takes_names_of_every_stack_while_none_was_typed(monkeypatch):
    monkeypatch.chdir(ROOT)
    every = {name for stack in ("dev", "prod", "lab") for name in complete(f"infra deploy --stack {stack} ")}
    assert every and {*complete("infra deploy ")} == every


def test_completion_asks_nothing_outside_the_files(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a completion asked another program or the network")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("infra.pulumi.pulumi", refuse)
    monkeypatch.chdir(ROOT)
    for line in ("infra deploy ", "infra secret set ", "infra open ", "infra logs ", "infra status --host "):
        assert complete(line), line


def test_completion_is_silent_outside_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in ("infra deploy ", "infra status --stack ", "infra status --host ", "infra secret set "):
        assert complete(line) == []


def test_completion_is_silent_with_a_broken_catalogue_and_still_names_hosts(project):
    (project / "files/systems/watchme.yaml").write_text("services: [\n")
    assert complete("infra deploy --stack prod ") == []
    assert complete("infra status --stack prod --host ") == ["watchme"]
    (project / "Pulumi.prod.yaml").write_bytes(b"\xff\xfe: {")
    assert complete("infra status --stack prod --host ") == []
    assert complete("infra status --stack ") == ["prod"]


def test_completion_leaves_out_names_that_a_shell_would_run(project):
    (project / "Pulumi.$(touch x).yaml").write_text("config: {}\n")
    (project / "Pulumi.`id`.yaml").write_text("config: {}\n")
    (project / "Pulumi.-rf.yaml").write_text("config: {}\n")
    assert complete("infra status --stack ") == ["prod"]


def test_every_option_for_a_stack_or_a_host_completes():
    def commands(group):
        for command in group.commands.values():
            yield from commands(command) if hasattr(command, "commands") else [command]

    for command in commands(get_command(app)):
        for one in command.params:
            if {"--stack", "--host"} & {*one.opts}:
                assert one._custom_shell_complete is not None, (command.name, one.name)


def test_the_script_that_is_installed_completes_in_bash(tmp_path):
    path = {"PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    # By itself Typer takes the shell that runs it, which under make is sh
    named = {**path, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = execute("infra", "--show-completion", "bash", cwd=ROOT, env=named).stdout
    assert "complete -o default -F _infra_completion infra" in script
    body = (
        f'{script}\nCOMP_WORDS=(infra restart superb) COMP_CWORD=2\n_infra_completion infra\necho "${{COMPREPLY[@]}}"\n'
    )
    ran = subprocess.run(
        ["bash", "--norc"], input=body, text=True, capture_output=True, cwd=ROOT, env=path, timeout=60, check=True
    )
    assert ran.stdout == "superb-api\n" and not ran.stderr
