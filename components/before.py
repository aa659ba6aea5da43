"""The state that the last update left: read from Pulumi's state before anything is created."""

import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pulumi

from catalogue.dns import COMMAND, RECORD, keeper
from catalogue.machines import FIRST, of_data_disk, of_instance, place_of, region_of
from components.state import (
    CommandOutputs,
    GateOutputs,
    HostOutputs,
    LastMove,
    MachineOutputs,
    RecordOutputs,
    ReleaseOutputs,
    Resources,
    StackOutputs,
    VolumeOutputs,
    outputs_of,
)

Hosts = dict[str, str]
TORN = "failed to load checkpoint"
TRIES = 10


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
class Served:
    """The last release of a host: its id, and its files' hashes as previews show them."""

    id: str = ""
    files: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Before:
    """`region` is where the last whole update left it ("" before the first) and `generations` which machine each host
    was then (of those that were not the first). `pointed` are the machines (place, as in catalogue/machines.py, and
    host) that names point to, `gated` those that a name may have pointed to, `hosts` maps each place that has some to
    host → address, `ttl` is how many seconds its record could be remembered, `move` the last change of place,
    `machines` those of EC2 by place and host, `settled` the last interrupted job of each release, by its name in
    Pulumi, `unfinished` whether a move passed its gate and did not come to its end, `deployed` the images that were
    deployed for one service alone (catalogue/deployed.py), `served` each release by its name in Pulumi, `kept_at` the
    providers that have records of the stack, `systems` those of each host, `begun` those that were about to go to
    others (system → these hosts) when updates ended. `kept` are the earlier machines that stay beside each host's own,
    by their generation, `disks` the data disks by place and host."""

    region: str = ""
    pointed: frozenset[tuple[str, str]] = frozenset()
    hosts: dict[str, Hosts] = field(default_factory=dict[str, Hosts])
    gated: frozenset[tuple[str, str]] = frozenset()
    ttl: int = 0
    move: LastMove = field(default_factory=LastMove)
    machines: dict[str, dict[str, Machine]] = field(default_factory=dict[str, dict[str, Machine]])
    settled: dict[str, str] = field(default_factory=dict[str, str])
    unfinished: bool = False
    deployed: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict[str, dict[str, dict[str, str]]])
    served: dict[str, Served] = field(default_factory=dict[str, Served])
    kept_at: frozenset[str] = frozenset()
    generations: dict[str, int] = field(default_factory=dict[str, int])
    systems: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    begun: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    kept: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    disks: dict[str, dict[str, Disk]] = field(default_factory=dict[str, dict[str, Disk]])

    @property
    def serving(self) -> frozenset[tuple[str, str]]:
        """The machines that names point to; of a host without a name the one of the last whole update."""
        named = {host for _, host in self.pointed}
        others = {host for own in self.hosts.values() for host in own} - named
        return self.pointed | {(place, host) for host in others if (place := self.place(host))}

    def place(self, host: str) -> str:
        """Where a host's machine was when the last whole update ended; "" before the first."""
        return place_of(self.region, self.generations.get(host, FIRST)) if self.region else ""


def before() -> Before:
    """The earlier state of the stack that is being updated."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    for tries_left in reversed(range(TRIES)):
        try:
            asked = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name})
            reply: dict[str, Any] = asked.value or {}
            return read(reply.get("outputs") or {})
        except Exception as error:
            # The engine may be writing the state of a resource: the file can be read half-written
            if TORN not in str(error) or not tries_left:
                raise
            time.sleep(0.2)
    raise AssertionError("the last try returns or raises")


def read(resources: Resources) -> Before:
    """The earlier state from the state's resources: URN → {type, outputs}."""
    outputs: StackOutputs = next(iter(outputs_of(resources, STACK)), {})
    known_hosts: list[HostOutputs] = outputs_of(resources, HOST)
    hosts: dict[str, Hosts] = {}
    for of_host in known_hosts:
        if (at := of_host.get("address")) and (region := of_host.get("region")):
            place = place_of(region, int(of_host.get("generation") or FIRST))
            hosts.setdefault(place, {})[of_host["host"]] = at
    last_region = outputs.get("region") or ""
    served = {last_region, *outputs.get("standby", [])} if last_region else set[str]()
    generations = {host: int(number) for host, number in (outputs.get("generations") or {}).items()}
    kept = {host: [int(number) for number in numbers] for host, numbers in (outputs.get("kept") or {}).items()}
    move: LastMove = outputs.get("move") or {}
    passed_gates: list[GateOutputs] = outputs_of(resources, GATE)
    gates = [gate for gate in passed_gates if gate.get("region")]
    pairs = {(place, host) for place, own in hosts.items() for host in own}
    gated = {
        (place, host)
        for place, host in pairs
        if (region := region_of(place)) in served
        and place in (place_of(region, number) for number in (generations.get(host, FIRST), *kept.get(host, [])))
    }
    for gate in gates:
        # One of an earlier version knew of one machine in each region
        passed = [(place, host) for host, place in (gate.get("machines") or {}).items()]
        gated |= {*passed} if passed else {(place, host) for place, host in pairs if place == gate.get("region")}
    kept_records: list[RecordOutputs] = outputs_of(resources, RECORD)
    records = [*kept_records, *written_records(resources)]
    addresses = {address for record in records for address in record.get("records") or []}
    # An attempt that is not over may have shortened what names could be remembered for when it began
    pending = [int(gate.get("ttl") or 0) for gate in gates if gate.get("at") != move.get("at")]
    return Before(
        last_region,
        frozenset((place, host) for place, own in hosts.items() for host, at in own.items() if at in addresses),
        hosts,
        frozenset(gated),
        max([*pending, *(int(record.get("ttl") or 0) for record in records)], default=0),
        move,
        machines(resources),
        {name: outputs_of_release.get("settles") or "" for name, outputs_of_release in releases(resources).items()},
        any(gate.get("at") != move.get("at") for gate in gates),
        deployed if isinstance(deployed := outputs.get("deployed"), dict) else {},
        served_releases(resources),
        keepers(resources),
        generations,
        {host: list(names) for host, names in (outputs.get("systems") or {}).items()},
        pending_hosts(gates, move),
        kept,
        data_disks(resources),
    )


