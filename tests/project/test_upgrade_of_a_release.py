"""A stack of release 0.2.0 becomes the present program: its files, what check says, and what its host and cloud get."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from infra.main import app
from infra.preview import compare
from infra.preview.documents import Pair
from infra.preview.report import StackReport
from infra.project import program as programs
from tests.preview.pairs import pairs
from tests.project.world import git
from tests.support import ROOT, execute

# Release 0.2.0 by its commit: a copy of the repository may lack tags. A checkout without history has not even that, so
# these tests run in the night, where the whole history is fetched.
pytestmark = pytest.mark.nightly
COMMIT = "d6a038eaa3fa4432ecc85a017f3782155f5e2fb5"
# The command line of the directory that it runs in, and not of this one
CHECK = "from infra.main import run; run()"
OWN = "system: shop\ndocument: x\nservices: []\n"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fork of the release, as its owner has it: a system of their own, and a line in a file of the program."""
    tagged = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{COMMIT}^{{commit}}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert tagged.returncode == 0, f"commit {COMMIT} of release 0.2.0 is missing: git fetch --unshallow"
    fork = tmp_path_factory.mktemp("release") / "fork"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(fork)], check=True, timeout=120)
    git(fork, "checkout", "-q", "-b", "main-of-fork", tagged.stdout.strip())
    (fork / "files/systems/shop.yaml").write_text(OWN)
    alerts = (fork / "files/alerts.yaml").read_text()
    (fork / "files/alerts.yaml").write_text(f"# ours\n{alerts}")
    git(fork, "add", "-A")
    git(fork, "commit", "-q", "-m", "ours")
    return fork


@pytest.fixture(scope="module")
def upgraded(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after `infra upgrade`."""
    fork = tmp_path_factory.mktemp("upgraded") / "fork"
    subprocess.run(["git", "clone", "-q", str(release), str(fork)], check=True, timeout=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(fork)
        ran = CliRunner().invoke(app, ["upgrade", str(ROOT), "--base", COMMIT, "--yes"])
    assert ran.exit_code == 0, f"{ran.output} {ran.exception}"
    git(fork, "add", "-A")
    git(fork, "commit", "-q", "-m", "upgraded")
    return fork


@pytest.fixture(scope="module")
def previewed(release: Path, upgraded: Path) -> StackReport:
    """What a pull request with the upgrade says of stack prod."""
    with pairs() as pair:
        return compare.compare_snapshots(cast("Pair", pair(release, upgraded)))


def test_a_fork_of_0_2_0_becomes_the_present_program(release: Path, upgraded: Path) -> None:
    owned = [*release.glob("files/systems/*"), *release.glob("Pulumi.*.yaml"), release / "README.md"]
    for path in owned:
        assert (upgraded / path.relative_to(release)).read_text() == path.read_text()
    assert (upgraded / "files/alerts.yaml").read_text().startswith("# ours\n")
    now = programs.program_in(ROOT).files
    differing = [path for path, file in now.items() if (upgraded / path).read_bytes() != file.content]
    assert differing == ["files/alerts.yaml"] and not (upgraded / "lab/handmade.py").exists()
    # The rules of the present speak for its owners' systems as they were
    ran = execute(sys.executable, "-c", CHECK, "check", "--stack", "prod", cwd=upgraded, code=None)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_upgrade_from_0_2_0_recreates_nothing_in_the_cloud(previewed: StackReport) -> None:
    assert not previewed.error, previewed.error
    assert {step.op for step in previewed.steps} <= {"update"}, previewed.steps
    assert previewed.moves is None and previewed.replaces == [] and previewed.goes == []


def test_upgrade_from_0_2_0_restarts_services_and_removes_none(previewed: StackReport) -> None:
    (host,) = previewed.hosts
    assert (host.host, host.how) == ("watchme", "changed")
    # None stops for good; what has no proxy in front of it is the host's own
    ways = {"restarts", "restarts for its own users", "waits for its name", "reloads"}
    assert {effect.how for effect in host.effects} == ways
    gaps = [effect.service for effect in host.effects if effect.how == "restarts for its own users"]
    assert all(name.startswith("infra-") for name in gaps), gaps
    assert [file.path for file in host.files if file.how == "removed"] == []
    (compose,) = (file for file in host.files if file.path == "/home/ubuntu/api_ast/docker-compose.prod.yml")
    assert compose.added_lines == compose.removed_lines == 1, compose.diff
