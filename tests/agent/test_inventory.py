"""After a rollback the host is compared with what ran before the switch: what is missing is named, and no success claimed."""

import socket

import pytest

from agent import inventory, store, transaction
from agent.inventory import BOOT
from agent.world import Ran, World
from tests.agent.fake import FakeWorld
from tests.agent.releases import AVATAR, applied, bigger, release, serving, world_for

UNITS = "systemctl list-units"
LISTS = """\
cron.service                 loaded active running Regular background program processing daemon
infra-monitor.timer          loaded active waiting ours
packagekit.service           loaded active running PackageKit Daemon
resolvconf.service           loaded active exited  has done its work
shop.timer                   loaded active waiting nightly
user@1000.service            loaded active running User Manager for UID 1000
"""
PORTS = "ss -Hnlt"
LISTENS = """\
LISTEN 0 128 0.0.0.0:22 0.0.0.0:*
LISTEN 0 511 [::]:8080 [::]:*
LISTEN 0 511 127.0.0.1:41234 0.0.0.0:*
"""


def unhealthy(world: FakeWorld, then=lambda: None) -> FakeWorld:
    """The release answers 500 once it has switched; `then` happens meanwhile."""
    happened = []

    def status(url: str) -> int:
        new = (world.read(AVATAR) or b"").find(b"300m") > 0 or not store.current_id(world)
        switched = transaction.unfinished(world) is not None and not transaction.unfinished(world).reason
        if switched and new and not happened:
            happened.append(then())
        return 500 if switched and new else 200

    world.web = status
    return world


def busy() -> FakeWorld:
    """A host that serves a release, beside what its owner runs."""
    world = serving(release())
    world.docker.run_by_hand("d" * 64, "blog")
    world.docker.networks["shop_default"] = ("172.30.0.0/16", "172.30.0.1", "shop")
    world.docker.volumes = {"shop_data", "e" * 64}
    world.answers |= {UNITS: Ran(0, LISTS), PORTS: Ran(0, LISTENS)}
    world.enabled |= {"cron.service", "shop.timer", "resolvconf.service"}
    world.files[BOOT] = (b"boot-1\n", 0o444, "root", "root")
    return world


def without(text: str, word: str) -> Ran:
    return Ran(0, "".join(line for line in text.splitlines(True) if word not in line))


def stop_the_container(world: FakeWorld) -> None:
    world.docker.foreign["d" * 64]["State"]["Running"] = False


def remove_the_network(world: FakeWorld) -> None:
    del world.docker.networks["shop_default"]


def remove_the_volume(world: FakeWorld) -> None:
    world.docker.volumes.discard("shop_data")


def stop_the_service(world: FakeWorld) -> None:
    world.answers[UNITS] = without(LISTS, "cron")


def stop_the_timer(world: FakeWorld) -> None:
    world.answers[UNITS] = without(LISTS, "shop")


def close_the_port(world: FakeWorld) -> None:
    world.answers[PORTS] = without(LISTENS, "8080")


LOST = {
    "a container": (stop_the_container, "the container blog ran before, and does not now"),
    "a network": (remove_the_network, "Docker's network shop_default existed before, and is gone"),
    "a volume": (remove_the_volume, "the volume shop_data existed before, and is gone"),
    "a service": (stop_the_service, "cron.service ran before, and does not now"),
    "a timer": (stop_the_timer, "shop.timer ran before, and does not now"),
    "a port": (close_the_port, "a program listened at [::]:8080 before, and none does now"),
}


def test_a_rollback_after_which_all_runs_says_so():
    outcome = applied(unhealthy(busy()), release(bigger))
    assert outcome.outcome == "rolled back", outcome.line


@pytest.mark.parametrize("name", LOST)
def test_what_is_missing_after_a_rollback_is_named(name):
    happens, complaint = LOST[name]
    world = busy()
    outcome = applied(unhealthy(world, lambda: happens(world)), release(bigger))
    assert outcome.outcome == "rollback failed" and complaint in outcome.line, outcome.line
    # The files are back, and nothing holds up the next job
    assert transaction.unfinished(world) is None
    world.web = lambda url: 200
    assert applied(world, release(bigger)).outcome == "applied"


