"""Lookups before anything is created: the zone, machine images, lost machines, zones and digests. What is missing stops
the program."""

from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pulumi
import pulumi_aws as aws

from agent.quoting import count
from catalogue.loading import Catalogue
from catalogue.sizes import INSTANCE_TYPES
from catalogue.stack import Stack
from components.before import Machine

# States of a machine that is not lost
THERE = ["pending", "running", "stopping", "stopped"]


@dataclass(frozen=True)
class Zone:
    """The zone of the stack's names: its id for records and its ARN for permissions, "" if it is not in Route 53.
    `proofs` is the ARN of the zone in which hosts write ACME challenges, "" if it is not in Route 53. `former` is the
    ARN of the zone that was in Route 53 until this update: running releases need it until the update ends."""

    id: str = ""
    arn: str = ""
    proofs: str = ""
    former: str = ""


def zone(stack: Stack, record_providers: Collection[str], options: pulumi.InvokeOptions) -> Zone:
    """The zone of the stack's names; `record_providers` are those that have records of it. Raises pulumi.RunError."""
    ids = Zone()
    if stack.dns.provider == "route53":
        remedy = "create the zone in Route 53, or name one of this account; for another provider set infra:dns"
        with _one_line(f"infra:zone {stack.zone}", remedy):
            hosted_zone = aws.route53.get_zone(name=stack.zone, opts=options)
            ids = Zone(hosted_zone.zone_id, hosted_zone.arn, hosted_zone.arn)
    elif "route53" in record_providers:
        try:
            ids = Zone(former=aws.route53.get_zone(name=stack.zone, opts=options).arn)
        except Exception as error:
            # A zone that no longer exists needs no permissions
            if "no matching" not in str(error):
                with _one_line(
                    f"the former zone {stack.zone} in Route 53", "check the permission route53:ListHostedZones"
                ):
                    raise
    if stack.dns.challenges:
        key = f"infra:dns.challenges {stack.dns.challenges}"
        with _one_line(key, "create the zone in Route 53, or name one of this account"):
            ids = replace(ids, proofs=aws.route53.get_zone(name=stack.dns.challenges, opts=options).arn)
    return ids


def machine_images(stack: Stack, options: pulumi.InvokeOptions) -> dict[str, str]:
    """Host → the image that a new machine of it would get in the stack's region. Raises pulumi.RunError."""
    image_of: dict[str, str] = {}
    for host, spec in stack.ec2_hosts.items():
        parameter = stack.ami_parameter(INSTANCE_TYPES[spec.instanceType].architecture)
        with _one_line(f"infra:amiParameter {parameter}", f"name a parameter that exists in {stack.region}"):
            image_of[host] = aws.ssm.get_parameter(name=parameter, region=stack.region, opts=options).value
    return image_of


def replaced_machines(
    stack: Stack, machines: dict[str, dict[str, Machine]], options: pulumi.InvokeOptions
) -> dict[str, str]:
    """Host → id of the lost machine that its machine replaces ("" for none), in the stack's region: one found to be
    gone now, or the one of the last update. `machines` are those of each place. Raises pulumi.RunError."""
    region = stack.region
    there_before = {host: machines.get(stack.place(host), {}).get(host) for host in stack.ec2_hosts}
    machine_of = {host: machine for host, machine in there_before.items() if machine}
    if not machine_of:
        return {}
    with _one_line(f"machines of {region}", "check the permission ec2:DescribeInstances"):
        ids = [aws.ec2.GetInstancesFilterArgs(name="instance-id", values=sorted(m.id for m in machine_of.values()))]
        there = aws.ec2.get_instances(filters=ids, instance_state_names=THERE, region=region, opts=options).ids
    for host, machine in machine_of.items():
        if machine.id not in there:
            pulumi.log.warn(f"{host}: its machine {machine.id} is gone in {region}: a new one replaces it")
    return {host: machine.replaces if machine.id in there else machine.id for host, machine in machine_of.items()}


