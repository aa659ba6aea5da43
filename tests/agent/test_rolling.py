"""Replicas that a release restarts one after the other, on a host in memory."""

import copy

import pytest

from agent import slots, store, transaction
from agent.world import CommandResult
from tests.agent.releases import applied, gone_back, killed_at_each_change, release, serving
from tests.catalogue.changes import both, networked, setting
from tests.catalogue.reaching import balanced

UNITS = [f"watchme-vault-api{number}.service" for number in ("", "-2", "-3")]
LINKS = [f"/etc/nginx/replicas/vault-api.d/{number}.conf" for number in (1, 2, 3)]
COMPOSE = next(
    f["path"] for f in release(balanced()).manifest["files"] if f["path"].endswith("yml") and "vault" in f["path"]
)
RELOAD = "systemctl try-reload-or-restart nginx"
THREE, CHANGED = release(balanced()), release(balanced(memory={"limit": "300m"}))
TWO = release(balanced(replicas=2, replica_ports=[8091]))
ONE = release(balanced(replicas=1, replica_ports=[]))


def linked(world):
    return [link in world.links for link in LINKS]


def running(world):
    return [unit in world.active for unit in UNITS]


def watched(world, made, **more):
    """How a release ends, and at each request that it makes which replicas run and which the proxy leads to."""
    seen = []
    before = world.web
    world.web = lambda url: seen.append((running(world), linked(world))) or before(url)
    outcome = applied(world, made, **more)
    world.web = before
    return outcome, seen


def test_first_release_starts_all_replicas():
    world = serving(THREE)
    assert running(world) == linked(world) == [True] * 3
    again = applied(world, THREE)
    assert again.outcome == "unchanged" and {"vault-api", "vault-api/2", "vault-api/3"} <= {*again.services}
    assert b"max_fails=0" in world.files["/etc/nginx/replicas/vault-api.members/2.conf"][0]


def test_replicas_restart_one_after_the_other():
    world = serving(THREE)
    outcome, seen = watched(world, CHANGED)
    assert outcome.outcome == "applied" and outcome.restarted == UNITS
    for _, leads in seen:
        assert sum(leads) >= 2
    assert {tuple(leads) for _, leads in seen} >= {(False, True, True), (True, False, True), (True, True, False)}
    restarts = [command for command in world.ran if command.startswith("systemctl restart")]
    assert restarts == [f"systemctl restart {unit}" for unit in UNITS]
    assert f"systemctl stop {UNITS[0]}" not in world.ran


def test_replica_leaves_the_proxy_before_its_restart():
    world = serving(THREE)
    applied(world, CHANGED)
    drained = world.ran.index("ss -Htn state established dport = :8091")
    assert RELOAD in world.ran[:drained] and drained < world.ran.index(f"systemctl restart {UNITS[1]}")


def test_draining_waits_for_the_last_request_of_a_replica():
    world = serving(THREE)
    world.answers["ss -Htn"] = CommandResult(0, "0 0 127.0.0.1:40000 127.0.0.1:8000")
    start = world.clock
    assert applied(world, CHANGED).outcome == "applied" and world.clock - start >= 3 * slots.DRAIN


@pytest.mark.parametrize("number", [0, 1, 2])
def test_unhealthy_replica_leaves_the_others_serving(number):
    """What had restarted goes back one after the other too; the others are never touched."""
    world = serving(THREE)
    before = world.seen_by_programs()
    port = [8000, 8091, 8092][number]
    world.web = lambda url: 503 if f":{port}" in url and new(world) else 200
    outcome, seen = watched(world, CHANGED)
    assert outcome.outcome == "rolled back" and f"answered 503 at http://127.0.0.1:{port}/" in outcome.line, (
        outcome.line
    )
    assert world.seen_by_programs() == before
    assert all(sum(leads) >= 2 and sum(runs) >= 2 for runs, leads in seen)
    touched = {unit for unit in UNITS for command in world.ran if f"systemctl restart {unit}" == command}
    assert touched == {*UNITS[: number + 1]}


def new(world):
    return b"300m" in world.files[COMPOSE][0]


def test_additional_replicas_join_once_healthy():
    world = serving(ONE)
    outcome, seen = watched(world, THREE)
    assert outcome.outcome == "applied" and outcome.restarted == UNITS[1:]
    assert ([True, True, False], [True, False, False]) in seen, "it runs, and the proxy does not lead to it yet"
    assert running(world) == linked(world) == [True] * 3


def test_unhealthy_additional_replica_is_removed():
    world = serving(TWO)
    before = world.seen_by_programs()
    world.web = lambda url: 503 if ":8092" in url else 200
    assert applied(world, THREE).outcome == "rolled back" and world.seen_by_programs() == before


def test_removed_replicas_are_drained_before_they_stop():
    world = serving(THREE)
    outcome, _ = watched(world, TWO)
    assert outcome.outcome == "applied" and running(world) == linked(world) == [True, True, False]
    drained = world.ran.index("ss -Htn state established dport = :8092")
    assert RELOAD in world.ran[:drained]
    assert drained < min(
        n for n, command in enumerate(world.ran) if "systemctl stop" in command and UNITS[2] in command
    )
    assert not [command for command in world.ran if command == f"systemctl restart {UNITS[0]}"]


def test_replicas_are_reduced_to_one():
    world = serving(THREE)
    assert applied(world, ONE).outcome == "applied"
    assert running(world) == [True, False, False] and linked(world) == [False] * 3


def test_replicas_restart_together_when_their_network_changes():
    world = serving(THREE)
    moved = release(both(balanced(), networked("172.26.0.0/15")))
    outcome = applied(world, moved)
    assert outcome.outcome == "applied" and running(world) == linked(world) == [True] * 3
    assert any(command.startswith("systemctl restart") and all(u in command for u in UNITS) for command in world.ran)


