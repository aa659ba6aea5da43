"""A machine that this program did not make takes the same release: packages, login to the registry, certificate, proxy."""

import json
import re
from collections.abc import Iterator
from time import sleep

import pytest
import yaml

from lab import existing, registry
from lab.images import build_programs
from lab.registry import push_stub
from lab.run import run, succeeds, wait_until
from lab.settings import ACCOUNT
from tests.handmade import build_there
from tests.system.conftest import System

pytestmark = pytest.mark.lab
_number = iter(range(1, 100))
SYSTEM = "files/systems/workshop.yaml"
SHORT = 10  # seconds that a login lives here, in place of ECR's 12 hours
BODY = """system: workshop
document: a test's own
network: {name: workshop, subnet: 172.28.0.0/16, gateway: 172.28.0.1, unit: workshop-network.service}
sites:
  - {name: workshop.hey-watch.me, challenge: dns-01}
services:
  - name: bench
    kind: compose
    purpose: A service on the owner's own machine
    role: api
    image: {repository: workshop-bench}
    container: bench
    port: 8030
    address: 172.28.0.30
    routes: [{public: /bench/}]
    memory: {limit: 100m}
    directory: /srv/bench
    unit: workshop-bench.service
"""


@pytest.fixture
def workshop(system: System) -> Iterator[tuple[System, existing.Machine]]:
    """The stack with a second host, and as it was afterwards."""
    key = yaml.safe_load(system.lab.config_file.read_text())["config"]["infra:sshPublicKey"]
    machine = existing.start(system.lab, "workshop", 2, key)
    facts = {"port": 8030, "health": "/health", "prefix": "/"}
    push_stub(system.lab, "ap-northeast-1", "workshop-bench", facts, build_programs())
    (system.project / SYSTEM).write_text(BODY)
    values = existing.configuration(machine, "4g", "workshop")
    with system.configured(**{f"hosts.workshop.{name}": value for name, value in values.items()}):
        yield system, machine
    (system.project / SYSTEM).unlink()
    system.must_up()
    existing.remove(machine)


def on(machine: existing.Machine, *argv: str) -> str:
    return run("docker", "exec", machine.container, *argv).strip()


# What an owner runs without units of his own: two containers of a compose project in the service's directory
BY_HAND = """
docker network create --subnet 172.28.0.0/16 --gateway 172.28.0.1 workshop
mkdir -p /srv/bench
cat > /srv/bench/docker-compose.prod.yml <<'END'
services:
  bench: &bench
    image: IMAGE
    container_name: bench
    restart: always
    ports: ["127.0.0.1:8030:8030"]
    networks: [workshop]
    volumes: ["/data"]
  helper:
    <<: *bench
    container_name: bench-helper
    restart: unless-stopped
    ports: []
networks: {workshop: {external: true}}
END
docker-compose -f /srv/bench/docker-compose.prod.yml up -d
"""
INVENTORY = """
docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.State}} {{.Ports}} {{.Networks}}' | sort
docker inspect --format '{{.Name}} {{json .HostConfig.RestartPolicy}} {{json .Mounts}}' $(docker ps -aq) | sort
docker network ls --no-trunc --format '{{.ID}} {{.Name}}' | sort
docker volume ls --format '{{.Name}}' | sort
find /srv /etc/nginx /etc/systemd/system -type f -exec sha256sum {} + | grep -v /infra | sort -k 2
find /srv /etc/nginx /etc/systemd/system -type l -printf '%p -> %l\\n' | grep -v /infra | sort
ss -Hltn | awk '{print $4}' | sort
curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8030/health
"""


