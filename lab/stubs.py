"""What stands for a service in an image of the stack's own registry, where the lab has no image of its owner's."""

from functools import cache
from typing import Any

from catalogue.loading import Catalogue, load
from catalogue.stack import read_stack
from lab.settings import PROJECT


@cache
def stubs() -> dict[str, dict[str, Any]]:
    """Repository → where the stub's program listens and what it answers: as lab.yaml says, else as the catalogue has
    it. Raises CatalogueError."""
    known = {name: stub.facts() for name, stub in PROJECT.extras.stubs.items()}
    catalogue = load(PROJECT.root, read_stack(PROJECT.root, "lab"))
    own = {image.repository for image in catalogue.images if not image.is_foreign}
    return {name: facts for name, facts in derived(catalogue).items() if name in own} | known


def derived(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """The same, of all images that run. Such a stub proves nothing of where the real program listens."""
    found = {}
    for system in catalogue.running.values():
        for service in system.compose_services:
            port, path = service.listens_inside or 8080, service.health_path or "/"
            for image in service.images:
                found.setdefault(image.repository, {"port": port, "health": path, "prefix": "/"})
    return found
