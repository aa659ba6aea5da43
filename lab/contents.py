"""What the registries hold before an update: images as lab.yaml gives them, and stubs for the rest."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from catalogue.loading import Catalogue, load
from catalogue.stack import read_stack
from lab import elsewhere, registry
from lab.images import build_programs
from lab.run import run
from lab.say import LabError, step
from lab.settings import PROJECT, Lab
from lab.stubs import derived, stubs


def fill(lab: Lab, regions: Sequence[str]) -> None:
    """The stack's own images in the registries of regions, and other registries' in the one that stands for them. What
    is there already stays, unless lab.yaml names another image for it since.

    Raises LabError, and CatalogueError where the catalogue cannot be read.
    """
    catalogue = load(PROJECT.root, read_stack(PROJECT.root, "lab"))
    _refuse_unknown(catalogue)
    elsewhere.fill(lab, catalogue)
    given = {
        image.name: source for image in catalogue.images if (source := _given(image.name)) and not image.is_foreign
    }
    for name, source in given.items():
        _push(lab, regions, name, elsewhere.local(source))
    tags = {(repository, "latest") for repository in PROJECT.extras.stubs}
    tags |= {(image.repository, image.tag or "latest") for image in catalogue.images if not image.is_foreign}
    facts, programs = derived(catalogue) | stubs(), build_programs()
    lacking = [
        partial(registry.push_stub, lab, region, repository, facts[repository], programs, tag)
        for repository, tag in sorted(tags)
        for region in regions
        if f"{repository}:{tag}" not in given and not registry.manifest(lab, region, repository, tag)
    ]
    if lacking:
        with step("pushing the stub images"), ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda push: push(), lacking))


def _given(name: str) -> str | None:
    return PROJECT.extras.images.get(name)


def _refuse_unknown(catalogue: Catalogue) -> None:
    """Raises LabError for an image of lab.yaml that the catalogue does not name."""
    names = [image.name for image in catalogue.images]
    for name in PROJECT.extras.images:
        if name not in names:
            raise LabError(f"lab.yaml: images: no service runs {name}; those that run: {', '.join(names) or 'none'}")


def _push(lab: Lab, regions: Sequence[str], name: str, source: str) -> None:
    """An image of this machine's Docker, unless it is the one that was pushed last."""
    record = lab.path("run", "pushed.json")
    pushed = json.loads(record.read_text()) if record.exists() else {}
    id = run("docker", "image", "inspect", "--format", "{{.Id}}", source.removeprefix("docker-daemon:")).strip()
    for region in regions:
        if pushed.get(f"{region} {name}") != id:
            with step(f"pushing {name}"):
                registry.push_image(lab, region, source, name)
            pushed[f"{region} {name}"] = id
            record.write_text(json.dumps(pushed))
