"""Data that arrives on a host in memory: in its place and in use, or as if it had never come, whatever ends it."""

import copy
import json

import pytest

from agent import arriving, away, overrides, slots, steps, store
from agent.backups import asking
from agent.outcome import Refused
from agent.world import CommandResult
from rendering.host import render
from rendering.moving import moving
from tests.agent.fake import Killed
from tests.agent.releases import applied, gone_back
from tests.agent.releases import release as released
from tests.agent.restic import DATABASE, OUTBOX, SECRETS, now, say, served_world
from tests.catalogue.backups import CONFIG, with_backups
from tests.rows import changes
from tests.support import catalogue

MADE = catalogue(with_backups, CONFIG)
ENTRY = moving(MADE, "watchme", render(MADE, "watchme"))
assert ENTRY
ID = {"system": ENTRY["name"], "id": "move1", "what": ENTRY["what"]}
FROM = {"from": "watchme", "region": "ap-southeast-2"}


@pytest.fixture
def host():
    """It has just got its first release, and an empty database."""
    world = served_world()
    world.write_rows("empty")
    return world


def prepared(world):
    asked = {**ID, "volumes": ENTRY["volumes"], "bytes": dict.fromkeys((DATABASE, OUTBOX), 1000)}
    places = arriving.prepare(world, asked, say)["places"]
    for place in places.values():
        world.directories[place] = ("70", "70", 0o700)
    world.write_rows("of the other host", places[DATABASE])
    return {**ID, **FROM, "places": places, "units": ENTRY["units"]}


def start(world, done=()):
    return arriving.start(world, {**ID, "services": ENTRY["services"], "done": list(done)}, say)


def killed_in_the_start(host, number):
    """A copy of the host, killed right before that change."""
    world = copy.deepcopy(host)
    world.kill_at = world.changes + number
    with pytest.raises(Killed):
        start(world)
    world.kill_at = None
    return world


def settle(world):
    """What agent/moving.py's other side does with what it finds: see infra/move/steps/data.py."""
    return arriving.undo(world, ID, say)


def test_system_moves_with_its_data_and_every_unit_that_writes_it():
    assert ENTRY["paths"] == [DATABASE, OUTBOX] and ENTRY["volumes"] == ["web-db"]
    own = {unit.name for unit in render(MADE, "watchme").units if not unit.name.startswith("infra-")}
    assert {"db.service", "worker.service", "watchme-web-app.service", "infra-backup-db.timer"} <= {*ENTRY["units"]}
    assert {"infra-drill-worker.timer", "infra-drill-worker.service"} <= {*ENTRY["units"]}
    assert "infra-backup-db.service" in ENTRY["units"] and own - {*ENTRY["units"]} <= {
        "watchme-infrastructure.service",
        "nginx.service",
    }
    assert "scheduler" not in " ".join(ENTRY["services"]), "it starts once its name points here"


def test_data_is_in_place_and_unused_before_the_start(host):
    before = set(host.active)
    arriving.ready(host, prepared(host), say)
    assert host.rows() == "of the other host" and not {"db.service", "worker.service"} & host.active
    manifest = store.current(host).manifest
    assert {"db.service", "worker.service"} <= slots.resting(host, manifest)
    assert "db.service" not in slots.running(host, manifest)
    assert not any(probe["unit"] == "db.service" for probe in slots.probes(host, manifest))
    assert f"/etc/systemd/system/db.service.d/{away.DROP_IN}watchme.conf" in host.files
    assert not [found for found in overrides.list_overrides(host, store.current(host)) if away.DROP_IN in found.path]
    answer = start(host)
    assert answer["started"] and host.active == before and host.rows() == "of the other host"
    assert not away.records(host) and not slots.resting(host, manifest) - slots.waiting(host, manifest)
    assert [host.rows(path) for path in answer["aside"] if path.startswith(DATABASE)] == ["empty"]
    assert json.loads(host.files[f"{arriving.TAKEN}/{ID['system']}.json"][0])["id"] == "move1"


def test_release_steps_that_the_data_has_seen_do_not_run_again(host):
    (key,) = [step["key"] for step in store.current(host).manifest["steps"]]
    arriving.ready(host, prepared(host), say)
    host.ran.clear()
    start(host, [key])
    assert not host.commands("/usr/bin/docker-compose -p infra-step-")
    host.files.pop(arriving.RECORD, None)
    arriving.ready(host, prepared(host), say)
    start(host)
    assert len(host.commands("/usr/bin/docker-compose -p infra-step-")) == 1, "and those that it has not seen do"
    assert json.loads(host.files[steps.DONE][0])["done"] == [key]


