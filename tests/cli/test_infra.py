"""The `infra` command line, as a user runs it: in a copy of the project, without Pulumi or AWS."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from agent.quoting import count
from infra.docs import pages
from infra.init import key_pair
from rendering.host import render
from tests.support import ROOT, catalogue, execute

INFRA = str(Path(sys.executable).with_name("infra"))


@pytest.fixture
def project(tmp_path):
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "Pulumi.lab.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "files", tmp_path / "files")
    return tmp_path


def infra(project: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(project)}
    return execute(INFRA, *argv, cwd=project, env=env, code=None)


@pytest.mark.parametrize(("stack", "services", "hosts"), [("dev", 13, 1), ("prod", 13, 1), ("lab", 15, 2)])
def test_check_passes_on_every_stack(project, stack, services, hosts):
    ran = infra(project, "check", "--stack", stack)
    assert ran.returncode == 0 and f"stack {stack}: {services} services on {count(hosts, 'host')}" in ran.stdout
    assert "service superb-api: memory limit 1g is below its observed use of 1536m" in ran.stderr


def test_check_reports_every_problem_and_fails(project):
    path = project / "files/systems/watchme.yaml"
    path.write_text(path.read_text().replace("port: 8018", "port: 8017").replace("172.27.0.14", "172.27.0.1"))
    ran = infra(project, "check", "--stack", "prod")
    assert ran.returncode == 1
    assert "port 8017 is already used by ast-api" in ran.stderr and "is the gateway" in ran.stderr


def test_public_name_belongs_to_one_stack(project):
    path = project / "Pulumi.dev.yaml"
    path.write_text(path.read_text().replace("api-dev.hey-watch.me", "api.hey-watch.me"))
    for stack, other in (("dev", "prod"), ("prod", "dev")):
        ran = infra(project, "check", "--stack", stack)
        line = f"error: Pulumi.{stack}.yaml: infra:names: api.hey-watch.me also belongs to stack {other}"
        assert ran.returncode == 1 and line in ran.stderr
    # A staging directory is its authority's too
    text = path.read_text()
    staging = text.replace(
        "config:\n", "config:\n  infra:acmeDirectory: https://acme-staging-v02.api.letsencrypt.org/directory\n", 1
    )
    path.write_text(staging)
    assert infra(project, "check", "--stack", "prod").returncode == 1
    path.write_text(text)
    # The lab's certificates are of an authority of its own
    assert infra(project, "check", "--stack", "lab").returncode == 0
    path.write_text("half: done")
    assert infra(project, "check", "--stack", "prod").returncode == 0


def test_check_works_in_a_folder_below(project):
    assert infra(project / "files" / "systems", "check", "--stack", "prod").returncode == 0


@pytest.mark.parametrize("content", [b"\xff", b"[", b"config: &a {x: *a}", b"config:\n  1: 2\n", b"hello"])
@pytest.mark.parametrize("argv", [["check"], ["render", "--out", "out"]], ids=lambda argv: argv[0])
def test_malformed_file_is_not_an_internal_error(project, argv, content):
    (project / "Pulumi.prod.yaml").write_bytes(content)
    ran = infra(project, *argv, "--stack", "prod")
    assert ran.returncode == 1 and ran.stderr.startswith("error: Pulumi.prod.yaml: "), ran.stderr


MISTAKES = {
    "unknown stack": (["check", "--stack", "staging"], "there is no stack 'staging'; stacks: dev, lab, prod"),
    "no stack": (["check"], "Missing option '--stack'"),
    "no pulumi": (["init", "--stack", "prod"], "pulumi is not on PATH"),
}


@pytest.mark.parametrize(("argv", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_a_line_and_no_traceback(project, argv, line):
    ran = infra(project, *argv)
    assert ran.returncode != 0 and line in ran.stderr and "Traceback" not in ran.stderr


def test_status_works_with_an_invalid_catalogue(project):
    """A person who is about to fix it wants to see them."""
    (project / "files/systems/watchme.yaml").write_text("services: []\nhalf: done\n")
    assert "watchme.yaml" in infra(project, "check", "--stack", "prod").stderr
    assert "pulumi is not on PATH" in infra(project, "status", "--stack", "prod").stderr


def test_outside_a_project(tmp_path):
    ran = infra(tmp_path, "check", "--stack", "prod")
    assert ran.returncode == 1 and "no Pulumi.yaml in" in ran.stderr


def test_render_writes_the_files_of_a_release(project):
    ran = infra(project, "render", "--stack", "prod", "--out", "out")
    assert ran.returncode == 0
    for file in render(catalogue(), "watchme").files:
        written = project / "out" / "watchme" / file.path.lstrip("/")
        assert written.read_bytes() == file.content and written.stat().st_mode & 0o777 == file.mode


def test_keys_are_openssh_ed25519_pairs():
    private, public = key_pair("prod-watchme")
    key = load_ssh_private_key(private.encode(), None)
    assert public.endswith(" prod-watchme")
    assert load_ssh_public_key(public.encode()).public_bytes_raw() == key.public_key().public_bytes_raw()  # type: ignore[union-attr]
    assert key_pair("x")[0] != private


def test_the_system_pages_are_the_catalogues():
    behind = [str(path) for path, text in pages(ROOT) if path.read_text() != text]
    assert not behind, f"{behind} are out of date: uv run infra docs"


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["move", "ap-northeast-1", "--check"], "stack prod is already in ap-northeast-1"),
        (["push", "watchme-nothing:latest", "--from", "x"], "the catalogue has no repository 'watchme-nothing'"),
    ],
)
def test_impossible_move_is_refused_in_one_line(project, argv, line):
    ran = infra(project, *argv, "--stack", "prod")
    assert ran.returncode == 1 and line in ran.stderr and "Traceback" not in ran.stderr
