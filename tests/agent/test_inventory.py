"""After a rollback the host is compared with what ran before the switch: what is missing is named, and no success claimed."""

import copy
import re
import socket

import pytest

from agent import inventory, transaction
from agent.documents.inventory import Inventory
from agent.engine import NotRunning
from agent.inventory import BOOT
from agent.recover import recover
from agent.world import CommandResult, World
from tests.agent.beside import LISTENS, LISTS, PORTS, UNITS, busy, unhealthy, without
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import AVATAR, JOB, applied, bigger, release, world_for
from tests.document_types import misfits
from tests.rows import changes


def stop_the_container(world: FakeWorld) -> None:
    world.docker.foreign["d" * 64]["State"]["Running"] = False


def remove_the_network(world: FakeWorld) -> None:
    del world.docker.networks["shop_default"]


def remove_the_volume(world: FakeWorld) -> None:
    world.docker.volumes.discard("shop_data")


def stop_the_service(world: FakeWorld) -> None:
    world.answers[UNITS] = without(LISTS, "cron")


def stop_what_is_called_as_ours(world: FakeWorld) -> None:
    world.answers[UNITS] = without(LISTS, "infra-sync")


def stop_the_timer(world: FakeWorld) -> None:
    world.answers[UNITS] = without(LISTS, "shop")


def close_the_port(world: FakeWorld) -> None:
    world.answers[PORTS] = without(LISTENS, "8080")


LOST = {
    "a container": (stop_the_container, "containers blog ran before and do not run now"),
    "a network": (remove_the_network, "Docker networks shop_default existed before and are gone"),
    "a volume": (remove_the_volume, "volumes shop_data existed before and are gone"),
    "a service": (stop_the_service, "units cron.service ran before and do not run now"),
    "a service that is called as ours are": (
        stop_what_is_called_as_ours,
        "units infra-sync.service ran before and do not run now",
    ),
    "a timer": (stop_the_timer, "units shop.timer ran before and do not run now"),
    "a port": (close_the_port, "ports [::]:8080 were listened on before and are not now"),
}


def test_complete_rollback_is_reported_as_rolled_back():
    outcome = applied(unhealthy(busy()), release(bigger))
    assert outcome.outcome == "rolled back", outcome.line


@pytest.mark.parametrize("name", LOST)
def test_units_missing_after_a_rollback_are_reported(name):
    happens, complaint = LOST[name]
    world = busy()
    outcome = applied(unhealthy(world, lambda: happens(world)), release(bigger))
    assert outcome.outcome == "rollback failed" and complaint in outcome.line, outcome.line
    # The files are back, and nothing holds up the next job
    assert transaction.load_unfinished(world) is None
    world.web = lambda url: 200
    assert applied(world, release(bigger)).outcome == "applied"


@pytest.mark.parametrize(
    "happens",
    [
        lambda world: world.docker.volumes.discard("e" * 64),
        lambda world: world.answers.update({UNITS: without(LISTS, "packagekit")}),
        lambda world: world.answers.update({UNITS: without(LISTS, "run-u7")}),
        lambda world: world.answers.update({UNITS: without(LISTS, "user@")}),
        lambda world: world.answers.update({UNITS: without(LISTS, "infra-job")}),
        lambda world: world.answers.update({UNITS: without(LISTS, "resolvconf")}),
        lambda world: world.answers.update({PORTS: without(LISTENS, "41234")}),
        lambda world: world.answers.update({PORTS: without(LISTENS, "8000")}),
        lambda world: world.answers.update({PORTS: without(LISTENS, "6010")}),
        lambda world: world.answers.update({PORTS: without(LISTENS, "8014")}),
        lambda world: world.docker.foreign["d" * 64]["State"].update(Running=False, Status="exited", ExitCode=0),
        lambda world: world.docker.foreign.pop("e" * 64),
    ],
    ids=[
        "an anonymous volume", "a service that ends by itself", "what was started for once", "a session's end", "a unit of the agent's own",
        "what had done its work", "a port given at random", "a port of another account", "a port of a session",
        "a port of the release's own", "a container that had done its work", "one that Docker removes when it has ended",
    ],
)  # fmt: skip
def test_transient_units_do_not_fail_a_rollback(happens):
    world = busy()
    outcome = applied(unhealthy(world, lambda: happens(world)), release(bigger))
    assert outcome.outcome == "rolled back", outcome.line