def test_undone_arrival_restores_the_host_and_keeps_the_copy(host):
    before, asked = set(host.active), prepared(host)
    arriving.ready(host, asked, say)
    assert settle(host) == {"undone": True}
    assert host.rows() == "empty" and host.active == before and not away.records(host)
    assert host.rows(asked["places"][DATABASE]) == "of the other host"
    assert settle(host) == {"undone": False}


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("systemctl restart", CommandResult(1, "Job failed")),
        ("/usr/bin/docker-compose -p infra-step-", CommandResult(1, "no such table")),
        ("systemctl daemon-reload", CommandResult(1, "refused")),
    ],
)
def test_failed_start_stops_all_users_of_the_data_and_gives_the_reason(host, command, answer):
    arriving.ready(host, prepared(host), say)
    host.fails[command] = answer
    ended = start(host)
    assert not ended["started"] and ended["off"] and "did not start on this host: " in ended["why"]
    assert host.rows() == "empty"


def test_failed_start_that_cannot_be_stopped_keeps_the_other_host_off(host):
    arriving.ready(host, prepared(host), say)
    host.web = lambda url: 500
    host.answers["systemctl stop"] = CommandResult(1, "timed out")
    ended = start(host)
    assert not ended["started"] and not ended["off"]


def test_arrival_killed_before_the_start_is_undone_completely(host):
    asked = prepared(host)
    finished = copy.deepcopy(host)
    arriving.ready(finished, asked, say)
    for number in changes(finished.changes - host.changes):
        world = copy.deepcopy(host)
        world.kill_at = world.changes + number
        with pytest.raises((Killed, Refused)):
            arriving.ready(world, asked, say)
        world.kill_at = None
        settle(world)
        assert world.rows() == "empty" and world.active == host.active, number
        assert not away.records(world) and arriving.RECORD not in world.files, number
        assert not [path for path in world.files if ".before-" in path or away.DROP_IN in path], number


def test_undoing_that_was_killed_is_completed_by_the_next_run(host):
    asked = prepared(host)
    arriving.ready(host, asked, say)
    finished = copy.deepcopy(host)
    settle(finished)
    for number in changes(finished.changes - host.changes - 1):
        world = copy.deepcopy(host)
        world.kill_at = world.changes + number
        with pytest.raises((Killed, Refused)):
            settle(world)
        world.kill_at = None
        settle(world)
        assert world.rows() == "empty" and arriving.RECORD not in world.files, number


def test_killed_start_is_completed_by_the_next_run(host):
    arriving.ready(host, prepared(host), say)
    finished = copy.deepcopy(host)
    start(finished)
    for number in changes(finished.changes - host.changes - 1):
        world = killed_in_the_start(host, number)
        if arriving.RECORD in world.files:
            assert start(world)["started"], number
        assert world.rows() == "of the other host" and world.active == finished.active, number
        assert not away.records(world), number


def test_host_gets_back_data_that_it_gave_away(host):
    """As a standby to which the stack returns: its services rest, and its own old copy is kept."""
    units = [unit for unit in ENTRY["units"] if unit in host.active]
    record = {"id": "move0", "what": "watchme", "to": "watchme", "region": "ap-southeast-2", "units": ENTRY["units"]}
    before = set(host.active)
    away.fence(host, ID["system"], record)
    host.active -= {*units}
    with pytest.raises(Refused, match="is not on this host: it moved to watchme in ap-southeast-2"):
        now(host, "db")
    asked = prepared(host)
    arriving.ready(host, asked, say)
    undone = copy.deepcopy(host)
    settle(undone)
    assert away.record_of(undone, ID["system"])["id"] == "move0" and not {*units} & undone.active
    answer = start(host)
    assert answer["started"] and host.active == before and answer["aside"] and not away.records(host)


def test_damaged_record_is_reported(host):
    host.files[arriving.RECORD] = (b"{", 0o600, "root", "root")
    with pytest.raises(Refused, match="cannot be read: the earlier data is beside it"):
        start(host)


def test_a_start_without_an_arrival_is_refused(host):
    with pytest.raises(Refused, match="no data of watchme has arrived on this host in this move"):
        start(host)


