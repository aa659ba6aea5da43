"""The state that the last update left: read from Pulumi's state before anything is created."""

import contextlib
import json
import time
from dataclasses import dataclass, field

import pulumi

from catalogue.dns import COMMAND, RECORD, keeper
from catalogue.machines import FIRST, of_data_disk, of_instance, place_of, region_of
from catalogue.outputs import LastMove, StackOutputs
from catalogue.shapes import JsonObject
from components.state import (
    CommandOutputs,
    GateOutputs,
    HostOutputs,
    MachineOutputs,
    RecordOutputs,
    ReleaseOutputs,
    Resources,
    VolumeOutputs,
    outputs_of,
)

MACHINE = "aws:ec2/instance:Instance"
VOLUME = "aws:ebs/volume:Volume"
REPLACES = "replaces"  # a machine's tag: the lost one whose place it took
STACK, HOST = "pulumi:pulumi:Stack", "infra:index:Host"
GATE, RELEASE = "infra:index:Gate", "infra:index:Release"
# The engine's error when it reads the state's file while that is being written
HALF_WRITTEN = "failed to load checkpoint"
TRIES = 10

# Host → address
Hosts = dict[str, str]
# A place, as in catalogue/machines.py, and the host whose machine is there
HostAt = tuple[str, str]


@dataclass(frozen=True)
class Machine:
    """A host's machine in EC2; `replaces` is the lost one whose place it took, "" for the first."""

    id: str
    replaces: str = ""


@dataclass(frozen=True)
class Disk:
    """A host's disk for its data: its size in GiB, and the availability zone that it is in for good."""

    id: str
    size: int
    zone: str = ""


@dataclass(frozen=True)
class LastRelease:
    """The last release of a host: its id, and its files' hashes as previews show them."""

    id: str = ""
    files: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the updates until now left; each field is empty before the first."""

    region: str = ""
    """Where the last whole update left the stack."""

    generations: dict[str, int] = field(default_factory=dict[str, int])
    """Which machine each host was at the end of that update: those that were not the first of their name."""

    hosts: dict[str, Hosts] = field(default_factory=dict[str, Hosts])
    """Each place that has machines, with their hosts and addresses."""

    pointed: frozenset[HostAt] = frozenset()
    """The machines that names point to."""

    gated: frozenset[HostAt] = frozenset()
    """The machines that a name may have pointed to at any time: they served, stood by, or their gate was passed."""

    ttl: int = 0
    """For how many seconds a resolver could still remember an address record."""

    record_providers: frozenset[str] = frozenset()
    """The providers that have records of the stack."""

    move: LastMove = field(default_factory=LastMove)
    """The last change of place."""

    unfinished: bool = False
    """Whether a move passed its gate and did not reach its end."""

    machines: dict[str, dict[str, Machine]] = field(default_factory=dict[str, dict[str, Machine]])
    """The machines in EC2 by place and host."""

    kept_generations: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """The generations of the earlier machines that stay beside each host's own."""

    disks: dict[str, dict[str, Disk]] = field(default_factory=dict[str, dict[str, Disk]])
    """The data disks by place and host."""

    last_releases: dict[str, LastRelease] = field(default_factory=dict[str, LastRelease])
    """What each release delivered last, by its name in Pulumi."""

    settled_jobs: dict[str, str] = field(default_factory=dict[str, str])
    """The last interrupted job that each release settled, by the release's name in Pulumi; "" for none."""

    deployed: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict[str, dict[str, dict[str, str]]])
    """The images that were deployed for one service alone, as catalogue/deployed_images.py has them."""

    systems: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The systems of each host."""

    parts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The services of each part of a system that runs on another host than the rest."""

    groups: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The hosts of each group, by its first one."""

    pending_hosts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The systems that were about to go to other hosts when updates ended, with these hosts."""

    @property
    def serving(self) -> frozenset[HostAt]:
        """The machines that names point to; of a host without a name the one of the last whole update."""
        pointed_hosts = {host for _, host in self.pointed}
        others = {host for own in self.hosts.values() for host in own} - pointed_hosts
        return self.pointed | {(place, host) for host in others if (place := self.place(host))}

    def place(self, host: str) -> str:
        """Where a host's machine was when the last whole update ended; "" before the first."""
        return place_of(self.region, self.generations.get(host, FIRST)) if self.region else ""