@pytest.mark.nightly
def test_failed_first_release_leaves_existing_services_running(workshop):
    system, machine = workshop
    image = f"{ACCOUNT}.dkr.ecr.ap-northeast-1.amazonaws.com/workshop-bench"
    build_there(system.lab, "ap-northeast-1", machine.container, "workshop-bench")
    on(machine, "sh", "-ec", BY_HAND.replace("IMAGE", f"{image}:latest"))
    wait_until("the answer of bench", lambda: inventory(machine)[-1] == "200")
    found = inventory(machine)
    # Two containers, the network and Docker's own three
    assert len([line for line in found if re.match("[0-9a-f]{64} [a-z]", line)]) == 6
    (system.project / SYSTEM).write_text(BODY.replace("port: 8030", "port: 8030\n    health: /missing"))
    # Programs that a host needs come before its first release; what is compared is what the release touches
    with system.configured(healthDeadline="8"):
        refused = system.up()
        assert refused.code != 0 and "rolled back on workshop" in refused.output, refused.output
        before = inventory(machine)
        # The preparation brought programs, with files of their own; of what ran nothing is another
        assert set(found) <= set(before), sorted(set(found) - set(before))
        again = system.up()
    assert "The host is as before" in again.output and inventory(machine) == before
    assert before[-1] == "200" and sum(" running " in line for line in before) == 2

    # A release that is healthy replaces the one container that has the service's name
    (system.project / SYSTEM).write_text(BODY)
    output = system.must_up()
    assert re.search(
        r"the existing container bench was replaced \(it differs: .*mem_limit.*\); its volumes are kept: ", output
    )
    after = inventory(machine)
    (helper,) = [line for line in before if " bench-helper running " in line]
    assert helper in after and not set(before) & {line for line in after if " bench " in line}
    assert {line for line in before if re.fullmatch("[0-9a-f]{64}", line)} <= set(after)


def inventory(machine: existing.Machine) -> list[str]:
    """Containers, networks, volumes, files, links, ports and the answer of what runs on the machine."""
    return on(machine, "sh", "-c", INVENTORY).splitlines()


@pytest.mark.nightly
def test_release_is_applied_to_an_existing_machine(workshop):
    system, machine = workshop
    output = system.must_up()
    assert "applied on workshop: release " in output
    status, _, body = system.ask("GET", "/bench/a/b", name="workshop.hey-watch.me")
    assert (status, json.loads(body)["service"]) == (200, "workshop-bench")
    assert json.loads(system.output("addresses"))["workshop"] == machine.address
    shown = system.command("infra", "status", "--stack", "lab", "--host", "workshop")
    assert shown.code == 0 and "services: 1 of 1 healthy" in shown.output

    # Its identity in AWS is a user's, whose key only root reads, and which may no more than a role may
    assert on(machine, "stat", "-c", "%a %U", "/root/.aws/credentials") == "600 root"
    secret = on(machine, "sed", "-n", "s/^aws_secret_access_key=//p", "/root/.aws/credentials")
    assert len(secret) > 20 and secret not in output
    assert secret not in system.lab.path("state/.pulumi/stacks/infra/lab.json").read_text()

    # A login that expires is renewed: by the helper, and by the timer where there is none
    registry.set_lifetime(system.lab, SHORT)
    try:
        on(machine, "rm", "-rf", "/root/.ecr")
        assert _pulls(system, machine)
        sleep(SHORT + 1)
        assert _pulls(system, machine)
        _login_by_timer(system, machine)
    finally:
        registry.set_lifetime(system.lab, None)


def _login_by_timer(system: System, machine: existing.Machine) -> None:
    on(machine, "mv", "/usr/bin/docker-credential-ecr-login", "/root/kept")
    refused = system.command("pulumi", "up", "--yes", "--skip-preview", "--stack", "lab", "--non-interactive")
    assert refused.code == 0
    with system.configured(**{"hosts.workshop.registryLogin": "timer"}):
        system.must_up()
        assert on(machine, "systemctl", "is-active", "infra-registry-login.timer") == "active"
        # From here on the test is the timer
        on(machine, "systemctl", "stop", "infra-registry-login.timer")
        on(machine, "systemctl", "start", "infra-registry-login.service")
        assert "credHelpers" not in on(machine, "cat", "/root/.docker/config.json")
        sleep(SHORT + 1)
        assert not _pulls(system, machine)
        on(machine, "systemctl", "start", "infra-registry-login.service")
        assert _pulls(system, machine)


def _pulls(system: System, machine: existing.Machine) -> bool:
    """Can the machine pull what it never had: what it has is taken for pulled without a login."""
    tag = f"probe{next(_number)}"
    facts = {"port": 8030, "health": "/health", "prefix": "/", "version": tag}
    push_stub(system.lab, "ap-northeast-1", f"workshop-bench:{tag}", facts, build_programs())
    name = on(machine, "docker", "inspect", "-f", "{{.Config.Image}}", "bench").split("@")[0]
    return succeeds("docker", "exec", machine.container, "docker", "pull", "-q", f"{name}:{tag}")
