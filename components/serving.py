"""Where the public names point: the gate before the switch, the switch, and the steps after it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from catalogue.proxied import proxied_names
from components import move, region, steps
from components.before import Hosts
from components.dns import PublicName, PublicNameArgs
from components.move import Move
from components.region import Digests, Region
from rendering.files import Probe
from rendering.host import render, switched_names, zone_names


def running(here: Region, digests: Digests) -> Digests:
    """The digests of images that run, from all that a registry has."""
    names = [image.name for image in here.catalogue.images]
    return digests.apply(lambda digest_of: {name: digest_of[name] for name in names if name in digest_of})


@dataclass(frozen=True)
class Cutover:
    """How names come to point to the region that serves. `last` resolves after the last step (of a move that is the
    drain); the resources of `after_switch` exist once the names point here, those of `remaining` once no request
    goes to the earlier place any more."""

    last: pulumi.Output[Any]
    after_switch: list[pulumi.Resource]
    remaining: list[pulumi.Resource]


@dataclass(frozen=True)
class Arrival:
    """What a move did before any name was pointed: its steps, and the probes of the hosts that its gate asks."""

    gates: list[steps.Step] = field(default_factory=list[steps.Step])
    probes: dict[str, list[Probe]] = field(default_factory=dict[str, list[Probe]])


def arrive(here: Region, attempt: Move, digests: Digests, before: dict[str, Hosts]) -> Arrival:
    """The gate of the hosts that have a release by now, and the data that comes to them; nothing without a move.
    `before` are the hosts by place that there were."""
    if not attempt:
        return Arrival()
    stack, catalogue, name = here.catalogue.stack, here.catalogue, f"{here.name}-{attempt.at}"
    probes = _find_probes(here, attempt, {})
    if attempt.source:
        # What was pushed meanwhile to the region that is left
        region.images_here(here, f"images-newest-{name}", steps.ImageCopy(attempt.source, digests, newest=True))
    after = pulumi.ResourceOptions(depends_on=[*here.releases.values(), *here.waits])
    arrivals = move.arrivals_of(catalogue, attempt, before, here.addresses)
    waiting = {service for entries in arrivals for service in entries.entry["services"]}
    resting = [p.public for entries in probes.values() for p in entries if p.public and p.service in waiting]
    pointed = [public for host in probes for public in zone_names(catalogue, host)]
    urls = _urls(probes, _single_services(here), False)
    gates = [steps.gate(f"gate-{name}", stack, steps.GateArgs(attempt, urls, here.addresses, resting, pointed), after)]
    for entries in arrivals:
        # One after the other, and the names only once all are there
        ready = pulumi.ResourceOptions(depends_on=[*gates])
        label = entries.entry["name"].replace(":", "-")
        machine = here.machines[entries.host].target
        gates.append(steps.data_here(f"data-{label}-{name}", stack, entries, machine, ready))
    return Arrival(gates, probes)


def serve(here: Region, attempt: Move, arrival: Arrival, everywhere: pulumi.ResourceOptions) -> Cutover:
    """Points every name of the hosts that have a release by now."""
    stack, catalogue, name = here.catalogue.stack, here.catalogue, f"{here.name}-{attempt.at}"
    records = point(here, [*here.releases], arrival.gates, everywhere)
    if not attempt:
        return Cutover(pulumi.Output.all(*(record.fqdn for record in records)), [*records], [])
    probes, single = _find_probes(here, attempt, arrival.probes), _single_services(here)
    moved = {public: here.machines[host].address for host in probes for public in switched_names(catalogue, host)}
    switched = pulumi.ResourceOptions(depends_on=[*here.releases.values(), *records, *arrival.gates])
    expected = steps.VerifyArgs(moved, _urls(probes, single, False), _urls(probes, single, True), here.addresses)
    verified = steps.verify_step(f"verified-{name}", stack, expected, switched)
    if not attempt.leaving and not attempt.systems:
        return Cutover(verified.result, [verified], [verified])
    drained = steps.drain_step(
        f"drained-{name}", stack, attempt, arrival.gates[0], pulumi.ResourceOptions(depends_on=[verified])
    )
    return Cutover(drained.result, [verified], [drained])


def _find_probes(here: Region, attempt: Move, rendered: dict[str, list[Probe]]) -> dict[str, list[Probe]]:
    """Those of the hosts with a release through which a move goes: hosts that the region holds, and those that get a
    system. Of hosts that are `rendered` none are rendered again, which takes long."""
    stack, catalogue = here.catalogue.stack, here.catalogue
    takes = {host for host, spec in stack.hosts.items() if {*spec.runs} & {*attempt.systems}}
    hosts = [host for host in here.releases if host in stack.ec2_hosts or host in takes]
    return {host: rendered[host] if host in rendered else render(catalogue, host).probes for host in hosts}


def _single_services(here: Region) -> set[str]:
    return {s.name for system in here.catalogue.running.values() for s in system.active if s.single}


def _urls(probes: dict[str, list[Probe]], single: set[str], is_single: bool) -> dict[str, list[str]]:
    """Host → the public URLs of its services that are, or are not, `single`."""
    return {
        host: [p.public for p in entries if p.public and (p.service in single) == is_single]
        for host, entries in probes.items()
    }


def point(
    here: Region, hosts: list[str], gates: Sequence[pulumi.Resource], everywhere: pulumi.ResourceOptions
) -> list[PublicName]:
    """The records of the hosts' names."""
    proxied = proxied_names(here.catalogue)
    return [
        PublicName(
            public,
            PublicNameArgs(here.catalogue.stack, here.zone, here.machines[host].address, public in proxied),
            opts=pulumi.ResourceOptions.merge(
                everywhere, pulumi.ResourceOptions(depends_on=[here.releases[host], *gates])
            ),
        )
        for host in hosts
        for public in zone_names(here.catalogue, host)
    ]