def test_data_below_an_account_directory_is_copied_to_a_root_directory_first(host):
    host.directories["/srv"] = ("ice", "ice", 0o755)
    assert prepared(host)["places"][OUTBOX] == f"{arriving.INCOMING}{OUTBOX}"


def test_without_room_nothing_is_copied(host):
    host.space = 1024**3
    with pytest.raises(Refused, match="the data of watchme takes"):
        prepared(host)


def test_restore_and_arrival_exclude_each_other(host):
    asked = prepared(host)
    arriving.ready(host, asked, say)
    with pytest.raises(Refused, match="is not on this host"):
        asking.handle(host, "restore", {"service": "db", "snapshot": None, "to": None}, say)


def test_a_failed_start_that_is_killed_is_undone_by_the_next_and_never_taken_for_the_data(host):
    arriving.ready(host, prepared(host), say)
    host.answers["systemctl restart"] = CommandResult(1, "Job failed")
    finished = copy.deepcopy(host)
    assert not start(finished)["started"]
    for number in changes(finished.changes - host.changes - 1):
        world = killed_in_the_start(host, number)
        world.answers.clear()
        if arriving.RECORD not in world.files:
            assert world.rows() == "empty", number
            continue
        answer = start(world)
        # Either it runs on what arrived, or it says that it does not
        assert world.rows() == ("of the other host" if answer["started"] else "empty"), number
        assert answer["started"] or answer["off"], number


def test_a_container_that_a_failed_start_left_is_stopped_too(host):
    arriving.ready(host, prepared(host), say)
    host.fails["systemctl restart"] = CommandResult(1, "Job failed")
    host.answers["docker ps --format {{.Names}}"] = CommandResult(0, "db\nother")
    answer = start(host)
    assert "docker stop db" in host.commands("docker stop") and not answer["off"], "docker ps has it still"


def test_host_with_its_data_elsewhere_accepts_releases_and_rollbacks(host):
    record = {"id": "move0", "what": "watchme", "to": "watchme", "region": "ap-southeast-2", "units": ENTRY["units"]}
    away.fence(host, ID["system"], record)
    host.active -= {*ENTRY["units"]}
    before = store.current_id(host)
    newer = released(with_backups, CONFIG, version=2)
    outcome = applied(host, newer, secrets=SECRETS)
    assert outcome.outcome == "applied", outcome.line
    assert not {*ENTRY["units"]} & host.active and not host.commands("/usr/bin/docker-compose -p infra-step-")[1:]
    assert gone_back(host, before).outcome in ("applied", "unchanged")
    assert not {*ENTRY["units"]} & host.active


def test_a_connection_that_is_cut_ends_no_start(host):
    arriving.ready(host, prepared(host), say)

    def cut(line):
        raise SystemExit(0)

    host.web = lambda url: 200 if host.clock > 40 else 500
    answer = arriving.handle(host, "start", {**ID, "services": ENTRY["services"], "done": []}, cut)
    assert answer["started"] and host.rows() == "of the other host"


def of_another_move(world):
    """All of the host's data went away in a move of the whole host, with more than what comes back."""
    record = {"id": "then", "to": "watchme", "region": "ap-northeast-1-g2", "what": "all"}
    away.fence(world, "whole", record | {"units": [*ENTRY["units"], "other.service"]})


def test_services_at_rest_start_once_their_data_arrived(host):
    of_another_move(host)
    arriving.ready(host, prepared(host), say)
    assert "db.service" in away.resting(host)
    assert start(host)["started"] and "db.service" in host.active
    assert away.resting(host) == {"other.service"}
    assert away.record_of(host, "whole")["units"] == ["other.service"]


def test_failed_start_leaves_the_services_at_rest_by_the_earlier_move(host):
    of_another_move(host)
    before = away.record_of(host, "whole")
    arriving.ready(host, prepared(host), say)
    host.answers["docker inspect"] = None
    assert settle(host)["undone"]
    assert away.record_of(host, "whole") == before and "db.service" in away.resting(host)
    assert "db.service" not in host.active


def test_data_given_away_is_not_reported_as_the_hosts_own(host):
    record = {"id": "then", "to": "box", "region": "box@ap-northeast-1", "what": "reader"}
    away.fence(host, "system:reader", record | {"units": ["reader-db.service"]})
    manifest = store.current(host).manifest
    assert away.resting_systems(host, manifest) == {}
    away.fence(host, "system:watchme", record | {"what": "watchme", "units": ENTRY["units"]})
    assert away.resting_systems(host, manifest) == {"watchme": "box@ap-northeast-1"}
