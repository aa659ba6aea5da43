"""Under which group of infra:secrets a service's value is: its own, its system's, that of the system that its own is a
part of, or the stack's shared one, where the system says so of a secret (`shared_secrets`)."""

from collections.abc import Iterable

from catalogue.models import System
from catalogue.parts import wholes
from catalogue.stack import SHARED, Stack


def groups_of(stack: Stack, system: System, service: str, name: str) -> list[str]:
    """The groups that may have a service's secret: the first of them that has it counts."""
    whole = wholes(stack).get(system.system, system.system)
    shared = [SHARED] if name in system.shared_secrets else []
    return list(dict.fromkeys([service, system.system, whole, *shared]))


def group_of(stack: Stack, system: System, service: str, name: str) -> str:
    """The group that a service's secret has its value from. Where it has none yet: the stack's, of one that is shared,
    else its own."""
    groups = groups_of(stack, system, service, name)
    unset = SHARED if name in system.shared_secrets else service
    return next((group for group in groups if name in stack.secrets.get(group, {})), unset)


def shared_names(systems: Iterable[System]) -> set[str]:
    """The secrets that some of these systems take from the stack's shared ones."""
    return {name for system in systems for name in system.shared_secrets}
