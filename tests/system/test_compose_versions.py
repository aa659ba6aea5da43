"""A host with Docker Compose 1.29, as Debian has it: the same releases, and the way from one version to the other."""

from collections.abc import Iterator

import pytest

from tests.system.conftest import System
from tests.system.faults import UNIT, image_of, push, serving

pytestmark = pytest.mark.lab
PROGRAM, FIRST = "/usr/bin/docker-compose", "/usr/local/lib/lab/docker-compose-v1"
SECOND = "/usr/libexec/docker/cli-plugins/docker-compose"


def version(system: System) -> str:
    return system.on_host("docker-compose", "version", "--short").output.splitlines()[0].lstrip("v")


@pytest.fixture
def version_1(watchme: System) -> Iterator[System]:
    assert watchme.on_host("ln", "-sf", FIRST, PROGRAM).code == 0
    assert version(watchme).startswith("1.29.")
    yield watchme
    assert watchme.on_host("ln", "-sf", SECOND, PROGRAM).code == 0


def test_hosts_have_compose_version_2(watchme: System):
    assert version(watchme).startswith("2.")


def test_compose_version_2_starts_without_warnings(watchme: System):
    assert watchme.on_host("systemctl", "restart", UNIT).code == 0
    journal = watchme.on_host("journalctl", "-u", UNIT, "-n", "40", "-o", "cat").output
    assert "Started" in journal and "obsolete" not in journal and "warning" not in journal


@pytest.mark.nightly
def test_compose_version_1_applies_and_rolls_back(version_1: System):
    system = version_1
    push(system)
    system.must_up()
    before, image = serving(system), image_of(system)
    push(system, "never")
    with system.configured(healthDeadline="12"):
        ran = system.up()
    assert ran.code != 0 and "rolled back on watchme" in ran.output
    assert (serving(system), image_of(system)) == (before, image)
    push(system)
    system.must_up()
    assert image_of(system) != image
    assert system.command("infra", "drift", "--stack", "lab").code == 0


@pytest.mark.nightly
def test_compose_version_2_takes_over_from_version_1(watchme: System):
    push(watchme)
    watchme.must_up()
    assert watchme.command("infra", "drift", "--stack", "lab").code == 0
    running = watchme.on_host("docker", "ps", "-q", "--filter", "name=watchme-avatar-uploader").output.split()
    assert len(running) == 1, "one container of the service, and none beside it"