def before() -> Before:
    """The earlier state of the stack that is being updated."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    for tries_left in reversed(range(TRIES)):
        try:
            answer = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name})
            values: JsonObject = answer.value or {}
            return read(values.get("outputs") or {})
        except Exception as error:
            if HALF_WRITTEN not in str(error) or not tries_left:
                raise
            time.sleep(0.2)
    raise AssertionError("the last try returns or raises")


def read(resources: Resources) -> Before:
    """The earlier state from the state's resources: URN → {type, outputs}."""
    outputs: StackOutputs = next(iter(outputs_of(resources, STACK)), {})
    move: LastMove = outputs.get("move") or {}
    gates = passed_gates(resources)
    open_gates = [gate for gate in gates if gate.get("at") != move.get("at")]
    records = address_records(resources)
    addresses = {address for record in records for address in record.get("records") or []}
    hosts = hosts_by_place(resources)
    return Before(
        region=outputs.get("region") or "",
        generations=generations(outputs),
        hosts=hosts,
        pointed=frozenset((place, host) for place, own in hosts.items() for host, at in own.items() if at in addresses),
        gated=machines_served(outputs, hosts) | machines_behind(gates, hosts),
        ttl=longest_ttl(records, open_gates),
        record_providers=record_providers(resources),
        move=move,
        unfinished=bool(open_gates),
        machines=machines(resources),
        kept_generations=kept_generations(outputs),
        disks=data_disks(resources),
        last_releases=last_releases(resources),
        settled_jobs={name: release.get("settles") or "" for name, release in releases(resources).items()},
        deployed=deployed if isinstance(deployed := outputs.get("deployed"), dict) else {},
        parts={part: list(names) for part, names in (outputs.get("parts") or {}).items()},
        systems={host: list(names) for host, names in (outputs.get("systems") or {}).items()},
        groups={leader: list(hosts) for leader, hosts in (outputs.get("groups") or {}).items()},
        pending_hosts=pending_hosts(open_gates),
    )


def generations(outputs: StackOutputs) -> dict[str, int]:
    return {host: int(number) for host, number in (outputs.get("generations") or {}).items()}


def kept_generations(outputs: StackOutputs) -> dict[str, list[int]]:
    return {host: [int(number) for number in numbers] for host, numbers in (outputs.get("kept") or {}).items()}


def passed_gates(resources: Resources) -> list[GateOutputs]:
    gates: list[GateOutputs] = outputs_of(resources, GATE)
    return [gate for gate in gates if gate.get("region")]


def hosts_by_place(resources: Resources) -> dict[str, Hosts]:
    """Place → host → address, of the hosts that have an address."""
    hosts: dict[str, Hosts] = {}
    entries: list[HostOutputs] = outputs_of(resources, HOST)
    for entry in entries:
        if (address := entry.get("address")) and (region := entry.get("region")):
            place = place_of(region, int(entry.get("generation") or FIRST))
            hosts.setdefault(place, {})[entry["host"]] = address
    return hosts


def hosts_at(hosts: dict[str, Hosts]) -> set[HostAt]:
    return {(place, host) for place, own in hosts.items() for host in own}


def machines_served(outputs: StackOutputs, hosts: dict[str, Hosts]) -> frozenset[HostAt]:
    """The machines that the last whole update left in a region that served or stood by."""
    region = outputs.get("region")
    regions = {region, *outputs.get("standby", [])} if region else set[str]()
    current, earlier = generations(outputs), kept_generations(outputs)
    machines: set[HostAt] = set()
    for place, host in hosts_at(hosts):
        numbers = [current.get(host, FIRST), *earlier.get(host, [])]
        if region_of(place) in regions and place in [place_of(region_of(place), number) for number in numbers]:
            machines.add((place, host))
    return frozenset(machines)


def machines_behind(gates: list[GateOutputs], hosts: dict[str, Hosts]) -> frozenset[HostAt]:
    """The machines that gates let names point to."""
    allowed: set[HostAt] = set()
    for gate in gates:
        # A gate of an earlier version names no machines: there was one in each region
        machines = {(place, host) for host, place in (gate.get("machines") or {}).items()}
        allowed |= machines or {(place, host) for place, host in hosts_at(hosts) if place == gate.get("region")}
    return frozenset(allowed)