def availability_zone(stack: Stack, is_new: bool, options: pulumi.InvokeOptions) -> str:
    """The availability zone for the stack's hosts in its region; "" if that is decided already: existing hosts stay
    where they are. A region offers an instance type in some of its zones only. Raises pulumi.RunError if no zone offers
    all types of the stack's hosts, or the configured one does not."""
    instance_types = sorted({spec.instanceType for spec in stack.ec2_hosts.values()})
    required_zone, network = stack.availabilityZones.get(stack.region, ""), stack.networks.get(stack.region)
    if not instance_types or not (is_new or required_zone):
        return ""
    with _one_line(f"instance types of {stack.region}", "is the region enabled in this account?"):
        filters = [aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=instance_types)]
        offerings = aws.ec2.get_instance_type_offerings(
            filters=filters, location_type="availability-zone", region=stack.region, opts=options
        )
        if network:
            required_zone = aws.ec2.get_subnet(id=network.subnet, region=stack.region, opts=options).availability_zone
    zones: dict[str, set[str]] = {}
    for zone, offered in zip(offerings.locations, offerings.instance_types, strict=True):
        # Without local zones, which have no public addresses of the region
        if zone[:-1] == stack.region or zone == required_zone:
            zones.setdefault(zone, set()).add(offered)
    if missing := [name for name in instance_types if not any(name in offered for offered in zones.values())]:
        raise pulumi.RunError(
            f"nothing was touched: {stack.region} does not offer {', '.join(missing)}: set another instanceType of the "
            "same processor and memory for those hosts"
        )
    whole = sorted(zone for zone, offered in zones.items() if offered.issuperset(instance_types))
    if required_zone and required_zone not in whole:
        lacking = [name for name in instance_types if name not in zones.get(required_zone, set())]
        place = f"{required_zone} (the zone of {network.subnet})" if network else required_zone
        remedy = (
            f"zones that offer all types: {', '.join(whole)}"
            if whole
            else "no zone offers all types of this stack's hosts"
        )
        raise pulumi.RunError(f"nothing was touched: {place} does not offer {', '.join(lacking)}; {remedy}")
    if not whole:
        each = "; ".join(f"{zone}: {', '.join(sorted(offered))}" for zone, offered in sorted(zones.items()))
        raise pulumi.RunError(
            f"nothing was touched: no availability zone of {stack.region} offers all of {', '.join(instance_types)} "
            f"({each}): the hosts of a region share one zone, so set another instanceType for some of them"
        )
    return "" if network else required_zone or whole[0]


def moving_images(catalogue: Catalogue, source: str, options: pulumi.InvokeOptions) -> dict[str, str]:
    """`repository:tag` → digest: from the region that the stack leaves, or else from the new one.

    Raises pulumi.RunError that names every image in neither, before anything is created.
    """
    stack = catalogue.stack
    repository_of = {image.name: image.repository for image in catalogue.images}
    repositories = sorted(set(repository_of.values()))
    try:
        digest_of = digests(repositories, source, options)
    except pulumi.RunError as error:
        # The stack may be leaving this region because it is down
        pulumi.log.warn(f"the images of {source} cannot be listed, so only those of {stack.region} are used: {error}")
        digest_of = {}
    shared = digests(repositories, stack.region, options) if stack.sharedRepositories else {}
    if away := sorted(name for name in repository_of if stack.sharedRepositories and name not in shared):
        raise pulumi.RunError(
            f"nothing was touched: {count(len(away), 'image')} not in {stack.region}: {', '.join(away)}. Another stack "
            "owns the repositories (infra:sharedRepositories): move that one first, which copies them"
        )
    missing = sorted(name for name in repository_of if name not in digest_of)
    digest_of |= {
        name: digest
        for name, digest in digests(sorted({repository_of[name] for name in missing}), stack.region, options).items()
        if name in missing
    }
    if nowhere := [name for name in missing if name not in digest_of]:
        to = f"--region {source} --stack {stack.name}"
        push = "; ".join(f"uv run infra push {name} --from YOUR-IMAGE {to}" for name in nowhere)
        raise pulumi.RunError(
            f"nothing was touched: {count(len(nowhere), 'image')} neither in {source} nor in {stack.region}: push them "
            f"to the stack's present region, from which the move copies them: {push}"
        )
    return {name: digest for name, digest in digest_of.items() if name in repository_of}


def digests(repositories: list[str], region: str, options: pulumi.InvokeOptions) -> dict[str, str]:
    """`repository:tag` and `repository@digest` → digest, of all images in a region's repositories; a missing repository
    has none. Raises pulumi.RunError."""
    digest_of: dict[str, str] = {}
    for name in repositories:
        with _one_line(f"repository {name} in {region}", "check the permission ecr:ListImages"):
            try:
                images = aws.ecr.get_images(repository_name=name, region=region, opts=options).image_ids
            except Exception as error:
                if "RepositoryNotFound" not in str(error):
                    raise
                continue
        digest_of |= {f"{name}:{image.image_tag}": image.image_digest for image in images if image.image_tag}
        digest_of |= {f"{name}@{image.image_digest}": image.image_digest for image in images}
    return digest_of


@contextmanager
def _one_line(what: str, remedy: str) -> Generator[None]:
    try:
        yield
    except Exception as error:
        # The SDK raises a bare Exception: its text's last part is the provider's own
        reason = str(error).rsplit("returned an error: ", 1)[-1].strip()
        raise pulumi.RunError(f"nothing was touched: {what}: {reason}; {remedy}") from None
