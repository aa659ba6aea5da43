"""Compose files as services, as people write them."""

from typing import Any

import pytest
import yaml

from catalogue.masking import MARK
from infra.adopt.host import compose, understanding
from infra.adopt.host.remarks import Remark
from infra.errors import InfraError
from tests.adopt.compose_hosts import BODY, PATH, REGISTRY, UNIT, host, read
from tests.adopt.hosts import containers_of
from tests.support import stack

PLAIN = {
    "name": "shop", "kind": "compose", "purpose": "The shop", "unit": "shop.service", "port": 8001,
    "memory": {"limit": "1g"}, "directory": "/srv/shop", "image": {"repository": "shop", "tag": "latest"},
    "container": "shop", "address": "172.28.0.9", "compose_key": "api",
}  # fmt: skip


def test_rendered_compose_file_is_read_back_unchanged():
    found, remarks = read(BODY)
    assert found == PLAIN
    network = {r.text for r in remarks if r.kind == "does not fit"}
    assert network == {"no unit creates it: shop-network.service will"}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in BODY.items() if key != name}


NO_ADDRESS = {"address": None}
FOUND = "as it was found"
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "another registry": (BODY | {"image": "redis:7"}, {}, {"image": {"repository": "docker.io/library/redis", "tag": "7"}}, ""),
    "a registry of another name": (BODY | {"image": "ghcr.io/owner/shop:1.2"}, {}, {"image": {"repository": "ghcr.io/owner/shop", "tag": "1.2"}}, ""),
    "another registry's latest": (BODY | {"image": "redis"}, {"digests": [f"redis@sha256:{'b' * 64}"]}, {"image": {"repository": "docker.io/library/redis", "digest": f"sha256:{'b' * 64}"}}, "the one that runs now is taken, by its digest"),
    "another registry's latest that does not run": (BODY | {"image": "redis"}, {"digests": []}, {"image": {"repository": "docker.io/library/redis", "tag": "latest"}}, "names no version"),
    "an image by digest": (BODY | {"image": f"{REGISTRY}/shop@sha256:{'a' * 64}"}, {}, {"image": {"repository": "shop", "digest": f"sha256:{'a' * 64}"}}, ""),
    "another region": (BODY | {"image": f"{REGISTRY.replace('northeast-1', 'southeast-2')}/shop"}, {}, {}, "its image is from account 754724220380, ap-southeast-2"),
    "a variable for the tag": (BODY | {"image": "${REGISTRY}/shop:${TAG}"}, {"image": f"{REGISTRY}/shop:v3"}, {"image": {"repository": "shop", "tag": "v3"}}, ""),
    "open to the world": (BODY | {"ports": ["8001:8001"]}, {}, {}, "publishes 8001 to the world"),
    "a port as a mapping": (BODY | {"ports": [{"target": 8001, "published": 8001, "host_ip": "127.0.0.1"}]}, {}, {}, ""),
    "another port inside": (BODY | {"ports": ["127.0.0.1:8001:80"]}, {}, {"container_port": 80}, ""),
    "no port": (without("ports"), {}, {"port": None}, ""),
    "its container": (
        BODY | {
            "command": "serve --name 'a b' $$HOME", "user": 1000, "init": True, "cap_drop": ["ALL"], "tmpfs": "/tmp",
            "sysctls": ["net.core.somaxconn=1024"], "extra_hosts": {"db": "10.0.0.5"}, "shm_size": 67108864, "cpus": "0.5",
            "labels": {"team": "shop", "com.docker.compose.project": "x"}, "stop_grace_period": "1m30s",
            "ulimits": {"nofile": 1024},
        }, {}, {
            "command": ["serve", "--name", "a b", "$HOME"], "user": "1000", "init": True, "cap_drop": ["ALL"], "tmpfs": ["/tmp"],
            "sysctls": {"net.core.somaxconn": "1024"}, "extra_hosts": ["db:10.0.0.5"], "shm_size": "64m", "cpus": 0.5,
            "labels": {"team": "shop"}, "stop_grace_period": "1m30s", "ulimits": {"nofile": {"soft": 1024, "hard": 1024}},
        }, "",
    ),
    "its volumes": (
        BODY | {"volumes": ["./data:/data", "db:/var/lib/db:ro", "/srv/x/:/x/", {"type": "tmpfs", "target": "/t"}]},
        {"volumes": {"/var/lib/db": "shop_db"}},
        {"volumes": [
            {"type": "bind", "source": "/srv/shop/data", "target": "/data"},
            {"type": "volume", "source": "shop_db", "target": "/var/lib/db", "read_only": True},
            {"type": "bind", "source": "/srv/x", "target": "/x"}, {"type": "tmpfs", "target": "/t"},
        ]}, "",
    ),
    "a volume without a name": (BODY | {"volumes": ["/data"]}, {}, {}, "its volumes: /data is an anonymous volume"),
    "a secret in its command": (BODY | {"command": f"serve --key {MARK}"}, {}, {}, "its command: holds what may be a secret"),
    "a password in a list": (BODY | {"healthcheck": {"test": ["CMD", "redis-cli", "-a", "pw12sec", "ping"]}}, {}, {}, "its healthcheck: holds what may be a secret"),
    "a password behind its option": (BODY | {"command": ["mysqladmin", "-uroot", "-ppw9secret"]}, {}, {}, "its command: holds what may be a secret"),
    "a password in a call": (BODY | {"command": ["--eval", "db.auth('root','pw20sec')"]}, {}, {}, "its command: holds what may be a secret"),
    "a port that is no password": (BODY | {"command": ["serve", "-p", "8001"]}, {}, {"command": ["serve", "-p", "8001"]}, ""),
    "a processor that is no number": (BODY | {"cpus": "1.2.3"}, {}, {}, "its cpus"),
    "devices that are a number": (BODY | {"deploy": {"resources": {"reservations": {"devices": 5}}}}, {}, {}, "only a count of NVIDIA GPUs, or all"),
    "a variable in its command": (BODY | {"command": "serve ${PORT}"}, {}, {}, "its command: has a variable of Compose's"),
    "volumes that are a word": (BODY | {"volumes": "x"}, {}, {}, "its volumes cannot be read"),
    "what it waits for is a word": (BODY | {"depends_on": "db"}, {}, {}, "its depends_on cannot be read"),
    "resources that are a word": (BODY | {"deploy": {"resources": "x"}}, {}, {}, ""),
    "a command as its health": (
        BODY | {"healthcheck": {"test": "pg_isready -U $$USER", "interval": "5s"}}, {},
        {"health": {"command": "pg_isready -U $USER", "interval": "5s"}}, "",
    ),
    "a health check that is off": (BODY | {"healthcheck": {"disable": True}}, {}, {"health": "running"}, ""),
    "what is not for one host": (BODY | {"deploy": {"placement": {}}}, {}, {}, "its deploy.placement: the catalogue has no such"),
    "several of it": (BODY | {"deploy": {"replicas": 3}}, {}, {"replicas": 3}, ""),
    "the host's network": (BODY | {"network_mode": "host"}, {}, {"network_mode": "host", "exceptions": {"host-network": FOUND}}, "state a reason for exception host-network: network_mode: host"),
    "another one's network": (BODY | {"network_mode": "service:vpn"}, {}, {}, "its network_mode: Input should be 'host'"),
    "all rights": (BODY | {"privileged": True}, {}, {"privileged": True, "exceptions": {"privileged": FOUND}}, "state a reason for exception privileged: "),
    "a capability of the host's": (BODY | {"cap_add": ["SYS_ADMIN"]}, {}, {"cap_add": ["SYS_ADMIN"], "exceptions": {"capabilities": FOUND}}, "cap_add: SYS_ADMIN, which give rights on the host"),
    "Docker's socket": (
        BODY | {"volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro", "/:/host:ro"]}, {},
        {
            "volumes": [
                {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock", "read_only": True},
                {"type": "bind", "source": "/", "target": "/host", "read_only": True},
            ],
            "exceptions": {"host-paths": FOUND, "docker-socket": FOUND},
        }, "it can read / of the host",
    ),
    "ports of the world": (
        BODY | {"ports": ["127.0.0.1:8001:8001", "25:25", "0.0.0.0:51820:51820/udp"]}, {},
        {"publish": ["25", "51820/udp"], "exceptions": {"public-ports": FOUND}}, "it is public at 25/tcp, 51820/udp",
    ),
    "a port of one address": (
        BODY | {"ports": ["127.0.0.1:8001:8001", "10.0.0.5:9100:9100"]}, {}, {}, "publishes 10.0.0.5:9100 too: the catalogue has one port",
    ),
    "a port of both families": (BODY | {"ports": ["0.0.0.0:8001:8001", "[::]:8001:8001"]}, {}, {}, "publishes 8001 to the world: on 127.0.0.1 from then on"),
    "a port of the world before its own": (
        BODY | {"ports": ["25:25", "127.0.0.1:8001:8001"]}, {}, {"publish": ["25"], "exceptions": {"public-ports": FOUND}}, "public at 25/tcp",
    ),
    "what Docker says of UDP": (
        BODY | {"ports": ["${WG}:51820/udp"]}, {"ports": [["", 51820, 51820, "udp"], ["::", 51820, 51820, "udp"], ["", 0, 9, "tcp"]]},
        {"port": None, "publish": ["51820/udp"], "exceptions": {"public-ports": FOUND}}, "public at 51820/udp",
    ),
    "a port out of a range": (BODY | {"ports": ["127.0.0.1:8001:8001", "80-81:90"]}, {}, {}, "publishes 80-81:90, which the catalogue cannot say: left out"),
    "a migration": (BODY | {"depends_on": {"m": {"condition": "service_completed_successfully"}}}, {}, {}, "waits for m to end"),
    "what is not there": (BODY | {"depends_on": ["db"]}, {}, {}, "waits for db, which the catalogue does not have"),
    "two ports": (BODY | {"ports": ["127.0.0.1:8001:8001", "127.0.0.1:8002:8002"]}, {}, {}, "publishes 127.0.0.1:8002 too: the catalogue has one port of its host, 8001"),
    "memory of a deployment": (without("mem_limit") | {"deploy": {"resources": {"limits": {"memory": "512M"}}}}, {}, {"memory": {"limit": "512m"}}, ""),
    "memory with a point": (BODY | {"mem_limit": "1.5g"}, {}, {"memory": {"limit": "1536m"}}, ""),
    "memory in bytes": (BODY | {"mem_limit": 209715200}, {}, {"memory": {"limit": "200m"}}, ""),
    "memory that Docker limits": (without("mem_limit"), {"limit": 1024**3}, {}, ""),
    "no memory limit": (without("mem_limit"), {"limit": 0, "memory": 150 * 1024**2}, {"memory": {"limit": "320m", "observed": "150m"}}, "has no memory limit: it gets 320m"),
    "memory in use": (BODY, {"memory": 700 * 1024**2 + 1}, {"memory": {"limit": "1g", "observed": "701m"}}, ""),
    "an address of Docker's": (BODY | {"networks": ["shop-network"]}, {"networks": {"shop-network": "172.28.0.3"}}, NO_ADDRESS, ""),
    "two networks": (BODY, {"networks": {"shop-network": "172.28.0.9", "db": "172.20.0.2"}}, {}, "is in db too: the catalogue's containers are in shop-network alone"),
    "no name": (without("container_name"), {"name": "shop_api_1"}, {"name": "shop_api_1", "container": "shop_api_1"}, ""),
    "a health check": (BODY | {"healthcheck": {"test": ["CMD", "curl", "-f", "http://localhost:8001/up"]}}, {}, {"health": "/up"}, ""),
    "a health check of the image": (BODY, {"health": ["/ok"]}, {"health": "/ok"}, ""),
    "variables": (BODY | {"environment": {"MODE": "fast", "N": 3, "ON": True}}, {}, {"environment": {"MODE": "fast", "N": "3", "ON": "true"}}, ""),
    "variables in a list": (BODY | {"environment": ["MODE=fast=er"]}, {}, {"environment": {"MODE": "fast=er"}}, ""),
    "a masked variable": (BODY | {"environment": {"API_KEY": MARK, "MODE": "x"}}, {}, {"environment": {"MODE": "x"}, "secrets": ["API_KEY"]}, "API_KEY"),
    "a variable of the shell's": (BODY | {"environment": ["API_URL"]}, {}, {"secrets": ["API_URL"]}, "API_URL"),
    "a value with a variable": (BODY | {"environment": {"URL": "http://${HOST}"}}, {}, {"secrets": ["URL"]}, "URL"),
    "no environment": (BODY | {"environment": None}, {}, {}, ""),
    "a masked environment": (BODY | {"environment": MARK}, {}, {}, "its environment stays on the host, since it may be a secret: left out"),
    "an environment that is a word": (BODY | {"environment": "x"}, {}, {}, "its environment cannot be read: left out"),
    "an environment file that is none": (BODY | {"env_file": [1]}, {}, {}, "1 in its env_file cannot be read: left out"),
    "no environment file": (BODY | {"env_file": None}, {}, {}, ""),
    "an environment file without a path": (BODY | {"env_file": [{"required": False}]}, {}, {}, "in its env_file cannot be read: left out"),
    "masked ports": (BODY | {"ports": MARK}, {"ports": [["127.0.0.1", 8001, 8001]]}, {}, "its ports stays on the host"),
    "a port without a target": (BODY | {"ports": [{"published": 1}, "127.0.0.1:8001:8001"]}, {}, {}, "in its ports cannot be read"),
    "a masked health check": (BODY | {"healthcheck": MARK}, {}, {}, "its healthcheck stays on the host"),
    "a query in a health check": (BODY | {"healthcheck": {"test": "curl http://localhost:8001/up?a=b"}}, {}, {"health": "/up"}, ""),
    "a deployment that is a word": (BODY | {"deploy": {"resources": "x"}}, {}, {}, ""),
    "a network that is a word": (BODY | {"networks": {"shop-network": "x"}}, {}, NO_ADDRESS, ""),
    "networks that are a word": (BODY | {"networks": "shop-network"}, {}, NO_ADDRESS, "its networks cannot be read: left out"),
    "a value that no file can hold": (BODY | {"environment": {"A": "it's"}}, {}, {"environment": {"A": "it's"}}, ""),
    "a container that ends": (BODY | {"restart": "no"}, {}, {}, "its unit starts it again when it ends"),
    "logs with a bound": (BODY | {"logging": {"options": {"max-size": "10m"}}}, {}, {}, "the journal has its log"),
    "logs that go elsewhere": (BODY | {"logging": {"driver": "awslogs"}}, {}, {}, "its logging goes by awslogs"),
    "a value of two lines": (BODY | {"environment": {"A": "a\nb"}}, {}, {}, "the value of A has a line break: left out"),
}  # fmt: skip


