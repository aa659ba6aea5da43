"""Secrets that a container reads from files, as Compose's `secrets`."""

import yaml

from agent.desired_state import assignments, desired_files
from catalogue.checks import check
from rendering.archive import build, manifest_of
from rendering.host import render
from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import with_database
from tests.support import catalogue, digests

PATH = "/run/secrets/db_password"
GIVEN = configured(secrets={"db": {"DB_PASSWORD": "hunter2"}})
BY_FILE = both(
    with_database,
    setting("db", secrets=[], secret_files={PATH: "DB_PASSWORD"}, release={"command": "migrate"}),
)  # fmt: skip
ON_HOST = f"/opt/db/secrets/db{PATH}"


def made(change=BY_FILE, *more):
    return render(catalogue(change, *more), "watchme", digests())


def test_file_holds_the_secret_alone_and_only_root_reaches_it_on_the_host():
    files = made(BY_FILE, GIVEN)
    manifest = manifest_of(files)
    item = next(file for file in manifest["environment_files"] if file["path"] == ON_HOST)
    assert item["secrets"] == {"": "db/DB_PASSWORD"} and item["mode"] == 0o444
    folder = next(one for one in manifest["directories"] if one["path"] == "/opt/db/secrets")
    assert (folder["mode"], folder["owner"]) == (0o700, "root")
    contents = {f"files{file.path}": file.content for file in files.files}
    written = {file.path: file for file in desired_files(manifest, contents, {"db": {"DB_PASSWORD": "hunter2"}})}
    assert written[ON_HOST].content == b"hunter2" and assignments("hunter2", item) == {"": "hunter2"}


def test_container_and_its_step_see_the_file_and_a_change_restarts_them():
    files = made()
    compose = next(file for file in files.files if file.path.startswith("/opt/db/docker-compose"))
    body = yaml.safe_load(compose.content)["services"]["db"]
    assert {"type": "bind", "source": ON_HOST, "target": PATH, "read_only": True} in body["volumes"]
    assert ON_HOST in next(unit.files for unit in files.units if unit.name == "db.service")
    step = next(step for step in files.steps if step.service == "db")
    assert ON_HOST in step.files and f"{step.place}{ON_HOST}" in step.document


def test_changed_secret_makes_another_release():
    first, again = (
        build(made(BY_FILE, configured(secrets={"db": {"DB_PASSWORD": value}}))).id for value in ("hunter2", "hunter3")
    )
    assert first != again


def test_missing_secret_of_a_file_is_named():
    problems = [str(problem) for problem in check(catalogue(BY_FILE))]
    assert any(
        "service db: secret DB_PASSWORD is missing; set it: infra secret set db.DB_PASSWORD" in p for p in problems
    )
    assert not [p for p in check(catalogue(BY_FILE, GIVEN)) if "DB_PASSWORD" in str(p)]
