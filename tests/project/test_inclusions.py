"""A system of a repository of its own: what comes, from which commit, and what is never touched."""

import json
import os
from pathlib import Path

import pytest

from catalogue.problems import CatalogueError
from infra.errors import InfraError
from infra.project.inclusions import RECORD, Inclusion, Request, apply, origins, plan_inclusion
from infra.project.program import file_at
from tests.support import execute

YAML, STATIC = "files/systems/shop.yaml", "files/static/shop/app.toml"
SHOP = """\
system: shop
document: README.md
services:
  - {name: shop-web, kind: compose, purpose: Sells, image: {repository: shop-web}, memory: {limit: 64m}}
"""


def commit(repository: Path, **files: str | None) -> str:
    for name, text in files.items():
        path = repository / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    execute("git", "add", "-A", cwd=repository)
    execute("git", *identity, "commit", "-q", "--allow-empty", "-m", "x", cwd=repository)
    return execute("git", "rev-parse", "HEAD", cwd=repository).stdout.strip()


def edited_here(root: Path) -> dict[str, list[str]]:
    """System → its files that are not as they came."""
    found = {}
    for system, origin in origins(root).items():
        files = {path: file_at(root / path) for path in origin.files}
        wrong = [path for path, file in files.items() if file is None or file.mark != origin.files[path]]
        if wrong:
            found[system] = wrong
    return found


@pytest.fixture
def shop(tmp_path) -> Path:
    """The product's own repository."""
    repository = tmp_path / "shop"
    repository.mkdir()
    execute("git", "init", "-q", cwd=repository)
    commit(repository, **{"deploy__shop.yaml": SHOP, "deploy__static__shop__app.toml": "a = 1\n", "app.py": "x"})
    execute("git", "tag", "v1", cwd=repository)
    return repository


@pytest.fixture
def project(tmp_path) -> Path:
    root = tmp_path / "project"
    (root / "files/systems").mkdir(parents=True)
    return root


def bring(project: Path, *argv: str, **more) -> str:
    source, version = [*argv, "", ""][:2]
    wanted = Request(source, version, more.pop("folder", "deploy" if source else None))
    found = plan_inclusion(project, "shop", wanted, **more)
    apply(project, found)
    return found.line


def test_included_files_are_copied_with_their_commit(project, shop):
    line = bring(project, str(shop), "v1")
    assert (project / YAML).read_text() == SHOP and (project / STATIC).read_text() == "a = 1\n"
    assert not (project / "app.py").exists() and "2 files changed" in line
    origin = origins(project)["shop"]
    assert (origin.source, origin.folder, origin.version) == (str(shop), "deploy", "v1") and len(origin.commit) == 40
    assert bring(project, str(shop), "v1").startswith(f"shop is as in {shop}, deploy, at {origin.commit[:10]}")


def test_no_text_of_a_record_begins_a_line(project, shop):
    bring(project, str(shop), "v1")
    text = (project / RECORD).read_text()
    (project / RECORD).write_text(text.replace(str(shop), "\\u001b[31mx\\n::error::forged"))
    for said in (str(origins(project)["shop"]), Inclusion("shop", origins(project)["shop"], {}).line):
        assert said.isprintable() and r"\x1b[31mx\n::error::forged" in said


def test_later_version_replaces_only_included_files(project, shop):
    bring(project, str(shop), "v1")
    (project / "files/static/other").mkdir()
    (project / "files/static/other/x").write_text("mine")
    newer = SHOP.replace("64m", "96m")
    commit(shop, **{"deploy__shop.yaml": newer, "deploy__static__shop__app.toml": None, "deploy__static__shop__b": "b"})
    assert "is as in" in bring(project), "the version that was asked for stands"
    line = bring(project, "", "HEAD")
    assert "3 files changed" in line and (project / YAML).read_text() == newer
    assert not (project / STATIC).exists() and (project / "files/static/shop/b").exists()
    assert (project / "files/static/other/x").read_text() == "mine"


def test_local_edits_refuse_an_inclusion_unless_confirmed(project, shop):
    bring(project, str(shop), "v1")
    (project / YAML).write_text(SHOP.replace("64m", "1g"))
    assert edited_here(project) == {"shop": [YAML]}
    commit(shop, **{"deploy__shop.yaml": SHOP.replace("64m", "96m")})
    with pytest.raises(InfraError, match=r"shop\.yaml was edited here: bring the edit to .*, or take what is there"):
        bring(project, "", "HEAD")
    assert "1g" in (project / YAML).read_text()
    bring(project, "", "HEAD", theirs=True)
    assert "96m" in (project / YAML).read_text() and edited_here(project) == {}


def test_a_system_of_the_projects_own_is_not_replaced(project, shop):
    (project / YAML).write_text("system: shop\n")
    with pytest.raises(InfraError, match=r"files/systems/shop\.yaml is this project's own: remove it first"):
        bring(project, str(shop))
    assert (project / YAML).read_text() == "system: shop\n" and not (project / RECORD).exists()


