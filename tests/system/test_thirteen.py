"""A production host as its owner made it, with thirteen compose projects: previewed, taken over without a gap where
nothing differs, and left as it is by a release that fails."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from lab import existing, registry
from lab.images import build_programs
from lab.registry import push_stub
from lab.run import run, succeeds, wait_until
from lab.settings import ACCOUNT
from tests.system.conftest import System

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
HOST, SYSTEM, NAME = "yard", "files/systems/yard.yaml", "yard.hey-watch.me"
# A repository that exists before the release does, as its owner's do
REPOSITORY, TAG = "watchme-web", "yard"
IMAGE = f"{ACCOUNT}.dkr.ecr.ap-northeast-1.amazonaws.com/{REPOSITORY}:{TAG}"
NAMES = [f"s{number:02}" for number in range(1, 14)]
# What its owner runs otherwise than the catalogue says; s13 is not in it, and s09 was started by `docker run`
DIFFERENT = {"s10": "mem_limit", "s11": "environment", "s12": "not running"}
LEFT, BY_RUN = "s13", "s09"
EQUAL = [name for name in NAMES if name not in DIFFERENT and name != LEFT]


def port(name: str) -> int:
    return 8040 + int(name[1:])


def address(name: str) -> str:
    return f"172.28.1.{10 + int(name[1:])}"


def system_file(bad: str = "") -> str:
    """The catalogue's own; `bad` is a service that will answer 404 where its health is asked."""
    services = [
        {
            "name": name, "kind": "compose", "purpose": f"Service {name}", "role": "api",
            "image": {"repository": REPOSITORY, "tag": TAG}, "container": name, "port": port(name), "address": address(name),
            "routes": [{"public": f"/{name}/"}], "memory": {"limit": "64m"}, "directory": f"/srv/{name}",
            "unit": f"yard-{name}.service", "environment": {"STUB_PORT": str(port(name)), "MODE": "production"},
            "volumes": [f"/srv/{name}/data:/data"], "health": "/missing" if name == bad else "/health",
        }
        for name in NAMES
        if name != LEFT
    ]  # fmt: skip
    network = {"name": "yard", "subnet": "172.28.1.0/24", "gateway": "172.28.1.1", "unit": "yard-network.service"}
    sites = [{"name": NAME, "challenge": "dns-01"}]
    return yaml.safe_dump(
        {"system": "yard", "document": "a test's own", "network": network, "sites": sites, "services": services},
        sort_keys=False,
    )


def by_hand(name: str) -> str:
    """Shell that sets up a project in the owner's layout: its directory with a compose file, variables and data."""
    mode = "debug" if DIFFERENT.get(name) == "environment" else "production"
    limit = "96m" if DIFFERENT.get(name) == "mem_limit" else "64m"
    body = {
        "image": IMAGE, "container_name": name, "restart": "always", "env_file": [".env"],
        "deploy": {"resources": {"limits": {"memory": limit}}}, "ports": [f"127.0.0.1:{port(name)}:{port(name)}"],
        "volumes": ["./data:/data"], "networks": {"yard": {"ipv4_address": address(name)}},
        "logging": {"driver": "json-file", "options": {"max-size": "10m"}},
    }  # fmt: skip
    document = {"services": {name: body}, "networks": {"yard": {"external": True}}}
    start = f"docker-compose -f /srv/{name}/docker-compose.prod.yml up -d"
    if name == BY_RUN:
        start = (
            f"docker run -d --name {name} --restart always --memory {limit} --env-file .env "
            f"-p 127.0.0.1:{port(name)}:{port(name)} -v /srv/{name}/data:/data --network yard --ip {address(name)} {IMAGE}"
        )
    stop = f"docker stop -t 1 {name}" if DIFFERENT.get(name) == "not running" else "true"
    return (
        f"mkdir -p /srv/{name}/data; cd /srv/{name}; echo 'data of {name}' > data/kept\n"
        f"printf 'STUB_PORT={port(name)}\\nMODE={mode}\\n' > .env\n"
        f"cat > docker-compose.prod.yml <<'END'\n{yaml.safe_dump(document)}END\n{start}; {stop}\n"
    )


