"""Every way in which a file or a unit of a stack gives a container more of its host: each is a finding of the policy."""

import pytest

from policy import rules
from policy.facts import Facts


def found(path: str, text: str) -> str:
    return "\n".join(map(str, rules.ports(Facts("prod", files={"web1": {path: text}}))))


RUN = {
    "--network name=host": "own network", "--network=alias=a,name=host": "own network", "--net host": "own network",
    "--privileged": "own rights", "--privileged=true": "own rights", "--use-api-socket": "own rights",
    "--pid=host": "own processes", "--ipc host": "own processes", "--uts host": "own processes", "--userns=host": "own processes",
    "--cgroupns host": "own processes", "--cap-add=ALL": "a right of the host's", "--cap-add sys_admin": "a right of the host's",
    "--security-opt seccomp=unconfined": "unconfined", "-v /var/run/docker.sock:/s": "the host's sockets",
    "--volume=/:/host:ro": "the host's sockets", "-v /var/../run:/r": "the host's sockets",
    "--mount type=bind,source=/run/docker.sock,target=/s": "the host's sockets", "--no-deps -p 80:80": "port 80:80",
}  # fmt: skip
FINE = [
    "--network web", "--network name=hostile", "--privileged=false", "--pid container:db", "--cap-add NET_ADMIN",
    "--security-opt no-new-privileges", "-v data:/run", "-v /srv/shop:/data", "--mount type=volume,source=data,target=/run",
    "-p 127.0.0.1:80:80", "--rm --name a",
]  # fmt: skip


@pytest.mark.parametrize(
    "command", ["docker run", "podman-remote run", "docker container create", "docker service create"]
)
@pytest.mark.parametrize("options", RUN)
def test_an_option_in_a_unit(options, command):
    assert RUN[options] in found("/etc/systemd/system/a.service", f"[Service]\nExecStart={command} {options} image\n")


@pytest.mark.parametrize("options", FINE)
def test_an_option_that_gives_nothing(options):
    text = f"[Service]\nExecStart=/usr/bin/docker run {options} image --privileged --pid=host -p 80:80\n"
    assert found("/etc/systemd/system/a.service", text) == ""


def test_a_service_of_a_compose_file_that_a_unit_runs():
    unit = "[Service]\nExecStart=docker compose -p web -f /srv/c.yml run {} web\n"
    assert "port 80:80" in found("/a.service", unit.format("--rm --publish 80:80"))
    assert "port 80:80" in found("/a.service", unit.format("-T -p 80:80"))
    # Its ports are looked at in its file
    assert found("/a.service", unit.format("--service-ports")) == found("/a.service", unit.format("-P")) == ""


A = "services: {a: {%s}}"
COMPOSE = {
    "networks: {n: {external: {name: host}}}\nservices: {}": "network n is the host's own",
    "networks: {n: {driver: host}}\nservices: {}": "network n is the host's own",
    "networks: {n: {driver: macvlan}}\nservices: {}": "network n is the host's own, or reached past",
    "networks: {n: {driver: ipvlan}}\nservices: {}": "network n is the host's own, or reached past",
    "networks: {n: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: routed}}}\nservices: {}": "past the host's",
    "networks: {n: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv6: nat-unprotected}}}\nservices: {}": "past the",
    "volumes: {v: {driver_opts: {type: none, o: bind, device: /}}}\nservices: {}": "volume v is a place of the host's",
    "volumes: {v: {driver_opts: {device: /var/run/docker.sock}}}\nservices: {}": "volume v is a place of the host's",
    "secrets: {s: {file: /etc/shadow}}\nservices: {}": "secrets s is a file of the host's",
    "configs: {s: {file: /etc/shadow}}\nservices: {}": "configs s is a file of the host's",
    "include: [/etc/other.yml]\nservices: {}": "includes or extends another file",
    A % "extends: {file: /etc/x.yml, service: b}": "includes or extends another file",
    A % "uts: host": "a has uts: host", A % "cgroup: host": "a has cgroup: host", A % "userns_mode: host": "a has userns_mode",
    A % "use_api_socket: true": "a has Docker's own rights", A % "post_start: [{privileged: true}]": "a has Docker's own rights",
    A % "volumes: ['/var/../run/docker.sock:/s']": "a has Docker's socket",
}  # fmt: skip
PLAIN = [
    "networks: {n: {external: true, name: shop}, m: {driver: bridge}}\nservices: {}",
    "networks: {n: {driver_opts: {com.docker.network.driver.mtu: 1400}}}\nservices: {}",
    "volumes: {v: {driver_opts: {device: /srv/shop}}, w: null}\nservices: {}",
    "secrets: {s: {file: ./token}}\nconfigs: {c: {content: x}}\nservices: {}",
    A % "volumes: ['/srv/run:/s', 'run:/t'], post_start: [{command: x}], uts: ''",
]


@pytest.mark.parametrize("text", COMPOSE)
def test_a_key_of_a_compose_file(text):
    assert COMPOSE[text] in found("/srv/c.yml", text)


@pytest.mark.parametrize("text", PLAIN)
def test_a_key_that_gives_nothing(text):
    assert found("/srv/c.yml", text) == ""