# What would be lost: the service is an error until a person answers it
LOST = {
    "a volume without a name", "a secret in its command", "a password in a list", "a password behind its option",
    "a password in a call", "a processor that is no number", "devices that are a number", "a variable in its command",
    "volumes that are a word", "what it waits for is a word", "what is not for one host", "another one's network",
    "a port of one address", "a port out of a range", "a migration", "what is not there", "two ports", "two networks",
    "a masked environment", "an environment that is a word", "an environment file that is none",
    "an environment file without a path", "masked ports", "a port without a target", "a masked health check",
    "networks that are a word", "a value of two lines", "logs that go elsewhere",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_compose_notation_is_read(way):
    body, container, changes, said = WAYS[way]
    found, remarks = read(body, **container)
    unresolved = found.pop("unresolved", [])
    assert bool(unresolved) == (way in LOST) and (not unresolved or said in " | ".join(unresolved))
    assert found == {key: value for key, value in {**PLAIN, **changes}.items() if value is not None}
    assert said in " | ".join(f"{remark.text}" for remark in remarks)


LEFT_OUT = {
    "no image": (without("image"), {"image": ""}, "its image has no name: it is left out"),
    "not running and not enabled": (BODY, {"running": False}, "is not running, and no unit starts it"),
}


@pytest.mark.parametrize(("body", "container", "said"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_entry_that_cannot_be_a_service_is_left_out_with_a_remark(monkeypatch, body, container, said):
    monkeypatch.setitem(UNIT, "enabled", False)
    with pytest.raises(InfraError, match=r"Old\.example has no service that the catalogue could describe") as raised:
        read(body, **container)
    assert said in str(raised.value)


def test_a_container_elsewhere_moves_into_the_network():
    remarks: list[Remark] = []
    entry = compose.entries(host(without("networks"), networks={"shop_default": "172.19.0.2"}), remarks)[0]
    net = compose.Shared({"name": "shop-network", "subnet": "172.28.0.0/16"})
    assert net.fixed_address(entry, remarks) is None
    assert remarks[0].text == "its networks are shop_default: it moves into shop-network"


def test_only_a_configured_address_is_kept():
    remarks: list[Remark] = []
    net = compose.Shared({"name": "shop-network", "subnet": "172.28.0.0/16"})
    by_docker = compose.entries(host(without("networks"), networks={"shop-network": "172.28.0.2"}), remarks)[0]
    assert net.fixed_address(by_docker, remarks) is None and remarks == []
    fixed = host({**BODY, "networks": {"shop-network": {"ipv4_address": "172.28.0.9"}}})
    assert net.fixed_address(compose.entries(fixed, remarks)[0], remarks) == "172.28.0.9"


def test_containers_without_a_network_get_a_new_one():
    facts = host(without("networks"), networks={"bridge": "172.17.0.2"}) | {"networks": []}
    found = understanding.derive_system(facts, {}, stack(), "shop")
    assert found.system.network and found.system.network.name == "shop-network"
    assert found.system.compose_services[0].address is None
    assert "the containers share no network: they get shop-network" in " ".join(remark.text for remark in found.remarks)


@pytest.mark.parametrize("subnet", ["", "fd00::/64", "no"])
def test_network_without_an_ipv4_subnet_is_not_taken_over(subnet):
    facts = host(without("networks")) | {"networks": [{"name": "shop-network", "subnet": subnet, "gateway": ""}]}
    found = understanding.derive_system(facts, {}, stack(), "shop")
    assert found.system.network and str(found.system.network.subnet) == "172.30.0.0/16"
    assert "the containers share no network" in " ".join(remark.text for remark in found.remarks)


def test_ipv6_gateway_is_not_taken_over():
    facts = host(BODY) | {"networks": [{"name": "shop-network", "subnet": "172.28.0.0/16", "gateway": "fd00::1"}]}
    found = understanding.derive_system(facts, {}, stack(), "shop")
    assert found.system.network and str(found.system.network.gateway) == "172.28.0.1"


MAKES = {
    "a command": ("[Service]\nExecStart=/usr/bin/docker network create --subnet 172.28.0.0/16 shop-network\n", {}),
    "a compose file": ("[Service]\nExecStart=/usr/bin/docker-compose -f /srv/infra.yml up\n", {"/srv/infra.yml": "networks: {shop-network: {driver: bridge}}\n"}),
    "a name in a compose file": ("[Service]\n", {"/srv/infra.yml": "networks: {default: {name: shop-network}}\n"}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "files"), MAKES.values(), ids=MAKES)
def test_the_unit_that_makes_the_network_is_found(text, files):
    facts = host(BODY)
    unit = UNIT | {"name": "net.service", "path": "/etc/systemd/system/net.service", "text": text, "compose": [*files]}
    facts["units"], facts["compose"] = [unit, UNIT], facts["compose"] | files
    assert compose.network_unit(facts, "shop-network") == "net.service"
    found = understanding.derive_system(facts, {}, stack(), "shop")
    assert found.system.network and found.system.network.unit == "net.service"
    assert [service.name for service in found.system.active] == ["shop"]


def test_two_services_of_one_file_keep_their_keys_and_their_unit():
    text = yaml.safe_dump({"services": {"shop-api": BODY, "worker": BODY | {"container_name": "worker", "ports": ["127.0.0.1:8002:8002"], "networks": {"shop-network": {"ipv4_address": "172.28.0.8"}}}}})  # fmt: skip
    facts = host(BODY) | {"compose": {PATH: text}, "containers": containers_of(PATH, text)}
    found = understanding.derive_system(facts, {}, stack(), "shop").system.compose_services
    assert {(s.name, s.compose_key, s.unit) for s in found} == {
        ("shop-api", "shop-api", "shop.service"), ("worker", "worker", "shop.service"),
    }  # fmt: skip


def test_file_broken_by_masking_is_reported():
    facts = host(BODY)
    remarks: list[Remark] = []
    compose.entries(facts | {"compose": {PATH: f"services: {{api: {{secret: {MARK}"}}, remarks)
    assert any("cannot be read, perhaps since a secret was masked" in remark.text for remark in remarks)


def test_container_missing_from_its_compose_file_is_reported():
    facts = host(BODY)
    facts["containers"].append(facts["containers"][0] | {"name": "other", "key": "other", "files": [PATH]})
    remarks: list[Remark] = []
    assert len(compose.entries(facts, remarks)) == 1
    assert "does not define it (any more)" in remarks[0].text and remarks[0].where == "other"


@pytest.mark.parametrize("text", ["services: {api: x}", "services: x", "x", "networks: x", "networks: {a: x}", "- a"])
def test_compose_file_of_another_kind_is_reported_or_ignored(text):
    remarks: list[Remark] = []
    assert compose.entries(host(BODY) | {"compose": {PATH: text}}, remarks) == []
    assert compose.network_unit(host(BODY) | {"compose": {PATH: text}}, "shop-network") is None
    assert remarks