@pytest.mark.parametrize(
    "happens",
    [
        lambda world: world.docker.volumes.discard("e" * 64),
        lambda world: world.answers.update({UNITS: without(LISTS, "packagekit")}),
        lambda world: world.answers.update({UNITS: without(LISTS, "user@")}),
        lambda world: world.answers.update({UNITS: without(LISTS, "infra-")}),
        lambda world: world.answers.update({UNITS: without(LISTS, "resolvconf")}),
        lambda world: world.answers.update({PORTS: without(LISTENS, "41234")}),
        lambda world: world.answers.update({PORTS: Ran(127, "ss: not found")}),
        lambda world: world.answers.update({UNITS: Ran(124, "no end after 30 s")}),
    ],
    ids=[
        "an anonymous volume", "a service that ends by itself", "a session's end", "a unit of the agent's own",
        "what had done its work", "a port given at random", "ss is silent", "systemd is silent",
    ],
)  # fmt: skip
def test_what_comes_and_goes_makes_no_rollback_fail(happens):
    world = busy()
    outcome = applied(unhealthy(world, lambda: happens(world)), release(bigger))
    assert outcome.outcome == "rolled back", outcome.line


def test_what_comes_back_by_itself_is_waited_for():
    world = busy()
    asked = []

    def come_back(seconds: float) -> None:
        world.clock += seconds
        asked.append(seconds)
        if len(asked) > 3:
            world.answers[UNITS] = Ran(0, LISTS)

    def stop() -> None:
        stop_the_service(world)
        world.sleep = come_back

    assert applied(unhealthy(world, stop), release(bigger)).outcome == "rolled back"


def test_after_another_boot_only_what_outlives_one_counts():
    world = busy()

    def reboot(*also) -> None:
        world.files[BOOT] = (b"boot-2\n", 0o444, "root", "root")
        for happens in (stop_the_container, stop_the_service, close_the_port, *also):
            happens(world)

    assert applied(unhealthy(world, reboot), release(bigger)).outcome == "rolled back"
    world = busy()
    outcome = applied(unhealthy(world, lambda: reboot(remove_the_volume)), release(bigger))
    assert outcome.outcome == "rollback failed" and "the volume shop_data" in outcome.line


def test_a_first_release_is_compared_too():
    world = world_for(release())
    world.docker.run_by_hand("d" * 64, "blog")
    outcome = applied(unhealthy(world, lambda: stop_the_container(world)), release())
    assert outcome.outcome == "rollback failed" and "the container blog ran before" in outcome.line
    assert "verything is as it was" not in outcome.line


def test_what_docker_does_not_answer_takes_nothing_from_the_rest():
    world = busy()
    ask = world.docker_has

    def silent(path: str, timeout: float = 10) -> bytes:
        if path == "/volumes":
            raise OSError("no such file")
        return ask(path, timeout)

    world.docker_has = silent
    outcome = applied(unhealthy(world, lambda: stop_the_service(world)), release(bigger))
    assert outcome.outcome == "rollback failed" and "cron.service ran before" in outcome.line


def test_a_file_that_is_not_as_before_is_named():
    """What has put it back was right; another program has written it since."""
    world = unhealthy(busy())
    move = world.move

    def edited_at_once(source: str, path: str) -> None:
        move(source, path)
        if path == AVATAR:
            world.files[path] = (b"another", *world.files[path][1:])

    world.move = edited_at_once
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "rollback failed" and f"{AVATAR} is not as it was before" in outcome.line


def test_a_real_host_says_what_runs_on_it():
    """By the kernel's own files, which a host in memory does not have."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = inventory.taken(World(), [])
        assert len(found["boot"]) == 36
        # Given at random, and so not counted
        assert not any(place.endswith(f":{port}") for place in found.get("listening", ()))
    assert inventory.lost(World(), {**found, "units": {}, "containers": {}}) == []