def longest_ttl(records: list[RecordOutputs], open_gates: list[GateOutputs]) -> int:
    """The longest time, in seconds, that a resolver can remember a record. An attempt that did not reach its end may
    have shortened the records' own: its gate has what they had when it began."""
    return max((int(entry.get("ttl") or 0) for entry in [*open_gates, *records]), default=0)


def address_records(resources: Resources) -> list[RecordOutputs]:
    """The address records of public names, at any provider."""
    in_route53: list[RecordOutputs] = outputs_of(resources, RECORD)
    return [*in_route53, *written_records(resources)]


def pending_hosts(open_gates: list[GateOutputs]) -> dict[str, list[str]]:
    """System → the hosts that it was about to go to, by the gates of attempts that did not reach their end."""
    hosts_of: dict[str, list[str]] = {}
    gates = [(at, gate) for gate in open_gates if (at := gate.get("at"))]
    for _, gate in sorted(gates, key=lambda entry: entry[0]):
        for system, host in (gate.get("systems") or {}).items():
            hosts_of[system] = list(dict.fromkeys([*hosts_of.get(system, []), host]))
    return hosts_of


def written_records(resources: Resources) -> list[RecordOutputs]:
    """The address records of public names outside Route 53, as their commands wrote them last."""
    records: list[RecordOutputs] = []
    for urn, resource in resources.items():
        if "infra:index:PublicName$" in urn and resource.get("type") == COMMAND:
            output: CommandOutputs = resource.get("outputs") or {}
            with contextlib.suppress(ValueError, TypeError, KeyError):
                record = json.loads(output.get("stdout") or "")
                records.append({"records": record["values"], "ttl": record["ttl"]})
    return records


def record_providers(resources: Resources) -> frozenset[str]:
    """The providers at which the last update left records."""
    return frozenset({keeper(resource.get("type") or "", urn) for urn, resource in resources.items()} - {""})


def releases(resources: Resources) -> dict[str, ReleaseOutputs]:
    """The outputs of releases by their names in Pulumi."""
    return {
        urn.rsplit("::", 1)[-1]: resource.get("outputs") or {}
        for urn, resource in resources.items()
        if resource.get("type") == RELEASE
    }


def last_releases(resources: Resources) -> dict[str, LastRelease]:
    """Release → the release that it delivered last, from its command's output: an update that fails writes no outputs
    of the component."""
    by_name: dict[str, CommandOutputs] = {
        urn.rsplit("::", 1)[-1]: resource.get("outputs") or {} for urn, resource in resources.items()
    }
    delivered: dict[str, LastRelease] = {}
    for name, outputs in releases(resources).items():
        id: object
        try:
            id = json.loads(by_name[f"{name}-apply"].get("stdout") or "")["release"]
        except (KeyError, ValueError, TypeError):
            id = outputs.get("id")
        delivered[name] = LastRelease(id if isinstance(id, str) else "", outputs.get("files") or {})
    return delivered


def machines(resources: Resources) -> dict[str, dict[str, Machine]]:
    """Place → host → its machine, from the machines' own resources: an update that fails does not write the outputs of
    their hosts."""
    by_place: dict[str, dict[str, Machine]] = {}
    for urn, resource in resources.items():
        outputs: MachineOutputs = resource.get("outputs") or {}
        if resource.get("type") == MACHINE and (arn := outputs.get("arn")):
            id = arn.rsplit("/", 1)[-1]
            if host_and_place := of_instance(urn.rsplit("::", 1)[-1]):
                host, place = host_and_place
                by_place.setdefault(place, {})[host] = Machine(id, (outputs.get("tags") or {}).get(REPLACES, ""))
    return by_place


def data_disks(resources: Resources) -> dict[str, dict[str, Disk]]:
    """Place → host → its data disk."""
    by_place: dict[str, dict[str, Disk]] = {}
    for urn, resource in resources.items():
        outputs: VolumeOutputs = resource.get("outputs") or {}
        host_and_place = of_data_disk(urn.rsplit("::", 1)[-1]) if resource.get("type") == VOLUME else None
        if host_and_place and (arn := outputs.get("arn")) and (size := outputs.get("size")):
            id = arn.rsplit("/", 1)[-1]
            host, place = host_and_place
            by_place.setdefault(place, {})[host] = Disk(id, int(size), outputs.get("availabilityZone") or "")
    return by_place
