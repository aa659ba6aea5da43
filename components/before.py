"""What the last update left of this stack: Pulumi's own state, asked before anything is made."""

import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pulumi

from catalogue.dns import COMMAND, RECORD, keeper
from catalogue.machines import FIRST, of_instance, place_of, region_of

Hosts = dict[str, str]
TORN = "failed to load checkpoint"
TRIES = 10


@dataclass(frozen=True)
class Machine:
    """A host's machine in EC2; `replaces` is the lost one whose place it took, "" for the first."""

    id: str
    replaces: str = ""


@dataclass(frozen=True)
class Served:
    """A release as it was brought last: its id, and its files' hashes as previews show them."""

    id: str = ""
    files: dict[str, str] = field(default_factory=dict)


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
    by their generation."""

    region: str = ""
    pointed: frozenset[tuple[str, str]] = frozenset()
    hosts: dict[str, Hosts] = field(default_factory=dict)
    gated: frozenset[tuple[str, str]] = frozenset()
    ttl: int = 0
    move: dict[str, Any] = field(default_factory=dict)
    machines: dict[str, dict[str, Machine]] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)
    unfinished: bool = False
    deployed: dict[str, Any] = field(default_factory=dict)
    served: dict[str, Served] = field(default_factory=dict)
    kept_at: frozenset[str] = frozenset()
    generations: dict[str, int] = field(default_factory=dict)
    systems: dict[str, list[str]] = field(default_factory=dict)
    begun: dict[str, list[str]] = field(default_factory=dict)
    kept: dict[str, list[int]] = field(default_factory=dict)

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
    """Of the stack that is being updated."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    for tries_left in reversed(range(TRIES)):
        try:
            reply = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name}).value or {}
            return read(reply.get("outputs") or {})
        except Exception as error:
            # The engine writes the state of what it has just registered: a file can be read in the middle of that
            if TORN not in str(error) or not tries_left:
                raise
            time.sleep(0.2)
    raise AssertionError("the last try returns or raises")


def read(resources: dict[str, Any]) -> Before:
    """Out of the state's resources: URN → {type, outputs}."""
    of = {kind: [r.get("outputs") or {} for r in resources.values() if r.get("type") == kind] for kind in KINDS}
    outputs = next(iter(of["pulumi:pulumi:Stack"]), {})
    hosts: dict[str, Hosts] = {}
    for outputs_of_host in of["infra:index:Host"]:
        if outputs_of_host.get("address") and outputs_of_host.get("region"):
            place = place_of(outputs_of_host["region"], int(outputs_of_host.get("generation") or FIRST))
            hosts.setdefault(place, {})[outputs_of_host["host"]] = outputs_of_host["address"]
    served = {outputs["region"], *outputs.get("standby", [])} if outputs.get("region") else set()
    generations = {host: int(number) for host, number in (outputs.get("generations") or {}).items()}
    kept = {host: [int(number) for number in numbers] for host, numbers in (outputs.get("kept") or {}).items()}
    move = outputs.get("move") or {}
    gates = [gate for gate in of["infra:index:Gate"] if gate.get("region")]
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
        gated |= {*passed} if passed else {(place, host) for place, host in pairs if place == gate["region"]}
    records = [*of[RECORD], *written_records(resources)]
    addresses = {address for record in records for address in record.get("records") or []}
    # An attempt that is not over may have shortened what names could be remembered for when it began
    pending = [int(gate.get("ttl") or 0) for gate in gates if gate.get("at") != move.get("at")]
    return Before(
        outputs.get("region") or "",
        frozenset((place, host) for place, own in hosts.items() for host, at in own.items() if at in addresses),
        hosts,
        frozenset(gated),
        max([*pending, *(int(record.get("ttl") or 0) for record in records)], default=0),
        move,
        machines(resources),
        {
            urn.rsplit("::", 1)[-1]: (resource.get("outputs") or {}).get("settles") or ""
            for urn, resource in resources.items()
            if resource.get("type") == "infra:index:Release"
        },
        any(gate.get("at") != move.get("at") for gate in gates),
        deployed if isinstance(deployed := outputs.get("deployed"), dict) else {},
        served_releases(resources),
        keepers(resources),
        generations,
        {host: list(names) for host, names in (outputs.get("systems") or {}).items()},
        pending_hosts(gates, move),
        kept,
    )


def pending_hosts(gates: list[dict[str, Any]], move: dict[str, Any]) -> dict[str, list[str]]:
    """System → the hosts that it was about to go to, by the gates of attempts that did not come to their end."""
    hosts_of: dict[str, list[str]] = {}
    open_gates = [gate for gate in gates if gate.get("at") and gate["at"] != move.get("at")]
    for gate in sorted(open_gates, key=lambda gate: gate["at"]):
        for system, host in (gate.get("systems") or {}).items():
            hosts_of[system] = list(dict.fromkeys([*hosts_of.get(system, []), host]))
    return hosts_of


def written_records(resources: dict[str, Any]) -> list[dict[str, Any]]:
    """The addresses of public names in a zone that Route 53 does not keep: what their commands wrote last."""
    records = []
    for urn, resource in resources.items():
        if "infra:index:PublicName$" in urn and resource.get("type") == COMMAND:
            output = (resource.get("outputs") or {}).get("stdout") or ""
            with contextlib.suppress(ValueError, TypeError, KeyError):
                record = json.loads(output)
                records.append({"records": record["values"], "ttl": record["ttl"]})
    return records


def keepers(resources: dict[str, Any]) -> frozenset[str]:
    """The providers at which the last update left records."""
    return frozenset({keeper(resource.get("type") or "", urn) for urn, resource in resources.items()} - {""})


def served_releases(resources: dict[str, Any]) -> dict[str, Served]:
    """Release → what it brought last, by what its command said: an update that fails writes no outputs of the
    component."""
    named = {urn.rsplit("::", 1)[-1]: resource.get("outputs") or {} for urn, resource in resources.items()}
    served = {}
    for urn, resource in resources.items():
        if resource.get("type") == "infra:index:Release":
            name, outputs = urn.rsplit("::", 1)[-1], resource.get("outputs") or {}
            try:
                id = json.loads(named[f"{name}-apply"]["stdout"])["release"]
            except (KeyError, ValueError, TypeError):
                id = outputs.get("id")
            served[name] = Served(id if isinstance(id, str) else "", outputs.get("files") or {})
    return served


def machines(resources: dict[str, Any]) -> dict[str, dict[str, Machine]]:
    """Place → host → its machine. By the machines themselves: their hosts' outputs are not written by an update that
    fails before its end."""
    by_place: dict[str, dict[str, Machine]] = {}
    for urn, resource in resources.items():
        outputs = resource.get("outputs") or {}
        if resource.get("type") == MACHINE and outputs.get("arn"):
            id = outputs["arn"].rsplit("/", 1)[-1]
            if named := of_instance(urn.rsplit("::", 1)[-1]):
                host, place = named
                by_place.setdefault(place, {})[host] = Machine(id, (outputs.get("tags") or {}).get(REPLACES, ""))
    return by_place


MACHINE = "aws:ec2/instance:Instance"
REPLACES = "replaces"  # a machine's tag: the lost one whose place it took
KINDS = ("pulumi:pulumi:Stack", "infra:index:Host", "infra:index:Gate", RECORD)