def test_stopped_replicas_start_together():
    world = serving(THREE)
    world.active -= {*UNITS}
    assert applied(world, CHANGED).outcome == "applied" and running(world) == [True] * 3


def test_stopped_replica_restarts_first():
    world = serving(THREE)
    world.active.discard(UNITS[2])
    applied(world, CHANGED)
    restarts = [command for command in world.ran if command.startswith("systemctl restart")]
    assert restarts == [f"systemctl restart {UNITS[number]}" for number in (2, 0, 1)]


def test_rollback_restarts_replicas_one_after_the_other():
    world = serving(THREE, CHANGED)
    assert gone_back(world, THREE.id).restarted == UNITS
    restarts = [command for command in world.ran if command.startswith("systemctl restart")]
    assert restarts[0] == f"systemctl restart {UNITS[0]}" and len(restarts) == 3


@pytest.mark.parametrize("is_unhealthy", [pytest.param(False, marks=pytest.mark.nightly), True])
def test_killed_rolling_restart_ends_at_one_whole_release(is_unhealthy):
    start, made = serving(THREE), CHANGED
    before = start.seen_by_programs()
    finished = copy.deepcopy(start)
    applied(finished, made)
    after = finished.seen_by_programs()

    def web(world):
        return lambda url: 503 if is_unhealthy and ":8091" in url and new(world) else 200

    number = 0
    for number, world in enumerate(killed_at_each_change(start, made, web), 1):
        assert transaction.load_unfinished(world) is None
        assert world.seen_by_programs() == (after if store.current_id(world) == made.id else before), number
    assert number > 30


def restarted_together(world):
    return any(command.startswith("systemctl restart") and all(u in command for u in UNITS) for command in world.ran)


def test_additional_replica_is_stopped_before_its_unit_is_removed():
    """By its unit's file alone its container goes."""
    world = serving(TWO)
    world.web = lambda url: 503 if ":8092" in url else 200
    stopped = []
    run = world.run

    def seen(*argv, **options):
        if argv[:2] == ("systemctl", "stop") and UNITS[2] in argv:
            stopped.append(f"/etc/systemd/system/{UNITS[2]}" in world.files)
        return run(*argv, **options)

    world.run = seen
    assert applied(world, THREE).outcome == "rolled back" and stopped and stopped[0]


@pytest.mark.parametrize(
    "change",
    [
        balanced(port=8070, container_port=8000), balanced(replica_ports=[8092, 8091]),
        both(balanced(replica_ports=[8093, 8092]), setting("ast-api", port=8091)),
    ],
    ids=["another port", "ports that change places", "another one's port"],
)  # fmt: skip
def test_replicas_restart_together_when_a_port_changes(change):
    world = serving(THREE)
    assert applied(world, release(change)).outcome == "applied" and running(world) == linked(world) == [True] * 3
    assert not [command for command in world.ran if command.startswith("ss -Htn")], "one was taken out by itself"


def waits_for_it(condition):
    return setting("web", depends_on={"vault-api": {"condition": condition}}, environment={"A": "1"})


@pytest.mark.parametrize(("condition", "together"), [("service_healthy", True), ("service_started", False)])
def test_replicas_restart_together_when_a_starting_service_waits_for_them(condition, together):
    """The old one may never be healthy by the new release's measure."""
    world = serving(release(both(balanced(), waits_for_it(condition))))
    change = both(balanced(memory={"limit": "300m"}), waits_for_it(condition), setting("web", environment={"A": "2"}))
    assert applied(world, release(change)).outcome == "applied" and restarted_together(world) is together


def test_step_of_another_service_keeps_the_rolling_restart():
    step = {"command": "migrate"}
    world = serving(THREE)
    change = both(
        balanced(memory={"limit": "300m"}), setting("web", depends_on=["ast-api"], release=step, memory={"limit": "100m"}),
        setting("ast-api", environment={"A": "1"}),
    )  # fmt: skip
    assert applied(world, release(change)).outcome == "applied" and not restarted_together(world)


def test_unhealthy_replicas_restart_first():
    world = serving(THREE)
    world.web = lambda url: 503 if not new(world) and (":8091" in url or ":8092" in url) else 200
    assert applied(world, CHANGED).outcome == "applied"
    restarts = [command for command in world.ran if command.startswith("systemctl restart")]
    assert restarts == [f"systemctl restart {UNITS[number]}" for number in (1, 2, 0)]


def test_proxy_always_keeps_one_replica():
    """Also where a person had taken the others out."""
    world = serving(THREE)
    for link in LINKS[:2]:
        world.links.pop(link)
    reloads = []
    run = world.run

    def seen(*argv, **options):
        if " ".join(argv) == RELOAD:
            reloads.append(sum(linked(world)))
        return run(*argv, **options)

    world.run = seen
    assert applied(world, TWO).outcome == "applied" and min(reloads) >= 1


def test_a_link_that_cannot_be_put_back_stops_no_rollback():
    """The rest is as it was, and the line names it."""
    world = serving(THREE)
    world.web = lambda url: 503 if ":8091" in url and new(world) else 200
    link = world.link

    def refusing(path, target):
        if path == LINKS[1]:
            raise PermissionError(1, "Operation not permitted", path)
        link(path, target)

    world.link = refusing
    outcome = applied(world, CHANGED)
    assert outcome.outcome == "rollback failed" and "Operation not permitted" in outcome.line
    assert running(world) == [True] * 3 and not new(world) and linked(world) == [True, False, True]
