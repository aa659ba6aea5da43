"""Where a stack serves, and where it stands by."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem


def regions(catalogue: Catalogue) -> Iterator[Problem]:
    """They are different places, and only what the program makes can stand by."""
    stack, file = catalogue.stack, catalogue.stack.file
    if stack.region in stack.standbyRegions:
        rule = "the regions that stand by are others: name the one that served before, or none"
        yield Problem(file, "infra:standbyRegions", f"{stack.region} is aws:region itself", rule)
    if len(set(stack.standbyRegions)) < len(stack.standbyRegions):
        yield Problem(file, "infra:standbyRegions", f"{', '.join(stack.standbyRegions)}", "each region once")
    if stack.standbyRegions and not stack.ec2_hosts:
        yield Problem(file, "infra:standbyRegions", "no host of kind ec2", "only hosts that are made here stand by")
