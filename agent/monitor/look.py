"""A host as it is at one moment: each thing asked once, however many conditions are about it. Reads only."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property
from typing import Any, NamedTuple, Optional

from agent import (
    ecr,
    health,
    managers,
    overrides,
    proxies,
    quoting,
    registry,
    slots,
    stacks,
    times,
    traffic,
    units,
    wording,
)
from agent.documents import docker
from agent.documents import manifest as documents
from agent.documents.answers import GroupState
from agent.engine import Declined
from agent.overrides import Override
from agent.proxy import Proxy
from agent.store import Release
from agent.wording import Speaker
from agent.world import World


class Measured(NamedTuple):
    """What a measure found of one subject; `detail` is said after the condition's own text. Where the condition's
    repair could not help this one, it is not `is_repairable`."""

    subject: str
    value: float
    detail: str = ""
    is_repairable: bool = True


Measures = Iterator[Measured]
LOG_LINES = 20000  # of the proxy's log
LOOK = 10.0  # seconds that Docker, or another program, is waited for
GATHERED = ("units", "services", "containers", "networks", "certificates", "logins")


class Unanswered(Exception):
    """What would have to be known was not answered: nothing follows from that."""


@dataclass(frozen=True)
class Container:
    """A container that is there. `addresses` are by network."""

    running: bool
    pid: int
    addresses: dict[str, str]


@dataclass(frozen=True)
class Network:
    """A network of Docker's. `project` is the compose project that made it."""

    subnet: str
    gateway: str
    project: str


@dataclass
class HostFacts:
    """`release` is the one that serves."""

    world: World
    release: Release
    silent: str = ""

    @property
    def manifest(self) -> documents.Manifest:
        return self.release.manifest

    @cached_property
    def say(self) -> Speaker:
        """What people read of this host, in their language."""
        return wording.speaker(self.manifest.get("language", wording.ENGLISH))

    @cached_property
    def zone(self) -> tzinfo:
        """Of the times that they read."""
        return times.zone_of(self.manifest.get("timezone", times.DEFAULT))

    def gather(self) -> None:
        """Asks at once for what most conditions are about: each waits for other programs, and not for each other."""
        with ThreadPoolExecutor(len(GATHERED)) as pool:
            list(pool.map(self._gather_fact, GATHERED))

    def _gather_fact(self, name: str) -> None:
        # What needs it gets the reason, and only that
        with suppress(Exception):
            getattr(self, name)

    @cached_property
    def running(self) -> list[str]:
        """The units that are to run now."""
        return slots.running(self.world, self.manifest)

    @cached_property
    def units(self) -> dict[str, dict[str, bool]]:
        """Of those, which are active."""
        return units.states(self.world, self.running)

    @cached_property
    def services(self) -> dict[str, int]:
        """Service → HTTP status, of those that are to run."""
        return health.once(self.world, slots.probes(self.world, self.manifest))

    @cached_property
    def group(self) -> Optional[GroupState]:
        """How the group is that this host leads; None where it leads none."""
        return stacks.group_state(self.world)

    @cached_property
    def expected_containers(self) -> list[documents.Container]:
        """The containers, by the manifest, whose units are to run and do."""
        return [c for c in self.manifest["containers"] if self.units.get(c["unit"], {}).get("active")]

    @cached_property
    def containers(self) -> dict[str, Container]:
        """What Docker has, by name."""
        by_name: dict[str, Container] = {}
        end = self.world.now() + LOOK
        for summary in self.docker("/containers/json?all=1")[0]:
            # One that is gone by now, or that Docker itself does not understand, hides no other
            with suppress(Declined):
                entry: docker.Container = self.docker(f"/containers/{summary['Id']}/json", end - self.world.now())[0]
                networks = entry["NetworkSettings"]["Networks"]
                by_name[entry["Name"].lstrip("/")] = Container(
                    entry["State"]["Running"],
                    entry["State"]["Pid"],
                    {name: network["IPAddress"] for name, network in networks.items()},
                )
        return by_name

    @cached_property
    def networks(self) -> dict[str, Network]:
        by_name: dict[str, Network] = {}
        networks: list[docker.Network] = self.docker("/networks")[0]
        for entry in networks:
            plans: list[docker.NetworkPlan] = entry["IPAM"]["Config"] or [{}]
            plan, labels = plans[0], entry["Labels"]
            project = (labels or {}).get("com.docker.compose.project", "")
            by_name[entry["Name"]] = Network(plan.get("Subnet", ""), plan.get("Gateway", ""), project)
        return by_name

    @cached_property
    def logins(self) -> dict[str, str]:
        """What is wrong with the login of each registry that the release's images are of, "" where nothing is."""
        hosts = sorted({image.split("/")[0] for image in self.release.images if "/" in image})
        config: docker.ClientConfig = json.loads(self.world.read(ecr.CONFIG) or b"{}") if hosts else {}
        return {host: registry.login_fault(self.world, host, config) for host in hosts}

    def docker(self, path: str, timeout: float = LOOK) -> list[Any]:
        """What Docker says, line by line. Raises Declined, and Unanswered where it says nothing; asked once, it is not
        waited for again."""
        if self.silent:
            raise Unanswered(self.silent)
        try:
            return [json.loads(line) for line in self.world.docker_has(path, max(timeout, 0.1)).splitlines()]
        except (OSError, ValueError) as error:
            self.silent = f"Docker did not answer: {quoting.quote(str(error))}"
            raise Unanswered(self.silent) from None

    @cached_property
    def proxy(self) -> Optional[Proxy]:
        """What serves the release's sites; None on a host without any."""
        return next(filter(None, map(proxies.by_unit, self.release.unit_names)), None)

    @cached_property
    def answers(self) -> list[tuple[float, int]]:
        """The proxy's latest answers by its log: seconds since 1970, and the status."""
        if self.proxy is None:
            return []
        log = self.proxy.log
        if log.journal:
            lines = managers.journal(self.world, log.journal, LOG_LINES).output.splitlines()
        else:
            lines = self.world.run("tail", "-n", str(LOG_LINES), log.file).output.splitlines()
        return [(at, status) for at, _, status in traffic.read_answers(lines, log.document)]

    @cached_property
    def overrides(self) -> list[Override]:
        """What is in force in the release's place."""
        return overrides.list_overrides(self.world, self.release)

    @cached_property
    def certificates(self) -> list[tuple[str, int, str]]:
        """Public name, days left of the certificate that the proxy shows for it, and what is wrong with it."""
        entries: list[tuple[str, int, str]] = []
        for name in self.manifest["names"]:
            ends, wrong = self.world.certificate_ends(name)
            entries.append((name, int((ends - self.world.wall()) // 86400) if ends else 0, wrong))
        return entries

    @cached_property
    def memory(self) -> dict[str, int]:
        """The machine's memory in bytes, by the kernel's names."""
        return self.world.memory()
