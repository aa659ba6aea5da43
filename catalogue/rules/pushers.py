"""What repositories on GitHub may push: images of services that there are, which are the stack's own."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem, nearest
from catalogue.service import Service


def pushers(catalogue: Catalogue) -> Iterator[Problem]:
    stack = catalogue.stack
    services = {s.name: s for system in catalogue.running.values() for s in system.active}
    if stack.pushers and stack.sharedRepositories:
        fault = "the repositories belong to another stack (infra:sharedRepositories)"
        yield Problem(stack.file, "infra:pushers", fault, "set it there")
    for repository, pusher in stack.pushers.items():
        where = f"infra:pushers.{repository}"
        for name in pusher.services:
            if name not in services:
                yield Problem(stack.file, where, f"no service {name}", nearest(name, sorted(services), "services"))
            elif not own_repositories(services[name]):
                fault = f"{name} has no image or artefact in this stack's repositories"
                yield Problem(stack.file, where, fault, "remove it: images of other registries are copied from there")


def own_repositories(service: Service) -> list[str]:
    """The repositories of a service's own images, and of its artefacts."""
    own = [image.repository for image in service.images if not image.is_foreign]
    return list(dict.fromkeys(own))
