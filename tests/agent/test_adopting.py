"""Containers that ran before the first release and are what it would create: they run on untouched, whatever happens."""

import copy
import shlex
import subprocess
from dataclasses import replace

import pytest

from agent import adopting, drift, store
from agent.apply import bring, unpack_release
from agent.archive import members
from agent.definitions import Wanted
from agent.recover import recover
from agent.validate import STAGE
from agent.world import CommandResult
from tests.agent.fake import FakeWorld, Killed
from tests.agent.handmade import adopt_ready
from tests.agent.releases import AVATAR_UNIT, JOB, applied, bigger, gone_back, release, serving, world_for
from tests.rows import changes
from tests.support import service

CONTAINERS = {entry["name"]: entry for entry in release().manifest["containers"]}
AVATAR = next(name for name, entry in CONTAINERS.items() if entry["unit"] == AVATAR_UNIT)
DROP_IN = adopting.path_of(AVATAR_UNIT)


def without_avatar(data) -> None:
    data["services"] = [entry for entry in data["services"] if entry["name"] != "avatar-uploader"]


def by_hand(*names: str) -> FakeWorld:
    """A machine on which containers of these names, or all, run as the release would create them."""
    world = world_for(release())
    adopt_ready(world, release(), *(names or CONTAINERS))
    return world


def containers(world: FakeWorld) -> dict:
    return copy.deepcopy(world.docker.foreign)


def unit_text(world: FakeWorld) -> str:
    return world.files[DROP_IN][0].decode()


