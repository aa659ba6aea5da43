"""Rules and ports that Docker keeps in the kernel, when they were lost or left behind."""

import json
from dataclasses import replace

import pytest

from agent import forwarding
from agent.engine import Declined
from agent.monitor import repairs
from agent.monitor.conditions import ConditionResult, firing
from agent.monitor.history import Repair
from agent.monitor.look import HostFacts
from agent.outcome import Failed
from agent.recover import recover
from agent.store import current
from agent.world import CommandResult
from tests.agent.conditions import watchme
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import JOB, applied, bigger, release

SUBNET = "172.27.0.0/16"
NAT = [
    "-P PREROUTING ACCEPT", "-N DOCKER",
    "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    f"-A POSTROUTING -s {SUBNET} ! -o br-e85fc8e09802 -j MASQUERADE",
    "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "-A DOCKER -d 127.0.0.1/32 ! -i br-e85fc8e09802 -p tcp -m tcp --dport 8014 -j DNAT --to-destination 172.27.0.16:8014",
]  # fmt: skip
# As each version leaves them, from its own sources
STAGES = ["-N DOCKER-ISOLATION-STAGE-1", "-N DOCKER-ISOLATION-STAGE-2"]
FILTERS = {
    "20.10": [
        "-P FORWARD DROP", "-N DOCKER", *STAGES, "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -j DOCKER-ISOLATION-STAGE-1", "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -o docker0 -j DOCKER", "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
    ],
    "27, without a bridge": [
        "-P FORWARD DROP", "-N DOCKER", *STAGES, "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
    ],
    "28.0.0": [
        "-P FORWARD DROP", "-N DOCKER", *STAGES, "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -m set --match-set docker-ext-bridges-v4 dst -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -j DOCKER-ISOLATION-STAGE-1", "-A FORWARD -m set --match-set docker-ext-bridges-v4 dst -j DOCKER",
    ],
    "28": [
        "-P FORWARD DROP", "-N DOCKER", "-N DOCKER-FORWARD", *STAGES, "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-FORWARD",
        "-A DOCKER-FORWARD -j DOCKER-CT", "-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1", "-A DOCKER-FORWARD -j DOCKER-BRIDGE",
    ],
    "29": [
        "-P FORWARD DROP", "-N DOCKER", "-N DOCKER-FORWARD", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-FORWARD",
        "-A FORWARD -j DROP", "-A DOCKER-FORWARD -j DOCKER-CT", "-A DOCKER-FORWARD -j DOCKER-INTERNAL", "-A DOCKER-FORWARD -j DOCKER-BRIDGE",
    ],
}  # fmt: skip
LEFT = ["/usr/sbin/docker-proxy", "-proto", "tcp", "-host-ip", "127.0.0.1", "-host-port", "8014", "-container-ip", "172.27.0.216", "-container-port", "8014"]  # fmt: skip


def rules(world: FakeWorld, nat: list[str] = NAT, filters: list[str] = FILTERS["20.10"]) -> FakeWorld:
    world.installed.add("iptables")
    world.processes["dockerd"] = [["/usr/sbin/dockerd", "-H", "fd://"]]
    for table, lines in (("nat", nat), ("filter", filters)):
        world.answers[f"iptables --wait 10 --table {table} --list-rules"] = CommandResult(0, "\n".join(lines))
    return world


def publishing(world: FakeWorld, network: str = "watchme-network", **changes: object) -> FakeWorld:
    """Docker lists a container of ours, with the port that the host gives it."""
    port = {"IP": "127.0.0.1", "PrivatePort": 8014, "PublicPort": 8014, "Type": "tcp"}
    entry = {
        "Id": "a" * 64,
        "Names": ["/watchme-avatar-uploader"],
        "State": "running",
        "Ports": [port | {"IP": "::"}, port],
    }
    entry |= {"NetworkSettings": {"Networks": {network: {"IPAddress": "172.27.0.16"}}}} | changes
    has = world.docker_has
    world.docker_has = lambda path, timeout=10: json.dumps([entry]).encode() if "json?all" in path else has(path)  # type: ignore[method-assign]
    return world


def without(lines: list[str], *words: str) -> list[str]:
    return [line for line in lines if not any(word in line for word in words)]


