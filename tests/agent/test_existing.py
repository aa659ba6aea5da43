"""Existing containers at the names that a release needs: set aside for the switch, the same ones again after a rollback."""

import copy
from contextlib import suppress

import pytest

from agent import certificates, existing, store, transaction
from agent.recover import recover
from agent.world import CommandResult
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import AVATAR_UNIT, JOB, applied, bigger, release, serving, world_for
from tests.rows import changes
from tests.support import service

OURS = {entry["name"]: entry for entry in release().manifest["containers"]}
AVATAR = next(name for name, entry in OURS.items() if entry["unit"] == AVATAR_UNIT)
IDS = {name: str(number) * 64 for number, name in enumerate(sorted(OURS)[:3]) if name != AVATAR} | {AVATAR: "f" * 64}

REPLACED = f"the existing container {AVATAR} was replaced (it differs: image); its volumes are kept: volume-of-{AVATAR}"


def by_hand(**host) -> FakeWorld:
    """A machine on which some of the release's containers run without its units, and all addresses answer."""
    world = world_for(release())
    for name, id in IDS.items():
        world.docker.run_by_hand(id, name, **host)
    return world


def containers(world: FakeWorld) -> dict:
    return copy.deepcopy(world.docker.foreign)


def make_unhealthy(world: FakeWorld) -> FakeWorld:
    """What is started in the place of an existing container answers 500."""

    def status(url: str) -> int:
        return 500 if any(".before-" in entry["Name"] for entry in world.docker.foreign.values()) else 200

    world.web = status
    return world


def test_a_failed_first_release_starts_the_same_containers_again():
    world = make_unhealthy(by_hand())
    before, programs = containers(world), world.seen_by_programs()
    outcome = applied(world, release())
    assert outcome.outcome == "rolled back" and "The host is as before" in outcome.line
    assert containers(world) == before and world.seen_by_programs() == programs
    assert world.commands("docker stop") and not world.commands("docker rm")


def test_a_stopped_container_stays_stopped():
    world = make_unhealthy(by_hand())
    world.docker.foreign[IDS[AVATAR]]["State"]["Running"] = False
    before = containers(world)
    assert applied(world, release()).outcome == "rolled back"
    assert containers(world) == before


def test_committed_release_replaces_existing_containers_and_keeps_volumes():
    outcome = applied(world := by_hand(), release())
    assert outcome.outcome == "applied" and not world.docker.foreign
    assert REPLACED in outcome.warnings
    assert not [command for command in world.commands("docker rm") if "-v" in command.split()]


def test_killed_switch_leaves_all_existing_containers_or_none():
    start = by_hand()
    before, programs = containers(start), start.seen_by_programs()
    finished = copy.deepcopy(start)
    applied(finished, release())
    after = finished.seen_by_programs()
    ends = set()
    for number in changes(finished.changes - start.changes):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with pytest.raises(Killed):
            applied(world, release())
        world.kill_at = None
        recover(world, JOB, "power cut")
        assert transaction.load_unfinished(world) is None
        committed = store.current_id(world) is not None
        ends.add(committed)
        assert containers(world) == ({} if committed else before), number
        assert world.seen_by_programs() == (after if committed else programs), number
    assert ends == {True, False}


def test_a_container_that_does_not_come_back_is_named():
    world = make_unhealthy(by_hand())
    world.answers[f"docker start {IDS[AVATAR]}"] = CommandResult(1, "driver failed programming external connectivity")
    outcome = applied(world, release())
    assert outcome.outcome == "rollback failed"
    assert f"the container {AVATAR} is not as it was" in outcome.line and "external connectivity" in outcome.line
    assert all(entry["State"]["Running"] for id, entry in world.docker.foreign.items() if id != IDS[AVATAR])


def test_missing_container_is_reported_after_a_rollback():
    world = make_unhealthy(by_hand())
    asked = world.run

    def run(*argv, **options):
        if argv[:2] == ("docker", "rename") and argv[2] == IDS[AVATAR]:
            world.docker.foreign.pop(IDS[AVATAR], None)
        return asked(*argv, **options)

    world.run = run
    outcome = applied(world, release())
    assert outcome.outcome == "rollback failed" and f"the container {AVATAR} is gone" in outcome.line


def test_rollback_fails_when_an_existing_container_no_longer_answers():
    """The containers run again, and the application in one does not come up."""
    world = by_hand()
    health = {"switched": False}

    def status(url: str) -> int:
        health["switched"] |= any(".before-" in entry["Name"] for entry in world.docker.foreign.values())
        return 503 if health["switched"] and "127.0.0.1:8017/" in url else 200

    world.web = status
    outcome = applied(world, release())
    assert outcome.outcome == "rollback failed"
    assert "http://127.0.0.1:8017/health answered 200 before, and now 503" in outcome.line


def test_existing_container_with_auto_remove_is_refused():
    world = by_hand(AutoRemove=True)
    before, programs = containers(world), world.seen_by_programs()
    outcome = applied(world, release())
    assert outcome.outcome == "refused" and "was started with --rm" in outcome.line
    assert containers(world) == before and world.seen_by_programs() == programs


