"""What was loaded can be written and loaded again, as previews do; nothing outside of the project is loaded."""

import shutil

import pytest

from catalogue.loading import load
from catalogue.problems import CatalogueError
from catalogue.rules.each import absent
from catalogue.stack import Stack
from tests.support import ROOT, whole

SOURCES = {
    "TOKEN": "ssm:/prod/shop/token",
    "KEY": "secretsmanager:prod/shop#key",
    "WHOLE": "secretsmanager:prod/shop",
    "DB": {"command": ["op", "read", "op://prod/db/password"]},
}


def test_a_stack_with_every_kind_of_source_is_the_same_again():
    stack = whole().stack.model_copy(deep=True)
    given = {**stack.model_dump(mode="json"), "secretsFrom": {"shop-web": SOURCES}}
    made = Stack.model_validate(given)
    assert made.model_dump(mode="json")["secretsFrom"] == {"shop-web": SOURCES}
    assert Stack.model_validate(made.model_dump(mode="json")).secretsFrom == made.secretsFrom


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "files", tmp_path / "project/files")
    return tmp_path / "project"


def test_link_out_of_the_project_is_refused_without_its_content(project, tmp_path):
    (tmp_path / "shadow").write_text("root:hunter2:1::\n")
    (project / "files/systems/zz.yaml").symlink_to(tmp_path / "shadow")
    with pytest.raises(CatalogueError) as error:
        load(project, whole().stack)
    assert "files/systems/zz.yaml: file: is a link that points outside the project" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_link_within_the_project_is_the_file(project):
    recall = project / "files/systems/recall.yaml"
    recall.rename(project / "files/recall.yaml")
    recall.symlink_to(project / "files/recall.yaml")
    assert "recall" in load(project, whole().stack).systems


def test_systems_may_be_in_folders_of_their_own(project):
    folder = project / "files/systems/family/sound"
    folder.mkdir(parents=True)
    (project / "files/systems/recall.yaml").rename(folder / "recall.yaml")
    made = load(project, whole().stack)
    assert made.file_of(made.systems["recall"]) == "files/systems/family/sound/recall.yaml"
    assert made.file_of(made.systems["totton"]) == "files/systems/totton.yaml"
    text = (folder / "recall.yaml").read_text()
    (folder / "recall.yaml").write_text(text.replace("system: recall", "system: other", 1))
    with pytest.raises(CatalogueError, match=r"files/systems/family/sound/recall\.yaml: system: found 'other'"):
        load(project, whole().stack)


def test_a_system_with_two_files_is_refused(project):
    (project / "files/systems/family").mkdir()
    shutil.copy(project / "files/systems/recall.yaml", project / "files/systems/family")
    with pytest.raises(CatalogueError, match=r"recall\.yaml: file: recall is the system of files/systems/"):
        load(project, whole().stack)


def test_a_file_of_the_other_ending_is_not_passed_over(project):
    (project / "files/systems/shop.yml").write_text("system: shop\n")
    with pytest.raises(CatalogueError, match=r"shop\.yml: file: is not read; name it shop\.yaml"):
        load(project, whole().stack)


def test_directory_as_a_source_is_reported_as_one(project, tmp_path):
    static = project / "files/static"
    (static / "conf").mkdir()
    (static / "conf/app.yaml").write_text("a: 1\n")
    (static / "linked").symlink_to(tmp_path / "shadow")
    (tmp_path / "shadow").write_text("hunter2")
    made = load(project, whole().stack)
    assert absent(made, "linked") == (
        "source 'linked': files/static/linked is a link that points outside files/static",
        "put the file itself there",
    )
    assert absent(made, "conf")[1] == "a file in it, such as conf/app.yaml"
    assert absent(made, "conf/ap.yaml")[1] == "did you mean 'conf/app.yaml'?"