def faults(world: FakeWorld) -> list[str]:
    return forwarding.faults(world, [current(world).manifest])


@pytest.mark.parametrize("version", FILTERS)
def test_firewall_rules_of_docker_have_no_fault(version):
    assert faults(rules(publishing(watchme()), filters=FILTERS[version])) == []


LOST = {
    "flushed": (["-P PREROUTING ACCEPT", "-N DOCKER"], ["-P FORWARD DROP", "-N DOCKER"], f"nat PREROUTING, filter FORWARD, nat POSTROUTING of {SUBNET}"),
    "restored from a file": ([], ["-P FORWARD ACCEPT"], f"nat DOCKER, nat PREROUTING, filter DOCKER, filter FORWARD, nat POSTROUTING of {SUBNET}"),
    "nat only": (without(NAT, "DOCKER", "MASQUERADE"), FILTERS["28"], f"nat DOCKER, nat PREROUTING, nat POSTROUTING of {SUBNET}"),
    "one network's": (without(NAT, SUBNET), FILTERS["28"], f"nat POSTROUTING of {SUBNET}"),
    "forwarding": (NAT, without(FILTERS["20.10"], "-A FORWARD"), "filter FORWARD"),
    "forwarding but for a person's own chain": (NAT, [line for line in FILTERS["28"] if line != "-A FORWARD -j DOCKER-FORWARD"], "filter FORWARD"),
    "all that the chain had": (NAT, without(FILTERS["28"], "-A DOCKER-FORWARD"), "filter DOCKER-FORWARD"),
    "chains between networks": (NAT, without(FILTERS["20.10"], "ISOLATION"), "filter DOCKER-ISOLATION-STAGE-1, filter DOCKER-ISOLATION-STAGE-2"),
    "after a rule that drops": (NAT, ["-A FORWARD -j DROP", *FILTERS["28"]], "filter FORWARD before a DROP"),
    "after one that logs and one that drops": (NAT, ["-A FORWARD -j LOG", "-A FORWARD -j REJECT --reject-with icmp-port-unreachable", *FILTERS["29"]], "filter FORWARD before a DROP"),
    "a port": (without(NAT, "--dport 8014"), FILTERS["28"], "nat DOCKER of port 8014"),
    "all ports": ([*without(NAT, "-A DOCKER"), "-A DOCKER -i docker0 -j RETURN"], FILTERS["20.10"], "nat DOCKER of port 8014"),
}  # fmt: skip


@pytest.mark.parametrize(("nat", "filters", "named"), LOST.values(), ids=LOST)
def test_lost_rules_are_named(nat, filters, named):
    world = rules(watchme() if "PREROUTING" in named else publishing(watchme()), nat, filters)
    assert faults(world) == [f"firewall rules of Docker are missing ({named})"]


HELD_OTHERWISE = {
    "it ended": {"State": "exited"},
    "it is another's": {"Names": ["/cache"]},
    "over IPv6 alone": {"Ports": [{"IP": "::1", "PrivatePort": 8014, "PublicPort": 8014, "Type": "tcp"}]},
    "not published": {"Ports": [{"PrivatePort": 8014, "Type": "tcp"}]},
    "in a network of another kind": {"network": "routed"},
    "also in one": {"NetworkSettings": {"Networks": {"routed": {}, "watchme-network": {}}}},
}


@pytest.mark.parametrize("changes", HELD_OTHERWISE.values(), ids=HELD_OTHERWISE)
def test_a_port_that_needs_no_rule_lacks_none(changes):
    assert faults(rules(publishing(watchme(), **changes), without(NAT, "--dport"))) == []


@pytest.mark.parametrize(
    "kind",
    [{"Internal": True}, {"Driver": "macvlan"}, {"Options": {f"{forwarding.OPTION}.gateway_mode_ipv4": "routed"}}],
)
def test_a_network_whose_addresses_are_not_translated_needs_no_rule(kind, monkeypatch):
    world = publishing(watchme())
    networks = [entry | kind for entry in json.loads(world.docker_has("/networks"))]
    has = world.docker_has
    monkeypatch.setattr(
        world,
        "docker_has",
        lambda path, timeout=10: json.dumps(networks).encode() if path == "/networks" else has(path),
    )
    assert faults(rules(world, without(NAT, "MASQUERADE", "--dport"))) == []