SILENT = {
    "systemd": (
        UNITS,
        CommandResult(124, "no end after 30 s"),
        "whether other units are unchanged is unknown: systemd does not",
    ),
    "ss": (
        PORTS,
        CommandResult(127, "ss: not found"),
        "whether other ports are unchanged is unknown: ss does not answer",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_unknown_inventory_is_reported_after_a_rollback(name):
    command, answer, line = SILENT[name]
    world = busy()
    outcome = applied(unhealthy(world, lambda: world.answers.update({command: answer})), release(bigger))
    assert outcome.outcome == "rollback failed" and line in outcome.line, outcome.line


@pytest.mark.parametrize("name", SILENT)
def test_unknown_earlier_inventory_is_reported_after_a_rollback(name):
    command, answer, line = SILENT[name]
    world = busy()
    world.answers[command] = answer
    outcome = applied(unhealthy(world, lambda: None), release(bigger))
    assert outcome.outcome == "rollback failed" and line in outcome.line, outcome.line


def test_hanging_docker_makes_the_inventory_unknown():
    world = busy()
    ask = world.docker_has

    def hanging(path, timeout=10):
        if path.startswith(f"/containers/{'d' * 64}"):
            raise TimeoutError("timed out")
        return ask(path, timeout)

    world.docker_has = hanging
    before = inventory.take(world, [])
    assert before["containers"] is None and before["networks"]
    assert inventory.losses(world, before)[0].startswith("whether other containers are unchanged is unknown")


@pytest.mark.parametrize("manifests", [[], [release().manifest]], ids=["all", "beside a release"])
def test_an_inventory_fits_its_type(manifests):
    noted = inventory.take(busy(), manifests)
    assert list(misfits(noted, Inventory)) == []
    assert {name for name in Inventory.__annotations__ if noted[name] is not None} == set(Inventory.__annotations__)


def test_host_without_docker_has_an_empty_docker_inventory():
    world = busy()

    def gone(path, timeout=10):
        raise NotRunning("no listener")

    world.docker_has = gone
    before = inventory.take(world, [])
    assert before["containers"] == before["networks"] == before["volumes"] == {}
    assert inventory.losses(world, before) == []


ODD = {
    "/containers/json?all=1": [b"null", b'[{"Id": "a", "Names": null, "State": "running"}]', b"[null]", b"{"],
    "/volumes": [b"{}", b'{"Volumes": [null]}', b"[]"],
    "/networks": [b'[{"Id": 1}]', b"null"],
}


@pytest.mark.parametrize(("path", "answer"), [(path, answer) for path, of in ODD.items() for answer in of])
def test_an_odd_answer_of_dockers_ends_no_comparison(path, answer):
    world = busy()
    before = inventory.take(world, [release().manifest])
    ask = world.docker_has
    world.docker_has = lambda asked, timeout=10: answer if asked == path else ask(asked, timeout)
    assert inventory.take(world, [release().manifest])["boot"] == before["boot"]
    lines = inventory.losses(world, before)
    assert (len(lines) == 1 and "is unknown: Docker does not answer" in lines[0]) or "containers blog" in lines[0]


def test_many_missing_units_are_one_line_and_one_query():
    world = busy()
    names = [f"unit-{number}.service" for number in range(500)]
    world.answers[UNITS] = CommandResult(0, "".join(f"{name} loaded active running x\n" for name in names))
    before = inventory.take(world, [])
    world.answers[UNITS] = CommandResult(0, "")
    world.ran.clear()
    assert inventory.losses(world, before) == [
        "units unit-0.service, unit-1.service, unit-2.service and 497 more ran before and do not run now"
    ]
    assert len(world.commands("systemctl show")) <= inventory.SETTLES + 1


def test_killed_switch_does_not_report_foreign_units_as_lost():
    start, made, seen = busy(), release(bigger), set()
    whole = copy.deepcopy(start)
    assert applied(whole, made).outcome == "applied"
    for number in changes(whole.changes - start.changes):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            applied(world, made)
        world.kill_at = None
        if found := recover(world, JOB, "the host restarted midway"):
            seen.add(found[1].outcome)
            assert found[1].outcome in ("applied", "rolled back"), found[1].line
    assert seen >= {"rolled back"}


def test_unreadable_path_does_not_hide_other_losses():
    world = unhealthy(busy(), lambda: None)
    look, move = world.entry, world.move

    def broken(path: str):
        if path == AVATAR and (begun := transaction.load_unfinished(world)) and begun.reason:
            stop_the_container(world)
            raise OSError(5, "Input/output error")
        return look(path)

    world.entry = broken
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "rollback failed" and "containers blog ran before" in outcome.line, outcome.line
    assert f"{AVATAR} could not be put back" in outcome.line and outcome.line.count(AVATAR) == 1 and move


def test_restarting_units_are_awaited_before_the_comparison():
    world = busy()
    asked = []

    def come_back(seconds: float) -> None:
        world.clock += seconds
        asked.append(seconds)
        if len(asked) > 3:
            world.answers[UNITS] = CommandResult(0, LISTS)

    def stop() -> None:
        stop_the_service(world)
        world.sleep = come_back

    assert applied(unhealthy(world, stop), release(bigger)).outcome == "rolled back"


def test_crash_looping_unit_counts_as_present():
    world = busy()
    before = inventory.take(world, [])
    listed = f"{UNITS} --type=service,socket,timer --state=active"
    again = LISTS.replace("active running Regular", "activating auto-restart Regular")
    world.answers = {
        f"{listed} ": without(LISTS, "cron"),
        f"{listed},activating": CommandResult(0, again),
        **world.answers,
    }
    world.docker.foreign["d" * 64]["State"]["Running"] = False
    listing = world.docker_has("/containers/json?all=1").replace(b"exited", b"restarting")
    ask = world.docker_has
    world.docker_has = lambda path, timeout=10: listing if path == "/containers/json?all=1" else ask(path, timeout)
    assert inventory.losses(world, before) == []


def test_only_persistent_units_are_compared_after_a_reboot():
    world = busy()

    def reboot(*also) -> None:
        world.files[BOOT] = (b"boot-2\n", 0o444, "root", "root")
        for happens in (stop_the_container, stop_the_service, close_the_port, *also):
            happens(world)

    assert applied(unhealthy(world, reboot), release(bigger)).outcome == "rolled back"
    world = busy()
    outcome = applied(unhealthy(world, lambda: reboot(remove_the_volume)), release(bigger))
    assert outcome.outcome == "rollback failed" and "volumes shop_data" in outcome.line


def test_a_first_release_is_compared_too():
    world = world_for(release())
    world.docker.run_by_hand("d" * 64, "blog")
    outcome = applied(unhealthy(world, lambda: stop_the_container(world)), release())
    assert outcome.outcome == "rollback failed" and "containers blog ran before" in outcome.line
    assert "verything is as it was" not in outcome.line


def test_unanswered_docker_does_not_hide_the_rest_of_the_inventory():
    world = busy()
    ask = world.docker_has

    def silent(path: str, timeout: float = 10) -> bytes:
        if path == "/volumes":
            raise OSError("no such file")
        return ask(path, timeout)

    world.docker_has = silent
    outcome = applied(unhealthy(world, lambda: stop_the_service(world)), release(bigger))
    assert outcome.outcome == "rollback failed" and "units cron.service ran before" in outcome.line


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
    assert outcome.outcome == "rollback failed" and f"{AVATAR} is not restored" in outcome.line


def test_inventory_is_taken_on_a_real_host():
    """By the kernel's own files, which a host in memory does not have."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = inventory.take(World(), [])
        assert re.fullmatch(r"[0-9a-f-]{36} \d+", found["boot"])
        # Given at random, and so not counted
        assert not any(place.endswith(f":{port}") for place in found.get("listening", ()))
    assert inventory.losses(World(), {**found, "units": {}, "containers": {}}) == []
