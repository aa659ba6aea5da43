"""The events of a soak (tests/soak.py) on a lab's host, and what is looked at once they are over."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from lab.run import run
from tests.soak import Answer, Event
from tests.system import faults
from tests.system.conftest import Ran, System
from tests.system.faults import PATH, SERVICE, at, inventory
from tests.system.on import REGION, ec2, wait_until_well

CLIENTS, PAUSE = 4, 0.1
QUIET = 120  # seconds within which all is healthy after an event
DEADLINE = "40"  # seconds until a build that is never healthy is rolled back
# What the agent says on the way, in this order
STAGES = ("pulling", "validating", "switching", "(re)starting", "waiting for", "awaiting")
JOBS = "systemctl kill --signal=KILL 'infra-job-*.service'"
METADATA = "169.254.169.254"


@dataclass
class Soak:
    """`builds` are those that may serve now, `latest` the last one under the service's tag."""

    system: System
    chance: Random
    builds: frozenset[str] = frozenset()
    latest: str = ""
    events: list[Event] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _number: int = 0

    def push(self, fault: str = "") -> str:
        """Another build under the service's tag."""
        self._number += 1
        self.latest = f"{fault or 'build'}-{self._number}"
        faults.push(self.system, fault, self.latest)
        return self.latest

    def happen(self, name: str) -> None:
        """One event, and the time until all is healthy again."""
        before, began = self.builds, time.monotonic()
        after = EVENTS[name](self)
        wait_until_well(self.system, QUIET)
        self.builds = after
        self.events.append(Event(name, began, time.monotonic(), before, after, name in AWAY))
        script = "test ! -e /var/lib/infra/transaction.json && systemctl list-units -q --plain 'infra-job-*'"
        left = self.system.on_host("sh", "-c", script)
        assert left.code == 0 and left.output == "", f"{name}: a switch or a job is left: {left.output}"

    @contextmanager
    def clients(self) -> Iterator[None]:
        """Clients who ask all the time; each request is remembered."""
        threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)

    def _ask(self) -> None:
        while not self._over.is_set():
            began, status, build = time.monotonic(), 0, ""
            try:
                status, _, body = self.system.ask("GET", PATH, address=self.system.inner_address(), patience=60)
                build = json.loads(body).get("version", "") if status == 200 else ""
            except Exception as error:
                # A machine that boots has no address: that is a request that failed, too
                print(f"{time.strftime('%H:%M:%S')} {PATH}: {error!r}", flush=True)
            self.answers.append(Answer(began, time.monotonic(), status, build))
            time.sleep(PAUSE)


def _done(ran: Ran) -> Ran:
    assert ran.code == 0, ran.output
    return ran


def _failed(ran: Ran, said: str) -> None:
    assert ran.code != 0 and re.search(said, ran.output) and "Traceback" not in ran.output, ran.output


def _infra(soak: Soak, *words: str) -> Ran:
    return soak.system.command("infra", *words, "--stack", "lab")


def release(soak: Soak) -> frozenset[str]:
    build = soak.push()
    soak.system.must_up()
    return frozenset({build})


def unhealthy_release(soak: Soak) -> frozenset[str]:
    soak.push("never")
    _failed(soak.system.up(), "rolled back on watchme")
    return soak.builds


def deploy(soak: Soak) -> frozenset[str]:
    build = soak.push()
    _done(_infra(soak, "deploy", SERVICE))
    _done(_infra(soak, "deploy", SERVICE, "--follow"))
    return frozenset({build})


def unhealthy_deploy(soak: Soak) -> frozenset[str]:
    soak.push("never")
    _failed(_infra(soak, "deploy", SERVICE), "rolled back on watchme")
    return soak.builds


def roll_back_and_forth(soak: Soak) -> frozenset[str]:
    """The service alone, to the build that it had before, and to the newest one again."""
    build = soak.push()
    soak.system.must_up()
    _done(_infra(soak, "rollback", SERVICE))
    status, _, body = soak.system.ask("GET", PATH)
    assert status == 200 and json.loads(body)["version"] in soak.builds, (body, soak.builds)
    _done(_infra(soak, "deploy", SERVICE, "--follow"))
    return frozenset({build})


def restart(soak: Soak) -> frozenset[str]:
    _done(_infra(soak, "restart", SERVICE))
    return soak.builds


def reboot(soak: Soak) -> frozenset[str]:
    _done(_infra(soak, "reboot", "watchme", "--yes"))
    return soak.builds


def lose_power(soak: Soak) -> frozenset[str]:
    container = soak.system.container
    run("docker", "kill", container)
    run("docker", "start", container)
    return soak.builds


def lose_power_in_a_release(soak: Soak) -> frozenset[str]:
    soak.push()
    container = soak.system.container

    def power() -> None:
        run("docker", "kill", container)
        run("docker", "start", container)

    with at(soak.system, "(re)starting", "true", power):
        _failed(soak.system.up(), "rolled back on watchme")
    soak.system.must_up()
    return frozenset({soak.latest})


