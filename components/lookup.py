"""What must be there before anything is made: the zone and the machine images. A missing one stops the program."""

from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pulumi
import pulumi_aws as aws

from catalogue.loading import Catalogue
from catalogue.sizes import INSTANCE_TYPES
from catalogue.stack import Stack
from components.before import Machine

# States of a machine that is not lost
THERE = ["pending", "running", "stopping", "stopped"]


@dataclass(frozen=True)
class Zone:
    """The zone of the stack's names: its id for records, its ARN for permissions, "" where Route 53 does not keep it;
    `proofs` is the ARN of the zone in which hosts write what proves their names, "" where that is not in Route 53;
    `former` that of the zone which Route 53 kept until this update: releases that serve until it is over need it."""

    id: str = ""
    arn: str = ""
    proofs: str = ""
    former: str = ""


def zone(stack: Stack, kept_at: Collection[str], options: pulumi.InvokeOptions) -> Zone:
    """The zone of the stack's names; `kept_at` are the providers that have records of it. Raises pulumi.RunError."""
    ids = Zone()
    if stack.dns.provider == "route53":
        remedy = "make the zone in Route 53, or name one of this account; another provider's is named by infra:dns"
        with _one_line(f"infra:zone {stack.zone}", remedy):
            kept = aws.route53.get_zone(name=stack.zone, opts=options)
            ids = Zone(kept.zone_id, kept.arn, kept.arn)
    elif "route53" in kept_at:
        try:
            ids = Zone(former=aws.route53.get_zone(name=stack.zone, opts=options).arn)
        except Exception as error:
            # Where it has gone already no right in it is of use
            if "no matching" not in str(error):
                with _one_line(f"the zone {stack.zone} in Route 53, which the stack leaves", "may you list zones?"):
                    raise
    if stack.dns.challenges:
        key = f"infra:dns.challenges {stack.dns.challenges}"
        with _one_line(key, "make the zone in Route 53, or name one of this account"):
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
    """Host → the lost machine in whose place its machine is ("" for none), in the stack's region: the one that is gone
    now, else what the last update left. `machines` are those of each place. Raises pulumi.RunError."""
    region = stack.region
    there_before = {host: machines.get(stack.place(host), {}).get(host) for host in stack.ec2_hosts}
    machine_of = {host: machine for host, machine in there_before.items() if machine}
    if not machine_of:
        return {}
    with _one_line(f"machines of {region}", "may you list instances (ec2:DescribeInstances)?"):
        ids = [aws.ec2.GetInstancesFilterArgs(name="instance-id", values=sorted(m.id for m in machine_of.values()))]
        there = aws.ec2.get_instances(filters=ids, instance_state_names=THERE, region=region, opts=options).ids
    for host, machine in machine_of.items():
        if machine.id not in there:
            pulumi.log.warn(f"{host}: its machine {machine.id} is gone in {region}: a new one takes its place")
    return {host: machine.replaces if machine.id in there else machine.id for host, machine in machine_of.items()}


def availability_zone(stack: Stack, is_new: bool, options: pulumi.InvokeOptions) -> str:
    """The zone of the stack's region in which its hosts are to be; "" where that is decided already: what is there
    stays where it is. A region offers a type of machine in some of its zones only. Raises pulumi.RunError when no zone
    offers all types of the stack's hosts, or the one that it names does not."""
    wanted = sorted({spec.instanceType for spec in stack.ec2_hosts.values()})
    chosen, given = stack.availabilityZones.get(stack.region, ""), stack.networks.get(stack.region)
    if not wanted or not (is_new or chosen):
        return ""
    with _one_line(f"instance types of {stack.region}", "is the region enabled in this account?"):
        filters = [aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=wanted)]
        offerings = aws.ec2.get_instance_type_offerings(
            filters=filters, location_type="availability-zone", region=stack.region, opts=options
        )
        if given:
            chosen = aws.ec2.get_subnet(id=given.subnet, region=stack.region, opts=options).availability_zone
    zones: dict[str, set[str]] = {}
    for zone, offered in zip(offerings.locations, offerings.instance_types, strict=True):
        # Not local zones and the like, which have no public addresses of the region's
        if zone[:-1] == stack.region or zone == chosen:
            zones.setdefault(zone, set()).add(offered)
    if missing := [name for name in wanted if not any(name in offered for offered in zones.values())]:
        raise pulumi.RunError(
            f"nothing was touched: {stack.region} does not offer {', '.join(missing)}: give those hosts another "
            "instanceType of the same processor and memory"
        )
    whole = sorted(zone for zone, offered in zones.items() if offered.issuperset(wanted))
    if chosen and chosen not in whole:
        lacking = [name for name in wanted if name not in zones.get(chosen, set())]
        place = f"{chosen} (the zone of {given.subnet})" if given else chosen
        remedy = f"zones that do: {', '.join(whole)}" if whole else "no zone offers all types of this stack's hosts"
        raise pulumi.RunError(f"nothing was touched: {place} does not offer {', '.join(lacking)}; {remedy}")
    if not whole:
        each = "; ".join(f"{zone}: {', '.join(sorted(offered))}" for zone, offered in sorted(zones.items()))
        raise pulumi.RunError(
            f"nothing was touched: no availability zone of {stack.region} offers all of {', '.join(wanted)} ({each}): "
            "the hosts of a region share one, give some of them another instanceType"
        )
    return "" if given else chosen or whole[0]


def moving_images(catalogue: Catalogue, source: str, options: pulumi.InvokeOptions) -> dict[str, str]:
    """`repository:tag` → digest of what the region that is left runs, and of what only the new one has.

    Raises pulumi.RunError naming every image that is in neither, before anything is made.
    """
    stack = catalogue.stack
    wanted = {image.name: image.repository for image in catalogue.images}
    repositories = sorted(set(wanted.values()))
    try:
        digest_of = digests(repositories, source, options)
    except pulumi.RunError as error:
        # A region that is down may be why the stack leaves it
        pulumi.log.warn(f"the images of {source} cannot be asked for, only those that are here count: {error}")
        digest_of = {}
    shared = digests(repositories, stack.region, options) if stack.sharedRepositories else {}
    if away := sorted(name for name in wanted if stack.sharedRepositories and name not in shared):
        raise pulumi.RunError(
            f"nothing was touched: {len(away)} image(s) are not in {stack.region}: {', '.join(away)}. Another stack "
            "owns the repositories (infra:sharedRepositories): move that one first, it brings them"
        )
    missing = sorted(name for name in wanted if name not in digest_of)
    digest_of |= {
        name: digest
        for name, digest in digests(sorted({wanted[name] for name in missing}), stack.region, options).items()
        if name in missing
    }
    if nowhere := [name for name in missing if name not in digest_of]:
        to = f"--region {source} --stack {stack.name}"
        push = "; ".join(f"uv run infra push {name} --from YOUR-IMAGE {to}" for name in nowhere)
        raise pulumi.RunError(
            f"nothing was touched: {len(nowhere)} image(s) are neither in {source} nor in {stack.region}: push them to "
            f"where the stack is, from where they come along: {push}"
        )
    return {name: digest for name, digest in digest_of.items() if name in wanted}


def digests(repositories: list[str], region: str, options: pulumi.InvokeOptions) -> dict[str, str]:
    """`repository:tag` and `repository@digest` → digest, of all images in a region; none of a repository that is not
    there. Raises pulumi.RunError."""
    digest_of: dict[str, str] = {}
    for name in repositories:
        with _one_line(f"repository {name} in {region}", "may you list its images?"):
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