SITE = (
    "server { listen 80; server_name yard.hey-watch.me;\n"
    + "".join(f"location /{name}/ {{ proxy_pass http://127.0.0.1:{port(name)}/{name}/; }}\n" for name in NAMES)
    + "}\n"
)
SET_UP = f"""docker network create --subnet 172.28.1.0/24 --gateway 172.28.1.1 yard
{"".join(map(by_hand, NAMES))}
cat > /etc/nginx/sites-available/{NAME} <<'END'
{SITE}END
ln -s /etc/nginx/sites-available/{NAME} /etc/nginx/sites-enabled/{NAME}
systemctl restart nginx
"""
INVENTORY = f"""
docker ps --all --no-trunc --format '{{{{.ID}}}} {{{{.Names}}}} {{{{.State}}}} {{{{.Ports}}}} {{{{.Networks}}}}' | sort
docker inspect --format '{{{{.Name}}}} {{{{.State.StartedAt}}}} {{{{json .HostConfig}}}} {{{{json .Config}}}}' $(docker ps -q) | sort
docker network ls --no-trunc --format '{{{{.ID}}}} {{{{.Name}}}}' | sort
find /srv /etc/nginx /etc/systemd/system -type f -exec sha256sum {{}} + | grep -v /infra | sort -k 2
find /srv /etc/nginx /etc/systemd/system -type l -printf '%p -> %l\\n' | grep -v /infra | sort
for n in {" ".join(NAMES)}; do echo "$n $(curl -s -H 'Host: {NAME}' http://127.0.0.1/$n/a/b | tr -d '\\n')"; done
"""
# What differs with each request
PASSING = re.compile(r'"(X-Request-Id|X-Real-Ip)":\["[^"]*"\],?')


def on(machine: existing.Machine, *argv: str) -> str:
    return run("docker", "exec", machine.container, *argv).strip()


def inventory(machine: existing.Machine) -> list[str]:
    return [PASSING.sub("", line) for line in on(machine, "sh", "-c", INVENTORY).splitlines()]


def ids(machine: existing.Machine) -> dict[str, str]:
    form = "{{.Names}} {{.ID}}"
    return dict(line.split() for line in on(machine, "docker", "ps", "-a", "--no-trunc", "--format", form).splitlines())


def started(machine: existing.Machine, names: list[str]) -> list[str]:
    return on(machine, "docker", "inspect", "-f", "{{.Name}} {{.State.StartedAt}}", *names).splitlines()


