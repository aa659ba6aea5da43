"""The program: configuration → catalogue → components → outputs."""

from pathlib import Path

import pulumi
import pulumi_aws as aws

from catalogue.checks import checked
from catalogue.loading import load
from catalogue.problems import CatalogueError
from components import configuration, lookup
from components.dns import PublicName
from components.host import Host
from components.network import Network
from components.permissions import HostPermissions
from components.registry import Registry
from components.release import Release, secrets_for
from rendering.archive import build
from rendering.host import render

try:
    stack = configuration.stack()
    catalogue = checked(
        load(Path(__file__).parent, stack), warn=lambda found: pulumi.log.warn(str(found).removeprefix("warning: "))
    )
    configuration.keys_present(stack)
except CatalogueError as error:
    raise pulumi.RunError(f"nothing was touched:\n{error}") from None

region = stack.region
provider = aws.Provider(f"aws-{region}", region=region, allowed_account_ids=[stack.accountId])
regional = pulumi.ResourceOptions(providers={"aws": provider})
asking = pulumi.InvokeOptions(provider=provider)
zone = lookup.zone(stack, asking)
images = {host: lookup.machine_image(stack, host, asking) for host in stack.hosts}

network = Network(f"network-{region}", stack, opts=regional)
registry = Registry(f"registry-{region}", stack, list(catalogue.running.values()), opts=regional)

addresses, releases = {}, {}
for host in stack.hosts:
    name = f"{host}-{region}"
    systems = catalogue.systems_on(host)
    public_names = [stack.public_name(site.name) for system in systems for site in system.sites]
    permissions = HostPermissions(f"{name}-permissions", stack, registry.arns, zone.arn, public_names, opts=regional)
    machine = Host(name, host, stack, images[host], network, permissions.profile, opts=regional)
    services = {service.name for system in systems for service in system.active}
    built = registry.digests.apply(lambda digests, host=host: build(render(catalogue, host, digests)))
    release = Release(f"{name}-release", stack, machine, built, secrets_for(stack, services), opts=regional)
    for public_name in public_names:
        gated = pulumi.ResourceOptions.merge(regional, pulumi.ResourceOptions(depends_on=[release]))
        PublicName(public_name, stack, zone.id, machine.address, opts=gated)
    addresses[host] = machine.address
    releases[host] = {"id": release.id, "line": release.line}

pulumi.export("region", region)
pulumi.export("addresses", addresses)
pulumi.export("releases", releases)
pulumi.export("repositories", registry.urls)
pulumi.export(
    "urls", [f"https://{stack.public_name(s.name)}/" for system in catalogue.running.values() for s in system.sites]
)
