"""The lab's ports, the rules that lead to them, security groups as a firewall, and memory groups: all as values."""

import socket
from types import SimpleNamespace

import pytest

from lab import network, ports
from lab.cloud import firewall
from lab.cloud.firewall import Host, Opening
from lab.cloud.meminfo import memory_group
from lab.settings import REGISTRIES, Lab


@pytest.fixture
def lab(tmp_path):
    return Lab("x", 99, tmp_path)


def test_the_first_free_shift_is_taken():
    assert ports.choose_shift(lambda port, kind: True) == 10000
    assert ports.choose_shift(lambda port, kind: port != 10022) == 11000
    assert ports.choose_shift(lambda port, kind: not (kind == "udp" and port < 16000)) == 11000
    assert ports.choose_shift(lambda port, kind: False) is None


def test_no_shifted_port_can_be_an_outgoing_connections():
    assert max({*ports.PUBLIC, *ports.INNER_TCP, *ports.SERVICES_TCP}) + max(ports.SHIFTS) < 32768


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_port_taken_on_all_addresses_is_free_on_none(kind):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        if kind == "tcp":
            taken.listen(1)
        port = taken.getsockname()[1]
        assert not ports.is_free_on(["127.99.255.1"])(port, kind)
    assert ports.is_free_on(["127.99.255.1"])(port, kind)


def test_rules_lead_only_the_labs_own_addresses(lab):
    own = {lab.public_network, lab.services, lab.gateway, *(lab.registry_address(region) for region in REGISTRIES)}
    for line in network.rules(lab)["nat"]:
        if line.startswith("-A"):
            words = line.split()
            assert words[words.index("-d") + 1] in own | {network.METADATA}
            assert words[1].startswith(f"{lab.bridge}-")


def test_the_metadata_address_is_led_for_hosts_alone(lab):
    lines = [line for line in network.rules(lab)["nat"] if network.METADATA in line]
    assert [line.split()[1] for line in lines] == [f"{lab.bridge}-in"]


def test_the_shift_is_in_every_rule(lab):
    lab.path("shift").write_text("13000")
    assert any("--dport 22 " in line and line.endswith(":13022") for line in network.rules(lab)["nat"])


def host(number: int, *openings: Opening) -> Host:
    return Host(f"10.213.99.{number}", f"10.20.1.{number}", f"127.99.0.{number}", openings)


def test_traffic_without_a_rule_is_dropped(lab):
    lines = firewall.rules(lab, [host(11, Opening("tcp", 443, 443, "0.0.0.0/0"))])
    public = [line for line in lines if "-d 127.99.0.11 " in line]
    assert public == [f"-A {lab.bridge}-sg -d 127.99.0.11 -p tcp -m conntrack --ctorigdstport 443:443 -j RETURN"]
    assert lines[-1] == f"-A {lab.bridge}-sg -d 127.99.0.0/16 -j DROP"
    assert f"-A {lab.bridge}-sg -d 10.213.99.11 -j DROP" in lines


def test_a_published_port_is_led_to_its_host(lab):
    opened = [
        Opening("tcp", 443, 443, "0.0.0.0/0"),
        Opening("tcp", 1883, 1884, "0.0.0.0/0"),
        Opening("udp", 53, 53, "0.0.0.0/0"),
    ]
    lines = firewall.published_rules(lab, [host(11, *opened), host(12)])
    at = f"-A {lab.bridge}-open -d 127.99.0.11 -p tcp --dport"
    assert lines == [
        f":{lab.bridge}-open - [0:0]", f"{at} 1883 -j DNAT --to-destination :11883", f"{at} 1884 -j DNAT --to-destination :11884",
    ]  # fmt: skip


def test_a_high_port_is_listened_on_below_it():
    assert (ports.shift_port(1883, 10000), ports.shift_port(60000, 10000)) == (11883, 50000)


def test_a_rule_for_every_port_publishes_none():
    assert firewall.published_ports([Opening("tcp", 0, 65535, "10.0.0.0/8"), Opening("tcp", 22, 22, "0.0.0.0/0")]) == []


def test_traffic_from_outside_the_range_is_dropped(lab):
    lines = firewall.rules(lab, [host(11, Opening("tcp", 22, 22, "203.0.113.0/24"))])
    assert not any("127.99.0.11" in line for line in lines)
    assert (
        f"-A {lab.bridge}-sg -d 10.213.99.11 -j DROP" in lines
        and f"-A {lab.bridge}-sg -d 127.99.0.0/16 -j DROP" in lines
    )


def test_hosts_reach_each_other_by_their_private_addresses(lab):
    one, two = host(11, Opening("tcp", 5432, 5432, "10.20.1.12/32")), host(12)
    lines = firewall.rules(lab, [one, two])
    for first in ("10.213.99", "10.20.1"):
        allowed = f"-A {lab.bridge}-sg -s {first}.12 -d {first}.11 -p tcp --dport 5432:5432 -j RETURN"
        dropped = [f"-A {lab.bridge}-sg -d {first}.{number} -j DROP" for number in (11, 12)]
        assert lines.index(allowed) < min(lines.index(line) for line in dropped)
        assert not any(f"-s {first}.11" in line for line in lines)


def test_every_protocol_of_a_group_itself(lab):
    rule = SimpleNamespace(
        ip_protocol="-1", from_port=None, to_port=None, cidr_ipv4=None, source_group={"GroupId": "sg-1"}
    )
    group = SimpleNamespace(ingress_rules=[rule])
    opened = firewall.openings([group], lambda id: ["10.20.1.12"])
    assert opened == (Opening("-1", 0, 65535, "10.20.1.12/32"),)
    lines = firewall.rules(lab, [host(11, *opened), host(12)])
    assert f"-A {lab.bridge}-sg -s 10.213.99.12 -d 10.213.99.11 -j RETURN" in lines


GROUPS = {
    "version 1": (
        "12:memory:/docker/abc/init.scope\n1:name=systemd:/docker/abc/init.scope\n0::/docker/abc/init.scope\n",
        "memory/docker/abc",
        {"memory.limit_in_bytes": "4096000", "memory.usage_in_bytes": "1024000"},
        "total_inactive_file 300\ntotal_active_file 200\n",
        4096000,
    ),
    "version 2": (
        "0::/system.slice/docker-abc.scope/init.scope\n",
        "system.slice/docker-abc.scope",
        {"memory.max": "4096000", "memory.current": "1024000"},
        "inactive_file 300\nactive_file 200\n",
        4096000,
    ),
}


@pytest.mark.parametrize(("cgroups", "place", "files", "stat", "limit"), GROUPS.values(), ids=GROUPS)
def test_memory_of_a_host_under_both_versions(tmp_path, cgroups, place, files, stat, limit):
    folder = tmp_path / place
    folder.mkdir(parents=True)
    for name, text in {**files, "memory.stat": stat}.items():
        (folder / name).write_text(text)
    group = memory_group(cgroups, tmp_path)
    assert group is not None and group.read() == (limit, 1024000, 500)


def test_a_group_without_a_limit_has_the_machines_memory(tmp_path):
    for name, text in {"memory.max": "max", "memory.current": "1", "memory.stat": ""}.items():
        (tmp_path / name).write_text(text)
    group = memory_group("0::/\n", tmp_path)
    assert group is not None and group.read()[0] > 1 << 30
