"""Tools to break things on a lab host at a chosen moment, and to look at what is left."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

from lab.images import build_programs
from lab.registry import push_stub
from lab.stubs import stubs
from tests.rows import EVERYTHING
from tests.system.conftest import System

REPOSITORY, SERVICE, PATH = "watchme-api-avatar-uploader", "avatar-uploader", "/avatar/"
UNIT = "watchme-avatar-uploader.service"
REGION = "ap-northeast-1"
# As a firewall script does it that knows its own rules alone. Those of the lab's network, which a host has too, stay
WITHOUT_RULES = "iptables-save | grep -vE ' DOCKER( |$)|:DOCKER |DOCKER-|MASQUERADE' | iptables-restore"
_version = iter(range(2, 10000))


def push(system: System, fault: str = "", version: str = "") -> None:
    """A new image of one service under its tag: the next `pulumi up` is a release that restarts one unit."""
    facts = {**stubs()[REPOSITORY], "version": version or next(_version), **({"fault": fault} if fault else {})}
    push_stub(system.lab, REGION, REPOSITORY, facts, build_programs())


def serving(system: System) -> str:
    """The release that the host calls current."""
    return system.on_host("readlink", "/var/lib/infra/current").output.rsplit("/", 1)[-1]


def image_of(system: System, container: str = "watchme-avatar-uploader") -> str:
    return system.on_host("docker", "inspect", "-f", "{{.Config.Image}}", container).output


def last_job(system: System) -> dict:
    """The host's own word on the last job."""
    return json.loads(system.on_host("sh", "-c", "cat $(ls /var/lib/infra/history/* | tail -1)").output)


# Containers by what they are, since a rollback may recreate them: files, links, units, networks, volumes, ports
# (those that Docker itself takes at random are not among them). What a timer starts may be running at any moment, and
# Docker makes its own network `bridge` each time that it starts
INVENTORY = """
docker ps --all --format '{{.Names}} {{.State}} {{.Ports}} {{.Networks}}' | sort
docker inspect --format '{{.Name}} {{.Config.Image}} {{json .HostConfig.RestartPolicy}}' $(docker ps -aq) | sort
docker network ls --no-trunc --format '{{.ID}} {{.Name}}' | sed 's/^[^ ]* bridge$/bridge/' | sort
docker volume ls --format '{{.Name}}' | sort
find /srv /home /opt /etc/nginx /etc/systemd/system -type f -printf '%m %u %g ' -exec sha256sum {} ';' | sort -k 5
find /srv /home /opt /etc/nginx /etc/systemd/system -type l -printf '%p -> %l\\n' | sort
cd /etc/systemd/system
systemctl show --property=Id,ActiveState,UnitFileState $(ls -d *.service *.timer *.socket 2>/dev/null | grep -v '@\\.') | paste -s -d ' ' | sed 's/  /\\n/g' \\
  | sed 's/ActiveState=activating UnitFileState=static/ActiveState=inactive UnitFileState=static/' | sort
ss -Hltn | awk '{n = split($4, part, ":"); if (part[n] < 32768) print $4}' | sort -u
"""


def inventory(system: System) -> list[str]:
    """All of a host that a rollback has to bring back."""
    return system.on_host("sh", "-c", INVENTORY).output.splitlines()


def without_network_ids(lines: list[str]) -> list[str]:
    """An inventory after a restart of Docker, with which the unit of a network creates it again."""
    return sorted(re.sub(r"^[0-9a-f]{64} ", "", line) for line in lines)


@contextmanager
def at(system: System, said: str, script: str, then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Runs a script on the host at the moment when the job of the block says this, and then `then` here."""
    system.on_host("rm", "-rf", "/run/infra/jobs")
    happened = threading.Event()

    def watch() -> None:
        wait = f"until grep -qsF '{said}' /run/infra/jobs/*/events; do sleep 0.02; done"
        if system.on_host("sh", "-c", f"{wait}; {script}").code in (0, 137):
            then()
            happened.set()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    watcher.join(60)
    assert happened.is_set(), f"nothing said {said!r}"


@contextmanager
def state_full(system: System) -> Iterator[None]:
    """The disk that releases are kept on has a few kilobytes left."""
    move = (
        "cp -a /var/lib/infra /run/kept-infra && size=$(du -sk /run/kept-infra | cut -f1) && "
        "mount -t tmpfs -o size=$((size + 64))k tmpfs /var/lib/infra && chmod 700 /var/lib/infra && "
        "cp -a /run/kept-infra/. /var/lib/infra/"
    )
    moved = system.on_host("sh", "-c", move)
    assert moved.code == 0, moved.output
    try:
        yield
    finally:
        assert system.on_host("sh", "-c", "umount /var/lib/infra && rm -rf /run/kept-infra").code == 0


def reach_registry(system: System, action: str) -> None:
    """Inserts (-I) or deletes (-D) the rule by which the host does not reach its registry."""
    address = system.lab.registry_address(REGION)
    assert system.on_host("iptables", action, "OUTPUT", "-d", address, "-j", "REJECT").code == 0


@contextmanager
def registry_down(system: System) -> Iterator[None]:
    reach_registry(system, "-I")
    try:
        yield
    finally:
        reach_registry(system, "-D")


@dataclass
class Load:
    """Requests to public paths, one after the other for each, until it is stopped; `answers` are their statuses, `times`
    the seconds that each took. They go to the host itself: the lab's forwarder, which stands for AWS's network, loses one
    connection in some thousands."""

    system: System
    paths: list[str]
    name: str = "api.hey-watch.me"
    host: str = "watchme"
    pause: float = 0.05 if EVERYTHING else 0.2  # seconds: by day its clients leave the cores to the release
    method: str = "GET"
    answers: dict[str, list[int]] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    headers: dict[int, dict[str, str]] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, path: str) -> None:
        counted, address = self.answers.setdefault(path, []), self.system.inner_address(self.host)
        while not self.stopped.is_set():
            began = monotonic()
            try:
                status, headers, _ = self.system.ask(self.method, path, self.body, self.name, address, 60)
                self.headers[status] = dict(headers)
            except OSError as error:
                print(f"{path}: {error!r}")
                status = 0
            self.times.append(monotonic() - began)
            counted.append(status)
            sleep(self.pause)

    @contextmanager
    def going(self) -> Iterator["Load"]:
        threads = [threading.Thread(target=self.run, args=(path,), daemon=True) for path in self.paths]
        for thread in threads:
            thread.start()
        yield self
        self.stopped.set()
        for thread in threads:
            thread.join(60)

    @property
    def body(self) -> bytes | None:
        return b"x" * 4096 if self.method == "POST" else None

    @property
    def slowest(self) -> float:
        return max(self.times, default=0.0)

    @property
    def count(self) -> int:
        return len(self.times)

    def p95(self, start: int, end: int) -> float:
        """Milliseconds that 95 of 100 requests took at most, of those with these numbers."""
        times = sorted(self.times[start:end])
        return 1000 * times[int(len(times) * 0.95)]

    def lost(self, but: str = "") -> dict[str, int]:
        """Path → requests that were not answered 200."""
        wrong = {path: sum(status != 200 for status in seen) for path, seen in self.answers.items() if path != but}
        return {path: count for path, count in wrong.items() if count}
