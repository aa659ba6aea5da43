"""What stands for a service in an image of the stack's own registry, where the lab has no image of its owner's."""

from functools import cache
from typing import Any

from catalogue.loading import Catalogue, artefacts_of, images_of, load
from catalogue.models import System
from catalogue.service import Image
from catalogue.stack import read_stack
from lab.settings import PROJECT


@cache
def catalogue() -> Catalogue:
    """The project's, as stack `lab` has it. Raises CatalogueError."""
    return load(PROJECT.root, read_stack(PROJECT.root, "lab"))


def systems(catalogue: Catalogue) -> list[System]:
    """Those that run in the lab: on hosts of the stack, and on the owners' own machines."""
    own = {name for machine in PROJECT.extras.machines.values() for name in machine.systems}
    return [system for name, system in catalogue.systems.items() if name in own or name in catalogue.running]


def images(catalogue: Catalogue) -> list[Image]:
    """Theirs, each once, by their names."""
    return images_of(systems(catalogue))


@cache
def stubs() -> dict[str, dict[str, Any]]:
    """Repository → where the stub's program listens and what it answers: as lab.yaml says, else as the catalogue has
    it. Raises CatalogueError."""
    configured = {name: stub.facts() for name, stub in PROJECT.extras.stubs.items()}
    unpacked = {artefact.repository for artefact in artefacts_of(systems(catalogue()))}
    own = {image.repository for image in images(catalogue()) if not image.is_foreign} - unpacked
    return {name: facts for name, facts in derive_stubs(catalogue()).items() if name in own} | configured


def derive_stubs(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """The same, of all images that run. Such a stub proves nothing of where the real program listens."""
    stub_of = {}
    for system in systems(catalogue):
        for service in system.compose_services:
            port, path = service.listens_inside or 8080, service.health_path or "/"
            for image in service.images:
                stub_of.setdefault(image.repository, {"port": port, "health": path, "prefix": "/"})
    return stub_of