def test_a_docker_that_does_not_answer_is_a_refusal():
    world = by_hand()
    world.docker.silence = "timed out"
    assert applied(world, release()).outcome == "refused" and store.current_id(world) is None


def test_later_release_sets_aside_a_container_with_its_name():
    """A script ran `docker rm` and `docker run` under the name of the release's container."""
    world = serving(release())
    world.docker.run_by_hand(IDS[AVATAR], AVATAR)
    before = containers(world)
    assert applied(make_unhealthy(world), release(bigger)).outcome == "rolled back"
    assert containers(world) == before


@pytest.mark.parametrize(
    ("labels", "aside"),
    [
        ({}, True),
        ({existing.PROJECT: "avatar"}, True),
        ({existing.UNIT: AVATAR_UNIT, existing.PROJECT: "avatar"}, True),
        ({existing.UNIT: AVATAR_UNIT, existing.PROJECT: OURS[AVATAR]["project"]}, False),
    ],
)
def test_only_our_own_project_is_ours(labels, aside):
    world = world_for(release())
    world.docker.run_by_hand(IDS[AVATAR], AVATAR, labels)
    found = existing.conflicts(world, release().manifest, [AVATAR_UNIT])
    assert [entry["name"] for entry in found] == ([AVATAR] if aside else [])


def test_rollback_to_an_older_release_sets_aside_leftover_containers():
    """It has no project of its own: Compose would find the name taken."""
    manifest = older(release().manifest)
    world = world_for(release())
    world.docker.run_by_hand(IDS[AVATAR], AVATAR, {existing.UNIT: AVATAR_UNIT, existing.PROJECT: "infra-avatar"})
    assert existing.conflicts(world, manifest, [AVATAR_UNIT])
    world.docker.foreign.clear()
    world.docker.run_by_hand(IDS[AVATAR], AVATAR, {existing.UNIT: AVATAR_UNIT, existing.PROJECT: "avatar"})
    assert not existing.conflicts(world, manifest, [AVATAR_UNIT])


def test_a_network_with_another_subnet_is_refused_before_anything_is_touched():
    world = by_hand()
    world.docker.networks["watchme-network"] = ("10.9.0.0/16", "10.9.0.1", "")
    outcome = applied(world, release())
    assert outcome.outcome == "refused"
    assert "the Docker network watchme-network exists with the subnet 10.9.0.0/16" in outcome.line
    world.docker.networks["watchme-network"] = ("172.27.0.0/16", "172.27.0.1", "")
    assert applied(world, release()).outcome == "applied"


def route(interface: str, destination: str, mask: str, gateway: str = "00000000") -> str:
    return f"{interface}\t{destination}\t{gateway}\t0003\t0\t0\t0\t{mask}\t0\t0\t0\n"


