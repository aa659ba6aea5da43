"""The program: configuration → catalogue → components → outputs."""

from pathlib import Path

import pulumi
import pulumi_aws as aws

from catalogue.checks import checked
from catalogue.loading import load
from catalogue.problems import CatalogueError
from catalogue.stack import Ec2Host
from components import configuration, lookup
from components.dns import PublicName
from components.existing_host import ExistingHost
from components.host import Host
from components.network import Network
from components.permissions import HostPermissions
from components.registry import Registry
from components.release import Release, secrets_for
from rendering.archive import build
from rendering.host import dns_names, needs, render

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
images = {host: lookup.machine_image(stack, host, asking) for host in stack.ec2_hosts}

network = Network(f"network-{region}", stack, opts=regional) if stack.ec2_hosts else None
registry = Registry(f"registry-{region}", stack, list(catalogue.running.values()), opts=regional)

addresses, releases = {}, {}
for host, spec in stack.hosts.items():
    # A machine elsewhere stays where it is when the region changes
    name = f"{host}-{region}" if host in stack.ec2_hosts else host
    names, wanted = dns_names(catalogue, host), needs(catalogue, host)
    pulls = registry.arns if "docker" in wanted else []
    rights = HostPermissions(f"{name}-permissions", stack, host, pulls, zone.arn, names, opts=regional)
    if isinstance(spec, Ec2Host):
        machine = Host(name, host, spec, stack, images[host], network, rights.profile, wanted, opts=regional)
    else:
        machine = ExistingHost(name, host, spec, stack, wanted, opts=regional)
    secrets = rights.credentials.apply(lambda keys, host=host: secrets_for(catalogue, host, keys))
    known = pulumi.Output.all(registry.digests, secrets)
    built = known.apply(lambda known, host=host: build(render(catalogue, host, *known)))
    release = Release(f"{name}-release", stack, machine, built, secrets, opts=regional)
    for public_name in names:
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