def pending_hosts(gates: list[GateOutputs], move: LastMove) -> dict[str, list[str]]:
    """System → the hosts that it was about to go to, by the gates of attempts that did not come to their end."""
    hosts_of: dict[str, list[str]] = {}
    open_gates = [(at, gate) for gate in gates if (at := gate.get("at")) and at != move.get("at")]
    for _, gate in sorted(open_gates, key=lambda entry: entry[0]):
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


def keepers(resources: Resources) -> frozenset[str]:
    """The providers at which the last update left records."""
    return frozenset({keeper(resource.get("type") or "", urn) for urn, resource in resources.items()} - {""})


def releases(resources: Resources) -> dict[str, ReleaseOutputs]:
    """The outputs of releases by their names in Pulumi."""
    return {
        urn.rsplit("::", 1)[-1]: resource.get("outputs") or {}
        for urn, resource in resources.items()
        if resource.get("type") == RELEASE
    }


def served_releases(resources: Resources) -> dict[str, Served]:
    """Release → the release that it delivered last, from its command's output: an update that fails writes no outputs
    of the component."""
    named: dict[str, CommandOutputs] = {
        urn.rsplit("::", 1)[-1]: resource.get("outputs") or {} for urn, resource in resources.items()
    }
    served: dict[str, Served] = {}
    for name, outputs in releases(resources).items():
        id: object
        try:
            id = json.loads(named[f"{name}-apply"].get("stdout") or "")["release"]
        except (KeyError, ValueError, TypeError):
            id = outputs.get("id")
        served[name] = Served(id if isinstance(id, str) else "", outputs.get("files") or {})
    return served


def machines(resources: Resources) -> dict[str, dict[str, Machine]]:
    """Place → host → its machine, from the machines' own resources: an update that fails does not write the outputs of
    their hosts."""
    by_place: dict[str, dict[str, Machine]] = {}
    for urn, resource in resources.items():
        outputs: MachineOutputs = resource.get("outputs") or {}
        if resource.get("type") == MACHINE and (arn := outputs.get("arn")):
            id = arn.rsplit("/", 1)[-1]
            if named := of_instance(urn.rsplit("::", 1)[-1]):
                host, place = named
                by_place.setdefault(place, {})[host] = Machine(id, (outputs.get("tags") or {}).get(REPLACES, ""))
    return by_place


def data_disks(resources: Resources) -> dict[str, dict[str, Disk]]:
    """Place → host → its data disk."""
    by_place: dict[str, dict[str, Disk]] = {}
    for urn, resource in resources.items():
        outputs: VolumeOutputs = resource.get("outputs") or {}
        named = of_data_disk(urn.rsplit("::", 1)[-1]) if resource.get("type") == VOLUME else None
        if named and (arn := outputs.get("arn")) and (size := outputs.get("size")):
            id = arn.rsplit("/", 1)[-1]
            host, place = named
            by_place.setdefault(place, {})[host] = Disk(id, int(size), outputs.get("availabilityZone") or "")
    return by_place


MACHINE = "aws:ec2/instance:Instance"
VOLUME = "aws:ebs/volume:Volume"
REPLACES = "replaces"  # a machine's tag: the lost one whose place it took
STACK, HOST = "pulumi:pulumi:Stack", "infra:index:Host"
GATE, RELEASE = "infra:index:Gate", "infra:index:Release"
