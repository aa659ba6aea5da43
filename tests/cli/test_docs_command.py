"""`infra docs` on files as people have them: a line each, no traceback, and nothing that it waits for."""

import os
import shutil
from pathlib import Path

import pytest

from catalogue.problems import CatalogueError
from infra.docs import write_pages
from infra.errors import InfraError
from tests.support import ROOT

ODD = {
    "Pulumi.yaml": ["", "[1]", "name: x", "config: 5", "config: {a: 5}", "config: {a: {}}", "a: [", "\ufeffa".encode("utf-16")],
    "files/alerts.yaml": ["5", "{a: 1}", "[null]", "[{}]", "a: [", "\ufeffa".encode("utf-16")],
    "files/alerts.en.yaml": ["5", "{a: 1}", "[null]", "{disk: {text: x}}", "a: [", "\ufeffa".encode("utf-16")],
    "files/alerts.ja.yaml": ["5", "{a: 1}", "[null]", "{disk: {}}", "a: [", "\ufeffa".encode("utf-16")],
}  # fmt: skip


@pytest.fixture
def project(tmp_path) -> Path:
    shutil.copytree(ROOT / "files", tmp_path / "files")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "content"), [(name, text) for name, texts in ODD.items() for text in texts])
def test_malformed_file_is_refused_by_its_name(project, name, content):
    (project / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((InfraError, CatalogueError), match=name.replace(".", r"\.")):
        list(write_pages(project))


@pytest.mark.parametrize(
    "name", ["Pulumi.yaml", "files/alerts.yaml", "docs/reference/alerts.md", "docs/systems/recall.md"]
)
@pytest.mark.parametrize("what", ["a pipe", "a directory"])
def test_special_file_in_place_of_a_page_is_refused(project, name, what):
    place = project / name
    place.unlink()
    place.mkdir() if what == "a directory" else os.mkfifo(place)
    with pytest.raises((InfraError, CatalogueError), match=place.name.replace(".", r"\.")):
        list(write_pages(project))


def test_a_link_in_the_pages_place_is_not_written_through(project, tmp_path_factory):
    victim = tmp_path_factory.mktemp("victim")
    shutil.rmtree(project / "docs/reference")
    (project / "docs/reference").symlink_to(victim)
    with pytest.raises(InfraError, match="docs/reference is a link"):
        list(write_pages(project))
    assert not list(victim.iterdir())
