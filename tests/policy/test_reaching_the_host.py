"""Every way in which a file or a unit of a stack gives a container more of its host: each is a finding of the policy."""

import pytest

from policy import rules
from policy.facts import Facts


def found(path: str, text: str) -> str:
    return "\n".join(map(str, rules.ports(Facts("prod", files={"web1": {path: text}}))))


RUN = {
    "--network name=host": "the host's network", "--network=alias=a,name=host": "the host's network", "--net host": "the host's network",
    "--privileged": "root rights on the host", "--privileged=true": "root rights on the host", "--use-api-socket": "root rights on the host",
    "--pid=host": "shares a namespace of the host", "--ipc host": "shares a namespace of the host", "--uts host": "shares a namespace of the host", "--userns=host": "shares a namespace of the host",
    "--cgroupns host": "shares a namespace of the host", "--cap-add=ALL": "an extra capability", "--cap-add sys_admin": "an extra capability",
    "--security-opt seccomp=unconfined": "unconfined", "-v /var/run/docker.sock:/s": "mounts the host's sockets",
    "--volume=/:/host:ro": "mounts the host's sockets", "-v /var/../run:/r": "mounts the host's sockets",
    "--mount type=bind,source=/run/docker.sock,target=/s": "mounts the host's sockets", "--no-deps -p 80:80": "port 80:80",
    "-v/:/h": "mounts the host's sockets", "-itv /:/h": "mounts the host's sockets", "-itP": "all ports", "-it -p=80:80": "port 80:80",
    "-v ../../var/run/docker.sock:/s": "mounts the host's sockets", "-v /etc:/h": "mounts a host path",
    "-v /etc:/h:ro": "mounts a host path", "-v /etc/cron.d:/h": "mounts a host path",
    "--mount type=bind,src=/root,dst=/h": "mounts a host path", "--device /dev/sda": "access to a host device",
    "--device=/dev/mem:/dev/mem:r": "access to a host device", "-v ${D:-/var/run}/docker.sock:/s": "mounts the host's sockets",
}  # fmt: skip
FINE = [
    "--network web", "--network name=hostile", "--privileged=false", "--pid container:db", "--cap-add NET_ADMIN",
    "--security-opt no-new-privileges", "-v data:/run", "-v /srv/shop:/data", "--mount type=volume,source=data,target=/run",
    "-p 127.0.0.1:80:80", "--rm --name a", "-v/srv/shop:/data", "-itv data:/run", "-dp127.0.0.1:80:80", "-v /etc/shop:/data",
    "-v /etc/localtime:/etc/localtime:ro", "-v /etc/hosts:/etc/hosts:ro", "--device /dev/dri", "--device nvidia.com/gpu=all",
    "--device /dev/ttyUSB0:/dev/tty", "-v ./data:/data", "-v %h/data:/data", "-v /dev/null:/x",
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


COMMANDS = {
    '/bin/sh -c "docker exec y ls; docker run --privileged -p 0.0.0.0:80:80 y"': "root rights on the host",
    "docker run a && docker run --privileged y": "root rights on the host",
    "docker run a ; docker run --privileged y": "root rights on the host",
    "sh -c 'docker pull y && (docker run --privileged y || true)'": "root rights on the host",
    "sh -c 'docker run -e A=$$(cat /x) --privileged y 2>&1'": "root rights on the host",
    "sh -c 'exec docker run 2>&1 --privileged y'": "root rights on the host",
    "timeout 5 sh -c 'docker run --privileged y'": "root rights on the host",
    "docker --log-level exec run --privileged y": "root rights on the host",
    "docker-compose run -p 80:80 y": "port 80:80",
    "docker-compose -f c.yml run -p 80:80 y": "port 80:80",
}
OTHERS = [
    "docker -D exec db mysql run -p secret",
    "sh -c 'docker exec db mysqldump -p x; echo done'",
    "sh -c 'docker run --rm a --privileged; curl -p 80:80'",
    "docker exec y sh -c 'docker run --privileged y'",
    "docker-compose run --service-ports y",
    "sh -c 'docker ps | grep run -p 80'",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_a_shells_text(command):
    assert COMMANDS[command] in found("/etc/systemd/system/a.service", f"[Service]\nExecStart={command}\n")


@pytest.mark.parametrize("command", OTHERS)
def test_a_command_that_starts_nothing_of_the_hosts(command):
    assert found("/etc/systemd/system/a.service", f"[Service]\nExecStart={command}\n") == ""


def test_a_service_of_a_compose_file_that_a_unit_runs():
    unit = "[Service]\nExecStart=docker compose -p web -f /srv/c.yml run {} web\n"
    assert "port 80:80" in found("/a.service", unit.format("--rm --publish 80:80"))
    assert "port 80:80" in found("/a.service", unit.format("-T -p 80:80"))
    # Its ports are looked at in its file
    assert found("/a.service", unit.format("--service-ports")) == found("/a.service", unit.format("-P")) == ""


A = "services: {a: {%s}}"
COMPOSE = {
    "networks: {n: {external: {name: host}}}\nservices: {}": "network n is the host's, or bypasses",
    "networks: {n: {driver: host}}\nservices: {}": "network n is the host's, or bypasses",
    "networks: {n: {driver: macvlan}}\nservices: {}": "network n is the host's, or bypasses",
    "networks: {n: {driver: ipvlan}}\nservices: {}": "network n is the host's, or bypasses",
    "networks: {n: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: routed}}}\nservices: {}": "bypasses the host's",
    "networks: {n: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv6: nat-unprotected}}}\nservices: {}": "bypasses the",
    "volumes: {v: {driver_opts: {type: none, o: bind, device: /}}}\nservices: {}": "volume v is a host directory",
    "volumes: {v: {driver_opts: {device: /var/run/docker.sock}}}\nservices: {}": "volume v is a host directory",
    "secrets: {s: {file: /etc/shadow}}\nservices: {}": "secrets s is a file of the host",
    "configs: {s: {file: /etc/shadow}}\nservices: {}": "configs s is a file of the host",
    "include: [/etc/other.yml]\nservices: {}": "includes or extends another file",
    A % "extends: {file: /etc/x.yml, service: b}": "includes or extends another file",
    A % "uts: host": "a has uts: host", A % "cgroup: host": "a has cgroup: host", A % "userns_mode: host": "a has userns_mode",
    A % "use_api_socket: true": "a has root rights on the host", A % "post_start: [{privileged: true}]": "a has root rights on the host",
    A % "volumes: ['/var/../run/docker.sock:/s']": "a mounts Docker's socket",
    A % "pre_stop: [{privileged: true}]": "a has root rights on the host", A % 'pid: "${P:-host}"': "a has pid: ${P:-host}",
    A % 'ipc: "$P"': "a has ipc: $P", A % "devices: [/dev/sda]": "a has access to a host device (devices: /dev/sda)",
    A % "devices: [{source: /dev/mem, target: /dev/mem}]": "a has access to a host device",
    A % 'volumes: ["/etc:/h"]': "a mounts a host path (volumes: /etc)",
    A % 'volumes: ["../../../var/run/docker.sock:/s"]': "a mounts Docker's socket",
    A % "volumes: [{type: bind, source: ../etc, target: /h}]": "a mounts a host path",
    # The program by which copies of a spread service are asked may only be read
    A % "volumes: [{type: bind, source: /bin/busybox, target: /.infra/busybox}]": "a mounts a host path",
    A % 'volumes: ["${D:-/var/run}/docker.sock:/s"]': "a mounts Docker's socket", A % 'volumes: ["/var/$D:/s"]': "a mounts Docker's socket",
    A % 'security_opt: ["${S:-seccomp=unconfined}"]': "a has security_opt", A % 'security_opt: ["seccomp=$S"]': "a has security_opt",
    'networks: {n: {driver: "${N:-host}"}}\nservices: {}': "network n is the host's, or bypasses",
    "secrets: {s: {file: ../etc/shadow}}\nservices: {}": "secrets s is a file of the host",
    'volumes: {v: {driver_opts: {device: "${D:-/run}"}}}\nservices: {}': "volume v is a host directory",
}  # fmt: skip
PLAIN = [
    "networks: {n: {external: true, name: shop}, m: {driver: bridge}}\nservices: {}",
    "networks: {n: {driver_opts: {com.docker.network.driver.mtu: 1400}}}\nservices: {}",
    "volumes: {v: {driver_opts: {device: /srv/shop}}, w: null}\nservices: {}",
    "secrets: {s: {file: ./token}}\nconfigs: {c: {content: x}}\nservices: {}",
    A
    % "volumes: [./data:/data, ../x:/x, '/srv/${N:-a}/data:/d', /etc/localtime:/etc/localtime:ro], devices: [/dev/dri, 'a.b/c=d']",
    A % "volumes: [{type: bind, source: /bin/busybox, target: /.infra/busybox, read_only: true}]",
    A % "security_opt: ['no-new-privileges:true', 'apparmor=${P}-shop'], pre_stop: [{command: x}], ipc: 'service:${N}'",
    A
    % "volumes: ['/srv/run:/s', 'run:/t', '${DATA:-./data}:/u', '$PWD/x:/v', '${PWD}/y:/w'], post_start: [{command: x}], uts: ''",
]


@pytest.mark.parametrize("text", COMPOSE)
def test_a_key_of_a_compose_file(text):
    assert COMPOSE[text] in found("/srv/c.yml", text)


@pytest.mark.parametrize("text", PLAIN)
def test_a_key_that_gives_nothing(text):
    assert found("/srv/c.yml", text) == ""
