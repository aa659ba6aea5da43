"""Where the public names point: the last look before the switch, the switch, and what follows it."""

from typing import Any

import pulumi

from components import move, region
from components.before import Hosts
from components.dns import PublicName
from components.lookup import Zone
from components.move import Move
from components.region import Digests, Region
from rendering.host import render, zone_names


def running(here: Region, digests: Digests) -> Digests:
    """The images that run, out of all that a registry has."""
    wanted = [image.name for image in here.catalogue.images]
    return digests.apply(lambda known: {name: known[name] for name in wanted if name in known})


def serve(
    here: Region,
    zone: Zone,
    attempt: Move,
    digests: Digests,
    everywhere: pulumi.ResourceOptions,
    before: dict[str, Hosts],
) -> tuple[pulumi.Output[Any], list[pulumi.Resource]]:
    """Points every name at its host in this region; `before` are the hosts by region that were there. Of what is
    returned the first resolves after the last step (of a move that is the drain), the others are there once the names
    point here."""
    stack, catalogue, name = here.catalogue.stack, here.catalogue, f"{here.name}-{attempt.at}"
    single = {s.name for system in catalogue.running.values() for s in system.active if s.single}
    probes = {host: render(catalogue, host).probes for host in stack.ec2_hosts}
    urls = {host: [p.public for p in found if p.public and p.service not in single] for host, found in probes.items()}
    singles = {host: [p.public for p in found if p.public and p.service in single] for host, found in probes.items()}
    gates: list[move.Step] = []
    if attempt:
        if attempt.source:
            # What was pushed meanwhile to the region that is left
            region.images_here(here, f"images-newest-{name}", attempt.source, digests, newest=True)
        after = pulumi.ResourceOptions(depends_on=[*here.releases.values(), *here.waits])
        entries = move.coming(catalogue, attempt)
        waiting = {service for entry in entries.values() for service in entry["services"]}
        resting = [p.public for found in probes.values() for p in found if p.public and p.service in waiting]
        pointed = [public for host in stack.ec2_hosts for public in zone_names(catalogue, host)]
        gates = [move.gate(f"gate-{name}", stack, attempt, urls, here.addresses, resting, pointed, after)]
        for host, entry in entries.items():
            # One after the other, and the names only once all are there
            ready = pulumi.ResourceOptions(depends_on=[*gates])
            machine = here.machines[host].target
            gates.append(move.data_here(f"data-{host}-{name}", stack, attempt, entry, machine, before, ready))
    names = {public: host for host in stack.hosts for public in zone_names(catalogue, host)}
    records = [
        PublicName(
            public,
            stack,
            zone,
            here.machines[host].address,
            opts=pulumi.ResourceOptions.merge(
                everywhere, pulumi.ResourceOptions(depends_on=[here.releases[host], *gates])
            ),
        )
        for public, host in names.items()
    ]
    if not attempt:
        return pulumi.Output.all(*(record.fqdn for record in records)), [*records]
    moved = {public: here.machines[host].address for public, host in names.items() if host in stack.ec2_hosts}
    switched = pulumi.ResourceOptions(depends_on=[*records, *gates])
    verified = move.verified(f"verified-{name}", stack, moved, urls, singles, here.addresses, switched)
    if not attempt.leaving:
        return verified.done, [verified]
    drained = move.drained(f"drained-{name}", stack, attempt, gates[0], pulumi.ResourceOptions(depends_on=[verified]))
    return drained.done, [verified]
