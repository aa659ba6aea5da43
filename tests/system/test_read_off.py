"""Native units on real machines, read off as a person made them by hand: system and user units, templates, sockets,
and the ports that their processes listen on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from catalogue.models import System
from infra.adopt import keys
from infra.adopt.host import reading, understanding
from tests.adopt import hosts
from tests.adopt.unseen import RECALL, TOTTON, VOCODER, WHISPER

pytestmark = pytest.mark.lab
# With two sites each route names its own
MACHINES = {
    "services": ("ubuntu", ["recall", "whisper"], RECALL | WHISPER - {"variant"} | {"recall-api.service: routes"}),
    "home": ("admin", ["totton", "vocoder"], TOTTON | VOCODER),
}


@contextmanager
def asked(system, host: str, user: str) -> Iterator[reading.Connection]:
    identity = system.project / "stack-key"
    identity.touch(0o600)
    identity.write_text(system.pulumi("config", "get", "--path", "infra:sshPrivateKey").output)
    address = json.loads(system.output("addresses"))[host]
    machine = reading.Machine(address, 22, user, identity, keys.fingerprint(address))
    with reading.connect(machine, lambda _: None) as there:
        yield there


def read(system, host: str, user: str) -> understanding.DerivedSystem:
    with asked(system, host, user) as there:
        facts = there.facts()
        # What is the lab's, and what a release brought to every host
        facts["units"] = [unit for unit in facts["units"] if not unit["name"].startswith("lab-")]
        facts["journald"].pop("/etc/systemd/journald.conf.d/00-infra.conf")
        names, stat = understanding.wanted_paths(facts)
        return understanding.derive_system(facts, there.entries([], names, stat), hosts.MADE.stack, host)


def together(names: list[str]) -> System:
    """Several systems as the one that a host has."""
    parts = [hosts.ours(name).model_dump(exclude_defaults=True) for name in names]
    lists = ("accounts", "directories", "data", "drop_ins", "milestones", "sites", "services")
    joined = {key: [item for part in parts for item in part.get(key, [])] for key in lists}
    return System.model_validate({"system": "both", "document": "both", **joined})


@pytest.mark.parametrize("host", MACHINES)
def test_machine_is_read_back_as_its_systems(system, host):
    user, names, expected = MACHINES[host]
    found = read(system, host, user)
    assert hosts.differences(together(names), found.system) == {*expected, "system"}
    assert [remark for remark in found.remarks if remark.kind == "secret"] == []


UNIT, SHOP = "/etc/systemd/system/shop.service", "/srv/shop"
FILES = {
    f"{SHOP}/docker-compose.yml": "services:\n  api:\n    image: shop\n    env_file: .env\n    environment:\n"
    "      STRIPE_KEY: hunter2-a\n      DB: postgres://me:hunter2-b@db/x\n      MODE: fast\n",
    f"{SHOP}/.env": "MAIL_PASSWORD=hunter2-c\n",
    UNIT: "[Service]\nEnvironment=API_TOKEN=hunter2-d\n"
    f"ExecStart=/usr/bin/docker-compose -f {SHOP}/docker-compose.yml up --secret-token hunter2-e\n",
}


def test_no_value_of_a_secret_leaves_a_machine(system):
    """All that comes over the connection, and not only what is shown of it."""
    system.on_host("mkdir", "-p", SHOP)
    try:
        for path, text in FILES.items():
            system.on_host("tee", path, stdin=text)
        with asked(system, "watchme", "ubuntu") as there:
            said = json.dumps([there.facts(), there.entries([*FILES], [f"{SHOP}/.env"], [])])
    finally:
        system.on_host("rm", "-r", UNIT, SHOP)
    assert "hunter2" not in said
    assert all(name in said for name in ("STRIPE_KEY", "DB", "MODE: fast", "MAIL_PASSWORD", "API_TOKEN"))


def test_container_of_docker_run_is_read_as_compose(system):
    image = system.on_host("docker", "inspect", "-f", "{{.Config.Image}}", "ast-api").output
    options = [
        "-e",
        "MODE=fast",
        "-e",
        "DB_PASSWORD=hunter2-r",
        "-p",
        "127.0.0.1:8099:80",
        "-v",
        "by-run-data:/data",
        "--memory",
        "64m",
    ]
    assert system.on_host("docker", "run", "--detach", "--name", "by-run", *options, image).code == 0
    try:
        with asked(system, "watchme", "ubuntu") as there:
            facts = there.facts()
    finally:
        system.on_host("docker", "rm", "--force", "by-run")
        system.on_host("docker", "volume", "rm", "by-run-data")
    text = facts["compose"]["/opt/by-run/docker-compose.prod.yml"]
    assert "hunter2-r" not in json.dumps(facts) and "DB_PASSWORD" in text
    found = understanding.derive_system(facts, {}, hosts.MADE.stack, "watchme").system
    [service] = [one for one in found.compose_services if one.container == "by-run"]
    assert (service.port, service.container_port, service.memory.limit) == (8099, 80, "64m")
    assert service.environment == {"MODE": "fast"} and service.secrets == ["DB_PASSWORD"]
    assert [mount.source for mount in service.volumes] == ["by-run-data"]