def test_a_docker_that_is_just_starting_has_lost_nothing(monkeypatch):
    world = rules(watchme(), [], [])
    monkeypatch.setattr(world, "sleep", lambda seconds: rules(world))
    assert faults(world) == []


ELSEWHERE = {
    "no iptables": lambda w: w.installed.discard("iptables"),
    "Docker writes no rules": lambda w: w.files.update({forwarding.SETTINGS: (b'{"iptables": false}', 0o644, "root", "root")}),
    "Docker writes nftables' rules": lambda w: w.files.update({forwarding.SETTINGS: (b'{"firewall-backend": "nftables"}', 0o644, "root", "root")}),
    "by its command line": lambda w: w.processes.update(dockerd=[["/usr/sbin/dockerd", "--iptables=false"]]),
    "by its command line, with nftables": lambda w: w.processes.update(dockerd=[["/usr/sbin/dockerd", "--firewall-backend", "nftables"]]),
    "by settings elsewhere": lambda w: (
        w.processes.update(dockerd=[["/usr/sbin/dockerd", "--config-file=/etc/d.json"]]),
        w.files.update({"/etc/d.json": (b'{"iptables": false}', 0o644, "root", "root")}),
    ),
    "Docker does not run": lambda w: w.processes.pop("dockerd"),
    "rules cannot be listed": lambda w: w.answers.update({"iptables": CommandResult(4, "Another app is currently holding the xtables lock")}),
    "the network is not there": lambda w: (w.docker.networks.pop("watchme-network"), rules(w, without(NAT, SUBNET))),
    "settings that are none": lambda w: w.files.update({forwarding.SETTINGS: (b"[1", 0o644, "root", "root")}),
}  # fmt: skip


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE)
def test_unknown_firewall_rules_are_not_a_fault(change):
    world = rules(watchme(), [], [])
    # The first answer that fits counts
    kept, world.answers = dict(world.answers), {}
    change(world)
    world.answers |= {key: value for key, value in kept.items() if key not in world.answers}
    assert faults(world) == []


def test_a_network_that_is_to_have_another_subnet_has_its_rules():
    """The release's subnet is not Docker's yet."""
    world = rules(watchme())
    manifest = {**current(world).manifest, "networks": [{"name": "watchme-network", "subnet": "172.30.0.0/16"}]}
    assert forwarding.faults(world, [current(world).manifest, manifest]) == []


@pytest.mark.parametrize("wrong", ["declined", "silent", "no JSON"])
def test_a_docker_that_does_not_say_ends_no_rollback(wrong, monkeypatch):
    world = rules(watchme(), [], [])

    def has(path, timeout=10):
        if wrong == "no JSON":
            return b"<html>"
        raise Declined("Docker answered 500 to /networks") if wrong == "declined" else OSError("timed out")

    monkeypatch.setattr(world, "docker_has", has)
    forwarding.restore(world, [current(world).manifest], print)
    forwarding.check(world, [current(world).manifest])
    assert not world.commands("systemctl restart docker")


def test_docker_is_not_restarted_where_that_would_end_another_container():
    world = rules(watchme(), [], [])
    world.docker.run_by_hand("c" * 64, "cache")
    container = world.docker.foreign["c" * 64]
    container["HostConfig"]["RestartPolicy"] = {"Name": "no"}
    listed = [{"Id": "c" * 64, "Names": ["/cache"], "State": "running"}]
    has = world.docker_has
    world.docker_has = lambda path, timeout=10: json.dumps(listed).encode() if "json?all" in path else has(path)  # type: ignore[method-assign]
    with pytest.raises(Failed, match="cache would not start again"):
        forwarding.restart(world, [current(world).manifest])
    container["HostConfig"]["RestartPolicy"] = {"Name": "always"}
    forwarding.restart(world, [current(world).manifest])
    assert world.commands("systemctl restart docker.service")


def test_a_restart_that_changed_nothing_is_not_tried_again():
    met = ConditionResult("container-traffic", "Docker", 1, True, "", "restart docker")
    tried = [Repair(1000.0, "container-traffic", "Docker", "restart docker", False, "and still")]
    assert "no more automatic attempts" in repairs.why_not(met, tried, 50_000.0)


