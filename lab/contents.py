"""What the registries hold before the first update: images as lab.yaml gives them, and stubs for the rest."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from catalogue.loading import load
from catalogue.stack import read_stack
from lab import elsewhere, registry
from lab.images import build_programs
from lab.say import step
from lab.settings import PROJECT, Lab
from lab.stubs import stubs


def fill(lab: Lab, regions: Sequence[str]) -> None:
    """The stack's own images in the registries of regions, and other registries' in the one that stands for them.

    Raises LabError, and CatalogueError where the catalogue cannot be read.
    """
    catalogue = load(PROJECT.root, read_stack(PROJECT.root, "lab"))
    given = {image.name: PROJECT.extras.images.get(image.name) for image in catalogue.images if not image.is_foreign}
    sources = {name: elsewhere.local(source) for name, source in given.items() if source}
    programs, own = build_programs(), {name.partition(":")[0].partition("@")[0] for name in sources}

    def push(item: tuple[str, dict[str, Any]]) -> None:
        repository, facts = item
        for region in regions:
            registry.push_stub(lab, region, repository, facts, programs)

    with step("pushing the stub images"), ThreadPoolExecutor(2) as pool:
        list(pool.map(push, [item for item in stubs().items() if item[0] not in own]))
    for name, source in sources.items():
        with step(f"pushing {name}"):
            for region in regions:
                registry.push_image(lab, region, source, name)
    elsewhere.fill(lab, catalogue)
