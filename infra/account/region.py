"""One region of an account, asked. Reads only."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from catalogue.shapes import AwsEntry
from catalogue.sizes import INSTANCE_TYPES
from infra import aws
from infra.errors import InfraError

# Service Quotas' codes: running on-demand standard instances (in vCPUs), Elastic IP addresses, networks, their gateways
VCPUS, ADDRESSES = ("ec2", "L-1216C47A"), ("ec2", "L-0263D0A3")
# Families of types by their first letter
STANDARD = "acdhimrtz"
NETWORKS, GATEWAYS, RULES = ("vpc", "L-F678F1CE"), ("vpc", "L-A4707A72"), ("vpc", "L-0EA8095F")

RUNNING = {"Name": "instance-state-name", "Values": ["pending", "running"]}


class Region:
    """What AWS says of a region. Each question raises botocore's errors where it does not answer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ec2, self.ecr, self.ssm, self.quotas = (
            aws.client(service, name) for service in ("ec2", "ecr", "ssm", "service-quotas")
        )

    def is_enabled(self, region: str) -> bool | None:
        regions = self.ec2.describe_regions(AllRegions=True)["Regions"]
        states = {entry["RegionName"]: entry.get("OptInStatus") for entry in regions}
        if region not in states:
            raise InfraError(f"AWS has no region {region}; regions: {', '.join(sorted(states))}")
        return None if states[region] is None else states[region] != "not-opted-in"

    def zones(self, types: list[str]) -> dict[str, set[str]]:
        """Availability zone → those of the types that it offers."""
        if not types:
            return {}
        filters: Any = [{"Name": "instance-type", "Values": types}]
        asking = self.ec2.get_paginator("describe_instance_type_offerings")
        pages = asking.paginate(Filters=filters, LocationType="availability-zone")
        types_by_zone: dict[str, set[str]] = {}
        for entry in (entry for page in pages for entry in page["InstanceTypeOfferings"]):
            types_by_zone.setdefault(entry["Location"], set()).add(entry["InstanceType"])
        return types_by_zone

    def zones_of(self, stack: str) -> set[str]:
        """The availability zones of a stack's machines."""
        ours: Any = [{"Name": "tag:stack", "Values": [stack]}, RUNNING]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=ours)
        instances = [i for page in pages for group in page["Reservations"] for i in group["Instances"]]
        return {entry["Placement"]["AvailabilityZone"] for entry in instances}

    def parameter(self, name: str) -> str | None:
        return _or_none(lambda: self.ssm.get_parameter(Name=name)["Parameter"]["Value"])

    def quota(self, service: str, code: str) -> float | None:
        return _or_none(lambda: self.quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])

    def vcpus(self) -> int:
        running: Any = [RUNNING]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=running)
        instances = [i for page in pages for group in page["Reservations"] for i in group["Instances"]]
        # The quota is of on-demand machines of these families
        counted = [i for i in instances if i["InstanceType"][0] in STANDARD and i.get("InstanceLifecycle") != "spot"]
        return sum(_vcpus(entry) for entry in counted)

    def addresses(self) -> int:
        return len(self.ec2.describe_addresses()["Addresses"])

    def networks(self) -> int:
        return self._count("describe_vpcs", "Vpcs")

    def gateways(self) -> int:
        return self._count("describe_internet_gateways", "InternetGateways")

    def blocks(self, vpc: str) -> list[str] | None:
        """The IPv4 addresses of a network; None where this account has no such network."""
        try:
            (vpc_entry,) = self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
        except ClientError as error:
            if aws.is_absence(error):
                return None
            raise
        ends = ("disassociating", "disassociated", "failing", "failed")
        blocks = vpc_entry.get("CidrBlockAssociationSet") or [{"CidrBlock": vpc_entry["CidrBlock"]}]
        return [entry["CidrBlock"] for entry in blocks if entry.get("CidrBlockState", {}).get("State") not in ends]

    def routes(self, vpc: str, subnet: str) -> list[str]:
        """The IPv4 networks that a subnet has routes to: its own table's, or the network's main one's."""
        for condition in (("association.subnet-id", subnet), ("association.main", "true")):
            filters: Any = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": condition[0], "Values": [condition[1]]}]
            if tables := self.ec2.describe_route_tables(Filters=filters)["RouteTables"]:
                routes = [route for table in tables for route in table["Routes"]]
                return [route["DestinationCidrBlock"] for route in routes if "DestinationCidrBlock" in route]
        return []

    def _count(self, operation: str, key: str) -> int:
        return sum(len(page[key]) for page in self.ec2.get_paginator(operation).paginate())

    def images(self, images: list[tuple[str, str]]) -> dict[str, int]:
        """Those that are there → compressed bytes (0 where AWS does not say)."""

        def size(image: tuple[str, str]) -> int | None:
            repository, suffix = image
            key = "imageDigest" if suffix.startswith("@") else "imageTag"
            ids: Any = [{key: suffix[1:]}]
            answer = _or_none(lambda: self.ecr.describe_images(repositoryName=repository, imageIds=ids))
            return None if answer is None else sum(entry.get("imageSizeInBytes", 0) for entry in answer["imageDetails"])

        with ThreadPoolExecutor(8) as pool:
            sizes = zip(images, pool.map(size, images), strict=True)
            return {f"{repository}{suffix}": bytes for (repository, suffix), bytes in sizes if bytes is not None}

    def repositories(self) -> set[str]:
        pages = self.ecr.get_paginator("describe_repositories").paginate()
        return {entry["repositoryName"] for page in pages for entry in page["repositories"]}


def _vcpus(entry: AwsEntry) -> int:
    options: dict[str, int] = entry.get("CpuOptions") or {}
    if "CoreCount" in options:
        return options["CoreCount"] * options.get("ThreadsPerCore", 1)
    instance_type = INSTANCE_TYPES.get(entry["InstanceType"])
    return instance_type.vcpus if instance_type else 2


def _or_none(ask: Callable[[], Any]) -> Any:
    """None for what AWS says is not there, or is not for this account to know."""
    try:
        return ask()
    except ClientError as error:
        if aws.is_absence(error) or aws.is_denial(error):
            return None
        raise
