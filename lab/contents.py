"""What the lab's registries hold before an update: the images that lab.yaml names, and stubs for the rest."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from catalogue.loading import Catalogue, artefacts_of
from catalogue.problems import nearest
from catalogue.service import Image
from infra import artefact
from infra.errors import InfraError
from infra.writing import put
from lab import elsewhere, registry
from lab.images import build_programs
from lab.products import lay_out
from lab.project import Extras
from lab.run import run
from lab.say import LabError, step
from lab.settings import PROJECT, Lab
from lab.stubs import catalogue, images, stubs, systems


def fill(lab: Lab, regions: Sequence[str]) -> None:
    """Puts the stack's own images into the registries of regions, and images of other registries into the one that
    stands for them. Existing images stay, unless lab.yaml names another one by now.

    Raises LabError, and CatalogueError where the catalogue cannot be read.
    """
    all_images = images(catalogue())
    if faults := [*unknown_names(PROJECT.extras, catalogue(), all_images)]:
        raise LabError("\n".join(faults))
    elsewhere.fill(lab, [image for image in all_images if image.is_foreign])
    artefacts = {artefact.name for artefact in artefacts_of(systems(catalogue())) if not artefact.is_foreign}
    pack_artefacts(lab, regions, sorted(artefacts))
    own = [image for image in all_images if not image.is_foreign and image.name not in artefacts]
    sources = {image.name: source for image in own if (source := PROJECT.extras.images.get(image.name))}
    for name, source in sources.items():
        _push(lab, regions, name, elsewhere.local(source))
    tags = {(repository, "latest") for repository in PROJECT.extras.stubs}
    tags |= {(image.repository, image.tag or "latest") for image in own}
    facts, programs = stubs(), build_programs()
    lacking = [
        partial(registry.push_stub, lab, region, f"{repository}:{tag}", facts[repository], programs)
        for repository, tag in sorted(tags)
        for region in regions
        if f"{repository}:{tag}" not in sources and not registry.manifest(lab, region, repository, tag)
    ]
    if lacking:
        with step("pushing the stub images"), ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda push: push(), lacking))


def unknown_names(extras: Extras, own_catalogue: Catalogue, all_images: Sequence[Image]) -> Iterator[str]:
    """A line for each name in lab.yaml that the catalogue or the stack does not have: it would be ignored."""
    repositories = [image.repository for image in all_images if not image.is_foreign]
    of_machines = [name for machine in extras.machines.values() for name in machine.systems]
    systems = list(own_catalogue.systems)
    for key, fault, names, there, what in (
        ("images", "no service runs", extras.images, [image.name for image in all_images], "images that services run"),
        ("stubs", "no service runs", extras.stubs, repositories, "images that services run"),
        ("rehearse", "stack lab has no host", extras.rehearse, list(own_catalogue.stack.hosts), "its hosts"),
        ("foreign_names", "there is no system", extras.foreign_names.values(), systems, "systems"),
        ("machines", "there is no system", of_machines, systems, "systems"),
    ):
        for name in names:
            if name not in there:
                yield f"lab.yaml: {key}: {fault} {name}; {nearest(name, dict.fromkeys(there), what)}"


def pack_artefacts(lab: Lab, regions: Sequence[str], names: Sequence[str]) -> None:
    """Packs and pushes artefacts from the folders that lab.yaml names. Raises LabError with every fault in them."""
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        packed = {}
        for number, name in enumerate(names):
            layout = Path(scratch) / f"layout-{number}"
            try:
                packed[name] = layout, _pack(layout, name)
            except (LabError, InfraError) as error:
                faults.append(f"lab.yaml: images: {name}: {error}")
        if faults:
            raise LabError("\n".join(faults))
        for name, (layout, digest) in packed.items():
            _push_changed(lab, regions, name, f"oci:{layout}:new", digest)


def _pack(layout: Path, name: str) -> str:
    """An artefact as lab.yaml gives it, in an OCI layout; its digest. Raises LabError and InfraError."""
    place = PROJECT.extras.images.get(name, "")
    source = PROJECT.root / place
    if "@" in name:
        raise LabError("a digest names the original image only: use a tag in the catalogue")
    if not place:
        raise LabError("is an artefact without a source in lab.yaml: set it to ./FOLDER or ./FILE")
    if not place.startswith("./") or not source.exists():
        there = f"write ./{place}" if source.exists() else f"this project has no {place}: set it to ./FOLDER or ./FILE"
        raise LabError(f"is an artefact: {there}")
    if not (source / "program.yaml").exists():
        return artefact.write(layout, [str(source)]).digest
    tree = layout.with_name(f"{layout.name}-tree")
    lay_out(tree, [source])
    return artefact.write(layout, [str(tree)]).digest


def _push(lab: Lab, regions: Sequence[str], name: str, source: str) -> None:
    """An image of this machine's Docker, unless it is the one that was pushed last."""
    id = run("docker", "image", "inspect", "--format", "{{.Id}}", source.removeprefix("docker-daemon:")).strip()
    _push_changed(lab, regions, name, source, id)


def _push_changed(lab: Lab, regions: Sequence[str], name: str, source: str, mark: str) -> None:
    """What lab.yaml gives, where that is not what it gave last: what was pushed by hand since then stays."""
    record = lab.path("run", "pushed.json")
    pushed = json.loads(record.read_text()) if record.exists() else {}
    repository, _, tag = name.rpartition(":")
    for region in regions:
        if pushed.get(f"{region} {name}") != mark or not registry.manifest(lab, region, repository, tag):
            with step(f"pushing {name}"):
                registry.push_image(lab, region, source, name)
            pushed[f"{region} {name}"] = mark
            put(record, json.dumps(pushed))
