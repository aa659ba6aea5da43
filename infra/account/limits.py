"""What an account still has room for, against what an update of a stack would create."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from catalogue.problems import Problem
from catalogue.sizes import INSTANCE_TYPES
from infra.account.region import ADDRESSES, GATEWAYS, NETWORKS, RULES, VCPUS, Region
from infra.orphans.state import AwsResource
from infra.preview.documents import ResourceRecord

AnyResource = ResourceRecord | AwsResource  # planned, or existing
INSTANCE = "aws:ec2/instance:Instance"
REPOSITORY = "aws:ecr/repository:Repository"
# A region's hosts have one group
OF_GROUP = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "inbound",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "outbound",
}


@dataclass(frozen=True)
class Quota:
    """Of what resources of a type use up: `usual` is what AWS gives without being asked (None: it differs)."""

    what: str
    code: tuple[str, str]
    usual: float | None
    used: Callable[[Region], int]


QUOTAS = {
    "aws:ec2/eip:Eip": Quota("Elastic IP addresses", ADDRESSES, 5, Region.addresses),
    "aws:ec2/vpc:Vpc": Quota("networks (VPCs)", NETWORKS, 5, Region.networks),
    "aws:ec2/internetGateway:InternetGateway": Quota("internet gateways", GATEWAYS, 5, Region.gateways),
    INSTANCE: Quota("running on-demand vCPUs", VCPUS, None, Region.vcpus),
}  # fmt: skip


def region_of(resource: AnyResource) -> str:
    """By its provider, `aws-REGION`; "" where it is of none."""
    return resource["provider"].split("::")[3].removeprefix("aws-") if resource.get("provider") else ""


def new(planned: Iterable[ResourceRecord], existing: Iterable[AwsResource]) -> list[ResourceRecord]:
    """What the program asks for and the state does not have. Pure."""
    there = {entry["urn"] for entry in existing}
    return [resource for resource in planned if resource["custom"] and resource["urn"] not in there]


def growth(planned: Iterable[ResourceRecord], existing: Iterable[AwsResource]) -> Counter[str]:
    """Region → vCPUs that its machines are to have more than they have, of those that stay. Pure."""
    there = {entry["urn"]: entry for entry in existing if entry["type"] == INSTANCE}
    more: Counter[str] = Counter()
    for resource in planned:
        if resource["type"] == INSTANCE and resource["urn"] in there:
            more[region_of(resource)] += max(0, _vcpus(resource) - _vcpus(there[resource["urn"]]))
    return more


def findings(
    created: list[ResourceRecord],
    region: str,
    account_region: Region,
    larger: int = 0,
    existing: Iterable[AwsResource] = (),
) -> Iterator[Problem]:
    """Of what is created in a region beside what is `existing` there, where existing machines get `larger` more vCPUs:
    every quota that does not suffice, and names that are taken."""
    here = [resource for resource in created if region_of(resource) == region]
    quantities = Counter({kind: sum(resource["type"] == kind for resource in here) for kind in QUOTAS})
    quantities[INSTANCE] = larger + sum(_vcpus(resource) for resource in here if resource["type"] == INSTANCE)
    for kind, more in quantities.items():
        if more:
            yield from _short(QUOTAS[kind], more, region, account_region)
    had = _rules(entry for entry in existing if region_of(entry) == region)
    for (kind, version), more in _rules(here).items():
        # What an update removes goes last
        used = had[kind, version]
        quota = Quota(f"{OF_GROUP[kind]} {version} rules of a security group", RULES, 60, lambda _, used=used: used)
        yield from _short(quota, more, region, account_region)
    names = {resource["inputs"]["name"] for resource in here if resource["type"] == REPOSITORY}
    if names and (duplicates := sorted(names & account_region.repositories())):
        remedy = (
            f"infra adopt aws --region {region} adopts them with their images; if another stack has them: "
            "infra:sharedRepositories"
        )
        yield Problem(region, "repositories", f"{len(duplicates)} already exist: {', '.join(duplicates)}", remedy)


def _rules(resources: Iterable[AnyResource]) -> Counter[tuple[str, str]]:
    """AWS counts each way, and IPv4's and IPv6's, by itself."""
    return Counter(
        (resource["type"], "IPv6" if resource["inputs"].get("cidrIpv6") else "IPv4")
        for resource in resources
        if resource["type"] in OF_GROUP
    )


def _vcpus(resource: AnyResource) -> int:
    instance_type = INSTANCE_TYPES.get(str(resource["inputs"].get("instanceType")))
    return instance_type.vcpus if instance_type else 2


def _short(quota: Quota, more: int, region: str, account_region: Region) -> Iterator[Problem]:
    service, code = quota.code
    used, allowed = quota.used(account_region), account_region.quota(service, code)
    # What may not be asked may be more than what AWS gives to everyone
    is_guess = allowed is None and quota.usual is not None and used + more > quota.usual
    if allowed is None and (quota.usual is None or is_guess):
        fault = f"the quota of {quota.what} is unknown; {used} in use, {more} more needed"
        yield Problem(region, "quota", fault, f"check quota {code} in Service Quotas", "warning")
        return
    room = quota.usual if allowed is None else allowed
    if room is not None and used + more > room:
        fault = f"{quota.what}: {used} in use, {more} more needed, the quota is {room:.0f}"
        yield Problem(
            region, "quota", fault,
            f"request an increase: aws service-quotas request-service-quota-increase --region {region} "
            f"--service-code {service} --quota-code {code} --desired-value {used + more}",
        )  # fmt: skip
