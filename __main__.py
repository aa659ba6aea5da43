"""The program: configuration → catalogue → components → outputs."""

from datetime import UTC, datetime
from pathlib import Path

import pulumi
import pulumi_aws as aws

from catalogue.checks import ensure_valid
from catalogue.deployed_images import pin_images, standing
from catalogue.groups import memory_of_groups
from catalogue.loading import load
from catalogue.machines import region_of
from catalogue.parts import members, release_order
from catalogue.problems import CatalogueError
from components import before, budget, configuration, elsewhere, lookup, move, pending_operations, region
from components.alone import refuse_stale
from components.backups import Backups
from components.copier import Copier
from components.data_disk import refuse_loss
from components.dns import Proofs, Records, refuse_to_leave
from components.group import former_groups, refuse_move
from components.host import Origin
from components.network import NetworkArgs
from components.parts import former_callers, former_passages, part_outputs, refuse_lost_data, waiting_callers
from components.pushers import Pushers
from components.registry import Digests
from components.serving import arrive, point, running, serve
from components.steps import ImageCopy

try:
    stack = configuration.stack()
    catalogue = ensure_valid(load(Path(__file__).parent, stack), warn=lambda found: pulumi.log.warn(found.message))
    configuration.keys_present(stack)
    configuration.demand_known_regions(stack)
except CatalogueError as error:
    raise pulumi.RunError(f"nothing was touched:\n{error}") from None
# Answered while AWS is asked
interruptions = pending_operations.ask()
pending_operations.note_engine()


def provider(name: str, place: str) -> aws.Provider:
    return aws.Provider(f"aws-{name}", region=place, allowed_account_ids=[stack.accountId])


# Names and identities belong to no region: what the move of a stack changes must not change their provider
global_provider = provider("everywhere", "us-east-1")
everywhere = pulumi.ResourceOptions(providers={"aws": global_provider})
asking = pulumi.InvokeOptions(provider=global_provider)
prior = before.before()
deploying = configuration.deploying(stack.name)
if deploying:
    refuse_stale(deploying, prior, stack)
# What another host has deployed is not this update's affair, whatever this checkout says of it
deployed = deploying.deployed if deploying else standing(catalogue, prior.deployed)
as_it_was, catalogue = pin_images(catalogue, prior.deployed), pin_images(catalogue, deployed)
refuse_to_leave(stack, prior.record_providers)
refuse_loss(catalogue, prior.disks)
refuse_lost_data(catalogue, prior)
moving = move.is_under_way(stack, prior)
refuse_move(stack, prior)
now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
attempt = move.plan_move(stack, prior, now)
if attempt.at == now:
    attempt = move.with_data(catalogue, attempt, prior)
    move.warn_of_data(catalogue, attempt)
# What is done stays done: a later update releases them in their order
waiting = waiting_callers(catalogue, attempt, prior) if attempt.at == now else []

zone = lookup.zone(stack, prior.record_providers, asking)
machine_images = {place: lookup.machine_images(stack.at(place), asking) for place in stack.regions}
# Where a machine is, its zone is decided
undecided = {*stack.regions} - {region_of(place) for place in (*prior.hosts, *prior.machines)}
zones = {place: lookup.availability_zone(stack.at(place), place in undecided, asking) for place in stack.regions}
known_images = lookup.moving_images(catalogue, move.source_of(stack, prior), asking) if moving else None
foreign_images = elsewhere.digests(catalogue, asking) if known_images is None else {}

replaced = {place: lookup.replaced_machines(stack.at(place), prior.machines, asking) for place in stack.regions}
pending_operations.refuse(interruptions)
bucket = []
if stack.backupRegion:
    # Also while nothing is backed up: what leaves the stack once could not be made again under its name
    bucket_options = pulumi.ResourceOptions(providers={"aws": provider("backups", stack.backupRegion)})
    bucket = [Backups("backups", stack, opts=bucket_options)]
proofs = []
if stack.dns.challenges and stack.dns.is_ours:
    proofs = [Proofs("proofs", catalogue, zone, everywhere)]
# What it gave away it may do until the update after
going = attempt.systems if attempt.at == now else {}
former_ways = former_passages(catalogue, prior)
regions: dict[str, region.Region] = {}
rights = {}
for place in stack.regions:
    regional = pulumi.ResourceOptions(providers={"aws": provider(place, place)})
    has_hosts = any(region_of(earlier) == place for earlier in prior.hosts)
    former = (former_ways, former_groups(stack, prior)) if has_hosts else ([], {})
    network = NetworkArgs(zones[place], *former)
    regions[place] = region.begin(catalogue, place, network, zone, regional)
    regions[place].former_callers = former_callers(former_ways, stack)
    regions[place].settled_jobs, regions[place].last_releases = prior.settled_jobs, prior.last_releases
    # What stands by gets it with the next whole update, and may be one behind
    regions[place].alone = (deploying, as_it_was) if deploying and place == stack.region else None
    regions[place].waits = [*bucket, *proofs]
    for host in stack.hosts if place == stack.region else stack.ec2_hosts:
        origin = Origin(machine_images[place].get(host, ""), replaced.get(place, {}).get(host, ""))
        rights[place, host] = region.machine(regions[place], host, origin, everywhere, going)
    region.form_groups(regions[place])

