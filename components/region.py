"""Everything that a stack has in one region: network, repositories, hosts, their releases and alarms."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor

from catalogue.data_disks import mounts
from catalogue.dns import CHALLENGE
from catalogue.groups import hosts_of_services
from catalogue.host import Ec2Host
from catalogue.loading import Catalogue
from catalogue.parts import members, neighbours, prerequisites
from components import access, group, steps
from components.alarms import HostAlarms, HostAlarmsArgs, Topic
from components.alone import refuse_more, with_versions
from components.before import Before, LastRelease, Machine
from components.configuration import Deploying
from components.data_disk import DataDisk
from components.existing_host import ExistingHost, ExistingHostArgs
from components.host import Host, HostArgs, Origin
from components.lookup import Zone
from components.network import Network, NetworkArgs
from components.permissions import HostPermissions, HostPermissionsArgs
from components.registry import Registry
from components.release import Release, ReleaseArgs, secrets_for, to_settle
from components.snapshots import Snapshots, snapshot_tags
from components.transfers import Transfers, with_givers
from rendering import proofs
from rendering.alarms import alarms, metrics_destination
from rendering.archive import Release as Built
from rendering.archive import build
from rendering.backups import services_with_backup
from rendering.cloudwatch import dashboard, dashboard_name
from rendering.host import data, needs, render, watches
from rendering.neighbours import names_unknown_address

Digests = pulumi.Output[dict[str, str]]


@dataclass
class Region:
    """The resources of a region, as far as they are created."""

    catalogue: Catalogue
    options: pulumi.ResourceOptions
    network: Network | None
    topic: Topic | None
    """Where its alarms are sent."""

    registry: Registry
    zone: Zone
    machines: dict[str, access.ReachableHost] = field(default_factory=dict[str, access.ReachableHost])
    releases: dict[str, Release] = field(default_factory=dict[str, Release])
    waits: list[pulumi.Resource] = field(default_factory=list[pulumi.Resource])
    copier: pulumi.Input[str] = ""
    """The role that may copy images here; "" where no host may."""

    settled_jobs: Mapping[str, str] = field(default_factory=dict[str, str])
    """The last interrupted job that each release settled."""

    former_callers: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Host → those that called its services until now, and get their releases first."""

    last_releases: Mapping[str, LastRelease] = field(default_factory=dict[str, LastRelease])
    """What each release delivered last."""

    alone: tuple[Deploying, Catalogue] | None = None
    """An update for some services alone, with the catalogue of what serves."""

    @property
    def name(self) -> str:
        return self.catalogue.stack.region

    @property
    def addresses(self) -> dict[str, pulumi.Output[str]]:
        return {host: machine.address for host, machine in self.machines.items()}


def release_outputs(region: Region) -> dict[str, dict[str, pulumi.Output[str]]]:
    """Host → its release, as the stack's outputs have it. What the agent said of it is not in there: an update that
    changes nothing would say it once more."""
    return {host: {"id": release.id} for host, release in region.releases.items()}


def private_addresses(region: Region, hosts: list[str]) -> pulumi.Output[dict[str, str]]:
    """Of the hosts that have a machine in a region."""
    addresses = {host: region.machines[host].private for host in hosts if host in region.machines}
    return pulumi.Output.all(**addresses) if addresses else pulumi.Output.from_input(dict[str, str]())


def begin(catalogue: Catalogue, region: str, args: NetworkArgs, zone: Zone, options: pulumi.ResourceOptions) -> Region:
    """The network, the repositories, the snapshots and the alarms' topic of a region."""
    here = replace(catalogue, stack=catalogue.stack.at(region))
    network = Network(f"network-{region}", here, args, opts=options) if here.stack.ec2_hosts else None
    heard = any(metrics_destination(here, host) for host in here.stack.hosts)
    topic = Topic(f"alarms-{region}", here.stack, opts=options) if heard else None
    registry = Registry(f"registry-{region}", here.stack, list(here.running.values()), opts=options)
    if here.stack.keepSnapshots and any(data(here, host) for host in here.stack.ec2_hosts):
        Snapshots(f"snapshots-{region}", here.stack, opts=options)
    return Region(here, options, network, topic, registry, zone)


