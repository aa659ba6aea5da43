"""The products of docs/tutorial.md and docs/catalogue.md are some: they pass every rule, and render."""

import re
import shutil
from pathlib import Path

import pytest

from catalogue.checks import check
from catalogue.loading import Catalogue, load
from catalogue.problems import CatalogueError, errors
from catalogue.stack import read_stack
from rendering.host import render
from tests.support import ROOT


def yaml_blocks(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def loaded(folder: Path, name: str, system: str, stack: str) -> Catalogue:
    (folder / "files/systems").mkdir(parents=True)
    (folder / "files/static/notes").mkdir(parents=True)
    shutil.copy(ROOT / "files/alerts.yaml", folder / "files")
    (folder / f"files/systems/{name}.yaml").write_text(system)
    (folder / "files/static/notes/worker.py").write_text("#!/usr/bin/python3\n")
    (folder / f"Pulumi.{name}.yaml").write_text(stack)
    return load(folder, read_stack(folder, name))


def test_the_tutorials_product_lacks_its_secrets_alone(tmp_path):
    system, stack = yaml_blocks("tutorial.md")[:2]
    catalogue = loaded(tmp_path, "reader", system, stack)
    found = [str(problem) for problem in errors(check(catalogue))]
    setting = "is missing; set it: infra secret set"
    assert [line for line in found if setting not in line and "uv run infra init --stack reader" not in line] == []
    assert len(found) == 5, found
    files = {file.path for file in render(catalogue, "box").files}
    assert {"/etc/nginx/sites-available/reader.example.com", "/opt/reader-db/docker-compose.prod.yml"} <= files


def test_the_catalogues_first_system_passes_every_rule(tmp_path):
    stack = yaml_blocks("tutorial.md")[1].replace("[reader]", "[notes]")
    catalogue = loaded(tmp_path, "notes", yaml_blocks("catalogue.md")[0], stack)
    assert not errors(check(catalogue))
    files = {file.path for file in render(catalogue, "box").files}
    assert {"/etc/nginx/sites-available/notes.example.com", "/opt/notes-api/docker-compose.prod.yml"} <= files


def test_a_value_that_is_still_to_be_written_is_named(tmp_path):
    system, stack = yaml_blocks("tutorial.md")[:2]
    for old, place in (
        ("POSTGRES_USER: reader}", "services.0.environment.POSTGRES_USER"),
        ("tag: 2.3.5}", "services.1.image.tag"),
    ):
        assert old in system
        changed = system.replace(old, f"{old.split(':')[0]}: TODO}}")
        with pytest.raises(
            CatalogueError, match=re.escape(f"reader.yaml: {place}: is still TODO; write its value, or remove it")
        ):
            loaded(tmp_path / place, "reader", changed, stack)