if attempt.source or stack.standbyRegions:
    repositories = [repository for system in catalogue.running.values() for repository in system.repositories]
    copier = Copier("copier", stack, repositories, opts=everywhere)
    for place in regions:
        regions[place].copier = copier.role

here = regions[stack.region]
kept_machines = region.keep_earlier(here, prior, everywhere)
known_digests = (known_images or {}) | foreign_images | configuration.approved_images()
digests_here = Digests(here.registry if known_images is None else None, known_digests)
digests = digests_here.of(catalogue.images)


def digests_on(host: str) -> region.Digests:
    """Of what runs on a host alone: a release that waited for every repository would grow with the stack."""
    images = {image.name: image for image in [*as_it_was.images_on(host), *catalogue.images_on(host)]}
    return digests_here.of([images[name] for name in sorted(images)])


if attempt.source:
    region.images_here(here, f"images-{here.name}-{attempt.at}", ImageCopy(attempt.source, digests))
elsewhere.copy_images(here, digests)
gives = [host for host in stack.hosts if any(host in hosts for hosts in attempt.systems.values())]
in_order = release_order(stack, here.former_callers)
for host in in_order:
    if host not in [*gives, *waiting]:
        region.release(here, host, digests_on(host), rights[here.name, host], everywhere)
arrival = arrive(here, attempt, digests, prior.hosts)
here.waits = [*here.waits, *arrival.gates]
for host in [host for host in in_order if host in waiting]:
    region.release(here, host, digests_on(host), rights[here.name, host], everywhere)
served = serve(here, attempt, arrival, everywhere)
here.waits = [*here.waits, *served.remaining]
for host in gives:
    # What it gives away runs until its new host has taken over
    region.release(here, host, digests_on(host), rights[here.name, host], everywhere)
point(here, gives, [], everywhere)
last = pulumi.Output.all(served.last, *(here.releases[host].id for host in gives))

for place in stack.standbyRegions:
    # What stands by comes last: it holds up nothing that serves, even where it is gone for good
    regions[place].waits = served.after_switch
    region.images_here(regions[place], f"images-{place}", ImageCopy(here.name, running(here, digests), once=False))
    for host in [host for host in in_order if host in stack.ec2_hosts]:
        region.release(regions[place], host, digests_on(host), rights[place, host], everywhere)

if stack.cloudwatchDashboard:
    for place in regions:
        region.add_dashboard(regions[place])
if stack.pushers:
    pulumi.export("pushers", Pushers("pushers", catalogue, everywhere).roles)
if stack.records:
    Records("records", stack, zone, everywhere)
if not stack.dns.is_ours:
    pulumi.log.info(f"a person writes the records of {stack.zone}: infra dns show --stack {stack.name} lists them")
if stack.creditsBudget:
    budget.credits(stack, everywhere)

pulumi.export("region", last.apply(lambda _: stack.region))
pulumi.export("standby", stack.standbyRegions)
pulumi.export("systems", last.apply(lambda _: {host: spec.runs for host, spec in stack.hosts.items()}))
parts = part_outputs(catalogue)
if parts:
    pulumi.export("parts", last.apply(lambda _: parts))
if parts or members(stack):
    pulumi.export("privateAddresses", region.private_addresses(here, [*stack.hosts]))
groups = memory_of_groups(stack, catalogue.systems)
if groups:
    pulumi.export("groups", last.apply(lambda _: groups))
pulumi.export("generations", last.apply(lambda _: stack.generations))
pulumi.export("kept", last.apply(lambda _: kept_machines))
pulumi.export("move", last.apply(lambda _: move.move_output(attempt)))
pulumi.export("addresses", here.addresses)
pulumi.export("releases", region.release_outputs(here))
for place in stack.standbyRegions:
    outputs = {"addresses": regions[place].addresses, "releases": region.release_outputs(regions[place])}
    between = region.private_addresses(regions[place], [*stack.ec2_hosts])
    pulumi.export(f"standby_{place}", outputs | ({"privateAddresses": between} if parts else {}))
pulumi.export("images", running(here, digests))
if deployed:
    # What a release that failed was to bring is not deployed
    ids = [release.id for release in here.releases.values()]
    pulumi.export("deployed", pulumi.Output.all(*ids).apply(lambda _: deployed))
pulumi.export("repositories", here.registry.urls)
pulumi.export(
    "urls", [f"https://{stack.public_name(s.name)}/" for system in catalogue.running.values() for s in system.sites]
)
