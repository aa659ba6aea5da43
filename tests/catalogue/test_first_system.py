"""The first product of docs/catalogue.md is one: it passes every rule, and renders."""

import re
import shutil

from catalogue.checks import check
from catalogue.loading import load
from catalogue.problems import errors
from catalogue.stack import read_stack
from rendering.host import render
from tests.support import ROOT


def test_the_first_system_of_the_docs_passes_every_rule(tmp_path):
    text = (ROOT / "docs/catalogue.md").read_text()
    system, stack = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[:2]
    (tmp_path / "files/systems").mkdir(parents=True)
    (tmp_path / "files/static/notes").mkdir(parents=True)
    shutil.copy(ROOT / "files/alerts.yaml", tmp_path / "files")
    (tmp_path / "files/systems/notes.yaml").write_text(system)
    (tmp_path / "files/static/notes/worker.py").write_text("#!/usr/bin/python3\n")
    (tmp_path / "Pulumi.notes.yaml").write_text(stack)
    catalogue = load(tmp_path, read_stack(tmp_path, "notes"))
    assert not errors(check(catalogue))
    files = {file.path for file in render(catalogue, "box").files}
    assert {"/etc/nginx/sites-available/notes.example.com", "/srv/notes-api/docker-compose.prod.yml"} <= files
