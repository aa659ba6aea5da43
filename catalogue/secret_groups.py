"""Under which group of infra:secrets a service's value is: its own, its system's, or that of the system that its own is
a part of."""

from catalogue.models import System
from catalogue.parts import wholes
from catalogue.stack import Stack


def shared_groups(stack: Stack, system: System) -> list[str]:
    """The groups that services of a system take values from where they have none of their own, the first one first."""
    return list(dict.fromkeys([system.system, wholes(stack).get(system.system, system.system)]))


def group_of(stack: Stack, system: System, service: str, name: str) -> str:
    """The group that a service's secret has its value from; its own where it has none yet."""
    groups = [service, *shared_groups(stack, system)]
    return next((group for group in groups if name in stack.secrets.get(group, {})), service)
