"""Radicale, a product of others without a container: a unit of systemd, whose environment the host makes by a lock, and
whose data are files. Its packages are the real ones from PyPI, which the lab's hosts get as wheels in an artefact."""

from collections.abc import Iterator

import pytest

from tests.dav import CONFIG, DATA, FIRST, LATER, Dav, in_lab
from tests.product import HOST
from tests.system.conftest import System
from tests.system.on import destroy, until

pytestmark = [pytest.mark.lab, pytest.mark.nightly]


@pytest.fixture(scope="module")
def dav(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dav]:
    with in_lab(system, tmp_path_factory.mktemp("dav")) as made:
        yield made


@pytest.fixture(scope="module")
def first(dav: Dav) -> str:
    """What the first release of it said. Its repository is there once a first update was refused."""
    refused = dav.system.up()
    assert refused.code != 0 and "dav-wheels" in refused.output, refused.output
    dav.push(FIRST)
    said = dav.system.must_up()
    assert dav.request("MKCALENDAR", "/me/work/")[0] == 201
    dav.write("first")
    return said


def test_first_release_builds_the_environment_and_serves(dav: Dav, first: str) -> None:
    assert "making the environment of radicale" in first and "the environment of radicale is made" in first
    assert dav.is_asked() and dav.events() == ["first"] and dav.version() == FIRST
    assert dav.request("GET", "/me/work/", password="guess")[0] == 401
    assert dav.link().startswith("/opt/infra/environments/radicale-")
    assert dav.on("stat", "-c", "%U %a", dav.link()).strip() == "root 755"
    assert "127.0.0.1:8052" in dav.on("ss", "-Hltn")
    assert dav.on("ps", "-o", "user=", "-p", dav.runs_as()).strip() == "radicale"


def test_password_is_only_in_its_private_files(dav: Dav, first: str) -> None:
    assert dav.password not in first and dav.password not in dav.on("systemctl", "show", "radicale")
    assert dav.on("stat", "-c", "%a %U", "/etc/radicale/secrets.env").strip() == "600 radicale"
    assert dav.on("stat", "-c", "%a %U", "/run/radicale/users").strip() == "600 radicale"
    assert dav.on("systemctl", "show", "-p", "MemoryMax", "--value", "radicale").strip() == str(128 * 1024**2)


def test_second_update_changes_nothing(dav: Dav, first: str) -> None:
    previewed = dav.system.pulumi("preview", "--expect-no-changes")
    assert previewed.code == 0, previewed.output
    assert dav.system.command("infra", "drift", "--stack", "lab", "--host", HOST).code == 0


def test_a_bad_release_is_rolled_back_with_its_data_intact(dav: Dav, first: str) -> None:
    environment = dav.link()
    dav.system.edit(CONFIG, "type = htpasswd", "type = htpasswort")
    with dav.system.configured(healthDeadline="20"):
        ran = dav.system.up()
    assert ran.code != 0 and "rolled back on box: radicale" in ran.output and "htpasswort" in ran.output, ran.output
    dav.system.edit(CONFIG, "type = htpasswort", "type = htpasswd")
    assert dav.link() == environment and dav.is_asked() and dav.events() == ["first"]


def test_unavailable_packages_refuse_a_release(dav: Dav, first: str) -> None:
    """The wheels on the host are those of the first version alone."""
    environment, process = dav.link(), dav.runs_as()
    dav.lock(LATER)
    ran = dav.system.up()
    assert ran.code != 0 and "the environment of radicale cannot be made" in ran.output, ran.output
    assert "refused on box, nothing touched" in ran.output and "No solution found" in ran.output, ran.output
    dav.lock(FIRST)
    assert (dav.link(), dav.runs_as()) == (environment, process) and dav.events() == ["first"]


def test_an_upgrade_switches_the_environment_and_keeps_the_data(dav: Dav, first: str) -> None:
    environment = dav.link()
    dav.lock(LATER)
    dav.push(FIRST, LATER)
    shown = dav.infra("preview")
    assert "environment of radicale: new (lock changed), made on the host before it is switched" in shown, shown
    assert "the environment of radicale is made" in dav.system.must_up()
    assert dav.version() == LATER and dav.link() != environment
    assert dav.is_asked() and dav.events() == ["first"]
    dav.write("second")
    # There and back without anything being made
    newest = dav.on("readlink", "/var/lib/infra/current").strip().rsplit("/", 1)[1]
    said = dav.infra("rollback", "--host", HOST)
    assert "making the environment" not in said and dav.link() == environment and dav.version() == FIRST
    until("the old version serves", dav.is_asked, 30)
    assert dav.events() == ["first", "second"]
    dav.infra("rollback", "--host", HOST, newest[:12])
    assert dav.version() == LATER and dav.events() == ["first", "second"]


def test_mistake_in_the_data_is_undone_from_a_backup(dav: Dav, first: str) -> None:
    said = dav.infra("backup", "now")
    assert "radicale: backup" in said, said
    kept = dav.events()
    assert dav.request("DELETE", "/me/work/")[0] in (200, 204) and dav.events() == []
    said = dav.infra("backup", "restore", "radicale", "--yes")
    assert f"what was there is kept at {DATA}" in said, said
    assert dav.events() == kept and "first" in kept


def test_a_lost_host_gets_environment_and_data_again(dav: Dav, first: str) -> None:
    dav.infra("backup", "now")
    kept, version = dav.events(), dav.version()
    destroy(dav.system, HOST)
    dav.system.must_up()
    assert dav.is_asked() and dav.version() == version and dav.events() == [], "a new host has no data"
    dav.infra("backup", "restore", "radicale", "--yes")
    assert dav.events() == kept and "first" in kept
    assert dav.on("stat", "-c", "%U", DATA).strip() == "radicale"