def machine(
    region: Region, host: str, origin: Origin, everywhere: pulumi.ResourceOptions, going: Transfers | None = None
) -> HostPermissions:
    """A host of a region, ready for a release. One that no region holds keeps its name when the region changes, and
    `everywhere` are its options. Of systems that are `going` it has the rights for as long as it runs them."""
    catalogue, allowed = region.catalogue, with_givers(region.catalogue, going or {})
    stack = catalogue.stack
    spec = stack.hosts[host]
    name = stack.resource_prefix(host)
    options = region.options if host in stack.ec2_hosts else everywhere
    preparation, grants = needs(catalogue, host), proof_records(region.zone, allowed, host)
    # A host pulls what its own systems run, and nothing of others
    of_systems = [name for system in allowed.systems_on(host) for name in system.repositories]
    own = list(dict.fromkeys([*of_systems, *(image.repository for image in catalogue.images_on(host))]))
    pulls: pulumi.Input[list[str]] = pulumi.Output.all(*(region.registry.arns[name] for name in own)) if own else []
    watched = (region.zone.arn or region.zone.former) if watches(allowed, host) else ""
    namespace = metrics_destination(catalogue, host).get("namespace", "")
    place = f"{stack.backup_bucket}/{host}" if services_with_backup(allowed, host) else ""
    allowances = HostPermissionsArgs(stack, host, pulls, grants, watched, namespace, place)
    rights = HostPermissions(f"{name}-permissions", allowances, options)
    if isinstance(spec, Ec2Host):
        assert region.network, "there is one wherever there is an instance"
        # What is on a kept one is older from now on
        marks = snapshot_tags(stack) if data(catalogue, host) and stack.keepSnapshots and not origin.is_kept else {}
        disk = None
        if spec.dataDisk and origin.has_disk:
            places = mounts(catalogue.systems_on(host))
            disk = DataDisk(spec.dataDisk.size, places, marks, region.network.zone, origin.is_kept)
            marks = {}
        args = HostArgs(stack, host, spec, preparation, origin, region.network, rights.profile, marks, disk)
        machine_of_host = Host(name, args, options)
    else:
        machine_of_host = ExistingHost(name, ExistingHostArgs(stack, host, spec, preparation), options)
    region.machines[host] = machine_of_host
    return rights


def form_groups(region: Region) -> None:
    """The Swarms of a region's groups; its releases wait for them."""
    for leader, hosts in members(region.catalogue.stack).items():
        if all(host in region.machines for host in hosts):
            machines = {host: region.machines[host] for host in hosts}
            options = region.options if leader in region.catalogue.stack.ec2_hosts else pulumi.ResourceOptions()
            name = f"{region.catalogue.stack.resource_prefix(leader)}-group"
            region.waits = [*region.waits, group.form(name, region.catalogue, machines, options)]


def keep_earlier(region: Region, prior: Before, everywhere: pulumi.ResourceOptions) -> dict[str, list[int]]:
    """The machines that a host keeps beside its own, as they are: they get no release any more. One that is not there
    is not made. Host → the generations that there are."""
    stack, generations = region.catalogue.stack, dict[str, list[int]]()
    # A preview that knows of no state takes the configuration's word
    is_supposed = isinstance(get_monitor(), MockMonitor) and not prior.region
    for host, spec in stack.ec2_hosts.items():
        for number in sorted(spec.kept_types):
            with_it = stack.with_machine(host, number)
            earlier = prior.machines.get(with_it.place(host), {}).get(host)
            has_disk = is_supposed or host in prior.disks.get(with_it.place(host), {})
            if is_supposed:
                earlier = Machine("")
            if earlier:
                generations.setdefault(host, []).append(number)
                alone = replace(region, catalogue=replace(region.catalogue, stack=with_it), machines={}, releases={})
                machine(alone, host, Origin("", earlier.replaces, True, has_disk), everywhere)
                _add_alarms(alone, host)
            else:
                pulumi.log.warn(f"{host}: machine {number} of infra:hosts.{host}.kept does not exist")
    return generations


def proof_records(zone: Zone, catalogue: Catalogue, host: str) -> dict[str, list[str]]:
    """Zone's ARN → the TXT records by which a host proves its names there."""
    names_in = {zone.proofs: proofs.records(catalogue, host)}
    if zone.former:
        names_in[zone.former] = [f"{CHALLENGE}.{name}" for name in proofs.proved_names(catalogue, host)]
    return {arn: names for arn, names in names_in.items() if arn and names}


