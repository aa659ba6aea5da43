"""A lab beside a machine's own programs, and out of reach of other machines."""

import http.client
import json
import socket

import pytest

from lab import ports, services
from lab.run import run
from lab.settings import REGIONS
from tests.system import neighbours
from tests.system.conftest import System
from tests.system.on import ec2

pytestmark = pytest.mark.lab
REGION = "ap-northeast-1"


def greeting(address: str, port: int) -> bytes:
    with socket.create_connection((address, port), 5) as connection:
        return connection.recv(64)


def test_occupied_ports_stay_with_their_programs(system: System, programs: neighbours.Programs):
    """They were taken on all addresses before this lab started, and nothing that was meant for it came there."""
    assert programs.sockets, "no port could be taken: another program of this machine has them all"
    assert [visit for visit in programs.visitors if visit[1] != neighbours.THERE] == []
    for port, kind in programs.sockets:
        if kind == "tcp":
            assert greeting("127.0.0.1", port) == neighbours.GREETING


def test_the_usual_ports_of_the_labs_addresses_are_the_labs(system: System):
    address = system.inner_address()
    public = next(host for host in addresses(system) if host.startswith("127."))
    assert greeting(public, 22).startswith(b"SSH-2.0-")
    assert greeting(address, 22).startswith(b"SSH-2.0-")


def addresses(system: System) -> list[str]:
    return [value["PublicIp"] for value in ec2(system, REGION).describe_addresses()["Addresses"]]


@pytest.mark.nightly
def test_lab_is_unreachable_from_another_machine(system: System, programs: neighbours.Programs):
    lab = system.lab
    inner = [lab.gateway, *(lab.registry_address(region) for region in REGIONS)]
    places = [(address, port) for address in inner for port in ports.INNER_TCP]
    places += [(address, port + lab.shift) for address, port in places]
    places += [(system.inner_address(host), port) for host in ("watchme", "services", "home") for port in ports.PUBLIC]
    places += [(address, port) for address in addresses(system) for port in (22, 22 + lab.shift)]
    # What would listen on all addresses, or on the wrong one
    own = sorted({*ports.PUBLIC, *ports.INNER_TCP, *ports.SERVICES_TCP})
    places += [(neighbours.HERE, port + lab.shift) for port in own]
    places += [(lab.services, port + extra) for port in ports.SERVICES_TCP for extra in (0, lab.shift)]
    with neighbours.machine():
        # It reaches this machine's own programs, so that the silence of the rest means something
        assert neighbours.reaches(neighbours.HERE, 80)
        reached = [place for place in places if neighbours.reaches(*place, seconds=0.3)]
    assert reached == []


def test_a_container_of_another_network_reaches_nothing_of_the_lab(system: System, programs: neighbours.Programs):
    """The machine's other bridges are neighbours as well."""
    lab = system.lab
    # Docker names the bridge's own address only from the daemon's second start on
    found = json.loads(run("ip", "-j", "-4", "address", "show", "dev", "docker0"))
    bridge = found[0]["addr_info"][0]["local"]
    places = [(lab.gateway, 443), (lab.gateway, 443 + lab.shift), (lab.registry_address(REGION), 443)]
    places += [(system.inner_address(), 22)]
    tries = [f"timeout 1 bash -c '</dev/tcp/{host}/{port}' && echo {host}" for host, port in [(bridge, 80), *places]]
    script = "; ".join(f"{{ {one}; }} 2>/dev/null" for one in tries)
    command = ["docker", "run", "--rm", "--entrypoint", "bash", lab.image(), "-c", f"{script}; true"]
    assert run(*command).split() == [bridge]


def test_port_is_open_only_with_a_security_group_rule(system: System):
    client = ec2(system, REGION)
    found = client.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["lab-watchme"]}])
    instance = next(
        one for entry in found["Reservations"] for one in entry["Instances"] if one["State"]["Name"] == "running"
    )
    group, public = instance["SecurityGroups"][0]["GroupId"], instance["PublicIpAddress"]
    rule = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]}]
    other = system.inner_address("watchme")
    assert greeting(public, 22).startswith(b"SSH")
    client.revoke_security_group_ingress(GroupId=group, IpPermissions=rule)
    try:
        with pytest.raises(OSError):
            socket.create_connection((public, 22), 2)
    finally:
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=rule)
    assert greeting(public, 22).startswith(b"SSH")
    # Between hosts: 443 is open to all, 22 to administrators alone
    assert system.on_host("bash", "-c", f"timeout 3 bash -c '</dev/tcp/{other}/443'", host="services").code == 0
    assert system.on_host("bash", "-c", f"timeout 3 bash -c '</dev/tcp/{other}/22'", host="services").code != 0


def test_port_without_a_rule_is_closed(system: System):
    """A program of the machine that listens on all addresses does not answer for a host."""
    with socket.socket() as own:
        own.bind(("0.0.0.0", 0))
        own.listen(1)
        with pytest.raises(OSError):
            socket.create_connection((addresses(system)[0], own.getsockname()[1]), 2)


SCOPE = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261127/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
STRANGERS = {
    "moto's own page": ("/moto-api/data.json", {}),
    "moto's own page, another spelling": ("//moto-api/data.json", {}),
    "by a name": ("/moto-api/data.json", {"Host": "motoapi.amazonaws.com"}),
    "by a signature": ("/moto-api/data.json", {"Authorization": SCOPE.format("moto_api")}),
    "recorded requests": ("/moto-api/recorder/download-recording", {}),
    "metadata": ("/latest/meta-data/iam/security-credentials/", {}),
    "metadata of a role": ("/latest/meta-data/iam/security-credentials/default-role", {}),
    "keys, without a login": ("/?Action=ListAccessKeys&UserName=lab-admin&Version=2010-05-08", {}),
    "keys, with a made-up login": (
        "/?Action=ListAccessKeys&UserName=lab-admin&Version=2010-05-08",
        {"Authorization": SCOPE.format("iam")},
    ),
}


@pytest.mark.parametrize(("path", "headers"), STRANGERS.values(), ids=STRANGERS)
def test_local_user_without_a_key_gets_none(system: System, path, headers):
    keys = services.credentials(system.lab)
    connection = http.client.HTTPConnection(system.lab.services, ports.API, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    assert answer.status >= 400, text[:300]
    assert not any(value in text for value in keys.values())
    assert "SecretAccessKey" not in text
