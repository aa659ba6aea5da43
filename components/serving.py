"""Where the public names point: the gate before the switch, the switch, and the steps after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import move, region, steps
from components.before import Hosts
from components.dns import PublicName
from components.move import Move
from components.region import Digests, Region
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


def serve(
    here: Region, attempt: Move, digests: Digests, everywhere: pulumi.ResourceOptions, before: dict[str, Hosts]
) -> Cutover:
    """Points every name of the hosts that have a release by now; `before` are the hosts by place that there were."""
    stack, catalogue, name = here.catalogue.stack, here.catalogue, f"{here.name}-{attempt.at}"
    single = {s.name for system in catalogue.running.values() for s in system.active if s.single}
    takes = {host for host, spec in stack.hosts.items() if {*spec.runs} & {*attempt.systems}}
    # A move goes through the hosts that the region holds, and those that get a system
    probed_hosts = [host for host in here.releases if host in stack.ec2_hosts or host in takes]
    # Without a move nothing is asked, and rendering a host takes long
    probes = {host: render(catalogue, host).probes for host in probed_hosts if attempt}
    urls = {
        host: [p.public for p in entries if p.public and p.service not in single] for host, entries in probes.items()
    }
    singles = {
        host: [p.public for p in entries if p.public and p.service in single] for host, entries in probes.items()
    }
    gates: list[steps.Step] = []
    if attempt:
        if attempt.source:
            # What was pushed meanwhile to the region that is left
            region.images_here(here, f"images-newest-{name}", steps.ImageCopy(attempt.source, digests, newest=True))
        after = pulumi.ResourceOptions(depends_on=[*here.releases.values(), *here.waits])
        arrivals = move.arrivals_of(catalogue, attempt, before, here.addresses)
        waiting = {service for entries in arrivals for service in entries.entry["services"]}
        resting = [p.public for entries in probes.values() for p in entries if p.public and p.service in waiting]
        pointed = [public for host in probed_hosts for public in zone_names(catalogue, host)]
        awaited = steps.GateArgs(attempt, urls, here.addresses, resting, pointed)
        gates = [steps.gate(f"gate-{name}", stack, awaited, after)]
        for entries in arrivals:
            # One after the other, and the names only once all are there
            ready = pulumi.ResourceOptions(depends_on=[*gates])
            label = entries.entry["name"].replace(":", "-")
            machine = here.machines[entries.host].target
            gates.append(steps.data_here(f"data-{label}-{name}", stack, entries, machine, ready))
    records = point(here, [*here.releases], gates, everywhere)
    if not attempt:
        return Cutover(pulumi.Output.all(*(record.fqdn for record in records)), [*records], [])
    moved = {public: here.machines[host].address for host in probed_hosts for public in switched_names(catalogue, host)}
    switched = pulumi.ResourceOptions(depends_on=[*records, *gates])
    expected = steps.VerifyArgs(moved, urls, singles, here.addresses)
    verified = steps.verify_step(f"verified-{name}", stack, expected, switched)
    if not attempt.leaving and not attempt.systems:
        return Cutover(verified.result, [verified], [verified])
    drained = steps.drain_step(
        f"drained-{name}", stack, attempt, gates[0], pulumi.ResourceOptions(depends_on=[verified])
    )
    return Cutover(drained.result, [verified], [drained])


def point(
    here: Region, hosts: list[str], gates: Sequence[pulumi.Resource], everywhere: pulumi.ResourceOptions
) -> list[PublicName]:
    """The records of the hosts' names."""
    return [
        PublicName(
            public,
            here.catalogue.stack,
            here.zone,
            here.machines[host].address,
            opts=pulumi.ResourceOptions.merge(
                everywhere, pulumi.ResourceOptions(depends_on=[here.releases[host], *gates])
            ),
        )
        for host in hosts
        for public in zone_names(here.catalogue, host)
    ]
