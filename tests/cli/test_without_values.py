"""What only looks at the catalogue needs no login, no passphrase and no secret's value; an update needs them."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from catalogue.checks import ensure_valid
from catalogue.loading import load
from catalogue.problems import CatalogueError
from catalogue.stack import read_stack
from infra.preview.marks import mark_unset
from tests.support import ROOT, execute

INFRA = Path(sys.executable).with_name("infra")


@pytest.fixture
def project(tmp_path):
    """A copy whose service ast-api names a secret that has no value."""
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "files", tmp_path / "files")
    path = tmp_path / "files/systems/watchme.yaml"
    text = path.read_text()
    service = text[text.index("- name: ast-api") :]
    named = re.sub(r"\n    kind:", "\n    secrets: [TOKEN]\n    kind:", service, count=1)
    if "secrets: [" in service.split("- name:")[1]:
        named = re.sub(r"secrets: \[", "secrets: [TOKEN, ", service, count=1)
    path.write_text(text.replace(service, named))
    return tmp_path


def infra(project: Path, *argv: str):
    return execute(INFRA, *argv, cwd=project, env={"PATH": "/usr/bin:/bin", "HOME": str(project)}, code=None)


def test_a_secret_without_a_value_fails_no_check(project):
    ran = infra(project, "check", "--stack", "prod")
    assert ran.returncode == 0, ran.stderr
    assert "warning: Pulumi.prod.yaml: service ast-api: secret TOKEN is missing; set it: infra secret set" in ran.stderr
    assert "updates are refused: 1 secret without a value" in ran.stdout


def test_render_and_rights_work_without_secret_values(project):
    ran = infra(project, "render", "--stack", "prod", "--out", "out")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(infra(project, "rights", "plan", "--stack", "prod").stdout)["Statement"]


def test_update_is_refused_without_the_secret_value(project):
    catalogue = load(project, read_stack(project, "prod"))
    with pytest.raises(CatalogueError, match="secret TOKEN is missing"):
        ensure_valid(catalogue)
    ensure_valid(catalogue, with_values=False)


def test_encrypted_value_counts_as_set(project):
    path = project / "Pulumi.prod.yaml"
    path.write_text(path.read_text() + "  infra:secrets:\n    ast-api:\n      TOKEN:\n        secure: v1:abc:def\n")
    ran = infra(project, "check", "--stack", "prod")
    assert ran.returncode == 0 and "TOKEN" not in ran.stderr and "until" not in ran.stdout


def test_missing_value_is_a_mark_in_a_preview():
    made = mark_unset({"infra:secrets": {"a": {"X": "1"}}}, ["a.Y", "shop.dev.TOKEN"])
    assert set(made["infra:secrets"]["a"]) == {"X", "Y"} and "TOKEN" in made["infra:secrets"]["shop.dev"]
    assert mark_unset({"k": "v"}, []) == {"k": "v"}


def test_preview_reports_a_missing_secret_value(project):
    found = take_apart(project)
    assert found["error"] == "" and found["resources"]
    assert [p for p in found["problems"] if p["unset"] == "ast-api.TOKEN" and p["level"] == "warning"]
    assert "TOKEN=[secret not set]" in json.dumps(found["hosts"])


def take_apart(project: Path) -> dict:
    """In a process of its own, as a preview does it: the program sets the state of Pulumi's library."""
    code = (
        "import json, sys; from pathlib import Path; from infra.preview.snapshot import take; "
        "root = Path(sys.argv[1]); print(json.dumps(take(root, 'prod', root / 'Pulumi.prod.yaml')))"
    )
    ran = execute(sys.executable, "-c", code, str(project), cwd=ROOT)
    return json.loads(ran.stdout.splitlines()[-1])
