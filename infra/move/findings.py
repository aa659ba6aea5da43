"""What the facts mean for a move: every finding with its remedy. Pure."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from agent import times
from catalogue.loading import Catalogue, images_of
from catalogue.problems import Problem
from catalogue.rules.hosts import DOCUMENTATION_NETWORKS
from catalogue.sizes import INSTANCE_TYPES
from infra.move.facts import Facts
from infra.move.ttl_history import LoweredTtl
from rendering.host import data

LOW_TTL = 60
GiB = 1024**3
UNPACKED, SYSTEM_GIB = 3, 6


def findings(catalogue: Catalogue, region: str, facts: Facts) -> list[Problem]:
    """All of them, errors first."""
    rules = (_region,) if facts.enabled is False else RULES
    problems = [problem for rule in rules for problem in rule(catalogue, region, facts)]
    return sorted(problems, key=lambda problem: problem.level)


Findings = Iterator[Problem]


def _region(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    if facts.enabled is False:
        rule = f"enable it: aws account enable-region --region-name {region} (minutes to hours)"
        yield Problem(region, "region", "is not enabled in this account", rule)


def _machines(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    for name, host in catalogue.stack.ec2_hosts.items():
        instance_type = INSTANCE_TYPES.get(host.instanceType)
        if host.instanceType not in facts.offered:
            is_here = region == catalogue.stack.region
            rule = (
                "choose another --type"
                if is_here
                else "choose another instanceType for that host, with the same architecture and memory"
            )
            yield Problem(region, f"host {name}", f"{host.instanceType} is not offered there", rule)
        if instance_type and facts.machine_images.get(instance_type.architecture) is None:
            parameter = catalogue.stack.ami_parameter(instance_type.architecture)
            yield Problem(
                region, f"host {name}", f"has no machine image under {parameter}", "set another infra:amiParameter"
            )


def _zones(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    """The hosts of a region share a zone."""
    types = {host.instanceType for host in catalogue.stack.ec2_hosts.values()}
    if types <= facts.offered and facts.zones and not any(types <= offered for offered in facts.zones.values()):
        each = "; ".join(f"{zone}: {', '.join(sorted(offered))}" for zone, offered in sorted(facts.zones.items()))
        fault = f"no availability zone there offers all of {', '.join(sorted(types))} ({each})"
        yield Problem(region, "hosts", fault, "change the instanceType of some hosts")


def _quotas(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    hosts = catalogue.stack.ec2_hosts.values()
    vcpus = sum(INSTANCE_TYPES[host.instanceType].vcpus for host in hosts if host.instanceType in INSTANCE_TYPES)
    quotas = [
        ("running on-demand vCPUs", facts.vcpu_quota, facts.vcpus_used, vcpus, "L-1216C47A"),
        ("Elastic IP addresses", facts.address_quota, facts.addresses_used, len(hosts), "L-0263D0A3"),
    ]
    for what, quota, used, more, code in quotas if hosts else []:
        if quota is None:
            fault = f"the quota of {what} is unknown; {used} in use, {more} more needed"
            yield Problem(region, "quota", fault, f"check quota {code} in Service Quotas", "warning")
        elif used + more > quota:
            fault = f"{what}: {used} in use, {more} more needed, the quota is {quota:.0f}"
            rule = (
                f"request an increase: aws service-quotas request-service-quota-increase --region {region} "
                "--service-code ec2 "
                f"--quota-code {code} --desired-value {used + more}"
            )
            yield Problem(region, "quota", fault, rule)


def _images(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    stack = catalogue.stack
    for system in catalogue.running.values():
        images_by_service = [(service, image.name) for service in system.active for image in service.images]
        for service, image in images_by_service:
            if image not in facts.there and image not in facts.here:
                rule = f"uv run infra push {image} --from YOUR-IMAGE --stack {stack.name}: the move copies it"
                yield Problem(region, f"service {service.name}", f"image {image} is in no region", rule)


def _disks(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    """Images take about three times their compressed size, and the system its own."""
    need = SYSTEM_GIB + -(-UNPACKED * facts.image_bytes // GiB)
    for name, host in catalogue.stack.ec2_hosts.items():
        has_images = bool(images_of(catalogue.systems_on(name)))
        if facts.image_bytes and has_images and host.volume < need:
            fault = f"has a disk of {host.volume} GiB, but its images and the system need about {need} GiB"
            yield Problem(region, f"host {name}", fault, f"set infra:hosts.{name}.volume to at least {need}")


def _names(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    """A repository that is there already would fail to be made, in the middle of the move, unless the stack has it."""
    ours = {repository for system in catalogue.running.values() for repository in system.repositories}
    duplicates = sorted(ours & facts.repositories - facts.own_repositories)
    if duplicates and not catalogue.stack.sharedRepositories:
        fault = f"{len(duplicates)} already exist and do not belong to the stack: {', '.join(duplicates)}"
        rule = (
            "delete them; the move copies the images again: aws ecr delete-repository --force --region {region} "
            "--repository-name NAME"
        )
        yield Problem(region, "repositories", fault, rule)


def _records(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    for name, ttl in facts.ttls.items():
        if ttl is None:
            yield Problem(region, name, "has no record yet", "it is created once the host serves", "warning")
        elif ttl > LOW_TTL:
            fault = (
                f"its record may be cached for {ttl} s (TTL): for that long clients reach the old host after the switch"
            )
            rule = f"set infra:recordTtl to {LOW_TTL}, run pulumi up, and wait {ttl} s before the move"
            yield Problem(region, name, fault, rule)
    if (
        facts.lowered
        and any(facts.ttls.values())
        and (remaining := facts.lowered.over - datetime.now(UTC)) > timedelta()
    ):
        yield _still_remembered(region, facts.lowered, remaining)


def _still_remembered(region: str, lowered: LoweredTtl, remaining: timedelta) -> Problem:
    """A short TTL counts only once no resolver can have the earlier record."""
    lowered_at, over = (times.show(at, form=times.SECONDS) for at in (lowered.at, lowered.over))
    if lowered.before is None:
        fault = f"were adopted by an update at {lowered_at}; their earlier TTL is not known here"
        return Problem(region, "names", fault, "if it was longer, wait until it has passed since then", "warning")
    fault = (
        f"had a TTL of {lowered.before} s until {lowered_at}: for "
        f"{math.ceil(remaining.total_seconds())} s more, clients would reach the old host after the switch"
    )
    return Problem(region, "names", fault, f"wait until {over}")


def _certificates(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    if facts.acme:
        fault = f"{catalogue.stack.acmeDirectory} does not answer: {facts.acme}"
        yield Problem(region, "certificates", fault, "the new host needs one before it serves: try again later")


def _challenges(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    for host in catalogue.stack.ec2_hosts:
        for system in catalogue.systems_on(host):
            for site in system.sites:
                if site.is_proved_by_http:
                    fault = "uses HTTP-01: the new host gets no certificate until the name points to it"
                    rule = (
                        "set challenge: dns-01 for the site, with a name in infra:zone (or infra:dns.challenges, "
                        "docs/names.md), or give it your own certificate (certificate: {chain, key})"
                    )
                    yield Problem(region, f"site {site.name}", fault, rule)


def _data(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    """It comes along, and is not served meanwhile; where it does not, the old machine goes with it."""
    for host in catalogue.stack.ec2_hosts:
        paths = data(catalogue, host)
        if paths and catalogue.stack.moveData:
            fault = f"its data is moved: {', '.join(paths)}"
            rule = (
                "copied while the old host serves; the rest, compared by checksum, while neither host does. Clients "
                "that have cached the old address get 503 until the record's TTL is over"
            )
            yield Problem(region, f"host {host}", fault, rule, "warning")
        elif paths:
            fault = f"has data that is not moved (infra:moveData is false): {', '.join(paths)}"
            keeping = f"infra host replace {host}" if region == catalogue.stack.region else f"infra move {region}"
            rule = (
                f"{keeping} --keep keeps the old machine until the data is copied by hand; or restore it afterwards "
                "from a backup or a snapshot (infra backup restore, infra restore)"
            )
            yield Problem(region, f"host {host}", fault, rule, "warning")


def _singles(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    """What may run once at a time starts on the new host only after it has ended on the old one."""
    for host in catalogue.stack.ec2_hosts:
        names = [s.name for system in catalogue.systems_on(host) for s in system.active if s.single]
        if names:
            fault = (
                f"only one instance may run of {', '.join(names)}: 503 from the switch until it has started on the "
                "new host"
            )
            rule = f"up to {2 * catalogue.stack.singleCheck} s (two checks, infra:singleCheck)"
            yield Problem(region, f"host {host}", fault, rule, "warning")


def _administrators(catalogue: Catalogue, region: str, facts: Facts) -> Findings:
    for network in catalogue.stack.adminCidrs:
        if any(network.subnet_of(example) for example in DOCUMENTATION_NETWORKS):
            fault = f"infra:adminCidrs: {network} is a documentation network, from which no one can connect"
            yield Problem(region, "new hosts", fault, "name your own networks: releases are sent over SSH")


NAMES = {
    _region: "region", _machines: "machines and their images", _zones: "availability zones",
    _quotas: "quotas", _images: "container images",
    _names: "repositories", _records: "records and their TTL", _certificates: "certificate authority",
    _challenges: "proof of name ownership", _administrators: "administrators' networks", _disks: "disks",
    _data: "data", _singles: "single services",
}  # fmt: skip
RULES = tuple(NAMES)


def fine(catalogue: Catalogue, region: str, facts: Facts) -> list[str]:
    """What was looked at and has no finding."""
    looked = (_region,) if facts.enabled is False else RULES
    return [NAMES[rule] for rule in looked if not any(rule(catalogue, region, facts))]


def cost(catalogue: Catalogue, region: str, facts: Facts) -> str:
    """What the hosts cost a month now, meanwhile and afterwards."""
    now, after = facts.costs.get(catalogue.stack.region), facts.costs.get(region)
    if now is None or after is None or now.dollars is None or after.dollars is None:
        return (
            "cost per month: the hosts' prices are not known here (allow pricing:GetProducts, or see "
            "https://calculator.aws)"
        )
    if region == catalogue.stack.region:
        return (
            f"cost per month for machine, disk and address, on demand: ${after.dollars:.2f} for the new machine "
            f"({after.by}), in addition to the old one while both exist"
        )
    return (
        f"cost per month for machines, disks and addresses, on demand: ${now.dollars:.2f} now, "
        f"${now.dollars + after.dollars:.2f} while both regions exist, ${after.dollars:.2f} afterwards ({after.by})"
    )
