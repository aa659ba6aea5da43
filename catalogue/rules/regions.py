"""Where a stack serves, and where it stands by."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.sizes import INSTANCE_TYPES


def regions(catalogue: Catalogue) -> Iterator[Problem]:
    """They are different places, and only what the program makes can stand by."""
    stack, file = catalogue.stack, catalogue.stack.file
    if stack.region in stack.standbyRegions:
        rule = "must be other regions: list the earlier serving region, or none"
        yield Problem(file, "infra:standbyRegions", f"{stack.region} is aws:region itself", rule)
    if len(set(stack.standbyRegions)) < len(stack.standbyRegions):
        yield Problem(file, "infra:standbyRegions", f"{', '.join(stack.standbyRegions)}", "must list each region once")
    for name, host in stack.ec2_hosts.items():
        if host.generation in host.kept_types:
            rule = "must be earlier machines: infra host replace writes these keys"
            yield Problem(file, f"infra:hosts.{name}.kept", f"{host.generation} is the current generation", rule)
        for type in sorted({*host.kept_types.values()} - {*INSTANCE_TYPES}):
            rule = f"must be its present type; known: {', '.join(INSTANCE_TYPES)}"
            yield Problem(file, f"infra:hosts.{name}.kept", f"instance type {type} is not known", rule)
        if len(host.kept_types) < len(host.kept):
            yield Problem(file, f"infra:hosts.{name}.kept", "lists a generation twice", "must list each machine once")
    if stack.standbyRegions and not stack.ec2_hosts:
        yield Problem(file, "infra:standbyRegions", "no host of kind ec2", "must be hosts that this stack creates")
