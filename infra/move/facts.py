"""What AWS says of the region that a stack is to move to, and of the one that it is in. Reads only."""

import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from catalogue.loading import Catalogue
from catalogue.sizes import INSTANCE_TYPES
from infra import names, route53
from infra.account.region import ADDRESSES, VCPUS, Region
from infra.errors import InfraError
from infra.move import ttl_history
from infra.move.costs import Cost, monthly

ATTEMPTS = 3


@dataclass(frozen=True)
class Facts:
    """`enabled` is None where AWS does not say; so are quotas, and addresses and machine images that are not there.
    `offered` are the types of machines that the new region has anywhere, `zones` those of each availability zone.
    `here` and `there` are `repository:tag` (or @digest) of images, `repositories` those of the new region, `ttls`
    name → seconds of a record, `lowered` since when those are not longer, `latency` region → milliseconds of a
    connection from this machine, `costs` region → what the hosts would cost there.
    `image_bytes` are compressed."""

    enabled: bool | None
    offered: set[str]
    machine_images: dict[str, str | None]
    zones: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    vcpu_quota: float | None = None
    vcpus_used: int = 0
    address_quota: float | None = None
    addresses_used: int = 0
    here: set[str] = field(default_factory=set[str])
    there: set[str] = field(default_factory=set[str])
    image_bytes: int = 0
    repositories: set[str] = field(default_factory=set[str])
    own_repositories: set[str] = field(default_factory=set[str])
    ttls: dict[str, int | None] = field(default_factory=dict[str, int | None])
    lowered: ttl_history.LoweredTtl | None = None
    acme: str | None = None
    latency: dict[str, float | None] = field(default_factory=dict[str, float | None])
    costs: dict[str, Cost] = field(default_factory=dict[str, Cost])


def gather(catalogue: Catalogue, region: str) -> Facts:
    """Asks AWS, each question once. Raises InfraError when it cannot be asked at all."""
    stack = catalogue.stack
    try:
        old, new = (Region(name) for name in (stack.region, region))
        types = sorted({host.instanceType for host in stack.ec2_hosts.values()})
        enabled = old.is_enabled(region)
        if enabled is False:
            # It answers nothing else
            return Facts(enabled, set(), {})
        names, zones = _images(catalogue), new.zones(types)
        if region == stack.region:
            # What is there has decided the zone of what comes beside it
            present = new.zones_of(stack.name)
            zones = {zone: offered for zone, offered in zones.items() if zone in present or not present}
        here, there = old.images(names), new.images(names)
        return Facts(
            enabled=enabled,
            offered=set[str]().union(*zones.values()),
            zones=zones,
            machine_images={
                INSTANCE_TYPES[type].architecture: new.parameter(stack.ami_parameter(INSTANCE_TYPES[type].architecture))
                for type in types
                if type in INSTANCE_TYPES
            },
            vcpu_quota=new.quota(*VCPUS),
            vcpus_used=new.vcpus(),
            address_quota=new.quota(*ADDRESSES),
            addresses_used=new.addresses(),
            here=set(here),
            there=set(there),
            image_bytes=sum((there | here).values()),
            costs={name: monthly(stack, name) for name in (stack.region, region)},
            repositories=new.repositories(),
            own_repositories=ttl_history.repositories(stack, region),
            ttls=_ttls(catalogue),
            lowered=ttl_history.of_stack(stack),
            acme=_answers(stack.acmeDirectory),
            latency={
                name: _latency(place.ec2.meta.endpoint_url) for name, place in ((stack.region, old), (region, new))
            },
        )
    except (BotoCoreError, ClientError) as error:
        raise InfraError(
            f"AWS cannot be asked: {error}; check that you have credentials for account {stack.accountId}"
        ) from None


def _images(catalogue: Catalogue) -> list[tuple[str, str]]:
    """(repository, tag or digest) of every image that runs."""
    return sorted((image.repository, image.suffix) for image in catalogue.images)


def _ttls(catalogue: Catalogue) -> dict[str, int | None]:
    """Of every public name in the stack's zone: how long resolvers may keep its record; None without a record."""
    stack = catalogue.stack
    sites = [stack.public_name(site.name) for system in catalogue.running.values() for site in system.sites]
    ours = [name for name in sites if stack.in_zone(name)]
    if stack.dns.provider != "route53":
        servers = names.servers(stack.zone, stack.nameServers, stack.dns.provider)
        return {name: names.life(name, servers[0]) for name in ours}
    client = route53.client()
    zone = route53.zone_id(client, stack.zone)
    if zone is None:
        return {}
    records = {name: record.get("TTL") for name, record in route53.address_records(client, zone).items()}
    return {name: records.get(name) for name in ours}


def _answers(url: str) -> str | None:
    """None when the ACME directory answers, else why not. Whether its certificate is trusted is the hosts' affair."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), 5):
            return None
    except OSError as error:
        return str(error)


def _latency(endpoint: str) -> float | None:
    """Milliseconds of a connection from this machine, the best of a few."""
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    times: list[float] = []
    for _ in range(ATTEMPTS):
        began_at = time.perf_counter()
        try:
            with socket.create_connection((parts.hostname or "", port), 5):
                times.append(1000 * (time.perf_counter() - began_at))
        except OSError:
            return None
    return round(min(times), 1)