# /proc/net/route has the bytes of an address in the machine's order
ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n" + "".join(
    [route("eth0", "00000000", "00000000", "0114A8C0"), route("docker0", "000011AC", "0000FFFF")]
)
TAKEN = {
    "the host's own network": (route("eth0", "00001BAC", "0000FFFF"), "of the interface eth0 (172.27.0.0/16)"),
    "a part of it": (route("eth0", "00021BAC", "00FFFFFF"), "of the interface eth0 (172.27.2.0/24)"),
    "a peer": (route("wg0", "000010AC", "0000F0FF", "0100080A"), "by 10.8.0.1 through the interface wg0 (172.16.0.0/12)"),
    "another network of Docker's": (
        route("br-0123456789ab", "00001BAC", "0000FFFF"), "of the Docker network old (172.27.0.0/16)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "owner"), TAKEN.values(), ids=TAKEN)
def test_a_subnet_that_the_host_reaches_otherwise_is_refused(line, owner):
    world = by_hand()
    world.docker.networks.pop("watchme-network", None)
    if "Docker" in owner:
        world.docker.networks["old"] = ("172.27.0.0/16", "172.27.0.1", "")
    world.files["/proc/net/route"] = ((ROUTES + line).encode(), 0o444, "root", "root")
    outcome = applied(world, release())
    assert outcome.outcome == "refused"
    assert f"the subnet 172.27.0.0/16 of the network watchme-network covers addresses {owner}" in outcome.line
    world.files["/proc/net/route"] = (ROUTES.encode(), 0o444, "root", "root")
    assert applied(world, release()).outcome == "applied"


def test_a_networks_own_route_is_no_other_way():
    world = by_hand()
    world.docker.networks["watchme-network"] = ("172.27.0.0/16", "172.27.0.1", "")
    own = route("br-0123456789ab", "00001BAC", "0000FFFF")
    world.files["/proc/net/route"] = ((ROUTES + own).encode(), 0o444, "root", "root")
    assert applied(world, release()).outcome == "applied"


def test_an_address_that_another_container_has_is_refused():
    world = by_hand()
    world.docker.run_by_hand("c" * 64, "cache")
    wanted = OURS[AVATAR]
    world.docker.foreign["c" * 64]["NetworkSettings"] = {
        "Networks": {wanted["network"]: {"IPAddress": wanted["address"]}}
    }
    outcome = applied(world, release())
    assert outcome.outcome == "refused"
    assert (
        f"address {wanted['address']} of avatar-uploader is taken" in outcome.line and "container cache" in outcome.line
    )


RENEWAL = "/etc/letsencrypt/renewal/api.hey-watch.me.conf"
CHAIN = "/etc/letsencrypt/live/api.hey-watch.me/fullchain.pem"
ARCHIVED = "../../archive/api.hey-watch.me/fullchain1.pem"


def with_a_certificate_of(authority: str) -> FakeWorld:
    """The owner has it from certbot's Nginx plugin."""
    world = by_hand()
    world.certify("api.hey-watch.me", authority)
    content, *owned = world.files[RENEWAL]
    world.files[RENEWAL] = (content.replace(b"webroot", b"nginx"), *owned)
    return world


def test_nothing_touched_is_reported_only_with_unchanged_certificates():
    """The disk fills up after the new ones were obtained, and before the switch."""
    start, made, seen = with_a_certificate_of("https://other.example/directory"), release(), 0
    whole = copy.deepcopy(start)
    applied(whole, made)
    for number in changes(whole.changes - start.changes):
        world = copy.deepcopy(start)
        world.break_at = world.changes + number
        outcome = applied(world, made)
        if outcome.outcome == "refused" and "nothing touched" in outcome.line:
            seen += 1
            assert world.files[RENEWAL] == start.files[RENEWAL], (number, outcome.line)
    assert seen > 10


@pytest.mark.parametrize("end", ["rolled back", "refused"])
def test_renewal_settings_of_certbot_are_restored(end):
    world = with_a_certificate_of("https://other.example/directory")
    before = world.files[RENEWAL]
    if end == "refused":
        world.answers["unshare"] = CommandResult(1, "unknown directive")
    else:
        make_unhealthy(world)
    assert applied(world, release()).outcome == end
    assert world.commands("certbot certonly")
    assert world.files[RENEWAL] == before and world.links[CHAIN] == ARCHIVED


def test_certificates_are_restored_when_the_job_is_killed_before_the_switch():
    """Nothing was touched, says the next job: that is so."""
    start = with_a_certificate_of("https://other.example/directory")
    before = start.files[RENEWAL]
    whole = copy.deepcopy(start)
    assert applied(whole, release()).outcome == "applied"
    replaced = 0
    for number in changes(whole.changes - start.changes):
        world = copy.deepcopy(start)
        world.kill_at = world.changes + number
        with suppress(Killed):
            applied(world, release())
        world.kill_at = None
        begun = transaction.load_unfinished(world)
        replaced += not begun and world.files[RENEWAL] != before
        found = recover(world, JOB, "the host restarted midway")
        if found is None and store.current_id(world) is None:
            assert world.files[RENEWAL] == before and world.links[CHAIN] == ARCHIVED, number
        assert not world.exists(certificates.REPLACED), number
    assert replaced > 5


def test_a_certificate_that_has_ended_stays_replaced():
    """The new one took one of the authority's few attempts, and nothing needs the old one."""
    world = make_unhealthy(with_a_certificate_of("https://other.example/directory"))
    ended, certify = {"openssl x509 -noout -checkend": CommandResult(1, "Certificate will expire")}, world.certify
    world.answers |= ended
    world.certify = lambda *of: (world.answers.pop(*ended), certify(*of))  # type: ignore[method-assign]
    assert applied(world, release()).outcome == "rolled back"
    assert b"nginx" not in world.files[RENEWAL][0]


def older(manifest: dict) -> dict:
    """As an agent kept it for which a compose project had its directory's name."""
    manifest = copy.deepcopy(manifest)
    for entry in manifest["containers"]:
        del entry["project"]
    return manifest


@pytest.mark.parametrize(("stops", "aside"), [([AVATAR_UNIT], False), ([], True)])
def test_container_of_the_earlier_release_is_no_conflict_when_its_unit_stops(stops, aside):
    """Where the unit is not running, and so is not stopped, its container is left over and has the name."""
    world = world_for(release())
    world.docker.run_by_hand(IDS[AVATAR], AVATAR, {existing.UNIT: AVATAR_UNIT, existing.PROJECT: "avatar"})
    found = existing.conflicts(world, release().manifest, [AVATAR_UNIT], older(release().manifest), stops)
    assert bool(found) is aside


def into_another_file(data) -> None:
    """A container moves into the compose file and unit of another one."""
    web = service(data, "web")
    given = {key: web[key] for key in ("unit", "directory", "compose_file") if key in web}
    service(data, "avatar-uploader").update(given, compose_key="avatar")


def test_container_of_a_removed_unit_is_no_conflict():
    """It is the release's own, whichever unit has its name next: there is nothing to set aside."""
    world = serving(release())
    labels = {existing.UNIT: AVATAR_UNIT, existing.PROJECT: OURS[AVATAR]["project"]}
    world.docker.run_by_hand(IDS[AVATAR], AVATAR, labels)
    ended = applied(world, release(into_another_file))
    assert ended.outcome == "applied", ended.line
    assert not world.commands("docker rename") and not any(
        ".before-" in e["Name"] for e in world.docker.foreign.values()
    )
