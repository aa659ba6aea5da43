"""One service deployed alone, as its owner does on most days: nothing else changes, and the stack knows."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from lab import workspace
from tests.system.conftest import Ran, System
from tests.system.on import REGION, until, wait_until_well
from tests.system.one_service import CONTAINER, REPOSITORY, SERVICE, push, serving, started

pytestmark = pytest.mark.lab
YAML = "files/systems/watchme.yaml"
OTHER, OTHERS_REPOSITORY = "web", "watchme-web"


def infra(system: System, *argv: str) -> Ran:
    return system.command("infra", *argv, "--stack", "lab")


def must(ran: Ran) -> str:
    assert ran.code == 0, ran.output
    return ran.output


def changes(system: System) -> bool:
    return system.pulumi("preview", "--expect-no-changes").code != 0


@pytest.fixture(autouse=True, scope="module")
def follows_its_tags(system: System) -> Iterator[None]:
    """Afterwards the lab serves what it began with."""
    configuration = system.lab.config_file.read_text()
    yield
    system.lab.config_file.write_text(configuration)
    for repository in (REPOSITORY, OTHERS_REPOSITORY):
        push(system, repository)
    infra(system, "deploy", SERVICE, "--follow")


def test_deploy_changes_only_its_service(system: System):
    before = started(system)
    # Another person's build is there too, and none of this deploy's affair
    push(system, OTHERS_REPOSITORY, build="2")
    digest = push(system, REPOSITORY, build="2")
    said = must(infra(system, "deploy", SERVICE))
    assert f"{SERVICE}: {digest[:19]} serves on watchme; pulumi up keeps it" in said, said
    after = started(system)
    assert {name for name in after if after[name] != before[name]} == {CONTAINER}
    assert serving(system) == digest
    # The stack agrees: what the next update changes is the other build alone
    push(system, OTHERS_REPOSITORY)
    assert not changes(system)
    assert json.loads(system.output("deployed"))["watchme"][SERVICE] == {f"{REPOSITORY}:latest": digest}


@pytest.mark.nightly
def test_deployed_image_stays_when_its_tag_moves(system: System):
    digest = serving(system)
    push(system, REPOSITORY, build="3")
    assert not changes(system)
    assert f"{digest[:19]} serves" not in must(infra(system, "preview"))
    system.must_up()
    assert serving(system) == digest


@pytest.mark.nightly
def test_bad_build_is_rolled_back_and_the_stack_is_unchanged(system: System):
    push(system, REPOSITORY, "bad", health="/elsewhere")
    system.set("infra:healthDeadline", "15")
    system.must_up()
    digest, before = serving(system), started(system)
    ran = infra(system, "deploy", SERVICE, "--image", "bad")
    assert ran.code == 1 and "rolled back" in ran.output and "admin" in ran.output, ran.output
    assert serving(system) == digest
    after = started(system)
    assert {name for name in after if after[name] != before[name]} <= {CONTAINER}
    wait_until_well(system, 30)
    assert not changes(system)


@pytest.mark.nightly
def test_back_deploys_the_earlier_image(system: System):
    first = serving(system)
    second = push(system, REPOSITORY, "4", build="4")
    must(infra(system, "deploy", SERVICE, "--image", "4"))
    assert serving(system) == second
    assert first[:19] in must(infra(system, "rollback", SERVICE))
    assert serving(system) == first and not changes(system)
    said = must(infra(system, "deploy", SERVICE, "--image", first))
    assert f"{first[:19]} serves on watchme already: nothing to do" in said, said


@pytest.mark.nightly
def test_deploy_is_refused_with_other_pending_changes(watchme: System):
    before = started(watchme)
    watchme.edit(YAML, "max_body: 10M}]\n    memory: {limit: 200m}", "max_body: 10M}]\n    memory: {limit: 210m}")
    push(watchme, REPOSITORY, "5", build="5")
    ran = infra(watchme, "deploy", SERVICE, "--image", "5")
    assert ran.code == 1 and "watchme has more to release than images of admin" in ran.output, ran.output
    assert "/home/ubuntu/watchme-avatar-uploader/docker-compose.prod.yml" in ran.output
    assert started(watchme) == before


def test_invalid_deploy_is_refused_in_one_line(system: System):
    for argv, line in (
        (["deploy", "admim"], "no service 'admim' runs; did you mean 'admin'?"),
        (["deploy", SERVICE, "--image", "never"], f"{REGION} has no {REPOSITORY}:never (pushed last: "),
        (["deploy", SERVICE, OTHER, "--image", "4"], "--image says which build of one service"),
        (["deploy", SERVICE, "--host", "watchmi"], "--host watchmi: did you mean 'watchme'?"),
    ):
        ran = infra(system, *argv)
        assert ran.code == 1 and line in ran.output and "Traceback" not in ran.output, ran.output


@pytest.mark.nightly
def test_a_service_follows_its_tag_again(system: System):
    digest = push(system, REPOSITORY, build="6")
    assert "follows its tag from now on" in must(infra(system, "deploy", SERVICE, "--follow"))
    assert serving(system) == digest and not changes(system)
    newer = push(system, REPOSITORY, build="7")
    system.must_up()
    assert serving(system) == newer


@pytest.mark.nightly
def test_only_the_lock_of_a_killed_deploy_is_removed(watchme: System) -> None:
    """By what Pulumi itself wrote into its state."""
    assert must(infra(watchme, "unlock")).strip() == "stack lab is not locked"
    push(watchme, REPOSITORY, note="killed")
    command = ["infra", "deploy", SERVICE, "--stack", "lab"]
    env = workspace.full_environment(watchme.lab)
    place = watchme.lab.path("state", ".pulumi", "locks")
    with subprocess.Popen(command, cwd=watchme.project, env=env, start_new_session=True) as process:
        until("a lock", lambda: any(place.rglob("*.json")))
        (lock,) = place.rglob("*.json")
        held = infra(watchme, "unlock")
        # Whichever of the two is written first: the lock, or who holds it
        stays = ("is not certain from here, so the lock stays", "which is running on this machine: wait until it ends")
        assert held.code == 1 and any(line in held.output for line in stays), held.output
        engine = json.loads(lock.read_text())["pid"]
        os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine, signal.SIGKILL)
    assert lock.exists()
    said = must(infra(watchme, "unlock"))
    assert f"process {engine}, since 0 min, which has ended: the lock was removed" in said, said
    assert not lock.exists()
    must(infra(watchme, "deploy", SERVICE))