def test_equal_containers_run_on_and_their_units_take_them_over():
    world = by_hand()
    before = containers(world)
    outcome = applied(world, release())
    assert outcome.outcome == "applied", outcome.line
    after = containers(world)
    assert set(after) == set(before) and not world.commands("docker stop") and not world.commands("docker rename")
    for id, entry in before.items():
        # Docker does not start by itself what a unit does
        assert after[id] == {**entry, "HostConfig": {**entry["HostConfig"], "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}}  # fmt: skip
    (line,) = [text for text in outcome.warnings if "were adopted" in text]
    assert all(name in line for name in CONTAINERS) and "was replaced" not in outcome.line
    own = next(id for id, entry in after.items() if entry["Name"] == f"/{AVATAR}")
    assert f"docker start {own} " in unit_text(world)
    assert unit_text(world).endswith(f"ExecStop=-/usr/bin/docker stop {own}\n")
    assert drift.drift(world) == []


def test_drop_ins_of_adopted_containers_are_judged_with_their_units(monkeypatch):
    world = by_hand(AVATAR)
    staged: list[str] = []
    write = world.write
    monkeypatch.setattr(world, "write", lambda path, *rest: (staged.append(path), write(path, *rest)))
    applied(world, release())
    assert STAGE + DROP_IN in staged
    verdicts = world.commands("systemd-analyze verify")
    assert verdicts and f"{STAGE}/etc/systemd/system/{AVATAR_UNIT}" in verdicts[0]


def test_a_second_release_of_the_same_changes_nothing():
    world = by_hand()
    applied(world, release())
    before, programs = containers(world), world.seen_by_programs()
    again = applied(world, release())
    assert again.outcome == "unchanged" and containers(world) == before and world.seen_by_programs() == programs


def test_a_failed_first_release_leaves_adopted_containers_as_they_were():
    world = by_hand()
    world.web = lambda url: 500 if DROP_IN in world.files else 200
    before, programs = containers(world), world.seen_by_programs()
    outcome = applied(world, release())
    assert outcome.outcome == "rolled back" and "The host is as before" in outcome.line, outcome.line
    assert containers(world) == before and world.seen_by_programs() == programs
    assert not [
        command for verb in ("stop", "start", "update", "rename", "rm") for command in world.commands(f"docker {verb}")
    ]


def test_a_killed_release_adopts_all_or_none():
    start = by_hand(*sorted(CONTAINERS)[:3])
    before = containers(start)
    finished = copy.deepcopy(start)
    applied(finished, release())
    ends = set()
    for number in changes(finished.changes - start.changes):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            applied(world, release())
        world.kill_at = None
        recover(world, JOB, "power cut")
        committed = store.current_id(world) is not None
        ends.add(committed)
        assert containers(world) == (containers(finished) if committed else before), number
        assert world.seen_by_programs() == (finished if committed else start).seen_by_programs(), number
    assert ends == {True, False}


def other_memory(entry):
    entry["HostConfig"]["Memory"] = 1 << 30


def other_image(entry):
    entry["Image"] = "sha256:another"


def another_variable(entry):
    entry["Config"]["Env"].append("MODE=secret-value")


def no_limit_of_loopback(entry):
    port = next(iter(entry["HostConfig"]["PortBindings"]))
    entry["HostConfig"]["PortBindings"][port][0]["HostIp"] = ""


def another_network(entry):
    entry["NetworkSettings"]["Networks"]["byhand_default"] = {"IPAddress": "172.30.0.2", "Aliases": []}


def stopped(entry):
    entry["State"]["Running"] = False


def a_volume(entry):
    entry["Mounts"].append({"Type": "bind", "Source": "/srv/x", "Destination": "/data", "RW": True})


DIFFERENT = {
    "mem_limit": other_memory,
    "environment": another_variable,
    "ports": no_limit_of_loopback,
    "networks": another_network,
    "not running": stopped,
    "volumes": a_volume,
    "image": other_image,
    "command": lambda entry: entry["Config"].update(Cmd=["serve", "--debug"]),
    "entrypoint": lambda entry: entry["Config"].update(Entrypoint=["/init"]),
    "user": lambda entry: entry["Config"].update(User="1000"),
    "labels": lambda entry: entry["Config"]["Labels"].update(traefik="on"),
    "cap_add": lambda entry: entry["HostConfig"].update(CapAdd=["NET_ADMIN"]),
    "privileged": lambda entry: entry["HostConfig"].update(Privileged=True),
    "cpus": lambda entry: entry["HostConfig"].update(CpuQuota=50000),
    "CpuShares": lambda entry: entry["HostConfig"].update(CpuShares=512),
    "hostname": lambda entry: entry["Config"].update(Hostname="web1"),
    "aliases": lambda entry: next(iter(entry["NetworkSettings"]["Networks"].values()))["Aliases"].append("web"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_different_container_is_replaced_and_the_difference_named(name):
    world = by_hand(AVATAR)
    (entry,) = world.docker.foreign.values()
    DIFFERENT[name](entry)
    outcome = applied(world, release())
    assert outcome.outcome == "applied" and not world.docker.foreign
    assert f"the existing container {AVATAR} was replaced (it differs: {name})" in outcome.line
    assert DROP_IN not in world.files and "secret-value" not in outcome.line


ADDED = {
    "a check that the release does not need": lambda entry: entry["Config"].update(
        Healthcheck={"Test": ["CMD", "curl", "-f", "http://localhost"]}
    ),
    "its log": lambda entry: entry["HostConfig"].update(LogConfig={"Type": "none"}),
    "control groups of version 1": lambda entry: entry["HostConfig"].update(CgroupnsMode="host"),
    "Docker's defaults": lambda entry: entry["HostConfig"].update(
        CapAdd=[], PidsLimit=0, Ulimits=None, OomKillDisable=None, CgroupnsMode="private", DnsOptions=[]
    ),
    "docker run": lambda entry: entry["Config"].update(Labels={"maker": "us"}, StopSignal="SIGTERM", StopTimeout=None),
}


@pytest.mark.parametrize("what", ADDED)
def test_what_docker_or_the_image_adds_is_no_difference(what):
    world = by_hand(AVATAR)
    (entry,) = world.docker.foreign.values()
    ADDED[what](entry)
    assert "were adopted" in applied(world, release()).line
    assert ("docker logs" in unit_text(world)) is (what != "its log")


def test_the_next_change_of_its_unit_replaces_an_adopted_container():
    world = by_hand()
    applied(world, release())
    own = next(id for id, entry in world.docker.foreign.items() if entry["Name"] == f"/{AVATAR}")
    others = set(world.docker.foreign) - {own}
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "applied" and set(world.docker.foreign) == others
    assert f"the existing container {AVATAR} was replaced" in outcome.line and DROP_IN not in world.files
    assert gone_back(world, release().id).outcome == "applied" and DROP_IN not in world.files


def test_a_bad_change_brings_the_adopted_container_back():
    world = by_hand()
    applied(world, release())
    before, programs = containers(world), world.seen_by_programs()
    world.web = lambda url: 200 if DROP_IN in world.files else 500
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "rolled back", outcome.line
    assert containers(world) == before and world.seen_by_programs() == programs


def test_an_adopted_container_goes_with_its_service():
    world = by_hand()
    applied(world, release())
    outcome = applied(world, release(without_avatar))
    assert outcome.outcome == "applied", outcome.line
    assert f"/{AVATAR}" not in [entry["Name"] for entry in world.docker.foreign.values()]
    assert DROP_IN not in world.files and f"the existing container {AVATAR} was removed" in outcome.line
    assert "was replaced" not in outcome.line


def edited_by_hand(world: FakeWorld, unit: str) -> None:
    path = f"/etc/systemd/system/{unit}"
    world.files[path] = (world.files[path][0] + b"# by hand\n", *world.files[path][1:])


def test_a_release_of_one_service_leaves_what_another_one_has_adopted():
    world = by_hand()
    applied(world, release())
    other = "watchme-ast-api.service"
    edited_by_hand(world, other)
    own = next(id for id, entry in world.docker.foreign.items() if entry["Name"] == f"/{AVATAR}")
    before = containers(world)
    outcome = applied(world, release(bigger), job=replace(JOB, only=("avatar-uploader",)))
    assert outcome.outcome == "applied", outcome.line
    assert containers(world) == {id: entry for id, entry in before.items() if id != own}
    assert adopting.path_of(other) in world.files and DROP_IN not in world.files


def test_a_restart_of_an_edited_unit_keeps_its_adopted_container():
    world = by_hand()
    applied(world, release())
    edited_by_hand(world, AVATAR_UNIT)
    before = containers(world)
    world.ran.clear()
    outcome = bring(
        world, replace(JOB, kind="restart", only=("avatar-uploader",)), release().id,
        lambda: store.load(world, release().id),
    )  # fmt: skip
    assert outcome.outcome == "applied", outcome.line
    assert containers(world) == before and DROP_IN in world.files and not world.commands("docker rm")


def test_a_unit_that_made_room_in_memory_keeps_its_adopted_container():
    world = by_hand()
    applied(world, release())
    resting = next(unit for unit in release().manifest["units"] if unit.get("bar") and unit["name"] != AVATAR_UNIT)
    world.there.add(resting["bar"])
    world.active.discard(resting["name"])
    before = set(world.docker.foreign)
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "applied", outcome.line
    names = {entry["name"] for entry in CONTAINERS.values() if entry["unit"] == resting["name"]}
    gone = {id for id in before if id not in world.docker.foreign}
    assert len(gone) == 1 and adopting.path_of(resting["name"]) in world.files
    assert names <= {entry["Name"].lstrip("/") for entry in world.docker.foreign.values()}


def test_a_container_that_its_own_unit_runs_is_restarted_by_the_release():
    """A unit with the name of the release's, made by hand, would end its containers with it."""
    world = by_hand(AVATAR)
    world.active.add(AVATAR_UNIT)
    outcome = applied(world, release())
    assert outcome.outcome == "applied" and not world.docker.foreign and DROP_IN not in world.files


def two_in_one(data) -> None:
    """A second container in the compose file of one."""
    avatar = service(data, "avatar-uploader")
    fields = {key: avatar[key] for key in ("unit", "directory", "compose_file") if key in avatar}
    service(data, "web").update(fields, compose_key="web-beside")


def test_beside_an_adopted_container_compose_makes_only_the_others():
    world = world_for(release(two_in_one))
    adopt_ready(world, release(two_in_one), AVATAR)
    assert "were adopted" in applied(world, release(two_in_one)).line
    (line,) = [text for text in unit_text(world).splitlines() if "docker start" in text]
    (id,) = world.docker.foreign
    key = next(entry["aliases"][0] for entry in CONTAINERS.values() if entry["name"] == AVATAR)
    assert line.startswith(
        f'ExecStartPre=/bin/sh -c \'docker start {id} >/dev/null || set -- "$$@" {key}; [ $$# -eq 0 ]'
    )
    assert line.endswith("""up -d --no-deps "$$@"' adopted web-beside""")


def test_a_log_that_ends_does_not_end_the_service(tmp_path):
    """Docker's log of a container ends when Docker restarts, or rotates it away."""
    programs = {"docker": f"echo $* >>{tmp_path}/followed", "served": f"sleep 1; touch {tmp_path}/ended"}
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    adopted = adopting.Verdict(Wanted(CONTAINERS[AVATAR], "avatar", {}, {}), "e" * 64, [], "json-file")
    text = adopting.drop_in(f"[Service]\nExecStart={tmp_path}/served\n", [adopted], [adopted.wanted])
    script = text.splitlines()[-1].replace("$$", "$").partition("ExecStart=")[2]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(shlex.split(script), env=path, timeout=60, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "ended").exists()
    assert (tmp_path / "followed").read_text() == f"logs --follow --since 5s {'e' * 64}\n"


def test_only_compose_files_are_read_as_such():
    """Kong's own file has services too, in YAML that a compose file of a release never has."""
    manifest = copy.deepcopy(release().manifest)
    unit = next(unit for unit in manifest["units"] if unit["name"] == AVATAR_UNIT)
    unit["files"].append("/opt/kong/kong.yml")
    made = unpack_release(release().id, members(release().archive), {})
    files = {file.path: file.content.decode() for file in made.files}
    files["/opt/kong/kong.yml"] = "_format_version: '3.0'\nservices: [{name: a, routes: [{paths: [/a]}]}]\n"
    assert [one.entry["name"] for one in adopting.containers_of(manifest, files, [AVATAR_UNIT])] == [AVATAR]


def test_a_drop_in_is_never_seen_as_an_edit_or_an_override():
    world = by_hand()
    applied(world, release())
    world.answers["docker update"] = CommandResult(0, "")
    assert not applied(world, release(bigger)).edited


def test_a_container_that_displaced_the_releases_is_drift():
    world = serving(release())
    assert drift.drift(world) == []
    world.docker.run_by_hand("d" * 64, AVATAR)
    (finding,) = drift.drift(world)
    assert finding["path"] == AVATAR and f"docker rm --force {AVATAR}" in finding["found"]
    world.docker.silence = "timed out"
    assert drift.drift(world) == []
