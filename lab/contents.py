"""What the registries hold before an update: images as lab.yaml gives them, and stubs for the rest."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from catalogue.service import Image
from lab import elsewhere, registry
from lab.images import build_programs
from lab.run import run
from lab.say import LabError, step
from lab.settings import PROJECT, Lab
from lab.stubs import catalogue, images, stubs


def fill(lab: Lab, regions: Sequence[str]) -> None:
    """The stack's own images in the registries of regions, and other registries' in the one that stands for them. What
    is there already stays, unless lab.yaml names another image for it since.

    Raises LabError, and CatalogueError where the catalogue cannot be read.
    """
    wanted = images(catalogue())
    _refuse_unknown(wanted)
    elsewhere.fill(lab, [image for image in wanted if image.is_foreign])
    own = [image for image in wanted if not image.is_foreign]
    given = {image.name: source for image in own if (source := PROJECT.extras.images.get(image.name))}
    for name, source in given.items():
        _push(lab, regions, name, elsewhere.local(source))
    tags = {(repository, "latest") for repository in PROJECT.extras.stubs}
    tags |= {(image.repository, image.tag or "latest") for image in own}
    facts, programs = stubs(), build_programs()
    lacking = [
        partial(registry.push_stub, lab, region, repository, facts[repository], programs, tag)
        for repository, tag in sorted(tags)
        for region in regions
        if f"{repository}:{tag}" not in given and not registry.manifest(lab, region, repository, tag)
    ]
    if lacking:
        with step("pushing the stub images"), ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda push: push(), lacking))


def _refuse_unknown(wanted: Sequence[Image]) -> None:
    """Raises LabError for an image of lab.yaml that the catalogue does not name."""
    names = [image.name for image in wanted]
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