def restart_docker(soak: Soak) -> frozenset[str]:
    _done(soak.system.on_host("systemctl", "restart", "docker"))
    return soak.builds


def cut_the_connection(soak: Soak) -> frozenset[str]:
    build = soak.push()
    with at(soak.system, "(re)starting", "pkill -KILL -f 'sshd: ubuntu@'"):
        soak.system.must_up()
    return frozenset({build})


def kill_the_operator(soak: Soak) -> frozenset[str]:
    """The engine and all that it started, anywhere in a release; the next update completes it."""
    build = soak.push()
    soak.system.up_killed_at(soak.chance.choice(STAGES[:-1]))
    soak.system.must_up()
    return frozenset({build})


def kill_the_agent(soak: Soak) -> frozenset[str]:
    build = soak.push()
    with at(soak.system, soak.chance.choice(STAGES), JOBS):
        _failed(soak.system.up(), "(rolled back|refused) on watchme")
    soak.system.must_up()
    return frozenset({build})


def fill_the_disk(soak: Soak) -> frozenset[str]:
    build = soak.push()
    with faults.state_full(soak.system):
        _failed(soak.system.up(), "refused on watchme")
    soak.system.must_up()
    return frozenset({build})


def lose_the_registry(soak: Soak) -> frozenset[str]:
    build = soak.push()
    with faults.registry_down(soak.system):
        _failed(soak.system.up(), "refused on watchme")
    soak.system.must_up()
    return frozenset({build})


def lose_the_metadata(soak: Soak) -> frozenset[str]:
    """The host knows its role no more: what it was lent may still be good, or not."""
    build = soak.push()
    rule = ["OUTPUT", "-d", METADATA, "-j", "REJECT"]
    _done(soak.system.on_host("iptables", "-I", *rule))
    try:
        ran = soak.system.up()
    finally:
        _done(soak.system.on_host("iptables", "-D", *rule))
    assert ran.code == 0 or "refused on watchme" in ran.output, ran.output
    soak.system.must_up()
    return frozenset({build})


# What a person does, and what breaks
EVENTS: dict[str, Callable[[Soak], frozenset[str]]] = {
    "release": release,
    "unhealthy release": unhealthy_release,
    "deploy": deploy,
    "unhealthy deploy": unhealthy_deploy,
    "rollback": roll_back_and_forth,
    "restart": restart,
    "reboot": reboot,
    "power lost": lose_power,
    "power lost in a release": lose_power_in_a_release,
    "Docker restarted": restart_docker,
    "connection cut": cut_the_connection,
    "operator killed": kill_the_operator,
    "agent killed": kill_the_agent,
    "disk full": fill_the_disk,
    "registry lost": lose_the_registry,
    "metadata lost": lose_the_metadata,
}
# In these the host, or all of its containers, are down for a while
AWAY = {"reboot", "power lost", "power lost in a release", "Docker restarted"}


def counts(system: System) -> dict[str, object]:
    """What must not grow: on the host, in AWS, in the checkout."""
    lines = system.on_host("sh", "-c", "ps -eo args= | sed -E 's/^\\S*python3\\S*/python3/; s/[0-9]+/N/g'").output
    processes = Counter(line.split()[0] for line in lines.splitlines() if line.strip())
    known = {name: processes[name] for name in ("sshd:", "python3", "nginx:", "docker-proxy", "/usr/bin/docker-proxy")}
    rules = system.on_host("sh", "-c", "iptables-save | grep -c '^-A'").output
    api = ec2(system, REGION)
    aws = {
        "instances": len(api.describe_instances()["Reservations"]),
        "interfaces": len(api.describe_network_interfaces()["NetworkInterfaces"]),
        "rules": len(api.describe_security_group_rules()["SecurityGroupRules"]),
        "addresses": len(api.describe_addresses()["Addresses"]),
        "volumes": len(api.describe_volumes()["Volumes"]),
    }
    notes = sorted(
        path.name for path in (system.project / ".infra").rglob("*") if path.is_file() and "engines" not in path.parts
    )
    return {"processes": known, "rules": int(rules), "aws": aws, "notes": notes}


def files(system: System) -> list[str]:
    """The host's files, units and containers, without the build and what a restart of Docker numbers again."""
    lines = faults.without_network_ids(inventory(system))
    return [
        re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", line) for line in lines if "avatar-uploader/docker-compose" not in line
    ]


def kept(system: System) -> tuple[int, int]:
    """Releases that the host keeps, and images that it has."""
    output = system.on_host("sh", "-c", "ls /var/lib/infra/releases | wc -l; docker images -q | sort -u | wc -l").output
    releases, images = map(int, output.split())
    return releases, images