def copying_host(region: Region) -> steps.CopyingHost | None:
    """The host on which a region's images and artefacts are copied: the first one that has any."""
    able = [host for host in region.machines if "skopeo" in needs(region.catalogue, host)]
    return steps.CopyingHost(region.machines[able[0]].target, region.copier) if able else None


def images_here(region: Region, name: str, copy: steps.ImageCopy) -> None:
    """Copies the images into the region; all later resources wait for them."""
    host = copying_host(region)
    if host is None:
        return
    after = [
        *region.waits,
        *(machine_here.ready for machine_here in region.machines.values()),
        *region.releases.values(),
    ]
    options = pulumi.ResourceOptions(depends_on=after)
    region.waits = [steps.images(name, region.catalogue.stack, copy, host, options)]


def release(
    region: Region, host: str, digests: Digests, rights: HostPermissions, everywhere: pulumi.ResourceOptions
) -> None:
    """Delivers a host's release, and creates its alarms."""
    catalogue, stack = region.catalogue, region.catalogue.stack
    mine = host in stack.ec2_hosts
    secrets = rights.credentials.apply(lambda keys: secrets_for(catalogue, host, keys))
    addresses = private_addresses(region, neighbours(stack, host))
    name = stack.resource_prefix(host)

    def build_release(resolved: list[Any]) -> Built:
        digest_of, values, private = resolved
        whole = render(replace(catalogue, addresses=private), host, digest_of, values)
        if all(private.values()) and names_unknown_address(whole):
            raise pulumi.RunError(f"{host}: its release lacks a private address that is known: report this as a bug")
        after = build(whole)
        if region.alone is None:
            return after
        deploying, as_it_was = region.alone
        affected = hosts_of_services(stack, catalogue.systems, deploying.host, deploying.services)
        # What a failed update has brought to the others of a group is taken back without a look at what they have
        if host not in affected or (host != deploying.host and deploying.basis is None):
            return after
        files = render(replace(as_it_was, stack=stack, addresses=private), host, digest_of, values)
        before = build(with_versions(files, deploying.versions))
        last = region.last_releases.get(f"{name}-release", LastRelease())
        return refuse_more(host, deploying.changes, before, after, last)

    built = pulumi.Output.all(digests, secrets, addresses).apply(build_release)
    # What it calls serves before it asks for it, and what called it has ceased to before it stops serving
    others = prerequisites(stack, host, region.former_callers)
    earlier = [region.releases[other] for other in others if other in region.releases]
    options = pulumi.ResourceOptions.merge(
        region.options if mine else everywhere, pulumi.ResourceOptions(depends_on=[*region.waits, *earlier])
    )
    settles = to_settle(host, region.settled_jobs.get(f"{name}-release", ""))
    args = ReleaseArgs(stack, region.machines[host], built, secrets, settles)
    region.releases[host] = Release(f"{name}-release", args, options)
    _add_alarms(region, host)


def add_dashboard(region: Region) -> None:
    """The CloudWatch dashboard of the region's hosts, where CloudWatch has something of them."""
    catalogue = region.catalogue
    if not dashboard(catalogue, dict.fromkeys(region.machines, "i-0")):
        return
    ids = pulumi.Output.all(**{host: machine_here.machine for host, machine_here in region.machines.items()})
    aws.cloudwatch.Dashboard(
        f"dashboard-{region.name}",
        dashboard_name=dashboard_name(catalogue),
        dashboard_body=ids.apply(partial(dashboard, catalogue)),
        opts=region.options,
    )


def _add_alarms(region: Region, host: str) -> None:
    """The alarms of a host, from its release on: before it, its monitor's silence would be one (an earlier machine has
    its release). They are where the host publishes its metrics, whatever region holds the machine itself."""
    wanted_alarms = alarms(region.catalogue, host)
    if region.topic is None or not wanted_alarms:
        return
    released = [region.releases[host]] if host in region.releases else []
    options = pulumi.ResourceOptions.merge(region.options, pulumi.ResourceOptions(depends_on=released))
    # A machine's own end with it: those of another one of its name have a name of their own
    place = region.catalogue.stack.place(host) or region.name
    name, machine = f"{host}-{place}-alarms", region.machines[host].machine
    HostAlarms(name, HostAlarmsArgs(region.catalogue.stack, host, wanted_alarms, machine, region.topic.arn), options)