def test_port_held_for_a_removed_container_is_reported():
    world = rules(watchme())
    world.processes["docker-proxy"] = [LEFT]
    assert faults(world) == ["port 8014 is still held for a container that no longer exists"]
    world.docker.run_by_hand("c" * 64, "cache")
    world.docker.foreign["c" * 64]["NetworkSettings"] = {"Networks": {"x": {"IPAddress": "172.27.0.216"}}}
    assert faults(world) == []
    world.processes["docker-proxy"] = [[*LEFT[:6], "5999", *LEFT[7:]], ["/usr/sbin/docker-proxy"]]
    world.docker.foreign.clear()
    assert faults(world) == []


def test_a_container_that_is_just_starting_is_no_fault(monkeypatch):
    world = rules(watchme())
    world.processes["docker-proxy"] = [LEFT]

    def started(seconds):
        world.docker.run_by_hand("c" * 64, "cache")
        world.docker.foreign["c" * 64]["NetworkSettings"] = {"Networks": {"x": {"IPAddress": "172.27.0.216"}}}

    monkeypatch.setattr(world, "sleep", started)
    assert faults(world) == []


@pytest.mark.parametrize("kind", ["rules", "port"])
def test_a_release_is_refused_before_a_container_is_touched(kind):
    world = rules(watchme(), *(([], []) if kind == "rules" else ()))
    world.processes["docker-proxy"] = [LEFT] if kind == "port" else []
    before, world.ran = world.seen_by_programs(), []
    outcome = applied(world, release(bigger))
    assert outcome.outcome == "refused" and "`systemctl restart docker` on the host fixes this" in outcome.line
    assert world.seen_by_programs() == before and not world.commands("systemctl restart")


def test_a_recovery_restarts_docker_first():
    """The host lost its power in the switch, and Docker holds the port of the container that was being replaced."""
    world = rules(watchme())

    def power_cut(urls):
        raise Killed

    with pytest.raises(Killed):
        applied(world, release(bigger), job=replace(JOB, confirm=power_cut))
    world.processes["docker-proxy"] = [LEFT]
    world.ran = []
    found = recover(world, JOB, "the host restarted midway")
    assert found and found[1].outcome == "rolled back"
    restarts = world.commands("systemctl restart")
    assert restarts[0] == f"systemctl restart {forwarding.UNIT}" and len(restarts) > 1


def test_a_release_without_containers_asks_for_nothing():
    world = rules(watchme(), [], [])
    empty = {**release().manifest, "containers": [], "networks": []}
    forwarding.check(world, [empty])
    assert not world.commands("iptables")


REACHES = {
    "a container": (lambda pid, address, port: address != "172.27.0.17", "(ast-api): watchme-avatar-uploader cannot connect to it"),
    "a registry": (lambda pid, address, port: port != 443, "(watchme-network): this host reaches 754724220380.dkr.ecr.ap-northeast-1.amazonaws.com, and"),
}  # fmt: skip


@pytest.mark.parametrize(("reaches", "said"), REACHES.values(), ids=REACHES)
def test_unreachable_address_of_a_container_is_reported_but_not_repaired(reaches, said):
    world = rules(watchme())
    world.reaches = reaches
    look = HostFacts(world, current(world))
    (found,) = [entry for entry in firing(look) if entry.alert == "container-traffic"]
    assert said in found.text and found.repair == ""


def test_registry_unreachable_from_the_host_is_not_reported_for_containers(monkeypatch):
    world = rules(watchme())
    world.reaches = REACHES["a registry"][0]
    monkeypatch.setattr(world, "reachable_address", lambda name, port: "")
    assert not [entry for entry in firing(HostFacts(world, current(world))) if entry.alert == "container-traffic"]


def test_lost_rules_are_put_back_by_a_restart_of_docker():
    world = rules(watchme(), [], [])
    look = HostFacts(world, current(world))
    (found,) = [entry for entry in firing(look) if entry.alert == "container-traffic"]
    assert (found.subject, found.repair) == ("Docker", "restart docker")
    assert repairs.repair(look, found) == "Docker and every container were restarted"
    assert f"systemctl restart {forwarding.UNIT}" in world.ran
    # Before anything else that needs Docker
    assert next(iter(repairs.REPAIRS)) == "restart docker"