@pytest.fixture
def yard(system: System) -> Iterator[tuple[System, existing.Machine]]:
    """The stack with the owner's machine as a host, on which no program of this project has run."""
    key = yaml.safe_load(system.lab.config_file.read_text())["config"]["infra:sshPublicKey"]
    machine = existing.start(system.lab, HOST, 3, key)
    facts = {"port": 8040, "health": "/health", "prefix": "/"}
    push_stub(system.lab, "ap-northeast-1", f"{REPOSITORY}:{TAG}", facts, build_programs())
    wait_until("Docker", lambda: succeeds("docker", "exec", machine.container, "docker", "info"))
    subprocess.run(
        ["docker", "exec", "-i", machine.container, "docker", "login", "-u", registry.USER, "--password-stdin", IMAGE.split("/")[0]],
        input=registry.token(system.lab).encode(), check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    on(machine, "sh", "-ec", SET_UP)
    (system.project / SYSTEM).write_text(system_file())
    values = existing.configuration(machine, "4g", "yard")
    with system.configured(**{f"hosts.{HOST}.{name}": value for name, value in values.items()}):
        yield system, machine
    (system.project / SYSTEM).unlink()
    system.must_up()
    existing.remove(machine)


def test_thirteen_projects_are_taken_over_without_a_gap(yard):
    system, machine = yard
    wait_until("the answer of s01", lambda: '"service"' in next(x for x in inventory(machine) if x.startswith("s01 ")))
    first = inventory(machine)
    _preview_says_it_all(system)
    assert inventory(machine) == first
    _failed_release_changes_nothing(system, machine, first)

    before, since = ids(machine), started(machine, EQUAL)
    output = system.must_up()
    after = ids(machine)
    assert {name: after[name] for name in [*EQUAL, LEFT]} == {name: before[name] for name in [*EQUAL, LEFT]}, output
    assert started(machine, EQUAL) == since
    assert all(after[name] != before[name] for name in DIFFERENT)
    for name, differs in DIFFERENT.items():
        assert re.search(rf"the existing container {name} was replaced \(it differs: [^)]*{differs}", output), output
    assert "were adopted and run on: " + ", ".join(EQUAL) in output
    for name in NAMES:
        assert on(machine, "cat", f"/srv/{name}/data/kept") == f"data of {name}"
    for name in [*EQUAL, *DIFFERENT]:
        status, _, body = system.ask("GET", f"/{name}/a/b", name=NAME)
        assert (status, json.loads(body)["service"]) == (200, REPOSITORY), name

    again = system.must_up()
    assert ids(machine) == after and "adopted" not in again
    shown = system.command("infra", "status", "--stack", "lab", "--host", HOST)
    assert shown.code == 0 and "services: 12 of 12 healthy" in shown.output, shown.output
    drift = system.command("infra", "drift", "--stack", "lab", "--host", HOST)
    assert drift.code == 0, drift.output
    _its_unit_runs_an_adopted_container(machine, after)


def _preview_says_it_all(system: System) -> None:
    ran = system.command("infra", "preview", "--stack", "lab", "--format", "json", "--out", "preview.json")
    assert ran.code == 0, ran.output
    report = json.loads((system.project / "preview.json").read_text())
    (host,) = [host for host in report["stacks"][0]["hosts"] if host["host"] == HOST]
    things = {(thing["kind"], thing["name"]): thing for thing in host["existing"]}
    becomes = {name: thing["becomes"] for (kind, name), thing in things.items() if kind == "container"}
    expected = dict.fromkeys(EQUAL, "adopted") | dict.fromkeys(DIFFERENT, "replaced") | {LEFT: "left alone"}
    assert becomes == expected, host["existing"]
    for name, differs in DIFFERENT.items():
        assert differs in things["container", name]["differs"]
    assert things["file", f"/etc/nginx/sites-available/{NAME}"]["becomes"] == "replaced"
    assert things["file", "/srv/s01/docker-compose.prod.yml"]["becomes"] == "replaced"
    assert not [thing for thing in things.values() if thing["becomes"] == "refused"], things
    assert host["ports"][str(port("s01"))] == ["s01", "s01"]


def _failed_release_changes_nothing(system: System, machine: existing.Machine, first: list[str]) -> None:
    (system.project / SYSTEM).write_text(system_file(bad="s02"))
    with system.configured(healthDeadline="8"):
        refused = system.up()
        assert refused.code != 0 and f"rolled back on {HOST}" in refused.output, refused.output
        assert "The host is as before" in refused.output
        # The preparation brought programs, with files of their own; of what ran nothing is another
        now = inventory(machine)
        replaced = tuple(f"/{name} " for name in DIFFERENT)
        lost = [line for line in first if line not in now and not line.startswith(replaced)]
        assert not lost, lost
    (system.project / SYSTEM).write_text(system_file())


def _its_unit_runs_an_adopted_container(machine: existing.Machine, containers: dict[str, str]) -> None:
    on(machine, "systemctl", "stop", "yard-s01.service")
    assert on(machine, "docker", "inspect", "-f", "{{.State.Running}}", "s01") == "false"
    on(machine, "systemctl", "start", "yard-s01.service")
    wait_until("s01", lambda: on(machine, "docker", "inspect", "-f", "{{.State.Running}}", "s01") == "true")
    assert ids(machine)["s01"] == containers["s01"]
    on(machine, "docker", "kill", "s02")
    wait_until("s02", lambda: on(machine, "docker", "inspect", "-f", "{{.State.Running}}", "s02") == "true")
    assert ids(machine)["s02"] == containers["s02"]