def test_interrupted_inclusion_completes_when_repeated(project, shop):
    bring(project, str(shop), "v1")
    commit(shop, **{"deploy__shop.yaml": SHOP.replace("64m", "96m"), "deploy__static__shop__app.toml": "a = 2\n"})
    found = plan_inclusion(project, "shop", Request(version="HEAD"))
    (project / STATIC).write_bytes(found.changes[STATIC].content)
    line = bring(project, "", "HEAD")
    assert "1 file changed" in line and origins(project)["shop"].version == "HEAD" and edited_here(project) == {}


def test_neighbouring_project_can_be_included(project, tmp_path):
    other = tmp_path / "other"
    (other / "files/systems").mkdir(parents=True)
    (other / YAML).write_text(SHOP)
    bring(project, "../other", folder="")
    assert origins(project)["shop"].commit == "" and origins(project)["shop"].source == "../other"


def test_invalid_inclusion_changes_nothing(project, shop):
    commit(shop, **{"deploy__shop.yaml": SHOP.replace("kind: compose", "kind: compoze")})
    with pytest.raises(CatalogueError, match="compoze"):
        bring(project, str(shop))
    assert not (project / YAML).exists()


WRONG = {
    "no such folder": ({"folder": "infra"}, "has neither files/systems/shop.yaml nor shop.yaml: name the right system"),
    "a way out": ({"folder": "../x"}, "--folder ../x: a folder of"),
    "no such version": ({"version": "v9"}, "has no such tag, branch or commit"),
    "an option": ({"source": "--upload-pack=x"}, "is neither a place nor a version"),
    "a password": ({"source": "https://me:secret@example.com/shop.git"}, "the address holds a password"),
    "nothing to go by": ({"source": ""}, "shop has no source yet"),
}


@pytest.mark.parametrize(("given", "line"), WRONG.values(), ids=WRONG)
def test_a_wrong_source_is_a_line(project, shop, given, line):
    wanted = Request(**{"source": str(shop), "folder": "deploy", **given})
    with pytest.raises(InfraError) as error:
        plan_inclusion(project, "shop", wanted)
    assert line in str(error.value) and "secret" not in str(error.value)


def test_links_do_not_come_along(project, shop):
    (shop / "deploy/static/shop/link").symlink_to("/etc/passwd")
    with pytest.raises(InfraError, match="static/shop/link is no file: only files are included"):
        bring(project, str(shop))


@pytest.mark.parametrize("folder", ["deploy", ""], ids=["beside each other", "as in a project"])
@pytest.mark.parametrize("at", ["static/shop", "static", ""])
def test_a_link_on_the_way_leads_to_no_files_of_the_operators(project, shop, tmp_path, folder, at):
    """In a directory, and in a clone, which has the link too."""
    system, static = (YAML, "files/static/shop/key") if not folder else ("deploy/shop.yaml", "deploy/static/shop/key")
    commit(shop, **{"deploy/shop.yaml": None, "deploy/static/shop/app.toml": None, system: SHOP, static: "x"})
    linked = shop / ("files" if not folder else "deploy") / at
    home = tmp_path / "home"
    linked.rename(home)
    linked.symlink_to(home)
    commit(shop)
    for version in ("", "HEAD"):
        with pytest.raises(InfraError, match=f"{linked.relative_to(shop)} is no directory: a system's files"):
            plan_inclusion(project, "shop", Request(str(shop), version, folder))


@pytest.mark.parametrize(
    "path", ["../../x", "files/systems/other.yaml", "files/static/other/x", "/etc/passwd", ".git/config"]
)
def test_record_with_a_foreign_file_is_refused(project, shop, path):
    """It would be removed by the next inclusion."""
    bring(project, str(shop), "v1")
    record = json.loads((project / RECORD).read_text())
    record["shop"]["files"][path] = "1"
    (project / RECORD).write_text(json.dumps(record))
    with pytest.raises(InfraError, match="cannot be read: take it back from the history"):
        bring(project, "", "HEAD")


def test_a_link_in_a_directorys_place_is_not_followed(project, shop, tmp_path):
    """Neither written through, nor deleted through when the file goes from the other repository."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "app.toml").write_text("theirs")
    (project / "files/static").mkdir(parents=True, exist_ok=True)
    (project / "files/static/shop").symlink_to(victim)
    with pytest.raises(InfraError, match="files/static/shop is a link, and a directory of the project is to be there"):
        bring(project, str(shop))
    assert (victim / "app.toml").read_text() == "theirs" and not origins(project)
    # One that was planted later
    (project / "files/static/shop").unlink()
    bring(project, str(shop))
    (project / "files/static/shop/app.toml").unlink()
    (project / "files/static/shop").rmdir()
    (project / "files/static/shop").symlink_to(victim)
    commit(shop, **{"deploy__static__shop__app.toml": None})
    with pytest.raises(InfraError, match="is a link, and a directory of the project"):
        bring(project, theirs=True)
    assert (victim / "app.toml").read_text() == "theirs"


def test_a_link_in_the_records_place_is_not_followed(project, shop, tmp_path):
    os.symlink(tmp_path / "elsewhere", project / RECORD)
    with pytest.raises(InfraError):
        bring(project, str(shop))
    assert not (tmp_path / "elsewhere").exists() and not (project / YAML).exists()
